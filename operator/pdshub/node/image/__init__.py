"""Whether an image is one that a surveyor makes: looked at by a process without rights before root mounts it."""
