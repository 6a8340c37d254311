"""NetworkPolicies as an engine understands them: who reaches whom. Enough for what this project renders.

Source: Kubernetes API, NetworkPolicy v1; Network Policies ("Behavior of to and from selectors").
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = dict[str, Any]


@dataclass(frozen=True)
class Pod:
    """A pod, or with an empty namespace what is none: an address outside."""

    ip: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


def _chosen(selector: Document, labels: Mapping[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}, f"not understood: {selector}"
    return (selector.get("matchLabels") or {}).items() <= labels.items()


def _is_peer(peer: Document, policy: Document, other: Pod) -> bool:
    if "ipBlock" in peer:
        block, address = peer["ipBlock"], ipaddress.ip_address(other.ip)
        outside = any(address in ipaddress.ip_network(cidr) for cidr in block.get("except", ()))
        return address in ipaddress.ip_network(block["cidr"]) and not outside
    if not other.namespace:
        return False
    if "namespaceSelector" in peer:
        if not _chosen(peer["namespaceSelector"], {"kubernetes.io/metadata.name": other.namespace}):
            return False
    elif other.namespace != policy["metadata"]["namespace"]:
        return False
    return _chosen(peer.get("podSelector", {}), other.labels)


def _allows(rules: Iterable[Document], side: str, policy: Document, other: Pod, port: int | str, protocol: str) -> bool:
    def fits(rule: Document) -> bool:
        ports = rule.get("ports")
        right = not ports or any((p["port"], p.get("protocol", "TCP")) == (port, protocol) for p in ports)
        peers = rule.get(side)
        return right and (not peers or any(_is_peer(peer, policy, other) for peer in peers))

    return any(fits(rule) for rule in rules)


def reaches(policies: Iterable[Document], source: Pod, target: Pod, port: int | str, protocol: str = "TCP") -> bool:
    """Whether a connection is let through on both sides. ``port``: its number, or its name where policies name it."""
    known = list(policies)
    for direction, side, pod, other in (("Egress", "to", source, target), ("Ingress", "from", target, source)):
        mine = [
            policy
            for policy in known
            if direction in policy["spec"]["policyTypes"]
            and pod.namespace == policy["metadata"]["namespace"]
            and _chosen(policy["spec"]["podSelector"], pod.labels)
        ]
        rules = [(policy, policy["spec"].get(direction.lower()) or []) for policy in mine]
        if mine and not any(_allows(found, side, policy, other, port, protocol) for policy, found in rules):
            return False
    return True
