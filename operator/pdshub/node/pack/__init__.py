"""Images of packs: made on this node, of files that have their digest, so that the kernel reads nobody else's image."""
