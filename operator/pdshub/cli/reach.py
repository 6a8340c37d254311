"""Who may reach what, as PDSHub declares it, and what a probe makes of it. Pure.

The table is the one of docs/network.md; a unit test holds it against the policies that the operator renders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pdshub import network_rules, ports
from pdshub.cli import words
from pdshub.cli.dial import NO_ROUTE, OPEN

USER, HUB, PROXY, SURVEYOR, STRANGER, CONTROL = "user", "hub", "proxy", "surveyor", "stranger", "control"
LISTER = "lister"
"""A surveyor of a view with a source in S3, which lists buckets; of hubs that have none it is not probed."""
ROLES = (USER, HUB, PROXY, SURVEYOR, STRANGER)
"""The stranger is a pod of the hub's namespace that has no part in the hub. Control is none: nothing keeps it in."""
ADDRESS = "address"
"""What is judged by its address; every other kind of target has its line in _REACHED_BY."""
_REACHED_BY: Mapping[str, frozenset[str]] = {
    "api": frozenset({HUB}),
    "node": frozenset(),
    "nas": frozenset(),
    "dns": frozenset({USER, HUB, PROXY, LISTER}),
    "server": frozenset({HUB, PROXY}),
    "hub": frozenset({USER, PROXY}),
    "proxy": frozenset({USER}),
    "proxy-api": frozenset({HUB}),
    "surveyor": frozenset(),
    "operator": frozenset(),
}
_OWN: Mapping[str, str] = {PROXY: "proxy", SURVEYOR: "surveyor", LISTER: "surveyor"}
"""Roles whose policy lets anybody come in at a port, and the kind of that target. Engines that look at both directions
of a policy at once (kube-router) let pods of such a role reach each other there: what anybody may knock at."""
YES, NO, UNPROVEN, REACHED, OWN, MISSED, ABSENT = "yes", "no", "no?", "REACHED", "own", "yes, silent", "-"
"""Cells of the matrix: reached and declared; closed though somebody else is answered; closed, and nobody is answered;
reached though closed; reached though closed, but a pod of the same role at a port that is open to anybody; declared and
not reached; not tried."""


@dataclass(frozen=True)
class Target:
    """An address and a port. ``kind`` is a key of _REACHED_BY, or ADDRESS."""

    name: str
    host: str
    port: int
    kind: str = ADDRESS


FIXED = (
    Target("API server", "$API", 443, "api"),
    Target("kubelet", "$NODE", 10250, "node"),
    Target("node metrics", "$NODE", ports.NODE_METRICS, "node"),
    Target("node report", "$NODE", ports.NODE_REPORT, "node"),
    Target("name service", "$DNS", 53, "dns"),
    Target("metadata", "169.254.169.254", 80),
    Target("metadata IPv6", "fd00:ec2::254", 80),
    Target("link-local", "169.254.1.1", 80),
    Target("CGNAT", "100.64.0.1", 80),
    Target("Azure", "168.63.129.16", 80),
    Target("internet", "1.1.1.1", 443),
)
"""What is tried of every hub; ``--target`` replaces one of the same name."""


@dataclass(frozen=True)
class Declared:
    """What a hub and its installation say: the ranges that servers and the hub itself reach."""

    servers: tuple[network_rules.Block, ...] = ()
    signs_in_elsewhere: bool = False
    internet: tuple[network_rules.Block, ...] = ()
    buckets: tuple[network_rules.Block, ...] = ()
    """What surveyors that list buckets reach, at ``bucket_ports``."""
    bucket_ports: frozenset[int] = frozenset()

    @classmethod
    def of(
        cls, spec: Mapping[str, Any], private: Iterable[str], buckets: Sequence[tuple[int, Sequence[str]]] = ()
    ) -> Declared:
        """Of a PDSHub's spec. ``private``: what the installation closes beside what always is. ``buckets``: port and
        ranges of each rule of archive.buckets."""
        network = spec.get("network") or {}
        open_ = tuple(network_rules.internet(private))
        egress = network.get("egress", "internet")
        listed: tuple[network_rules.Block, ...] = tuple({"cidr": cidr} for cidr in network.get("cidrs") or ())
        servers = open_ if egress == "internet" else listed if egress == "cidrs" else ()
        ranges: list[network_rules.Block] = [{"cidr": cidr} for _, cidrs in buckets for cidr in cidrs]
        if any(not cidrs for _, cidrs in buckets):  # of IPv4 alone: charts/pdshub, templates/surveyor.yaml
            ranges += [block for block in network_rules.internet() if ":" not in block["cidr"]]
        asked = frozenset((443, *(port for port, _ in buckets))) if buckets else frozenset[int]()
        return cls(servers, bool((spec.get("signIn") or {}).get("google")), open_, tuple(ranges), asked)

    def allows(self, role: str, target: Target, address: str) -> bool:
        """Whether a role may reach a target. ``address``: the one that was tried; empty where none is known."""
        if target.kind != ADDRESS:
            return role in _REACHED_BY[target.kind]
        try:
            if role == USER:
                return network_rules.is_in(address, self.servers)
            if role == LISTER:
                return target.port in self.bucket_ports and network_rules.is_in(address, self.buckets)
            return role == HUB and self.signs_in_elsewhere and target.port == 443 and self._is_public(address)
        except ValueError:
            return False

    def _is_public(self, address: str) -> bool:
        return network_rules.is_in(address, self.internet)


@dataclass(frozen=True)
class Matrix:
    """What each role was answered: by role and target's name, what came of it and the address that was tried."""

    targets: Sequence[Target]
    declared: Declared
    found: Mapping[str, Mapping[str, tuple[str, str]]]
    notes: Sequence[str] = field(default_factory=tuple)

    def _answers(self, target: Target) -> bool:
        return any(seen.get(target.name, ("", ""))[0] == OPEN for seen in self.found.values())

    def _declared(self, role: str, target: Target) -> bool:
        known = [seen[target.name][1] for seen in self.found.values() if target.name in seen]
        own = self.found[role].get(target.name, ("", ""))[1]
        return self.declared.allows(role, target, own or next(filter(None, known), target.host))

    def cell(self, role: str, target: Target) -> str:
        """What the matrix has of a role and a target."""
        result = self.found.get(role, {}).get(target.name, (NO_ROUTE, ""))[0]
        if result == NO_ROUTE:
            return ABSENT
        if role == CONTROL:
            return YES if result == OPEN else UNPROVEN
        if self._declared(role, target):
            return YES if result == OPEN else MISSED
        if result == OPEN:
            return OWN if _OWN.get(role) == target.kind else REACHED
        return NO if self._answers(target) else UNPROVEN

    @property
    def roles(self) -> list[str]:
        """Roles that were probed, in order."""
        return [role for role in (*ROLES, LISTER, CONTROL) if role in self.found]

    @property
    def reached(self) -> list[str]:
        """Who reached what is closed."""
        return [
            f"{role} > {target.name}"
            for role in self.roles
            for target in self.targets
            if self.cell(role, target) == REACHED
        ]

    @property
    def unproven(self) -> list[str]:
        """Roles of which no attempt shows that anything keeps them in: all that is closed to them is silent anyway."""
        return [
            role
            for role in self.roles
            if role != CONTROL and not any(self.cell(role, target) == NO for target in self.targets)
        ]

    def text(self) -> str:
        """For people."""
        rows: list[list[Any]] = [["TARGET", *(role.upper() for role in self.roles)]]
        rows += [[target.name, *(self.cell(role, target) for role in self.roles)] for target in self.targets]
        lines = [words.table(rows), ""]
        lines.append(
            f"reached though closed: {', '.join(self.reached)}" if self.reached else "nothing closed was reached"
        )
        if self.unproven:
            lines.append(f"nothing shows that anything keeps these in: {', '.join(self.unproven)}")
        return "\n".join([*lines, *self.notes])

    def wire(self) -> dict[str, Any]:
        """For programs."""
        cells = {
            target.name: {
                role: {
                    "declared": None if role == CONTROL else self._declared(role, target),
                    "found": self.found[role].get(target.name, (NO_ROUTE, ""))[0],
                    "cell": self.cell(role, target),
                }
                for role in self.roles
            }
            for target in self.targets
        }
        return {"matrix": cells, "reached": self.reached, "unproven": self.unproven, "notes": list(self.notes)}
