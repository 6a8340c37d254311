"""What became of the objects of a hub's release since the operator installed them.

Only a release with the operator's own seal is a measure: a forged one would have its objects made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.kube import CLAIM, CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, Kube, Object, Resource
from pdshub.reconcile.common.watched import MADE_BY_HELM
from pdshub.reconcile.hub.manifest.compare import differences
from pdshub.reconcile.hub.manifest.kinds import KINDS
from pdshub.reconcile.hub.release import Release

MANAGED = MADE_BY_HELM
"""Source: Helm 3, pkg/action/validate.go (setMetadataVisitor)."""
WATCHED = (DEPLOYMENT, SERVICE, CONFIG_MAP)
"""Kinds that an informer follows in the namespace of each hub: without them nobody can sign in."""
RARELY = 600.0
"""Seconds between two looks at the other kinds: a watch of each would cost 0.3 MB for each hub."""
PAUSE = 30.0
"""Seconds before the same object is put back again: somebody else may be writing it, too."""
_NAMES = 8
"""Objects that a message names; the others are counted."""


@dataclass(frozen=True)
class Drifted:
    """One object that is not as the release says."""

    kind: str
    """apiVersion and kind."""
    name: str
    fields: tuple[str, ...] = ()
    """The fields that differ, as paths; empty when the object is missing."""

    @property
    def title(self) -> str:
        """Kind and name."""
        return f"{self.kind.rpartition(' ')[2]} {self.name}"

    @property
    def words(self) -> str:
        """What is wrong with it."""
        more = ", ..." if len(self.fields) > 3 else ""
        return (
            f"{self.title}: {', '.join(self.fields[:3])}{more} differs" if self.fields else f"{self.title} is missing"
        )

    @property
    def is_data(self) -> bool:
        """Whether it held data: a new one would be empty, and in the way of the old."""
        return self.kind == f"{CLAIM.api} {CLAIM.kind}"


@dataclass(frozen=True)
class Drift:
    """All objects of a release that differ, and those of them that are to be put back now."""

    found: tuple[Drifted, ...] = ()
    due: tuple[Drifted, ...] = ()
    compared: int = 0
    """How many objects were looked at."""

    @property
    def words(self) -> str:
        """What differs, in one sentence."""
        return in_words(self.found)


def in_words(found: Iterable[Drifted]) -> str:
    """Objects that differ, in one sentence."""
    named = [each.words for each in found]
    more = [f"{len(named) - _NAMES} more"] if len(named) > _NAMES else []
    return "; ".join([*named[:_NAMES], *more])


@dataclass
class DriftMemory:
    """What is remembered of one hub's objects between looks; losing it costs a look, or one write."""

    of: str = ""
    """Digest of the release that all this is about."""
    rarely: tuple[Drifted, ...] = ()
    """What was found of the kinds that are looked at rarely."""
    rarely_at: float = -RARELY
    """time.monotonic() of that look."""
    put_back: dict[str, float] = field(default_factory=dict)
    """time.monotonic() at which an object was put back, by its title."""
    as_written: dict[str, frozenset[str]] = field(default_factory=dict)
    """By title: fields that the API server itself writes in another way than the manifest."""

    def about(self, release: Release) -> None:
        """Forget what was about another release."""
        if self.of != release.digest:
            self.of, self.rarely, self.rarely_at = release.digest, (), -RARELY
            self.put_back.clear()
            self.as_written.clear()

    def settled(self, found: Drifted) -> bool:
        """Whether all that differs is how the API server writes it."""
        return bool(found.fields) and set(found.fields) <= self.as_written.get(found.title, frozenset())

    def due(self, found: Drifted, now: float) -> bool:
        """Whether an object is to be put back now."""
        at = self.put_back.get(found.title)
        return not found.is_data and (at is None or now - at >= PAUSE)


async def observe(kube: Kube, namespace: str, release: Release, memory: DriftMemory) -> Drift:
    """Compare the objects of a sealed release with what there is. Raises KubeError.

    The kinds that informers follow are looked at each time, which costs no request; the others from time to time.
    """
    memory.about(release)
    wanted = _by_kind(release)
    found: list[Drifted] = []
    now = time.monotonic()
    for kind in wanted.keys() & {f"{each.api} {each.kind}" for each in (*WATCHED, SECRET)}:
        found += await _differing(kube, namespace, KINDS[kind], wanted[kind])
    if now - memory.rarely_at >= RARELY:
        rarely: list[Drifted] = []
        for kind in wanted.keys() - {f"{each.api} {each.kind}" for each in (*WATCHED, SECRET)}:
            rarely += await _differing(kube, namespace, KINDS[kind], wanted[kind])
        memory.rarely, memory.rarely_at = tuple(rarely), now
    left = sorted((each for each in (*found, *memory.rarely) if not memory.settled(each)), key=lambda each: each.title)
    return Drift(tuple(left), tuple(each for each in left if memory.due(each, now)), len(release.made))


def _by_kind(release: Release) -> dict[str, list[Mapping[str, Any]]]:
    """The objects that are compared. Jobs end, and may be taken away when they have."""
    wanted: dict[str, list[Mapping[str, Any]]] = {}
    for text in release.made:
        body: dict[str, Any] = json.loads(text)
        kind = f"{body.get('apiVersion')} {body.get('kind')}"
        if kind in KINDS and body["kind"] != "Job":
            wanted.setdefault(kind, []).append(body)
    return wanted


async def _differing(kube: Kube, namespace: str, resource: Resource, wanted: list[Mapping[str, Any]]) -> list[Drifted]:
    """Objects of a kind that are missing, or are not as they should be; those that are going are left alone."""
    there = await _there(kube, namespace, resource, wanted)
    found = []
    for body in wanted:
        name = str(body["metadata"]["name"])
        item = there.get(name)
        fields: tuple[str, ...] = ()
        if item is not None:
            if item["metadata"].get("deletionTimestamp"):
                continue
            fields = () if resource in (SECRET, CLAIM) else differences(body, item)
            if not fields:
                continue
        found.append(Drifted(f"{resource.api} {resource.kind}", name, fields))
    return found


async def _there(kube: Kube, namespace: str, resource: Resource, wanted: list[Mapping[str, Any]]) -> dict[str, Object]:
    """By name: what there is of a kind with Helm's label; of what has lost it, each is asked for by its name."""
    if resource == SECRET:
        listed = await kube.metadata(resource, namespace, labels=MANAGED)
    elif resource == CLAIM:
        listed = []
    else:
        listed = await kube.items(resource, namespace, labels=MANAGED)
    found = {str(item["metadata"]["name"]): item for item in listed}
    for body in wanted:
        name = str(body["metadata"]["name"])
        if name not in found:
            get = kube.get_metadata if resource == SECRET else kube.get
            item = await get(resource, name, namespace)
            if item is not None:
                found[name] = item
    return found
