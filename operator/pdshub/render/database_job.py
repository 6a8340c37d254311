"""The Job that copies a hub's database, or puts a copy in its place: two claims, no network, no key. Pure.

It runs as the hub does, whose files they are. ``restricted`` by the Pod Security Standards, without a token of the API
server; no network policy allows its pod anything, so the denial of everything stands.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pdshub import restricted
from pdshub.installation import Backup as Settings
from pdshub.render.backup_job import CONTAINER, GRACE, placement
from pdshub.render.names import COPY_LABELS, DATABASE_CLAIM, Names
from pdshub.wellknown import API_VERSION, BACKUP_PRIORITY

SECONDS = 1800
"""In which a Job has to end; a hub's database is copied in seconds."""
KEPT_SECONDS = 86400
"""After which Kubernetes takes a Job away that ended, should nobody else."""
_TMP = "/tmp"  # noqa: S108 - a volume of the pod's own
_UID = 1000
"""As whom hub charts run the hub."""
_MOST_ID = 2**31 - 1


@dataclass(frozen=True)
class Order:
    """A Job that is to be made."""

    job: str
    action: Literal["copy", "put-back"]
    copy: str
    keep: Sequence[str] = ()
    digest: str = ""
    aside: str = ""
    nodes: tuple[str, ...] = ()
    """Where it has to run: where the hub has the volume. Empty: anywhere."""


@dataclass(frozen=True)
class Owner:
    """As whom a hub's process runs."""

    uid: int = _UID
    gid: int = _UID
    group: int = _UID


def _number(values: Any, *path: str) -> int:
    for part in path:
        values = values.get(part) if isinstance(values, Mapping) else None
    return values if type(values) is int and 0 < values <= _MOST_ID else _UID


def owner_of(values: Mapping[str, Any]) -> Owner:
    """As whom the hub of these values runs, where that is an id and not root's."""
    container, pod = ("hub", "containerSecurityContext"), ("hub", "podSecurityContext")
    return Owner(
        _number(values, *container, "runAsUser"),
        _number(values, *container, "runAsGroup"),
        _number(values, *pod, "fsGroup"),
    )


def claim(names: Names, database: Mapping[str, Any]) -> dict[str, Any]:
    """The claim of copies: as large as the database's, and of its class."""
    spec = database.get("spec") or {}
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage") or "1Gi"
    named = spec.get("storageClassName")
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": names.copies, "namespace": names.namespace, "labels": names.labels},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": str(size)}},
            **({"storageClassName": str(named)} if named else {}),
        },
    }


def _arguments(order: Order) -> list[str]:
    found = [order.action, f"--copy={order.copy}"]
    if order.action == "copy":
        return [*found, *(f"--keep={name}" for name in order.keep)]
    return [*found, f"--digest={order.digest}", f"--aside={order.aside}"]


def job(names: Names, uid: str, order: Order, owner: Owner, settings: Settings) -> dict[str, Any]:
    """The Job. ``uid`` is the PDSHub's: Kubernetes removes it with that."""
    labels = {**names.labels, **COPY_LABELS}
    reads = order.action == "copy"
    mounts = [
        # read-only for the container alone: the hub has the volume read-write on the same node
        {"name": "database", "mountPath": "/database", **({"readOnly": True} if reads else {})},
        {"name": "copies", "mountPath": "/copies"},
        {"name": "tmp", "mountPath": _TMP},
    ]
    container = {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.image_pull_policy,
        "command": ["tini", "--", "pdshub-database"],
        "args": _arguments(order),
        "env": [{"name": "HOME", "value": _TMP}],
        "resources": settings.resources,
        "terminationMessagePolicy": "File",
        "securityContext": restricted.container(),
        "volumeMounts": mounts,
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE,
        "priorityClassName": BACKUP_PRIORITY,
        **({"imagePullSecrets": settings.image_pull_secrets} if settings.image_pull_secrets else {}),
        **placement(order.nodes, settings),
        "securityContext": restricted.pod(owner.uid, owner.gid, owner.group),
        "containers": [container],
        "volumes": [
            {"name": "database", "persistentVolumeClaim": {"claimName": DATABASE_CLAIM}},
            {"name": "copies", "persistentVolumeClaim": {"claimName": names.copies}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
        ],
    }
    mine = {"apiVersion": API_VERSION, "kind": "PDSHub", "name": names.name, "uid": uid}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": order.job,
            "namespace": names.namespace,
            "labels": labels,
            "ownerReferences": [mine],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": SECONDS,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
