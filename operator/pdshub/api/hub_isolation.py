"""Whether each user's server has a host name of its own, and which host names of a hub can have names below them."""

from __future__ import annotations

import re
from typing import Literal

Isolation = Literal["Subdomain", "Path"]
"""Subdomain: each server at a name of its own below the hub's. Path: all at the hub's name, apart by path alone."""

LONGEST = 189
"""Characters of a host name to which a label of 63 and its dot can be added. Source: RFC 1035, section 2.3.4."""
NO_HOSTNAME = (
    "isolation Subdomain needs hostname, the public name below which each server has its own: set hostname, and have "
    "*.hostname lead to the same place; or set isolation to Path"
)
NO_ROOM_BELOW = (
    f"isolation Subdomain needs a hostname of at most {LONGEST} characters that has a dot and is no address, as "
    "hub.example.org: names of servers end with it; or set isolation to Path"
)
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_NAME = rf"^({_LABEL}[.])+[a-z]([a-z0-9-]{{0,61}}[a-z0-9])?$"
"""A domain name whose last label begins with a letter: an IPv4 address is none. Source: RFC 1123, section 2.1."""
_SUBDOMAIN = "has(self.isolation) && self.isolation == 'Subdomain'"
RULES = (
    (f"!({_SUBDOMAIN}) || has(self.hostname)", NO_HOSTNAME),
    (
        f"!({_SUBDOMAIN}) || !has(self.hostname) || "
        f"(size(self.hostname) <= {LONGEST} && self.hostname.matches('{_NAME}'))",
        NO_ROOM_BELOW,
    ),
)
"""The same for the API server (CEL)."""


def trouble(isolation: Isolation, hostname: str | None) -> str:
    """Why a hub with this host name can not be isolated as asked, and what to do; empty where it can."""
    if isolation == "Path":
        return ""
    if hostname is None:
        return NO_HOSTNAME
    return "" if len(hostname) <= LONGEST and re.fullmatch(_NAME, hostname) else NO_ROOM_BELOW
