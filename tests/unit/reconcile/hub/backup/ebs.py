"""Homes on a CSI driver that has VolumeSnapshots, and such snapshots, as tests of backups need them."""

from __future__ import annotations

from typing import Any

from pdshub.installation import SnapshotClass
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.snapshot import PROVISIONER
from pdshub.render.names import BACKUP_LABELS, HUB_LABEL
from pdshub.wellknown import API_VERSION
from tests.unit.reconcile.hub.backup.given import NOW, home

EBS = SnapshotClass(driver="ebs.csi.aws.com", name="ebs")
STORAGE = {"gp3": EBS.driver, "brief": EBS.driver, "nfs": "nfs.csi.k8s.io"}
"""Those of reclaimPolicy Delete."""
OLD = "2026-03-10T11:49:00Z"
"""More than ten minutes before NOW."""
YOUNG = "2026-03-10T11:58:00Z"


def ebs_home(name: str, storage_class: str = "gp3", size: str = "10Gi", **spec: Any) -> Object:
    made = home(name)
    made["metadata"]["annotations"] = {PROVISIONER: EBS.driver}
    made["spec"] |= {"storageClassName": storage_class, "resources": {"requests": {"storage": size}}, **spec}
    return {**made, "status": {"phase": "Bound", "capacity": {"storage": size}, "accessModes": ["ReadWriteOnce"]}}


def taken(
    status: Any = None, created: str = NOW, of: str = "claim-ada", owner: str = "uid-ns-one", **spec: Any
) -> Object:
    """The VolumeSnapshot for Job one-i0."""
    owners = [{"apiVersion": API_VERSION, "kind": "HubBackup", "name": "one", "uid": owner}]
    meta = {"name": "one-i0", "namespace": "ns", "creationTimestamp": created, "ownerReferences": owners}
    meta["labels"] = {**BACKUP_LABELS, HUB_LABEL: "demo"}
    wanted = {"volumeSnapshotClassName": "ebs", "source": {"persistentVolumeClaimName": of}, **spec}
    return {"metadata": meta, "spec": wanted, **({} if status is None else {"status": status})}


READY: dict[str, Any] = {"readyToUse": True, "boundVolumeSnapshotContentName": "snapcontent-1", "restoreSize": "10Gi"}
