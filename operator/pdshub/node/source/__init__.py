"""Sources: allowed, mounted, probed and known again; user-space NFS for kernels without a client."""
