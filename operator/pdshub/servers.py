"""Which NFS servers an installation allows: one rule for the operator, which explains, and the nodes, which mount."""

from __future__ import annotations

import ipaddress


def matches(server: str, rule: str) -> bool:
    """Exact name or address, `*.suffix` (a name below it), or CIDR (addresses only, names never)."""
    server, rule = (text.lower().rstrip(".").strip("[]") for text in (server, rule))
    try:
        address = ipaddress.ip_address(server)
    except ValueError:
        if rule.startswith("*."):
            return server.endswith(rule[1:]) and len(server) > len(rule) - 1
        return server == rule
    try:
        return address in ipaddress.ip_network(rule, strict=False)
    except ValueError:
        return False
