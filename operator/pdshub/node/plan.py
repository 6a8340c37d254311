"""Desired and actual state of one view -> the next mount steps. Pure: no clock, no I/O.

The reconciler calls it again after the steps until nothing is left, so a step never has to think of what
comes after it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

Content = tuple[str, str]  # (device, root) of a mount: see mountinfo.Mount.content


@dataclass(frozen=True)
class LayerAt:
    """One layer as found: `identity` is its directory's device and inode, which change if it is replaced."""

    source: str  # Source.digest
    path: str
    identity: str


@dataclass(frozen=True)
class Want:
    """What shall be seen at one mount point.

    `key` names the content (a digest over the layers' identities); None: not known now, `reason` says why,
    and whatever is mounted stays.
    """

    key: str | None
    layers: tuple[LayerAt, ...] = ()
    run_as: tuple[int, int] | None = None
    healthy: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Actual:
    entries: Mapping[str, Content] = field(default_factory=dict)  # key -> what is mounted there
    #: target -> mount point relative to it -> contents, lowest first
    targets: Mapping[str, Mapping[str, tuple[Content, ...]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Build:
    """Make the overlay (or the plain copy of the one layer) of an entry, aside."""

    key: str
    layers: tuple[LayerAt, ...]
    run_as: tuple[int, int] | None


@dataclass(frozen=True)
class Attach:
    target: str
    at: str
    key: str


@dataclass(frozen=True)
class Switch:
    """Slide the new content under the old one and take the old one away."""

    target: str
    at: str
    key: str
    depth: int  # mounts on the point now


@dataclass(frozen=True)
class Detach:
    """Take the topmost mount away; `lazy` once its users had their time to leave."""

    target: str
    at: str
    lazy: bool


@dataclass(frozen=True)
class Drop:
    """Remove an entry that no target shall show any more."""

    key: str


Step = Build | Attach | Switch | Detach | Drop


def nested(one: str, other: str) -> bool:
    return one != other and (one.startswith(other + "/") or other.startswith(one + "/"))


def plan(wants: Mapping[str, Want], actual: Actual, overdue: Collection[tuple[str, str]] = frozenset()) -> list[Step]:
    """Steps that can be done now, in order. `overdue`: (target, mount point) that were busy for too long."""
    steps: list[Step] = []
    for want in wants.values():
        if want.key and want.healthy and want.key not in actual.entries:
            build = Build(want.key, want.layers, want.run_as)
            if build not in steps:
                steps.append(build)
    for target, points in actual.targets.items():
        for at in sorted(points, reverse=True):
            if at not in wants and points[at]:
                steps.append(Detach(target, at, lazy=(target, at) in overdue))
        for at, want in wants.items():
            if want.key is None or want.key not in actual.entries:
                continue
            content, here = actual.entries[want.key], points.get(at, ())
            if here and here[-1] == content:
                continue
            if not want.healthy or any(nested(at, other) and points[other] for other in points):
                continue
            if not here:
                steps.append(Attach(target, at, want.key))
            elif content in here or (len(here) > 1 and (target, at) in overdue):
                steps.append(Detach(target, at, lazy=(target, at) in overdue))
            else:
                steps.append(Switch(target, at, want.key, len(here)))
    if all(want.key in actual.entries for want in wants.values()):
        wanted = {want.key for want in wants.values()}
        steps.extend(Drop(key) for key in actual.entries if key not in wanted)
    return steps
