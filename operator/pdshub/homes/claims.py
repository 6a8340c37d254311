"""What the API server's claims and volumes ask of this node. Pure: objects in, what is to be done out.

Sources: Kubernetes API, PersistentVolumeClaim and PersistentVolume; volume provisioning as documented for external
provisioners (kubernetes-csi/external-provisioner, sig-storage-lib-external-provisioner).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.homes import names, xfs
from pdshub.homes.model import Volume
from pdshub.kube import CLAIM, VOLUME, Object
from pdshub.object_cache import Key, key_of
from pdshub.wellknown import HOMES_DRIVER, HOMES_NODE

PROVISIONER = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
"""Annotations by which the API server's controller hands a claim to a provisioner."""
SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""Annotation of the scheduler: where the pod goes that waits for the claim."""
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_MODES = {"ReadWriteOnce", "ReadWriteOncePod"}
_RESIZING = ("Resizing", "FileSystemResizePending")


@dataclass(frozen=True)
class Provision:
    """A claim that waits for a volume on this node. ``wrong``: why it can have none; empty where it can."""

    claim: Object
    size: int
    wrong: str = ""

    @property
    def name(self) -> str:
        """Of the volume, in Kubernetes and for this driver; it is the claim's own for ever."""
        return f"pvc-{self.claim['metadata']['uid']}"


@dataclass(frozen=True)
class Grow:
    """A claim that asks for more than its volume has."""

    claim: Object
    volume: Object
    size: int


@dataclass(frozen=True)
class Release:
    """A volume that nobody claims any more, and that shall go with its data."""

    volume: Object


Action = Provision | Grow | Release


def actions(claims: Iterable[Object], volumes: Iterable[Object], node: str) -> list[Action]:
    """All that is to be done on this node; what is wrong for good is among it, so that somebody says it."""
    by_key = {key_of(claim): claim for claim in claims}
    found: list[Action] = [p for claim in by_key.values() if (p := _provision(claim, node))]
    for volume in volumes:
        if is_here(volume, node):
            found += _of_volume(volume, by_key)
    return found


def is_here(volume: Object, node: str) -> bool:
    """Whether a PersistentVolume is this driver's and lies on this node."""
    spec, meta = volume["spec"], volume["metadata"]
    csi = spec.get("csi") or {}
    if csi.get("driver") != HOMES_DRIVER or not names.is_volume(str(csi.get("volumeHandle", ""))):
        return False
    if (meta.get("annotations") or {}).get(PROVISIONED_BY) != HOMES_DRIVER:
        return False
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or []
    wanted = [e for term in terms for e in term.get("matchExpressions") or [] if e.get("key") == HOMES_NODE]
    return any(e.get("operator") == "In" and e.get("values") == [node] for e in wanted)


def _provision(claim: Object, node: str) -> Provision | None:
    meta, spec = claim["metadata"], claim["spec"]
    notes: Mapping[str, str] = meta.get("annotations") or {}
    ours = any(notes.get(key) == HOMES_DRIVER for key in PROVISIONER)
    if not ours or meta.get("deletionTimestamp") or spec.get("volumeName") or notes.get(SELECTED_NODE) != node:
        return None
    size = requested(claim)
    if spec.get("volumeMode", "Filesystem") != "Filesystem":
        return Provision(claim, size, "a home is a file system, no block device")
    modes = spec.get("accessModes") or []
    if not modes or set(modes) - _MODES:
        return Provision(claim, size, "a home is one node's: its access mode must be ReadWriteOnce or ReadWriteOncePod")
    if spec.get("dataSource") or spec.get("dataSourceRef"):
        return Provision(claim, size, "a claim can't begin with the content of something else here")
    if spec.get("selector"):
        return Provision(claim, size, "a claim with a selector waits for a volume that somebody else makes")
    return Provision(claim, size)


def requested(claim: Object) -> int:
    """Bytes that a claim asks for; 0 for none that can be read."""
    return _bytes((((claim["spec"].get("resources") or {}).get("requests")) or {}).get("storage"))


def _bytes(quantity: Any) -> int:
    try:
        return int(parse_quantity(quantity)) if quantity is not None else 0
    except (ValueError, TypeError):
        return 0


def capacity(volume: Object) -> int:
    """Bytes that a PersistentVolume is said to have."""
    return _bytes((volume["spec"].get("capacity") or {}).get("storage"))


def _of_volume(volume: Object, claims: Mapping[Key, Object]) -> list[Action]:
    meta, spec = volume["metadata"], volume["spec"]
    owner = spec.get("claimRef") or {}
    claim = claims.get((str(owner.get("namespace", "")), str(owner.get("name", ""))))
    if claim is not None and claim["metadata"].get("uid") != owner.get("uid"):
        claim = None
    if (volume.get("status") or {}).get("phase") == "Released":
        going = spec.get("persistentVolumeReclaimPolicy") == "Delete" and not meta.get("deletionTimestamp")
        return [Release(volume)] if going and claim is None else []
    if claim is None or claim["metadata"].get("deletionTimestamp"):
        return []
    if claim["spec"].get("volumeName") != meta["name"] or (claim.get("status") or {}).get("phase") != "Bound":
        return []
    wanted = requested(claim)
    told = _bytes(((claim.get("status") or {}).get("capacity") or {}).get("storage"))
    return [Grow(claim, volume, wanted)] if wanted > min(told, capacity(volume)) else []


def document(asked: Provision, made: Volume, storage_class: Object, node: str) -> Object:
    """The PersistentVolume of a volume that was made for a claim."""
    claim = asked.claim
    meta = claim["metadata"]
    return {
        "apiVersion": VOLUME.api,
        "kind": VOLUME.kind,
        "metadata": {"name": asked.name, "annotations": {PROVISIONED_BY: HOMES_DRIVER}},
        "spec": {
            "capacity": {"storage": quantity(made.size)},
            "accessModes": list(claim["spec"]["accessModes"]),
            "volumeMode": "Filesystem",
            "persistentVolumeReclaimPolicy": str(storage_class.get("reclaimPolicy") or "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "claimRef": {
                "apiVersion": CLAIM.api,
                "kind": CLAIM.kind,
                "namespace": meta["namespace"],
                "name": meta["name"],
                "uid": meta["uid"],
            },
            "csi": {"driver": HOMES_DRIVER, "volumeHandle": made.id, "fsType": xfs.TYPE},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": HOMES_NODE, "operator": "In", "values": [node]}]}
                    ]
                }
            },
        },
    }


def why_not_of(storage_class: Object | None, name: str) -> str:
    """Why no volume is made of this StorageClass; empty where one is."""
    if storage_class is None:
        return f"StorageClass {name} does not exist"
    if storage_class.get("provisioner") != HOMES_DRIVER:
        return f"StorageClass {name} is {storage_class.get('provisioner')}'s"
    if storage_class.get("parameters"):
        return f"StorageClass {name} has parameters; {HOMES_DRIVER} knows none"
    if storage_class.get("mountOptions"):
        return f"StorageClass {name} has mountOptions; homes are mounted with nosuid and nodev, and nothing else"
    return ""


def quantity(size: int) -> str:
    """Bytes as Kubernetes' users write them, exactly."""
    for power, suffix in ((4, "Ti"), (3, "Gi"), (2, "Mi"), (1, "Ki")):
        if size and size % 1024**power == 0:
            return f"{size // 1024**power}{suffix}"
    return str(size)


def grown_status(claim: Object, size: int) -> Object:
    """The patch of a claim's status once its volume has so many bytes: nothing is left to do on the node."""
    status = claim.get("status") or {}
    conditions = [c for c in status.get("conditions") or [] if c.get("type") not in _RESIZING]
    allocated = {"allocatedResources": {"storage": None}} if status.get("allocatedResources") else {}
    return {"status": {"capacity": {"storage": quantity(size)}, "conditions": conditions, **allocated}}
