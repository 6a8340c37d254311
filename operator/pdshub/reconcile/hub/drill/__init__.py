"""Drills: restores for practice in a namespace of their own, which prove that backups can be read, and how fast."""
