"""Homes that have their size, on one node: the CSI driver `homes.pdshub.dev` and the disk behind it."""
