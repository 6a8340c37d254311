"""Mounts and the mount table; the child processes that touch what may hang."""
