"""Homes that are saved from VolumeSnapshots: which can be, and how far the snapshot of one is. Pure.

A home's storage can where the installation names a VolumeSnapshotClass for its CSI driver. The snapshot comes first,
and the Job only once it is ready: a Job that waits is a pod that waits. What others may write is believed as far as it
does no harm: a flag that is not true is none, a size is bounded by the home's, and no wait is without an end.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any

from pdshub import rfc3339
from pdshub.api.backup import HubBackupStatus
from pdshub.api.base import parse_quantity
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.answer import plain
from pdshub.reconcile.hub.backup.asked import Asked, belongs
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.render.backup_checkpoint import FromSnapshot, is_of
from pdshub.render.backup_request import user_of

PROVISIONER = "volume.kubernetes.io/storage-provisioner"
"""Annotation of a claim: the driver that makes its volume. Source: Kubernetes, Well-Known Labels, Annotations."""
ERRORS = 60.0
"""Seconds for which a snapshot may have an error: its controller tries again, and mostly in vain."""
IN_VAIN = 3
"""Homes, one after the other, that wait for a snapshot in vain, before the rest of a run waits for none."""
_TOO_LARGE = 2
"""A snapshot that says it needs as many times the home's size is not believed: somebody pays for what it asks for."""
_MOST = Decimal(2**62)
_WORDS = 160


class State(StrEnum):
    """How far a VolumeSnapshot is."""

    ABSENT = "absent"
    WAITS = "waits"
    READY = "ready"
    FAILED = "failed"


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _bytes(value: object) -> int:
    """A quantity in bytes, rounded up; 0 for what is none."""
    try:
        return int(min(parse_quantity(str(value)), _MOST).to_integral_value(ROUND_CEILING))
    except (ValueError, ArithmeticError):
        return 0


def _status(facts: Facts, job: str) -> Mapping[str, Any]:
    return _dict(_dict(facts.snapshots.there.get(job)).get("status"))


def driver_of(claim: Object | None) -> str:
    """The CSI driver that made a claim's volume; empty where that is not known."""
    found = ((claim or {}).get("metadata") or {}).get("annotations") or {}
    return str(found.get(PROVISIONER) or "")


def size_of(claim: Object) -> int:
    """Bytes of a home: as large as it is, or is to be."""
    have = _dict(_dict(claim.get("status")).get("capacity")).get("storage")
    wanted = _dict(_dict(_dict(claim.get("spec")).get("resources")).get("requests")).get("storage")
    return max(_bytes(have), _bytes(wanted))


def _storage_class(facts: Facts, claim: Object) -> str:
    settings = facts.snapshots.classes[driver_of(claim)]
    return settings.storage_class_name or str(_dict(claim.get("spec")).get("storageClassName") or "")


def unfit(facts: Facts, claim: Object | None) -> str:
    """Why a home whose driver has a class for snapshots is saved as it is all the same; empty where it is not, and for
    homes of other drivers."""
    driver = driver_of(claim)
    if claim is None or driver not in facts.snapshots.classes:
        return ""
    if _dict(claim.get("status")).get("phase") != "Bound" or not size_of(claim):
        return "its claim has no volume yet"
    if _dict(claim.get("spec")).get("volumeMode", "Filesystem") != "Filesystem":
        return "its volume has no file system"
    name = _storage_class(facts, claim)
    if facts.snapshots.storage.get(name) == driver:
        return ""
    # else each run would leave a volume of each home behind
    return f"StorageClass {name} is none of {driver} with reclaimPolicy Delete (backup.snapshotClasses of the chart)"


def taken(facts: Facts, claim: str, job: str) -> FromSnapshot | None:
    """How a home in a claim is shown to a Job by a VolumeSnapshot; None where its storage has none of its own."""
    home = facts.claims.get(claim)
    settings = facts.snapshots.classes.get(driver_of(home))
    if home is None or settings is None or unfit(facts, home):
        return None
    size = max(size_of(home), _bytes(_status(facts, job).get("restoreSize")))
    return FromSnapshot(settings.name, _storage_class(facts, home), size, float(settings.wait_seconds))


def state(facts: Facts, about: Asked, job: str, claim: str, wanted: FromSnapshot) -> tuple[State, str]:
    """How far the VolumeSnapshot for a Job is, and why it is none."""
    found = facts.snapshots.there.get(job)
    if found is None:
        # what this process made, somebody has taken away: it is not made again and again
        return (State.FAILED, "its VolumeSnapshot is gone") if job in facts.snapshots.made else (State.ABSENT, "")
    if not belongs(found, about) or not is_of(found, claim, wanted):
        return State.FAILED, f"VolumeSnapshot {job} is another's"
    # of a clock that jumped, either way, nothing is believed
    age = abs(facts.now - rfc3339.seconds(found["metadata"].get("creationTimestamp")))
    ready = _status(facts, job).get("readyToUse") is True
    error = plain(str(_dict(_status(facts, job).get("error")).get("message") or ""), _WORDS)
    if age > wanted.wait:
        late = "is too old, or a clock is wrong" if ready else f"was not ready within {wanted.wait:.0f} s"
        return State.FAILED, f"its VolumeSnapshot {late}{f': {error}' if error else ''}"
    if ready:
        home = facts.claims.get(claim) or {}
        if wanted.size > _TOO_LARGE * size_of(home):
            return State.FAILED, f"its VolumeSnapshot says that it needs {wanted.size} bytes"
        return State.READY, ""
    return (State.FAILED, f"its VolumeSnapshot: {error}") if error and age > ERRORS else (State.WAITS, "")


def in_vain(facts: Facts, status: HubBackupStatus) -> str:
    """Why a run waits for no more snapshots; empty while it does. A controller that is away would cost each home of a
    thousand its ten minutes, and whoever shares the repository waits as long."""
    saved = [item for item in status.items if item.phase in ("Completed", "PartiallyCompleted") and user_of(item.item)]
    hows = [item.how for item in saved if taken(facts, facts.homes.get(user_of(item.item), ""), "") is not None]
    if len(hows) < IN_VAIN or "Snapshot" in hows[-IN_VAIN:]:
        return ""
    return f"the snapshots of {IN_VAIN} homes before it did not come"
