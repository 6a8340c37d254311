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
    identity: str  # empty: left out, its source is away
    run_as: tuple[int, int] | None = None
    """uid and gid that read it; None: it is shown as it is, or as its catalog's part says."""


@dataclass(frozen=True)
class Want:
    """What shall be seen at one mount point.

    `key` names the content (a digest over the layers' identities); None: not known now, `reason` says why,
    and whatever is mounted stays. `generation`: the layers are a catalog's data. `sub`: the part of the content
    that is shown here.
    """

    key: str | None
    layers: tuple[LayerAt, ...] = ()
    healthy: bool = True
    reason: str = ""
    generation: str = ""
    sub: str = ""
    placed: bool = True  # False: only to be built, where it goes is not known before
    waits: bool = False  # put where nothing is, but not yet in another content's place
    cover: bool = False
    """Laid over what is there while a source of that is away, and taken off when it is back (decision 10)."""
    covers: str = ""  # key of the content below it, which stays built
    content: str = ""
    """Digest of what travels with the generation; empty: every byte is the sources'."""
    pending: bool = False
    """Nothing is wrong: what `reason` speaks of is about to be looked at."""
    told: str = ""  # the reason, as users read it


@dataclass(frozen=True)
class Actual:
    """What is mounted for one view."""

    entries: Mapping[str, Content] = field(default_factory=dict)  # key -> what is mounted there
    #: target -> mount point relative to it -> contents, lowest first
    targets: Mapping[str, Mapping[str, tuple[Content, ...]]] = field(default_factory=dict)
    #: Whether this kernel slides new mounts beneath old ones (Linux >= 6.5); if not, old ones pile up below.
    beneath: bool = True
    #: Like entries, for what is not built: folders of the volume's root.
    notes: Mapping[str, Content] = field(default_factory=dict)
    #: Devices of covers, whether wanted still or not.
    covers: Collection[str] = frozenset()


@dataclass(frozen=True)
class Build:
    """Make the overlay (or the plain copy of the one layer) of an entry, or a generation's catalog, aside."""

    key: str
    layers: tuple[LayerAt, ...]
    generation: str = ""
    cover: bool = False
    content: str = ""


@dataclass(frozen=True)
class Attach:
    """Put it on top of what is there."""

    target: str
    at: str
    key: str
    sub: str = ""


@dataclass(frozen=True)
class Switch:
    """Slide the new content under the old one and take the old one away; `lazy`: at once, whoever uses it."""

    target: str
    at: str
    key: str
    depth: int  # mounts on the point now
    sub: str = ""
    lazy: bool = False


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
    """Whether one mount point lies inside of the other."""
    return one != other and (one.startswith(other + "/") or other.startswith(one + "/"))


def part(content: Content, sub: str) -> Content:
    """The content of a directory of a mount."""
    return (content[0], f"{content[1].rstrip('/')}/{sub}") if sub else content


def plan(
    wants: Mapping[str, Want],
    actual: Actual,
    overdue: Collection[tuple[str, str]] = frozenset(),
    own: Mapping[str, Mapping[str, Want] | None] | None = None,
) -> list[Step]:
    """Steps that can be done now, in order. `overdue`: (target, mount point) that were busy for too long. `own`:
    targets that shall see something else than `wants`; None: whatever they see, as nobody knows any more how it was
    made."""
    own = own or {}
    steps: list[Step] = []
    needed = list(dict.fromkeys(want for one in (wants, *own.values()) if one is not None for want in one.values()))
    for want in needed:
        if want.key and want.healthy and want.key not in actual.entries and want.key not in actual.notes:
            build = Build(want.key, want.layers, want.generation, want.cover, want.content)
            if build not in steps:
                steps.append(build)
    contents = {**actual.entries, **actual.notes}
    for target, points in actual.targets.items():
        wanted = own.get(target, wants)
        if wanted is not None:
            steps.extend(_of_target(target, points, wanted, contents, overdue, actual))
    if all(want.key in contents for want in needed):
        keys = {key for want in needed for key in (want.key, want.covers)}
        steps.extend(Drop(key) for key in actual.entries if key not in keys)
    return steps


def _of_target(
    target: str,
    points: Mapping[str, tuple[Content, ...]],
    wants: Mapping[str, Want],
    contents: Mapping[str, Content],
    overdue: Collection[tuple[str, str]],
    actual: Actual,
) -> list[Step]:
    steps: list[Step] = []
    there: dict[str, bool] = {}
    for at, want in wants.items():
        here = points.get(at, ())
        key = want.key or ""
        content = part(contents[key], want.sub) if key in contents else None
        covered = bool(here) and here[-1][0] in actual.covers
        there[at] = bool(want.placed and here and here[-1] == content)
        if there[at] and len(here) > 1 and actual.beneath and not covered:
            # Wanted again while it was still on top of its successor: the two change places.
            steps.append(Detach(target, at, lazy=False))
        if content is None or there[at] or not want.healthy or not want.placed:
            continue
        if want.waits and any(points[other] for other in points if other == at or nested(at, other)):
            continue
        if not here or (want.cover and not covered):
            steps.append(Attach(target, at, key, want.sub))
        elif covered and (want.cover or len(here) == 1):
            steps.append(Switch(target, at, key, len(here), want.sub, lazy=True))
        elif covered:
            # What it covers is what is wanted, or is switched next. Nobody has to leave first: a cover has no bytes
            # to lose, and every path below it works again.
            steps.append(Detach(target, at, lazy=True))
        elif content in here or (len(here) > 1 and (target, at) in overdue):
            steps.append(Detach(target, at, lazy=(target, at) in overdue))
        else:
            steps.append(Switch(target, at, key, len(here), want.sub))
    # What replaces a tree may lie above or below it: the old one goes when all of that is there.
    for at in sorted(points, reverse=True):
        if at not in wants and points[at] and all(there[other] for other in wants if nested(at, other)):
            steps.append(Detach(target, at, lazy=(target, at) in overdue))
    return steps
