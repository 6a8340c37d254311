"""Which addresses are the internet, which are closed, and what of a hub's egress an installation refuses.

Pure. The operator renders NetworkPolicies by these rules, and ``kubectl pdshub probe`` says by them what is declared.
Source: IANA, Special-Purpose Address Registries (RFC 6890); the metadata services of AWS, Azure and Google Cloud.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Mapping
from typing import Any

Net = ipaddress.IPv4Network | ipaddress.IPv6Network
Block = dict[str, Any]
"""An ``ipBlock`` of a NetworkPolicy: ``cidr`` and, where something of it is left out, ``except``."""

INTERNET = ("0.0.0.0/0", "2000::/3")
"""All of IPv4, and of IPv6 what is given out as global unicast (RFC 4291, section 2.4): unique local (fc00::/7) and
link-local (fe80::/10) addresses, and IPv4 inside IPv6 (::ffff:0:0/96, 64:ff9b::/96) lie outside of it."""
CLOSED = (
    "0.0.0.0/8",  # this network
    "10.0.0.0/8",  # private (RFC 1918)
    "100.64.0.0/10",  # carriers' NAT (RFC 6598); nodes and pods of some clouds, and a metadata service, live here
    "127.0.0.0/8",  # loopback
    "168.63.129.16/32",  # Azure's own services
    "169.254.0.0/16",  # link-local (RFC 3927), with the metadata services of clouds
    "172.16.0.0/12",  # private
    "192.0.0.0/24",  # IETF protocols (RFC 6890), with a metadata service
    "192.168.0.0/16",  # private
    "198.18.0.0/15",  # benchmarks (RFC 2544), used inside of networks
    "224.0.0.0/4",  # multicast
    "240.0.0.0/4",  # reserved; pods of some clusters live here
    "2001::/32",  # Teredo: IPv4 inside IPv6
    "2002::/16",  # 6to4: the same
)
"""What is never the internet, whatever an installation says."""
_WIDEST = {4: 8, 6: 16}
"""Servers allowed by a wider range than this are no list of servers, and close nothing."""


def _nets(cidrs: Iterable[str]) -> list[Net]:
    """Networks of both families, joined where they touch, in a stable order."""
    found = [ipaddress.ip_network(cidr, strict=False) for cidr in cidrs]
    four = ipaddress.collapse_addresses(net for net in found if isinstance(net, ipaddress.IPv4Network))
    six = ipaddress.collapse_addresses(net for net in found if isinstance(net, ipaddress.IPv6Network))
    return [*sorted(four), *sorted(six)]


def _within(inner: Net, outer: Net) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def addresses(servers: Iterable[str]) -> list[str]:
    """Those servers of ``archive.allowed`` that are addresses or ranges; names and very wide ranges are left out."""
    found = []
    for server in servers:
        try:
            net = ipaddress.ip_network(server.strip("[]"), strict=False)
        except ValueError:
            continue
        if net.prefixlen >= _WIDEST[net.version]:
            found.append(str(net))
    return found


def internet(private: Iterable[str] = ()) -> list[Block]:
    """The internet without what is closed and without ``private`` (CIDRs): nothing is left out that is not inside.

    Raises ValueError for what is no CIDR. Source: Kubernetes API, IPBlock: ``except`` lies strictly inside ``cidr``.
    """
    shut, found = _nets([*CLOSED, *private]), []
    for cidr in INTERNET:
        whole = ipaddress.ip_network(cidr)
        if any(_within(whole, net) for net in shut):
            continue
        found.append({"cidr": cidr, "except": [str(net) for net in shut if _within(net, whole)]})
    return found


def closed_by(cidr: str, private: Iterable[str], allowed: Iterable[str]) -> str:
    """The closed range that a range of addresses meets; empty where a hub may name it.

    ``private``: what this installation closes too. ``allowed``: what it opens for hubs that name it. Raises ValueError
    for what is no CIDR.
    """
    net = ipaddress.ip_network(cidr, strict=False)
    if any(_within(net, whole) for whole in _nets(allowed)):
        return ""
    for shut in _nets([*CLOSED, *private]):
        if shut.version == net.version and shut.overlaps(net):
            return str(shut)
    if not any(_within(net, ipaddress.ip_network(whole)) for whole in INTERNET):
        return f"what lies outside of {INTERNET[1]}"
    return ""


def is_in(address: str, blocks: Iterable[Block]) -> bool:
    """Whether an address lies in one of these blocks. Raises ValueError for what is no address."""
    wanted = ipaddress.ip_address(address)

    def inside(cidr: str) -> bool:
        return wanted in ipaddress.ip_network(cidr)

    return any(inside(block["cidr"]) and not any(map(inside, block.get("except", ()))) for block in blocks)


def normal(spec: Mapping[str, Any]) -> dict[str, Any]:
    """A NetworkPolicy's spec as the API server gives it back: it leaves empty lists out."""
    return {"podSelector": {}, **{key: value for key, value in spec.items() if value != []}}


def policies_digest(specs: Mapping[str, Mapping[str, Any]]) -> str:
    """Digest of NetworkPolicies by name: whoever probed says by it what was probed."""
    text = json.dumps({name: normal(spec) for name, spec in specs.items()}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
