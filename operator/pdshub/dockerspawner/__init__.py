"""Reads a JupyterHub with DockerSpawner, and says what a PDSHub makes of it. Nothing that is read is executed."""
