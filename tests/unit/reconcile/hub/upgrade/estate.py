"""A hub whose database is a real file: Jobs run the real program on it, and each start of the hub migrates it forward.

A hub of chart 4.N.0 writes tables of version N, as ``PRAGMA user_version`` says, and refuses those of a newer one: so
does JupyterHub with alembic's revisions (test_real_database.py).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.backup import database
from pdshub.installation import Installation
from pdshub.kube import CLAIM, DEPLOYMENT, HUB_BACKUP, JOB, POD, SECRET, Object, Resource
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.release import decode
from pdshub.reconcile.hub.upgrade import seen
from pdshub.render.names import COPY_LABELS, RECORD_LABEL
from tests.unit.reconcile.hubs import Bench

BASE: dict[str, Any] = {"signIn": {"development": {}}, "users": {"allowed": ["ada"]}}
SETTINGS = {
    "defaults": {
        "images": {"hub": "registry.example.org/hub:1"},
        "chart": {"source": "Repository", "repository": "https://hub.example.org/charts/", "version": "4.3.0"},
    },
    "backup": {"image": "pdshub:1"},
}


def spec(minor: int, **more: Any) -> dict[str, Any]:
    return {**BASE, "chart": {"version": f"4.{minor}.0"}, **more}


class Killed(BaseException):
    """The operator ends in the middle of what it does."""


class Estate(Bench):
    """``dies_at``: after so many more writes the operator is killed. ``answers`` may change what a Job says."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folders = {"hub-db-dir": top / "database", "demo-copies": top / "copies"}
        for folder in self.folders.values():
            folder.mkdir()
        self.now = rfc3339.seconds("2026-03-01T12:00:00Z")
        self.dies_at, self.crashed, self.stays = -1, False, False
        self.jobs: list[str] = []
        self.fails: Callable[[list[str]], bool] = lambda arguments: False
        self.starts: list[int] = []
        super().__init__(spec(3))
        self.context.installation = Installation.model_validate(SETTINGS)
        monkeypatch.setattr(seen, "time", SimpleNamespace(time=lambda: self.now))
        wrote = self.kube._wrote

        def counted(verb: str, resource: Resource, name: str) -> None:
            if self.dies_at == 0:
                raise Killed
            self.dies_at -= 1
            wrote(verb, resource, name)

        self.kube._wrote = counted  # type: ignore[method-assign]

    @property
    def file(self) -> Path:
        return self.folders["hub-db-dir"] / "jupyterhub.sqlite"

    def restart(self) -> None:
        """The operator begins anew, without memory."""
        old = self.context
        self.context = HubContext(old.kube, old.helm, old.installation, old.chart, old.system, old.tls)

    # --- what Kubernetes does

    def kubernetes(self) -> None:
        self._hub()
        for (plural, where, name), job in list(self.kube.objects.items()):
            if plural == JOB.plural and not (job.get("status") or {}).get("conditions"):
                self._job(where, name, job)
        uids = {item["metadata"]["uid"] for item in self.kube.objects.values()}
        for key, item in list(self.kube.objects.items()):
            owners = item["metadata"].get("ownerReferences") or []
            if key[0] == POD.plural and owners and not any(owner["uid"] in uids for owner in owners):
                del self.kube.objects[key]

    def _hub(self) -> None:
        deployment = self.kube.objects.get((DEPLOYMENT.plural, "ns", "hub"))
        if deployment is None:
            return
        wanted = deployment["spec"]["replicas"]
        pod = self.kube.objects.get((POD.plural, "ns", "hub-1"))
        template = str(deployment["metadata"]["generation"])
        if pod is not None and (not wanted or pod["metadata"]["labels"]["template"] != template) and not self.stays:
            del self.kube.objects[POD.plural, "ns", "hub-1"]
            pod = None
        if wanted and pod is None:
            self._started()
            volumes = [{"persistentVolumeClaim": {"claimName": "hub-db-dir"}}]
            meta = {"name": "hub-1", "namespace": "ns", "labels": {"component": "hub", "template": template}}
            self.kube.put(POD, {"metadata": meta, "spec": {"nodeName": "n1", "volumes": volumes}})
        count = 0 if self.crashed else wanted
        deployment["status"] = {**deployment["status"], "availableReplicas": count, "updatedReplicas": count}

    def _started(self) -> None:
        version = max(
            (decode(item) for key, item in self.kube.objects.items() if ".v1.demo.v" in key[2]),
            key=lambda release: release.revision,
        ).version
        minor = int(version.split(".")[1])
        connection = sqlite3.connect(self.file)
        (known,) = connection.execute("PRAGMA user_version").fetchone()
        self.crashed = known > minor
        if not self.crashed:
            connection.execute("CREATE TABLE IF NOT EXISTS users (name TEXT)")
            connection.execute(f"PRAGMA user_version={minor}")
            connection.commit()
        connection.close()
        self.starts.append(minor)

    def _job(self, where: str, name: str, job: Object) -> None:
        container = job["spec"]["template"]["spec"]["containers"][0]
        arguments = list(container["args"])
        self.jobs.append(arguments[0])
        if arguments[0] == "put-back":
            assert (POD.plural, "ns", "hub-1") not in self.kube.objects, "the hub has its database open"
        told = self.folders["demo-copies"].parent / "answer"
        claims = {v["name"]: v["persistentVolumeClaim"]["claimName"] for v in self._claims(job)}
        places = [f"--{volume}={self.folders[claim]}" for volume, claim in claims.items()]
        if self.fails(arguments):
            told.write_text('{"ok": false, "reason": "Full", "message": "the copy cannot be written: no space"}')
            code = 1
        else:
            code = database.main([*arguments, *places, f"--answer={told}"])
        owner = {"kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": True}
        meta = {"name": f"{name}-x7k2p", "namespace": where, "labels": dict(COPY_LABELS), "ownerReferences": [owner]}
        state = {"terminated": {"exitCode": code, "message": told.read_text()}}
        status = {
            "phase": "Failed" if code else "Succeeded",
            "containerStatuses": [{"name": "backup", "state": state}],
        }
        self.kube.put(POD, {"metadata": meta, "spec": {}, "status": status})
        kind = "Failed" if code else "Complete"
        ended = {"type": kind, "status": "True", "lastTransitionTime": rfc3339.text(self.now)}
        job["status"] = {"conditions": [ended]}

    @staticmethod
    def _claims(job: Object) -> list[Object]:
        return [v for v in job["spec"]["template"]["spec"]["volumes"] if "persistentVolumeClaim" in v]

    # --- what is looked at

    def settle(self, looks: int = 40) -> None:
        """Look, with Kubernetes at work between looks, until nothing changes any more."""
        still = 0
        for _ in range(looks):
            before = self.kube.counter
            self.run()
            self.kubernetes()
            self.now += 1
            still = still + 1 if self.kube.counter == before else 0
            if still == 2:
                return
        raise AssertionError(self.kube.objects["pdshubs", "ns", "demo"]["status"])

    def installed(self, minor: int) -> None:
        self.apply(spec(minor))
        self.settle()

    def signed_in(self, *users: str) -> None:
        connection = sqlite3.connect(self.file)
        connection.executemany("INSERT INTO users VALUES (?)", [(user,) for user in users])
        connection.commit()
        connection.close()

    def database(self, file: Path | None = None) -> tuple[int, list[str]]:
        """Version of its tables, and users."""
        connection = sqlite3.connect(f"file:{file or self.file}?mode=ro", uri=True)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            return version, [row[0] for row in connection.execute("SELECT name FROM users")]
        finally:
            connection.close()

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.kube.objects["pdshubs", "ns", "demo"]["status"])

    @property
    def copies(self) -> list[tuple[int, str]]:
        found = (self.status.get("upgrade") or {}).get("copies") or []
        return [(each["revision"], each["why"]) for each in found]

    def records(self) -> list[Object]:
        return [
            item
            for (plural, _, _), item in self.kube.objects.items()
            if plural == SECRET.plural and RECORD_LABEL in (item["metadata"].get("labels") or {})
        ]

    def record(self, revision: int) -> Object:
        return next(item for item in self.records() if item["metadata"]["labels"][RECORD_LABEL] == str(revision))

    def there(self, resource: Resource) -> list[str]:
        return sorted(name for (plural, where, name) in self.kube.objects if (plural, where) == (resource.plural, "ns"))


__all__ = ["BASE", "CLAIM", "HUB_BACKUP", "Estate", "Killed", "spec"]
