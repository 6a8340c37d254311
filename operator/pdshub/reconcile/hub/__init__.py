"""Hubs: observe (reads), judge (facts), decide (one action), act (one module each), conditions (status)."""
