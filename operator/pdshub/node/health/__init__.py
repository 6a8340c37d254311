"""Whether what is published is still what was surveyed, and unwritable."""
