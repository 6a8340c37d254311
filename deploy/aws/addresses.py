"""Addresses that the template and manifests/overlays/eks agree upon."""

from __future__ import annotations

VPC = "10.64.0.0/16"
"""Public subnets, where load balancers are, are its first quarter."""
SERVICES = "172.20.0.0/16"
"""Of Services. The first one is the API server's."""
