"""Backups of a hub: when they run, what runs next, what became of it; restores into homes."""
