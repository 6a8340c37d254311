"""``kubectl pdshub``: a kubectl plugin. It calls kubectl itself, so that it may do what the user may do."""
