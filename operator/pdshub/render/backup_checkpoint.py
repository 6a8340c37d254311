"""The claim by which a backup Job sees a home as it was at one moment, and the VolumeSnapshot it may come from. Pure.

Of PDSHub's own driver a claim is asked for that begins as the home's checkpoint (pdshub.homes). Of any other CSI
driver, where the installation names a VolumeSnapshotClass for it, a VolumeSnapshot is made of the home's claim, and a
claim from that. Both name something of their own namespace: neither field has words for another one.

Source: Kubernetes, Volume Snapshots; kubernetes-csi/external-snapshotter 8, the VolumeSnapshot's definition (v1);
kubernetes-csi/external-provisioner 6, getSnapshotSource: it is there that snapshot and content are held against each
other, class against driver, and size against size, before a volume is made.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.render.names import BACKUP_LABELS
from pdshub.wellknown import API_VERSION, HOMES_CHECKPOINTS

SNAPSHOTS = "snapshot.storage.k8s.io"
"""The API group of VolumeSnapshots."""
_KIND = "VolumeSnapshot"
_OF_A_HOME = re.compile(r".*-i\d{1,6}")
"""Names of Jobs that save an item at the first attempt (progress.job_name): no other is shown a checkpoint."""


@dataclass(frozen=True)
class FromSnapshot:
    """How a home is shown to a Job by a VolumeSnapshot of it."""

    snapshot_class: str
    storage_class: str
    size: int
    """Bytes of the volume that is made from it: the home's, or what the snapshot needs."""
    wait: float
    """Seconds in which it has to be ready, and again the volume from it."""
    ready: bool = False
    """Whether the VolumeSnapshot is there, is this Job's, and can be used."""


def volume_snapshot(metadata: Mapping[str, Any], home: str, taken: FromSnapshot) -> dict[str, Any]:
    """The VolumeSnapshot of a home's claim, with the name of the Job that it is for."""
    return {
        "apiVersion": f"{SNAPSHOTS}/v1",
        "kind": _KIND,
        "metadata": dict(metadata),
        "spec": {
            "volumeSnapshotClassName": taken.snapshot_class,
            "source": {"persistentVolumeClaimName": home},
        },
    }


def claim(metadata: Mapping[str, Any], home: str, taken: FromSnapshot | None) -> dict[str, Any]:
    """The claim that shows a Job the home. Of PDSHub's own driver it has no room of its own, so any size does."""
    if taken is None:
        spec: dict[str, Any] = {
            "accessModes": ["ReadOnlyMany"],
            "storageClassName": HOMES_CHECKPOINTS,
            "dataSource": {"kind": "PersistentVolumeClaim", "name": home},
            "resources": {"requests": {"storage": "1Mi"}},
        }
    else:
        spec = {
            # the mode that every driver of disks has: the Job alone mounts it, and read-only
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": taken.storage_class,
            "dataSource": {"apiGroup": SNAPSHOTS, "kind": _KIND, "name": metadata["name"]},
            "resources": {"requests": {"storage": str(taken.size)}},
        }
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": dict(metadata), "spec": spec}


def is_shown(job: str) -> bool:
    """Whether a Job of this name may be shown a checkpoint."""
    return bool(_OF_A_HOME.fullmatch(job))


def _of_backups(item: Mapping[str, Any]) -> bool:
    return BACKUP_LABELS.items() <= (item["metadata"].get("labels") or {}).items()


def is_from_snapshot(claim: Mapping[str, Any]) -> bool:
    """Whether a claim is made from the VolumeSnapshot of its own name, for a Job."""
    source = (claim.get("spec") or {}).get("dataSource") or {}
    wanted = {"apiGroup": SNAPSHOTS, "kind": _KIND, "name": claim["metadata"]["name"]}
    return _of_backups(claim) and wanted.items() <= source.items()


def is_claim(claim: Mapping[str, Any]) -> bool:
    """Whether a claim shows a Job a home, and is nobody's home."""
    ours = _of_backups(claim) and (claim.get("spec") or {}).get("storageClassName") == HOMES_CHECKPOINTS
    return ours or is_from_snapshot(claim)


def is_volume_snapshot(item: Mapping[str, Any]) -> bool:
    """Whether a VolumeSnapshot is one that was made for a Job, of a claim, and not of a content that was there before.

    A label is put on quickly: so name, owner and source have to be those of such a one, too.
    """
    owners = item["metadata"].get("ownerReferences") or []
    source = (item.get("spec") or {}).get("source") or {}
    owned = any(o.get("kind") == "HubBackup" and o.get("apiVersion") == API_VERSION for o in owners)
    made = bool(source.get("persistentVolumeClaimName")) and not source.get("volumeSnapshotContentName")
    return _of_backups(item) and owned and made and is_shown(str(item["metadata"]["name"]))


def is_of(item: Mapping[str, Any], home: str, taken: FromSnapshot) -> bool:
    """Whether a VolumeSnapshot is of this home, and of this class."""
    spec = item.get("spec") or {}
    source = spec.get("source") or {}
    return (
        is_volume_snapshot(item)
        and source.get("persistentVolumeClaimName") == home
        and spec.get("volumeSnapshotClassName") == taken.snapshot_class
    )
