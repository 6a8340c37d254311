"""Hubs with homes, a Kubernetes that runs their Jobs, and a repository: all in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, cast

from pdshub import rfc3339, tenant
from pdshub.installation import Installation
from pdshub.kube import (
    CLAIM,
    CONFIG_MAP,
    HUB_BACKUP,
    HUB_RESTORE,
    JOB,
    NAMESPACE,
    PDSHUB,
    POD,
    ROLE_BINDING,
    SECRET,
    Kube,
    KubeError,
    Object,
    Resource,
)
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub.backup import reconcile as backups
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext
from pdshub.render.names import HOME_LABELS, HUB_LABEL
from tests.unit.reconcile.fakes import FakeKube

INSTALLATION = Installation.model_validate(
    {"backup": {"image": "pdshub:1", "allowed": [{"server": "nas.example.org", "paths": ["/backups"]}]}}
)
SPEC: dict[str, Any] = {
    "repository": {"claim": {"name": "vault"}},
    "schedule": "30 2 * * *",
    "key": {"escrow": "in the safe"},
}
Answer = dict[str, Any] | None
"""What a Job says; None: it is killed and says nothing."""


class Killed(BaseException):
    """The operator ends in the middle of what it does."""


class Estate:
    """``answers`` says what becomes of a Job, by its request; ``jobs`` are the requests of all Jobs that were made."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.now = rfc3339.seconds("2026-03-01T00:00:00Z")
        self.jobs: list[dict[str, Any]] = []
        self.answers: Callable[[dict[str, Any]], Answer] = self.saves
        self.busy: set[str] = set()
        """Jobs that go on: by name, or the action."""
        self.stuck: set[str] = set()
        """Items, or actions, of Jobs that never get a pod: a quota is used up."""
        self.dies_at = -1
        """After so many more writes the operator is killed: in the middle of what it does."""
        self.restart()
        self._guarded()

    def restart(self) -> None:
        """The operator begins anew, without memory."""
        made = HubContext(
            cast(Kube, self.kube), cast(Any, None), INSTALLATION, BundledChart("", "", ""), "system", cast(Any, None)
        )
        self.context = BackupContext(made, clock=lambda: self.now)

    def _guarded(self) -> None:
        wrote = self.kube._wrote

        def counted(verb: str, resource: Resource, name: str) -> None:
            if self.dies_at == 0:
                raise Killed
            self.dies_at -= 1
            wrote(verb, resource, name)

        self.kube._wrote = counted  # type: ignore[method-assign]

    def stamp(self) -> str:
        return rfc3339.text(self.now)

    def put(self, resource: Resource, name: str, namespace: str | None = "ns", **more: Any) -> Object:
        meta: dict[str, Any] = {"name": name, "creationTimestamp": self.stamp(), **more.pop("meta", {})}
        if namespace:
            meta["namespace"] = namespace
        return self.kube.put(resource, {"metadata": meta, **more})

    def hub(self, namespace: str = "ns", users: tuple[str, ...] = ("ada", "bela"), **backup: Any) -> None:
        """A hub with homes, a database and keys, in a namespace of its own."""
        labels = {"pdshub.dev/hubs": "allowed", "pdshub.dev/environment": "development"}
        self.put(NAMESPACE, namespace, None, meta={"labels": labels})
        self.kube.put(ROLE_BINDING, tenant.binding(namespace))
        spec = {"signIn": {"development": {}}, "backup": {**SPEC, **backup}}
        self.put(PDSHUB, "demo", namespace, spec=spec, meta={"generation": 1})
        for user in users:
            self.home(user, namespace)
        self.put(CLAIM, "hub-db-dir", namespace, spec={"accessModes": ["ReadWriteOnce"]})
        self.put(CLAIM, "vault", namespace, spec={"accessModes": ["ReadWriteMany"]})
        self.put(SECRET, "demo-keys", namespace, data={"x": "eA=="})

    def home(self, user: str, namespace: str = "ns") -> None:
        meta = {
            "labels": {**HOME_LABELS, HUB_LABEL: "demo"},
            "annotations": {"hub.jupyter.org/username": user},
        }
        bound = {"spec": {"accessModes": ["ReadWriteOnce"]}, "status": {"phase": "Bound"}}
        self.put(CLAIM, f"claim-{user}", namespace, meta=meta, **bound)

    def ask(self, name: str, namespace: str = "ns", **spec: Any) -> None:
        self.put(HUB_BACKUP, name, namespace, spec={"hub": "demo", **spec})

    def ask_back(self, name: str = "back", namespace: str = "ns", **spec: Any) -> None:
        self.put(HUB_RESTORE, name, namespace, spec={"hub": "demo", "user": "ada", **spec})

    # --- what Kubernetes does

    def saves(self, request: dict[str, Any]) -> Answer:
        """Everything succeeds."""
        if request["action"] == "restore":
            return {"ok": True, "place": "restored-2026-03-01", "files": 3, "sizeBytes": 30}
        if request["action"] != "backup":
            return {"ok": True}
        digest = hashlib.sha256(f"{request['hub']} {request['item']} {len(self.jobs)}".encode()).hexdigest()
        row = {"item": request["item"], "phase": "Completed", "snapshot": digest, "sizeBytes": 10, "files": 1}
        return {"ok": True, "item": {**row, "how": request["how"]}}

    def kubernetes(self) -> None:
        """Jobs that were made run to their end, but those that are busy."""
        for (plural, namespace, name), found in list(self.kube.objects.items()):
            if plural != JOB.plural or (found.get("status") or {}).get("conditions"):
                continue
            asked = self.kube.objects[CONFIG_MAP.plural, namespace, name]["data"]["request.json"]
            request = json.loads(asked)
            if "seen" not in found:
                found["seen"] = True
                self.jobs.append(request)
            if {request.get("item"), request["action"]} & self.stuck:
                continue
            if {name, request["action"]} & self.busy:
                self._pod(namespace, name, found, "Running", {})
                continue
            answer = self.answers(request)
            good = bool(answer and answer["ok"])
            end = {"exitCode": 0 if good else 1, "message": json.dumps(answer) if answer else ""}
            self._pod(namespace, name, found, "Succeeded" if good else "Failed", {"terminated": end})
            kind, reason = ("Complete", "x") if good else ("Failed", "BackoffLimitExceeded")
            found["status"] = {"conditions": [{"type": kind, "status": "True", "reason": reason}]}

    def _pod(self, namespace: str, name: str, job: Object, phase: str, state: dict[str, Any]) -> None:
        owner = {"kind": "Job", "name": name, "uid": job["metadata"]["uid"], "controller": True}
        template = job["spec"]["template"]
        self.put(
            POD,
            f"{name}-x7k2p",
            namespace,
            meta={"labels": template["metadata"]["labels"], "ownerReferences": [owner]},
            spec={**template["spec"], "nodeName": "n1"},
            status={"phase": phase, "containerStatuses": [{"name": "backup", "state": state}]},
        )

    def collect(self) -> None:
        """Pods go with their Jobs, and Jobs with whom they belong to."""
        there = {item["metadata"]["uid"] for item in self.kube.objects.values()}
        for key, item in list(self.kube.objects.items()):
            owners = item["metadata"].get("ownerReferences") or []
            if owners and not any(owner["uid"] in there for owner in owners):
                del self.kube.objects[key]

    # --- the operator

    async def look(self, namespace: str = "ns") -> float | None:
        for (plural, _, _), item in self.kube.objects.items():
            if plural in (JOB.plural, HUB_BACKUP.plural):
                item["metadata"].setdefault("creationTimestamp", self.stamp())
        try:
            return await backups.reconcile(self.context, namespace, "demo")
        except KubeError as error:
            if error.status == 0:
                raise
            return 1.0

    async def until(self, done: Callable[[], bool], *namespaces: str, looks: int = 200) -> None:
        """Look at every hub in turn, with Kubernetes at work between looks, until something is so."""
        for _ in range(looks):
            for namespace in namespaces or ("ns",):
                await self.look(namespace)
                self.kubernetes()
                self.collect()
            self.now += 2
            if done():
                return
        raise AssertionError({k: v.get("status") for k, v in self.kube.objects.items() if k[0].startswith("hub")})

    async def finish(self, name: str, namespace: str = "ns") -> dict[str, Any]:
        """The status of a run or a restore at its end."""
        await self.until(lambda: self.ended(name, namespace), namespace)
        return self.status(name, namespace)

    async def survive(self, name: str, kills: int) -> None:
        """The same where the operator is killed after so many writes, and a new one goes on from there."""
        self.dies_at = kills
        while not self.ended(name):
            try:
                await self.finish(name)
            except Killed:
                self.dies_at = -1
                self.restart()
                self.kubernetes()
        self.dies_at = -1

    # --- what there is

    def status(self, name: str, namespace: str = "ns") -> dict[str, Any]:
        for resource in (HUB_BACKUP, HUB_RESTORE):
            if found := self.kube.objects.get((resource.plural, namespace, name)):
                return dict(found.get("status") or {})
        raise AssertionError(f"there is no {name}")

    def ended(self, name: str, namespace: str = "ns") -> bool:
        return self.status(name, namespace).get("phase") in ("Completed", "PartiallyCompleted", "Failed")

    def condition(self, kind: str, namespace: str = "ns") -> dict[str, Any]:
        found = (self.kube.objects[PDSHUB.plural, namespace, "demo"].get("status") or {}).get("conditions") or []
        return next((c for c in found if c["type"] == kind), {})

    def left(self) -> list[str]:
        """Jobs, their pods and ConfigMaps that are there."""
        kinds = (JOB.plural, POD.plural, CONFIG_MAP.plural)
        return [name for plural, _, name in self.kube.objects if plural in kinds]

    def actions(self) -> list[str]:
        return [request.get("item") or request["action"] for request in self.jobs]
