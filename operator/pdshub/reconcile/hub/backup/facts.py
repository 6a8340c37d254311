"""What a look at a hub's backups found: everything that ``decide`` may know."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pdshub.api.hub_backup import Backup
from pdshub.api.hub_upgrade import Upgrade
from pdshub.installation import SnapshotClass
from pdshub.kube import Object
from pdshub.reconcile.common.objects import Step
from pdshub.reconcile.hub.backup.asked import Asked, Restore, Run
from pdshub.render.backup_job import TARGET_VOLUME as TARGET
from pdshub.render.backup_job import Identity
from pdshub.render.backup_repository import Place
from pdshub.render.names import DATABASE_CLAIM, HOME_LABELS, VIEW_LABEL, Names

KeyState = Literal["Present", "Absent", "Lost"]
"""Absent: there was none yet. Lost: snapshots were made with one that is gone; a new one would not read them."""


@dataclass(frozen=True)
class Use:
    """A pod that has a claim mounted, or is about to."""

    pod: str
    node: str
    """Empty while it has none."""
    going: bool = False
    """Whether it is ending: who comes next need not go where it is."""


@dataclass(frozen=True)
class Node:
    """A node of the cluster: its labels, and in words why no Job starts there; empty where one may."""

    labels: Mapping[str, str] = field(default_factory=dict)
    away: str = ""


@dataclass(frozen=True)
class Snapshots:
    """VolumeSnapshots of homes. Empty where the installation names no class for them."""

    classes: Mapping[str, SnapshotClass] = field(default_factory=dict)
    """By CSI driver."""
    storage: Mapping[str, str] = field(default_factory=dict)
    """StorageClasses whose volumes go with their claims, and the driver of each."""
    there: Mapping[str, Object] = field(default_factory=dict)
    """Those that are, or pretend to be, for Jobs of this hub, by the Job's name."""
    made: frozenset[str] = frozenset()
    """Jobs for which this very process made one."""


@dataclass(frozen=True)
class Facts:
    """One look. Of a hub without backups only the first fields are filled."""

    names: Names
    now: float
    """Seconds since 1970."""
    uid: str = ""
    created: float = 0.0
    """When the PDSHub was made."""
    backup: Backup | None = None
    recovering: str = ""
    """Why nothing is done yet: the hub comes back from its backup."""
    refused: tuple[str, str] = ("", "")
    """Reason and words of why nothing is saved here."""
    upgrades: int = Upgrade().keep
    """From before how many upgrades snapshots stay."""
    place: Place | None = None
    key: KeyState = "Present"
    key_secret: tuple[str, str] = ("", "")
    steps: tuple[Step, ...] = ()
    """Objects that have to be written before a Job runs."""
    runs: tuple[Run, ...] = ()
    restores: tuple[Restore, ...] = ()
    jobs: Mapping[str, Object] = field(default_factory=dict)
    """Backup Jobs of this hub, by name; read only while something is to be done."""
    made: frozenset[str] = frozenset()
    """Jobs that this very process made."""
    snapshots: Snapshots = field(default_factory=Snapshots)
    pods: tuple[Object, ...] = ()
    """Pods of backup Jobs of the namespace."""
    homes: Mapping[str, str] = field(default_factory=dict)
    """By user the claim of the home, as it is recorded."""
    claims: Mapping[str, Object] = field(default_factory=dict)
    """PersistentVolumeClaims of the namespace that matter, by name; those of Jobs have a Job's."""
    uses: Mapping[str, tuple[Use, ...]] = field(default_factory=dict)
    """By claim the pods that have it."""
    volumes: Mapping[str, Object] = field(default_factory=dict)
    """By claim the volume that it is bound to: it may be one node's."""
    nodes: Mapping[str, Node] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Secrets that item keys is made of, as far as they are there."""
    objects: Mapping[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)

    @property
    def unfinished(self) -> list[Asked]:
        """What is still to be done, the oldest first, restores before runs: somebody waits for them."""
        return [*(r for r in self.restores if r.unfinished), *(r for r in self.runs if r.unfinished)]


def modes(claim: Object) -> Sequence[str]:
    """The access modes of a claim: as it was bound, or as it asks for."""
    return (claim.get("status") or {}).get("accessModes") or (claim.get("spec") or {}).get("accessModes") or ()


def is_repository(claim: Object) -> str:
    """Why a claim may be no repository; empty where it may."""
    meta = claim["metadata"]
    labels = meta.get("labels") or {}
    if meta["name"] == DATABASE_CLAIM or HOME_LABELS.items() <= labels.items():
        return f"claim {meta['name']} holds what is saved: a repository in it would be lost with it"
    if VIEW_LABEL in labels:
        return f"claim {meta['name']} is the archive's, which nobody writes"
    return ""


def nodes_of(facts: Facts, claims: Iterable[str]) -> tuple[tuple[str, ...], str]:
    """The nodes on which a Job that mounts these claims can run, and why none can; no node means any.

    A claim in mode ReadWriteOnce is mounted on one node: whoever comes second has to go there.
    """
    found: set[str] | None = None
    for claim in claims:
        known = facts.claims.get(claim)
        if known is None:
            continue
        have, uses = modes(known), facts.uses.get(claim, ())
        if uses and "ReadWriteOncePod" in have:
            return (), f"claim {claim} is used by pod {uses[0].pod}, and its mode lets no other pod have it"
        if "ReadWriteMany" in have:
            continue
        here = {use.node for use in uses if use.node and not use.going}
        if here:
            found = here if found is None else found & here
            if not found:
                return (), f"claim {claim} is mounted on another node than what else is needed"
    return tuple(sorted(found or ())), ""


def works(pods: Iterable[Object], host: str) -> bool:
    """Whether a pod may be at work under a host name: one that is ending, or whose node is lost, as well."""
    return any(
        (pod.get("spec") or {}).get("hostname") == host
        and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed")
        for pod in pods
    )


def restoring_pod(facts: Facts, claim: str) -> Object | None:
    """A pod that restores into a claim, or may: of a Job that was taken away, on a node that is lost. What two of them
    write at a time is neither's."""
    for pod in facts.pods:
        volumes = (pod.get("spec") or {}).get("volumes") or []
        into = [(v.get("persistentVolumeClaim") or {}).get("claimName") for v in volumes if v.get("name") == TARGET]
        if claim in into and (pod.get("status") or {}).get("phase") not in ("Succeeded", "Failed"):
            return pod
    return None


def uses_of(pods: Iterable[Object]) -> dict[str, tuple[Use, ...]]:
    """By claim the pods that have it; pods that have ended have nothing."""
    found: dict[str, tuple[Use, ...]] = {}
    for pod in pods:
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        spec: dict[str, Any] = pod.get("spec") or {}
        going = bool(pod["metadata"].get("deletionTimestamp"))
        use = Use(str(pod["metadata"]["name"]), str(spec.get("nodeName") or ""), going)
        for volume in spec.get("volumes") or []:
            if name := (volume.get("persistentVolumeClaim") or {}).get("claimName"):
                found[str(name)] = (*found.get(str(name), ()), use)
    return found
