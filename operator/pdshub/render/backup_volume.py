"""An NFS share that is a repository: a PersistentVolume of the operator's and the one claim that binds it.

A pod cannot name the share itself: the ``restricted`` standard knows no NFS volumes. Which shares may be named is
judged before (render/backup_repository.py), and by an admission policy. Another share gets another volume.
Source: Kubernetes, Pod Security Standards, Restricted, Volume types.
"""

from __future__ import annotations

from typing import Any

from pdshub.api.backup_repository import NfsShare
from pdshub.mount_rules import clean
from pdshub.render.archive import CAPACITY
from pdshub.render.names import REPOSITORY_LABEL, Names
from pdshub.wellknown import API_VERSION

_OPTIONS = ["hard", "nodev", "noexec", "nosuid", "vers=4"]
"""A repository is written: a server that is away for a while must lose nothing of it."""
_MODES = ["ReadWriteMany"]


def share_of(nfs: NfsShare) -> str:
    """A share as names are made of it."""
    return f"{nfs.server.lower().rstrip('.')}:{clean(nfs.path) or nfs.path}"


def volume(names: Names, nfs: NfsShare) -> dict[str, Any]:
    """The PersistentVolume. It is kept when its claim goes: nothing of the share is ever deleted by it."""
    share = share_of(nfs)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": names.repository_volume(share),
            "labels": {**names.labels, REPOSITORY_LABEL: "nfs"},
        },
        "spec": {
            "capacity": {"storage": CAPACITY},
            "accessModes": _MODES,
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "",
            "mountOptions": _OPTIONS,
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": names.namespace,
                "name": names.repository(share),
            },
            "nfs": {"server": nfs.server.lower(), "path": clean(nfs.path) or nfs.path},
        },
    }


def claim(names: Names, nfs: NfsShare, uid: str) -> dict[str, Any]:
    """The PersistentVolumeClaim that binds ``volume`` and nothing else. ``uid`` is the PDSHub's: it goes with it."""
    share = share_of(nfs)
    owner = {"apiVersion": API_VERSION, "kind": "PDSHub", "name": names.name, "uid": uid}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": names.repository(share),
            "namespace": names.namespace,
            "labels": {**names.labels, REPOSITORY_LABEL: "nfs"},
            "ownerReferences": [owner],
        },
        "spec": {
            "accessModes": _MODES,
            "storageClassName": "",
            "volumeName": names.repository_volume(share),
            "resources": {"requests": {"storage": CAPACITY}},
        },
    }


def is_of(found: dict[str, Any], names: Names, nfs: NfsShare) -> bool:
    """Whether a PersistentVolume is the one of this share and this hub: names can meet."""
    wanted, spec = volume(names, nfs), found.get("spec") or {}
    labels = found["metadata"].get("labels") or {}
    same = all((spec.get("nfs") or {}).get(key) == value for key, value in wanted["spec"]["nfs"].items())
    return same and wanted["metadata"]["labels"].items() <= labels.items()
