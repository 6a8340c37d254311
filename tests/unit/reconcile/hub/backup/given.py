"""Runs, restores, Jobs and pods for tests of the loop of backups."""

from __future__ import annotations

import json
from typing import Any

from pdshub import rfc3339
from pdshub.api.hub_backup import Backup
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.asked import Restore, Run, restore_of, run_of
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.render import backup_repository
from pdshub.render.names import HOME_LABELS, Names

NAMES = Names("ns", "demo")
NOW = "2026-03-10T12:00:00Z"
BACKUP: dict[str, Any] = {"repository": {"claim": {"name": "vault"}}, "schedule": "30 2 * * *"}
ID = "ab" * 32


def backup(**more: Any) -> Backup:
    return Backup.model_validate({**BACKUP, **more})


def _meta(name: str, created: str, namespace: str) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, "uid": f"uid-{namespace}-{name}", "creationTimestamp": created}


def run(
    name: str = "one",
    status: dict[str, Any] | None = None,
    created: str = "2026-03-10T11:00:00Z",
    namespace: str = "ns",
    **spec: Any,
) -> Run:
    body = {"metadata": _meta(name, created, namespace), "spec": {"hub": "demo", **spec}, "status": status or {}}
    return run_of(body)


def restore(
    name: str = "back",
    status: dict[str, Any] | None = None,
    created: str = "2026-03-10T11:00:00Z",
    namespace: str = "ns",
    **spec: Any,
) -> Restore:
    asked = {"hub": "demo", "user": "ada", **spec}
    return restore_of({"metadata": _meta(name, created, namespace), "spec": asked, "status": status or {}})


def claim(name: str, *modes: str, **labels: str) -> Object:
    return {"metadata": {"name": name, "labels": labels}, "spec": {"accessModes": list(modes or ("ReadWriteOnce",))}}


def home(name: str) -> Object:
    return claim(name, **HOME_LABELS)


HOMES = {"ada": "claim-ada", "bela": "claim-bela"}


def facts(now: str = NOW, spec: Backup | None = None, **more: Any) -> Facts:
    """A hub with two homes, whose first run was yesterday."""
    given = spec or backup()
    claims = {name: home(name) for name in HOMES.values()}
    claims |= {"hub-db-dir": claim("hub-db-dir"), "vault": claim("vault")}
    fields: dict[str, Any] = {
        "uid": "uid-demo",
        "created": rfc3339.seconds("2026-03-01T00:00:00Z"),
        "backup": given,
        "place": backup_repository.place(given.repository, NAMES),
        "key_secret": ("demo-backup-key", "key"),
        "homes": HOMES,
        "claims": claims,
        "secrets": ("demo-keys",),
        "objects": {"pdshub.json": "{}"},
    }
    return Facts(NAMES, rfc3339.seconds(now), **{**fields, **more})


def job(name: str, *conditions: tuple[str, str], created: str = NOW) -> Object:
    """A Job; ``conditions``: type and reason of those that hold."""
    rows = [{"type": kind, "status": "True", "reason": reason} for kind, reason in conditions]
    meta = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "creationTimestamp": created}
    return {"metadata": meta, "status": {"conditions": rows}}


def pod(of: str, message: Any = None, phase: str = "Succeeded", **more: Any) -> Object:
    """The pod of a Job, with its last words; words that are no text are JSON."""
    text = message if isinstance(message, str) else "" if message is None else json.dumps(message)
    ended = {"exitCode": 0 if phase == "Succeeded" else 1, "message": text, **more.pop("terminated", {})}
    state = {"terminated": ended} if phase in ("Succeeded", "Failed") else {}
    owner = {"kind": "Job", "name": of, "uid": f"uid-{of}", "controller": True}
    return {
        "metadata": {"name": f"{of}-x7k2p", "namespace": "ns", "ownerReferences": [owner]},
        "spec": {"nodeName": "n1"},
        "status": {"phase": phase, "containerStatuses": [{"name": "backup", "state": state}], **more},
    }


def saved(item: str, **more: Any) -> dict[str, Any]:
    """The answer of a Job that saved an item."""
    row = {"item": item, "phase": "Completed", "snapshot": ID, "sizeBytes": 10, "files": 2, "addedBytes": 5}
    return {"ok": True, "item": {**row, **more}}


def done(*items: str, phase: str = "Completed", **more: Any) -> dict[str, Any]:
    """The status of a run that has ended, with these items saved."""
    rows = [{"item": item, "phase": "Completed", "snapshot": ID} for item in items]
    ended = {"started": "2026-03-10T02:30:05Z", "ended": "2026-03-10T02:31:05Z", "seconds": 60, "snapshots": len(rows)}
    return {"phase": phase, "items": rows, **ended, **more}


READY: dict[str, Any] = {
    "type": "RepositoryReady",
    "status": "True",
    "reason": "Ready",
    "lastTransitionTime": NOW,
}
APPLIED: dict[str, Any] = {**READY, "type": "RetentionApplied", "reason": "Applied"}


def running(*items: tuple[str, str], job: str = "", conditions: Any = (READY,)) -> dict[str, Any]:
    """The status of a run that goes on: its items and their phases."""
    rows = [{"item": item, "phase": phase} for item, phase in items]
    return {"phase": "Running", "started": NOW, "items": rows, "job": job, "conditions": list(conditions)}
