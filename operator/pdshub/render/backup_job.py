"""A backup Job: one action on one item, in a pod without rights, and the ConfigMap with what it is asked.

``restricted`` by the Pod Security Standards, without a token of the API server. It mounts what it saves read-only, or
the one home that it restores into, and nothing else of the hub.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from pdshub import restricted
from pdshub.api.backup_job import (
    DATA,
    MEMORY,
    PRIVATE,
    PROCESSORS,
    READING,
    REPOSITORY,
    REQUEST,
    SECRETS,
    TARGET,
    JobRequest,
)
from pdshub.api.base import parse_quantity
from pdshub.installation import Backup as Settings
from pdshub.render import backup_checkpoint
from pdshub.render.backup_checkpoint import FromSnapshot
from pdshub.render.backup_repository import Place
from pdshub.render.backup_request import DATABASE, HOME, KEYS, OBJECTS
from pdshub.render.names import BACKUP_LABELS, RUN_LABEL, Names, short
from pdshub.render.server import UID
from pdshub.wellknown import API_VERSION, BACKUP_PRIORITY

CONTAINER = "backup"
_MEMORY = {"name": MEMORY, "valueFrom": {"resourceFieldRef": {"resource": "limits.memory"}}}
_PROCESSORS = {"name": PROCESSORS, "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}}
"""Both: without a limit it is what the node has. Source: Kubernetes, Downward API."""
PATIENCE = 120
"""Seconds that Kubernetes gives a Job beyond its own deadline: one that ends by itself says what became of it."""
GRACE = 30
"""Seconds between SIGTERM and SIGKILL: restic takes its lock away."""
_REQUEST_FILE = PurePosixPath(REQUEST)
_TMP = "/tmp"  # noqa: S108 - a volume of the pod's own
TARGET_VOLUME = "target"
"""The volume of what is restored into."""
PRIVATE_SIZE = 8 << 20
"""Bytes of PRIVATE: a few keys of 64 KiB."""
KEYS_SCRATCH = 128 << 20
"""Bytes of the scratch folder of a Job that has the hub's own keys in it: it is memory, as no disk shall keep them."""
_HUB_GROUP = 1000
"""Group of the database's files: the hub's of hub charts."""
_DEDICATED = ("hub.jupyter.org/dedicated", "hub.jupyter.org_dedicated")
"""Taints of nodes that are for users' servers alone. Source: zero-to-jupyterhub 4.4, values.yaml, userPods."""


@dataclass(frozen=True)
class Identity:
    """As whom files of homes are read and written."""

    uid: int = UID
    gid: int = UID


@dataclass(frozen=True)
class Order:
    """A Job that is to be made."""

    job: str
    run: str
    owner: Mapping[str, Any]
    """The HubBackup or HubRestore, as an owner reference: what is left of a Job goes with it."""
    request: JobRequest
    place: Place
    key: tuple[str, str]
    """Secret and key of the repository's password."""
    home: str = ""
    """The claim of the home."""
    database: str = ""
    """The claim of the database."""
    secrets: tuple[str, ...] = ()
    """Secrets that are saved."""
    objects: Mapping[str, str] = field(default_factory=dict)
    """Objects that are saved, by file name."""
    identity: Identity = field(default_factory=Identity)
    checkpoint: bool = False
    """Whether the Job sees a checkpoint of the home, in a claim of its own, instead of the home."""
    snapshot: FromSnapshot | None = None
    """The VolumeSnapshot that the claim is made from; None where the driver of homes makes it."""
    nodes: tuple[str, ...] = ()
    """Where it has to run: the nodes on which a volume is mounted that no other can mount. Empty: anywhere."""
    host: str = ""
    """The pod's host name, by which restic knows locks of its own. Empty: the pod's name."""


def host_of(names: Names, uid: str) -> str:
    """The host name of a hub's Jobs: no other hub has it, nor one of this name in another cluster (``uid`` is the
    PDSHub's), which may have the same repository."""
    digest = hashlib.sha256(f"{names.namespace}/{names.name} {uid}".encode()).hexdigest()
    return f"backup-{digest[:24]}"


def run_label(run: str) -> str:
    """The value of RUN_LABEL: names of runs may be longer than labels."""
    return short(run)


def owner_of(kind: str, name: str, uid: str) -> dict[str, Any]:
    """An owner reference to a HubBackup or HubRestore."""
    return {"apiVersion": API_VERSION, "kind": kind, "name": name, "uid": uid}


def _metadata(names: Names, order: Order) -> dict[str, Any]:
    return {
        "name": order.job,
        "namespace": names.namespace,
        "labels": {**names.labels, **BACKUP_LABELS, RUN_LABEL: run_label(order.run)},
        "ownerReferences": [dict(order.owner)],
    }


def config_map(names: Names, order: Order) -> dict[str, Any]:
    """The ConfigMap of a Job: its request, and the objects that it saves."""
    text = json.dumps(order.request.wire(), sort_keys=True, separators=(",", ":"))
    files = {_REQUEST_FILE.name: text, **{f"{OBJECTS}.{name}": body for name, body in order.objects.items()}}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _metadata(names, order), "data": files}


def checkpoint(names: Names, order: Order) -> dict[str, Any]:
    """The claim that shows a Job the home as it was at one moment."""
    return backup_checkpoint.claim(_metadata(names, order), order.home, order.snapshot)


def volume_snapshot(names: Names, order: Order) -> dict[str, Any]:
    """The VolumeSnapshot that such a claim is made from, of an order that has one."""
    assert order.snapshot is not None  # noqa: S101 - the caller asked
    return backup_checkpoint.volume_snapshot(_metadata(names, order), order.home, order.snapshot)


Volume = tuple[dict[str, Any], dict[str, Any]]
"""A volume of the pod, and where the container has it."""


def _secret(volume: str, name: str, items: Sequence[tuple[str, str]], path: str) -> Volume:
    # readable by the pod's group: the files are root's
    keys = [{"key": key, "path": file} for key, file in items]
    body = {"secretName": name, "defaultMode": 0o440, **({"items": keys} if keys else {})}
    return {"name": volume, "secret": body}, {"name": volume, "mountPath": path, "readOnly": True}


def _claim(volume: str, name: str, path: str, *, read_only: bool, alone: bool = False) -> Volume:
    """A claim. ``alone``: no server has it, so nothing but its being read is asked for, and no group is set in it."""
    # else read-only for the container alone: a volume that a server has read-write is mounted once on a node
    mount = {"name": volume, "mountPath": path, **({"readOnly": True} if read_only else {})}
    source = {"claimName": name, **({"readOnly": True} if alone else {})}
    return {"name": volume, "persistentVolumeClaim": source}, mount


def _files(volume: str, name: str, items: Mapping[str, str], path: str) -> Volume:
    keys = [{"key": key, "path": file} for key, file in sorted(items.items())]
    body = {"name": name, "items": keys, "defaultMode": 0o444}
    return {"name": volume, "configMap": body}, {"name": volume, "mountPath": path, "readOnly": True}


def _ways(order: Order) -> list[Volume]:
    """What opens the repository, and the repository itself where it is mounted."""
    where, (secret, key) = order.place, order.key
    found = [
        _files("request", order.job, {_REQUEST_FILE.name: _REQUEST_FILE.name}, str(_REQUEST_FILE.parent)),
        _secret("key", secret, [(key, "key")], f"{SECRETS}/key"),
    ]
    if where.secret:
        items = [(name, name) for name in where.secret_keys]
        found.append(_secret("repository-keys", where.secret, items, f"{SECRETS}/repository"))
    if where.ca and where.ca.secret:
        found.append(_secret("ca", where.ca.secret.name, [(where.ca.secret.key, "ca.crt")], f"{SECRETS}/ca"))
    if where.ca and where.ca.config_map:
        bundle = where.ca.config_map
        found.append(_files("ca", bundle.name, {bundle.key: "ca.crt"}, f"{SECRETS}/ca"))
    if where.claim:
        reads = order.request.action in READING
        found.append(_claim("repository", where.claim, REPOSITORY, read_only=reads))
    return found


def _saved(order: Order) -> list[Volume]:
    """What is saved, or restored into."""
    request = order.request
    if request.action in ("restore", "recover"):
        return [_claim(TARGET_VOLUME, order.home or order.database, TARGET, read_only=False)]
    if request.action != "backup":
        return []
    path = f"{DATA}/{request.source}"
    if request.source == HOME and order.checkpoint:
        return [_claim("data", order.job, path, read_only=True, alone=True)]
    if request.source == HOME:
        return [_claim("data", order.home, path, read_only=True)]
    if request.source == DATABASE:
        return [_claim("data", order.database, path, read_only=True)]
    if request.source == KEYS:
        return [_secret(f"saved-{n}", name, (), f"{path}/{name}") for n, name in enumerate(order.secrets)]
    return [_files("data", order.job, {f"{OBJECTS}.{name}": name for name in order.objects}, path)]


def placement(nodes: Sequence[str], settings: Settings) -> dict[str, Any]:
    """Where a pod may run; no nodes: anywhere."""
    effects = {"operator": "Equal", "value": "user", "effect": "NoSchedule"}
    tolerations = [*({"key": key, **effects} for key in _DEDICATED), *settings.tolerations]
    if not nodes:
        return {"tolerations": tolerations}
    # not nodeName: the scheduler counts what fits on the node
    field_of_node = {"key": "metadata.name", "operator": "In"}
    terms = [{"matchFields": [{**field_of_node, "values": [node]}]} for node in nodes]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {"tolerations": tolerations, "affinity": {"nodeAffinity": required}}


def _in_memory(name: str, size: int) -> dict[str, Any]:
    return {"name": name, "emptyDir": {"medium": "Memory", "sizeLimit": str(size)}}


def _scratch(order: Order, settings: Settings) -> list[Volume]:
    """Where the pod may write: keys into memory, and where it has the hub's own keys in clear, everything."""
    clear = order.request.item == KEYS
    tmp = _in_memory("tmp", KEYS_SCRATCH) if clear else {"name": "tmp", "emptyDir": {"sizeLimit": settings.scratch}}
    places = [(tmp, _TMP), (_in_memory("private", PRIVATE_SIZE), PRIVATE)]
    return [(volume, {"name": volume["name"], "mountPath": path}) for volume, path in places]


def _resources(settings: Settings, volumes: Sequence[Volume]) -> dict[str, Any]:
    """What a pod may take. Files in memory count against its limit, so that is as much higher."""
    disks = [volume.get("emptyDir") or {} for volume, _ in volumes]
    files = sum(int(disk["sizeLimit"]) for disk in disks if disk.get("medium") == "Memory")
    limits = settings.resources.get("limits") or {}
    if "memory" not in limits:
        return settings.resources
    return {**settings.resources, "limits": {**limits, "memory": str(int(parse_quantity(limits["memory"])) + files)}}


def _container(settings: Settings, volumes: Sequence[Volume]) -> dict[str, Any]:
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["tini", "--", "pdshub-backup"],
        "env": [{"name": "HOME", "value": _TMP}, _MEMORY, _PROCESSORS],
        "resources": _resources(settings, volumes),
        # never the log: it has names of files
        "terminationMessagePolicy": "File",
        "securityContext": restricted.container(),
        "volumeMounts": [mount for _, mount in volumes],
    }


def job(names: Names, order: Order, settings: Settings) -> dict[str, Any]:
    """The Job. Whoever made it takes it away: what it answers stands in its pod."""
    volumes = [*_ways(order), *_saved(order), *_scratch(order, settings)]
    group = _HUB_GROUP if order.request.source == DATABASE else order.identity.gid
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE,
        **({"hostname": order.host} if order.host else {}),
        "priorityClassName": BACKUP_PRIORITY,
        **({"imagePullSecrets": settings.image_pull_secrets} if settings.image_pull_secrets else {}),
        **placement(order.nodes, settings),
        "securityContext": restricted.pod(order.identity.uid, order.identity.gid, group),
        "containers": [_container(settings, volumes)],
        "volumes": [volume for volume, _ in volumes],
    }
    labels = _metadata(names, order)["labels"]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(names, order),
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": order.request.deadline_seconds + PATIENCE,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
