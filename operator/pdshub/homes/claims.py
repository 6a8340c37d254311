"""What the API server's claims and volumes ask of this node. Pure: objects in, what is to be done out.

Sources: Kubernetes API, PersistentVolumeClaim and PersistentVolume; volume provisioning as documented for external
provisioners (kubernetes-csi/external-provisioner, sig-storage-lib-external-provisioner).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.homes import names, xfs
from pdshub.homes.model import Checkpoint, Volume
from pdshub.kube import CLAIM, VOLUME, Object
from pdshub.object_cache import Key, key_of
from pdshub.wellknown import CHECKPOINT_REFUSED, HOMES_DRIVER, HOMES_NODE

PROVISIONER = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
"""Annotations by which the API server's controller hands a claim to a provisioner."""
SELECTED_NODE = "volume.kubernetes.io/selected-node"
"""Annotation of the scheduler: where the pod goes that waits for the claim."""
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
PARAMETERS = {"content": "checkpoint"}
"""What the StorageClass says whose claims show a checkpoint of another claim; the one of homes says nothing."""
_MODES = {"ReadWriteOnce", "ReadWriteOncePod"}
_SEEN = ["ReadOnlyMany"]
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
class Look:
    """A claim that shows, read-only, the home of another claim as it was when this one was made."""

    claim: Object
    home: Object
    """The volume of that home."""
    wrong: str = ""

    @property
    def name(self) -> str:
        """As of a Provision; also of the checkpoint."""
        return f"pvc-{self.claim['metadata']['uid']}"

    @property
    def size(self) -> int:
        """Bytes that the claim asks for: it takes none of its own."""
        return requested(self.claim)


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

    @property
    def handle(self) -> str:
        """The id of the volume, or of the checkpoint, for this driver."""
        return _handle(self.volume)


Action = Provision | Look | Grow | Release


def actions(claims: Iterable[Object], volumes: Iterable[Object], node: str) -> list[Action]:
    """All that is to be done on this node; what is wrong for good is among it, so that somebody says it."""
    by_key = {key_of(claim): claim for claim in claims}
    known = list(volumes)
    here = {str(volume["metadata"]["name"]): volume for volume in known if is_here(volume, node)}
    handles = Counter(_handle(volume) for volume in known)
    found: list[Action] = [p for claim in by_key.values() if (p := _provision(claim, node))]
    found += [look for claim in by_key.values() if (look := _look(claim, by_key, here))]
    for volume in here.values():
        of_it = _of_volume(volume, by_key)
        # data that another volume names, too, is not given up by this one
        found += [a for a in of_it if not isinstance(a, Release) or handles[a.handle] == 1]
    return found


def _handle(volume: Object) -> str:
    return str((volume["spec"].get("csi") or {}).get("volumeHandle", ""))


def is_here(volume: Object, node: str) -> bool:
    """Whether a PersistentVolume is this driver's and lies on this node."""
    spec, meta = volume["spec"], volume["metadata"]
    csi = spec.get("csi") or {}
    handle = _handle(volume)
    if csi.get("driver") != HOMES_DRIVER or not (names.is_volume(handle) or names.is_checkpoint(handle)):
        return False
    if (meta.get("annotations") or {}).get(PROVISIONED_BY) != HOMES_DRIVER:
        return False
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or []
    wanted = [e for term in terms for e in term.get("matchExpressions") or [] if e.get("key") == HOMES_NODE]
    return any(e.get("operator") == "In" and e.get("values") == [node] for e in wanted)


def _waits(claim: Object) -> bool:
    """Whether a claim has no volume yet, and shall have one of this driver's."""
    meta, spec = claim["metadata"], claim["spec"]
    notes: Mapping[str, str] = meta.get("annotations") or {}
    ours = any(notes.get(key) == HOMES_DRIVER for key in PROVISIONER)
    return ours and not meta.get("deletionTimestamp") and not spec.get("volumeName")


def _provision(claim: Object, node: str) -> Provision | None:
    spec = claim["spec"]
    notes: Mapping[str, str] = claim["metadata"].get("annotations") or {}
    if not _waits(claim) or notes.get(SELECTED_NODE) != node or _shown(claim):
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


def _shown(claim: Object) -> str:
    """The claim whose home a claim wants to show: one of its own namespace. Empty where it wants nothing like that."""
    spec = claim["spec"]
    source = spec.get("dataSource") or {}
    is_claim = source.get("kind") == CLAIM.kind and not source.get("apiGroup")
    return str(source.get("name") or "") if is_claim and spec.get("accessModes") == _SEEN else ""


def _look(claim: Object, claims: Mapping[Key, Object], here: Mapping[str, Object]) -> Look | None:
    """Only where the home is: another node's driver, or nobody, has the others."""
    if not _waits(claim) or not (name := _shown(claim)):
        return None
    namespace = str(claim["metadata"].get("namespace", ""))
    source = claims.get((namespace, name)) or {"metadata": {}, "spec": {}}
    home = here.get(str(source["spec"].get("volumeName", "")))
    if home is None or not names.is_volume(_handle(home)):
        return None
    owner = home["spec"].get("claimRef") or {}
    same = owner.get("uid") == source["metadata"].get("uid") and owner.get("namespace") == namespace
    if not same or (source.get("status") or {}).get("phase") != "Bound":
        return None
    elsewhere = (claim["spec"].get("dataSourceRef") or {}).get("namespace") not in (None, "", namespace)
    if elsewhere or claim["spec"].get("volumeMode", "Filesystem") != "Filesystem":
        return Look(claim, home, "a checkpoint is shown as a file system, in the namespace of its home")
    return Look(claim, home)


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
    if claim is None or claim["metadata"].get("deletionTimestamp") or names.is_checkpoint(_handle(volume)):
        return []
    if claim["spec"].get("volumeName") != meta["name"] or (claim.get("status") or {}).get("phase") != "Bound":
        return []
    wanted = requested(claim)
    told = _bytes(((claim.get("status") or {}).get("capacity") or {}).get("storage"))
    return [Grow(claim, volume, wanted)] if wanted > min(told, capacity(volume)) else []


def document(asked: Provision | Look, made: Volume | Checkpoint, storage_class: Object, node: str) -> Object:
    """The PersistentVolume of a volume, or of a checkpoint, that was made for a claim."""
    # the claim of a look asks for any size: it is bound to no less
    size = max(made.size, asked.size) if isinstance(asked, Look) else made.size
    read_only = {"readOnly": True} if isinstance(asked, Look) else {}
    claim = asked.claim
    meta = claim["metadata"]
    return {
        "apiVersion": VOLUME.api,
        "kind": VOLUME.kind,
        "metadata": {"name": asked.name, "annotations": {PROVISIONED_BY: HOMES_DRIVER}},
        "spec": {
            "capacity": {"storage": quantity(size)},
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
            "csi": {"driver": HOMES_DRIVER, "volumeHandle": made.id, "fsType": xfs.TYPE, **read_only},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {"matchExpressions": [{"key": HOMES_NODE, "operator": "In", "values": [node]}]}
                    ]
                }
            },
        },
    }


def why_not_of(storage_class: Object | None, name: str, parameters: Mapping[str, str] | None = None) -> str:
    """Why no volume is made of this StorageClass, which has to have these parameters; empty where one is."""
    if storage_class is None:
        return f"StorageClass {name} does not exist"
    if storage_class.get("provisioner") != HOMES_DRIVER:
        return f"StorageClass {name} is {storage_class.get('provisioner')}'s"
    if (storage_class.get("parameters") or {}) != (parameters or {}):
        wanted = ", ".join(f"{key}: {value}" for key, value in (parameters or {}).items()) or "none"
        return f"StorageClass {name} has other parameters than {HOMES_DRIVER} takes for this claim: {wanted}"
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


def refused_status(claim: Object, why: str, now: str) -> Object:
    """The patch of a claim's status that says why it shows no checkpoint: whoever waits for it need wait no longer."""
    kept = [c for c in (claim.get("status") or {}).get("conditions") or [] if c.get("type") != CHECKPOINT_REFUSED]
    told = {"type": CHECKPOINT_REFUSED, "status": "True", "reason": "NoCheckpoint", "message": why[:1024]}
    return {"status": {"conditions": [*kept, {**told, "lastTransitionTime": now}]}}
