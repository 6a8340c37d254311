"""A small archive that behaves like a real one, for a NAS that has none: standard library only."""
