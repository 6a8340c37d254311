"""A cluster in which a hub was never, a repository that has it, and the loops of hubs, recoveries and backups."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, cast

from pdshub import sealed, tenant
from pdshub.helm import Helm
from pdshub.installation import Installation
from pdshub.kube import (
    CLAIM,
    CONFIG_MAP,
    JOB,
    NAMESPACE,
    PDSHUB,
    ROLE_BINDING,
    SECRET,
    STORAGE_CLASS,
    Kube,
    Object,
)
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub import reconcile as hubs
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.recovery import reconcile as recoveries
from pdshub.reconcile.hub.recovery import record
from pdshub.reconcile.hub.recovery.context import RecoveryContext
from pdshub.reconcile.hub.recovery.record import Record
from pdshub.render.keys import COOKIE_KEY, CRYPT_KEY
from pdshub.render.names import HUB_LABEL, Names
from pdshub.wellknown import RECOVERING
from tests.unit.reconcile.fakes import FakeHelm
from tests.unit.reconcile.hub.backup.estate import Answer, Estate

NAMES = Names("ns", "demo")
SETTINGS: dict[str, Any] = {
    "backup": {"image": "pdshub:1"},
    "defaults": {"images": {"hub": "registry.example.org/hub:1"}},
}
MOMENT = "2026-02-28T02:31:00Z"
HOMES = {"ada": "claim-ada", "bela@example.org": "claim-bela-40example-2eorg"}
KEYS = {f"demo-keys/{COOKIE_KEY}": "c00c1e", f"demo-keys/{CRYPT_KEY}": "c4497"}
RECOVERY: dict[str, Any] = {"repository": {"claim": {"name": "vault"}}}


def digest(item: str) -> str:
    return hashlib.sha256(item.encode()).hexdigest()


class Site(Estate):
    """``plan`` is what the repository has: by item the claim of a home; ``unsaved`` are items without a snapshot."""

    def __init__(self, recovery: dict[str, Any] | None = None, **spec: Any) -> None:
        super().__init__()
        self.plan: dict[str, str] = {"database": "", "keys": "", "objects": ""}
        self.plan |= {f"home/{user}": claim for user, claim in HOMES.items()}
        self.unsaved: set[str] = set()
        self.page = 20
        self.keys = dict(KEYS)
        self.answers = self.recovers
        labels = {
            "pdshub.dev/environment": "development",
            "pdshub.dev/hubs": "allowed",
            "pod-security.kubernetes.io/enforce": "restricted",
        }
        self.put(NAMESPACE, "ns", None, meta={"labels": labels})
        self.kube.put(ROLE_BINDING, tenant.binding("ns"))
        self.put(STORAGE_CLASS, "standard", None, provisioner="rancher.io/local-path")
        self.put(CLAIM, "vault", spec={"accessModes": ["ReadWriteMany"]})
        self.put(SECRET, "demo-backup-key", data={"key": base64.b64encode(b"k").decode()})
        body = {
            "signIn": {"development": {}},
            "users": {"allowed": sorted(HOMES)},
            "backup": {"repository": {"claim": {"name": "vault"}}, "schedule": "30 2 * * *"},
            "bootstrap": {"recovery": recovery or RECOVERY},
            **spec,
        }
        self.put(PDSHUB, "demo", spec=body, meta={"generation": 1})

    def restart(self) -> None:
        self.helm = FakeHelm(self.kube)
        made = HubContext(
            cast(Kube, self.kube),
            cast(Helm, self.helm),
            Installation.model_validate(SETTINGS),
            BundledChart("/charts/airgap", "0.1.0", "abc"),
            "pdshub-system",
            cast(Any, None),
        )
        self.context = BackupContext(made, clock=lambda: self.now)
        own = BackupContext(made, clock=lambda: self.now)
        self.recovery = RecoveryContext(made, own, lambda key: self.told.append(key))
        self.told: list[tuple[str, str]] = []

    # --- the repository

    def recovers(self, request: dict[str, Any]) -> Answer:
        """Everything succeeds."""
        action, item = request["action"], request.get("item")
        if action == "plan":
            return self.chosen(request["after"])
        if action == "keys":
            found = {path: self.keys[path] for path in request["paths"] if path in self.keys}
            words = sealed.seal(json.dumps(found), request["publicKey"])
            return {"ok": True, "item": {"item": "keys", "phase": "Completed"}, "sealed": words}
        if action == "recover":
            row = {"item": item, "phase": "Completed", "snapshot": request["snapshot"]}
            return {"ok": True, "item": row, "files": 3, "sizeBytes": 30}
        return self.saves(request)

    def chosen(self, after: str) -> Answer:
        rows = [
            {"id": "" if item in self.unsaved else digest(item), "item": item, "time": MOMENT, "claim": claim}
            for item, claim in self.plan.items()
        ]
        names = [row["item"] for row in rows]
        begin = names.index(after) + 1 if after else 0
        page = rows[begin : begin + self.page]
        return {"ok": True, "snapshots": page, "more": len(rows) - begin - len(page)}

    def kubernetes(self) -> None:
        """Claims are bound as soon as they are made."""
        for (plural, _, _), item in self.kube.objects.items():
            if plural == CLAIM.plural:
                item.setdefault("status", {"phase": "Bound"})
        super().kubernetes()

    # --- the loops

    async def look(self, namespace: str = "ns") -> float | None:
        for (plural, _, _), item in self.kube.objects.items():
            if plural == JOB.plural:
                item["metadata"].setdefault("creationTimestamp", self.stamp())
        await hubs.reconcile(self.recovery.hubs, namespace, "demo")
        await recoveries.reconcile(self.recovery, namespace, "demo")
        return await super().look(namespace)

    async def back(self, looks: int = 120) -> dict[str, Any]:
        """Until the recovery has ended; its status."""
        await self.until(lambda: self.phase() in ("Completed", "PartiallyCompleted"), looks=looks)
        return self.told_by_status()

    # --- what there is

    def told_by_status(self) -> dict[str, Any]:
        found: dict[str, Any] = (self.kube.objects[PDSHUB.plural, "ns", "demo"].get("status") or {}).get(
            "recovery"
        ) or {}
        return found

    def phase(self) -> str:
        return str(self.told_by_status().get("phase", ""))

    def record(self) -> Record | None:
        return record.read(self.kube.objects.get((CONFIG_MAP.plural, "ns", NAMES.recovery)))

    def claim(self, name: str) -> Object | None:
        return self.kube.objects.get((CLAIM.plural, "ns", name))

    def marked(self) -> list[str]:
        return [
            name
            for (plural, _, name), item in self.kube.objects.items()
            if plural == CLAIM.plural and RECOVERING in (item["metadata"].get("annotations") or {})
        ]

    def secret(self, name: str = "demo-keys") -> dict[str, str]:
        found = self.kube.objects.get((SECRET.plural, "ns", name)) or {}
        return {key: base64.b64decode(value).decode() for key, value in (found.get("data") or {}).items()}

    def installed(self) -> bool:
        return any(key[2].startswith("sh.helm.release") for key in self.kube.objects)

    def left_of_jobs(self) -> list[str]:
        """Jobs and their ConfigMaps that are there."""
        return [
            name
            for (plural, _, name), item in self.kube.objects.items()
            if plural == JOB.plural or (plural == CONFIG_MAP.plural and "request.json" in (item.get("data") or {}))
        ]

    def a_home(self, name: str, user: str, hub: str = "demo") -> None:
        """A home that is there already."""
        labels = {"component": "singleuser-storage", HUB_LABEL: hub}
        self.put(CLAIM, name, meta={"labels": labels, "annotations": {"hub.jupyter.org/username": user}}, spec={})
