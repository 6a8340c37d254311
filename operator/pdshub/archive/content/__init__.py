"""Labels and small files that travel with a generation: what goes in, where it is kept, how a catalog points to it."""
