"""Volumes that a deleted namespace left: which is whose, and what binds it again. Pure.

A volume remembers the claim that it belonged to. Without the claim's uid in it, it is free for a claim of that
namespace and name, and for no other (Kubernetes, "Persistent Volumes", Reserving a PersistentVolume).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdshub.cli import change
from pdshub.cli.census import quantity
from pdshub.cli.home_record import MOVE
from pdshub.cli.hub_choice import is_object_name
from pdshub.cli.left_behind import DATABASE, HUB_LABEL
from pdshub.reconcile.hub.people import slug
from pdshub.wellknown import DRIVER, GROUP, HOME_OF

Json = Mapping[str, Any]
NAMESPACE_LABEL = f"{GROUP}/namespace"
"""Of a volume: the namespace of the hub that it was marked for."""
_HOME = "claim-"
"""What claims of homes begin with, as KubeSpawner writes names."""
_DATABASE_SIZE = "1Gi"
"""What PDSHub asks for; a larger claim would not bind to the volume of before."""
HOME, BASE = "home", "database"


@dataclass(frozen=True)
class Left:
    """A volume that nobody has, and the claim that it belonged to. ``why``: what keeps it from being adopted."""

    volume: str
    kind: str
    claim: str
    namespace: str
    size: str
    storage_class: str
    modes: tuple[str, ...]
    hub: str = ""
    """The hub that it was marked for, "" where it has no mark."""
    user: str = ""
    why: str = ""

    def wire(self) -> dict[str, Any]:
        """The same for programs. Keys are always the same."""
        return {"volume": self.volume, "kind": self.kind, "claim": self.claim, "from": self.namespace,
                "size": self.size, "storageClass": self.storage_class or None, "user": self.user or None,
                "hub": self.hub or None, "why": self.why or None}  # fmt: skip


def left(volumes: Sequence[Json], source: str, target: tuple[str, str]) -> list[Left]:
    """Homes and databases among volumes that claims of ``source`` had, by claim.

    ``target``: namespace and name of the hub that they are for. What was adopted by half counts as left.
    """
    found = [one for volume in volumes if (one := _left(volume, source, target))]
    several = {one.claim for one in found if sum(other.claim == one.claim for other in found) > 1}
    return sorted(
        (_because(one, f"{sum(o.claim == one.claim for o in found)} volumes belonged to {one.claim}: say which with "
         "--volume") if one.claim in several else one for one in found),
        key=lambda one: (one.kind, one.claim, one.volume),
    )  # fmt: skip


def _because(one: Left, why: str) -> Left:
    return Left(**{**one.__dict__, "why": one.why or why})


def alone(one: Left) -> Left:
    """A volume that was named: others that belonged to the same claim do not keep it."""
    return Left(**{**one.__dict__, "why": ""}) if one.why.endswith("--volume") else one


def _left(volume: Json, source: str, target: tuple[str, str]) -> Left | None:
    meta, spec = volume["metadata"], volume.get("spec") or {}
    ref, phase = spec.get("claimRef") or {}, (volume.get("status") or {}).get("phase")
    claim, name = ref.get("name"), meta.get("name")
    labels = meta.get("labels") or {}
    ours = (spec.get("csi") or {}).get("driver") == DRIVER or f"{GROUP}/repository" in labels
    if ours or not is_object_name(claim) or not is_object_name(name):
        return None
    half = ref.get("namespace") == target[0] and not ref.get("uid")
    if not (half or (ref.get("namespace") == source and phase == "Released")):
        return None
    kind = BASE if claim == DATABASE else HOME if str(claim).startswith(_HOME) else ""
    if not kind:
        return None
    hub = str(labels.get(HUB_LABEL) or "")
    why = ""
    if hub and hub != target[1]:
        why = f"it is marked as of hub {hub}, and --hub says {target[1]}"
    elif spec.get("volumeMode") == "Block":
        why = "it is no file system"
    elif MOVE in labels:
        why = "it was kept beside a home that moved: the home is in another volume"
    elif meta.get("deletionTimestamp"):
        why = "it is being deleted"
    return Left(
        volume=str(name), kind=kind, claim=str(claim), namespace=str(ref.get("namespace")),
        size=str((spec.get("capacity") or {}).get("storage") or ""),
        storage_class=str(spec.get("storageClassName") or ""),
        modes=tuple(str(mode) for mode in spec.get("accessModes") or ["ReadWriteOnce"]), hub=hub, why=why,
    )  # fmt: skip


def named(found: Sequence[Left], people: Sequence[str]) -> list[Left]:
    """The same with the user of each home whose name is known: claims are called after people."""
    by_claim = {f"{_HOME}{slug.safe(who)}": who for who in people}
    return [Left(**{**one.__dict__, "user": by_claim.get(one.claim, "")}) if one.kind == HOME else one for one in found]


def taken(one: Left, claim: Json | None) -> str:
    """Why a claim of that name that is there keeps a volume from being adopted; "" where it is the volume's own."""
    if claim is None:
        return ""
    has = str((claim.get("spec") or {}).get("volumeName") or "")
    if has == one.volume:
        return ""
    beside = f"has volume {has}" if has else "waits for a volume of its own"
    what = "the hub began with an empty database" if one.kind == BASE else "its user began with an empty home"
    return f"claim {one.claim} is there and {beside}: {what}; look into it, delete it if nothing in it is needed"


def freed(volume: Json, one: Left, target: tuple[str, str]) -> list[dict[str, Any]]:
    """Operations that give a volume to the claim of the target, and mark it as the hub's; none where that is so.

    Raises ValueError where somebody else has it by now.
    """
    ref = (volume.get("spec") or {}).get("claimRef") or {}
    wanted = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": target[0], "name": one.claim}
    here = (ref.get("namespace"), ref.get("name")) == (target[0], one.claim)
    phase = (volume.get("status") or {}).get("phase")
    if not here and (ref.get("namespace"), ref.get("name")) != (one.namespace, one.claim):
        raise ValueError(f"volume {one.volume} belongs to somebody else by now: nothing was done with it")
    if phase == "Bound":
        return []
    marks = {HUB_LABEL: target[1], NAMESPACE_LABEL: target[0]}
    same = here and not ref.get("uid")
    ops = [] if same else [{"op": "add", "path": change.pointer("spec", "claimRef"), "value": wanted}]
    if not marks.items() <= ((volume["metadata"].get("labels") or {}).items()):
        ops += change.noted(volume, marks, "labels")
    if (volume.get("spec") or {}).get("persistentVolumeReclaimPolicy") != "Retain":
        ops.append({"op": "add", "path": change.pointer("spec", "persistentVolumeReclaimPolicy"), "value": "Retain"})
    return ops


def claim(one: Left, target: tuple[str, str]) -> dict[str, Any]:
    """The claim that binds a volume, as the hub looks for it."""
    labels = {"app": "jupyterhub", "component": "hub" if one.kind == BASE else "singleuser-storage",
              HUB_LABEL: target[1]}  # fmt: skip
    small = one.kind == BASE and quantity(one.size) > quantity(_DATABASE_SIZE)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": one.claim, "namespace": target[0], "labels": labels,
                     "annotations": {HOME_OF: one.user} if one.user else {}},
        "spec": {
            "accessModes": list(one.modes),
            "storageClassName": one.storage_class,
            "volumeName": one.volume,
            "resources": {"requests": {"storage": _DATABASE_SIZE if small else one.size}},
        },
    }  # fmt: skip
