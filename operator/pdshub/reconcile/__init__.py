"""Observe (all reads) -> decide (pure) -> act (one module per action) -> status. One way for every trigger."""
