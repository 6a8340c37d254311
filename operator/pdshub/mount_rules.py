"""What an installation lets node plugins mount: one rule for the operator, which explains, and the nodes, which mount.

Whoever installs PDSHub names servers and local prefixes (Helm values archive.* of charts/pdshub); views can not.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import Literal

SERVERS: Literal["archive.allowedServers"] = "archive.allowedServers"
LOCAL_PREFIXES: Literal["archive.allowedLocalPrefixes"] = "archive.allowedLocalPrefixes"


def refusing_setting(
    *, server: str, local: str, servers: Iterable[str], local_prefixes: Iterable[str]
) -> Literal["", "archive.allowedServers", "archive.allowedLocalPrefixes"]:
    """The setting of the installation that does not allow a source; "" where the source is allowed.

    A source is ``local``, an absolute path on the node, or else an export of the NFS server ``server``. Without a rule
    nothing is allowed.
    """
    if local:
        return LOCAL_PREFIXES if prefix_of(local, local_prefixes) is None else ""
    return "" if any(matches(server, rule) for rule in servers) else SERVERS


def prefix_of(path: str, prefixes: Iterable[str]) -> str | None:
    """The first of ``prefixes`` that is ``path`` or a directory above it; None where there is none.

    Only the words of the path are compared: links are looked at when it is opened (node/mount/worker_main.py).
    """
    return next((prefix for prefix in prefixes if PurePosixPath(path).is_relative_to(prefix)), None)


def matches(server: str, rule: str) -> bool:
    """Whether one rule allows an NFS server: its exact name or address, `*.suffix` (a name below it), or CIDR.

    Rules for addresses never match names. Case, a dot at the end and brackets of IPv6 addresses do not count.
    """
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
