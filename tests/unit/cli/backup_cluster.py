"""A cluster behind kubectl that makes backups: objects are created, and an operator works on them look by look."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any

from pdshub.cli.kubectl import KubectlError
from tests.unit.cli.fake_cluster import KINDS, FakeCluster, Object, census, hub

KINDS |= {
    "hubbackups.pdshub.dev": "backup",
    "hubrestores.pdshub.dev": "restore",
    "secret": "secret",
    "secrets": "secret",
    "namespace": "namespace",
    "persistentvolume": "volume",
    "deployment": "deployment",
    "pod": "pod",
}
OF = {"HubBackup": "backup", "HubRestore": "restore", "PDSHub": "pdshub", "Pod": "pod"}
ADA, BELA = "ada@example.org", "o'bela+pds@example.org"
SNAPSHOT = "1a2b3c4d" * 8
BACKUP: Object = {"repository": {"claim": {"name": "backups"}}}
Work = Callable[["BackupCluster", Object], None]
"""What the operator makes of an object at a look."""


def item(name: str, phase: str = "Completed", **more: Any) -> Object:
    """An item of a HubBackup's status."""
    saved = {"snapshot": SNAPSHOT, "sizeBytes": 2048, "files": 7, "addedBytes": 1024, "seconds": 1.5, "how": "InUse"}
    return {"item": name, "phase": phase, **(saved if phase in ("Completed", "PartiallyCompleted") else {}), **more}


def status(phase: str, *items: Object, **more: Any) -> Object:
    """The status of a HubBackup."""
    ended = {"ended": "2026-11-26T02:33:00Z", "seconds": 180, "snapshots": len(items)}
    over = ended if phase not in ("Pending", "Running") else {}
    return {"phase": phase, "started": "2026-11-26T02:30:00Z", "items": list(items), "sizeBytes": 4096,
            "addedBytes": 2048, "files": 14, **over, **more}  # fmt: skip


def backup(name: str, began: str, *items: Object, hub: str = "sbn", **more: Any) -> tuple[str, Object]:
    """A HubBackup that has ended."""
    spec = {"hub": hub, "trigger": "Schedule", **more}
    found = status("Completed", *items, started=began)
    meta = {"name": name, "namespace": "hub", "creationTimestamp": began}
    return "backup", {"metadata": meta, "spec": spec, "status": found}


def home(user: str, name: str, **more: Any) -> tuple[str, Object]:
    """The claim of a home, bound to a volume."""
    meta = {"name": name, "namespace": "hub", "uid": f"uid-{name}", "labels": {"pdshub.dev/hub": "sbn"},
            "annotations": {"pdshub.dev/home-of": user}}  # fmt: skip
    return "claim", {"metadata": meta, "spec": {"volumeName": f"pv-{name}"}, "status": {"phase": "Bound"}, **more}


def volume(claim: str, **ref: Any) -> tuple[str, Object]:
    """The volume of a claim."""
    of = {"namespace": "hub", "name": claim, "uid": f"uid-{claim}", **ref}
    spec = {"claimRef": of, "persistentVolumeReclaimPolicy": "Retain"}
    return "volume", {"metadata": {"name": f"pv-{claim}"}, "spec": spec}


def secret(name: str, **data: str) -> tuple[str, Object]:
    """A Secret."""
    packed = {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return "secret", {"metadata": {"name": name, "namespace": "hub"}, "data": packed}


class BackupCluster(FakeCluster):
    """Kubectl whose cluster has a hub with ``spec.backup``, two homes, and an operator that makes backups."""

    def __init__(self, *objects: tuple[str, Object], backup: Object | None = BACKUP, **spec: Any) -> None:
        found = hub(allowed=[ADA, BELA])
        found["spec"] |= spec | ({"backup": backup} if backup is not None else {})
        homes = [{"claim": "claim-ada", "user": ADA, "size": "10Gi"}, {"claim": "claim-bela", "user": BELA}]
        every = [("pdshub", found), ("configmap", census(homes=homes)), home(ADA, "claim-ada"), volume("claim-ada"),
                 home(BELA, "claim-bela"), volume("claim-bela"), *objects]  # fmt: skip
        super().__init__(*every)
        self.__dict__.update(work={}, deleted=[], created=[], provisioner=True, log="")

    work: dict[str, list[Work]]
    """By kind what the operator does at each look at such an object; the last is done again and again."""
    deleted: list[str]
    created: list[Object]
    provisioner: bool
    """Whether volumes go that nobody claims and that are let go."""
    log: str
    """What a pod printed."""

    def does(self, kind: str, *steps: Object | Work) -> BackupCluster:
        """What the operator does at each look at an object of a kind: a status, or a function."""

        def writing(found: Object) -> Work:
            return lambda _, thing: thing.update(status=found)

        self.work[kind] = [step if callable(step) else writing(step) for step in steps]
        return self

    def run(self, *arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        verb = arguments[0]
        if verb in ("create", "delete", "logs") or "--type=merge" in arguments:
            self.calls.append(arguments)
            for word, why in self.broken.items():
                if all(part in " ".join(arguments) for part in word.split("&")):
                    raise KubectlError(why)
        if verb == "create":
            return self._create(arguments, json.loads(stdin))
        if verb == "delete":
            return self._delete(arguments)
        if verb == "logs":
            return self.log
        if "--type=merge" in arguments:
            return self._merge(KINDS[arguments[1]], arguments[2], json.loads(arguments[arguments.index("-p") + 1]))
        if "custom-columns=NAME:.metadata.name" in arguments:
            text = super().run(*arguments[:4], seconds=seconds)
            return "".join(f"{one['metadata']['name']}\n" for one in json.loads(text)["items"])
        if verb == "get" and arguments[1] in KINDS and not arguments[2].startswith("-"):
            space = arguments[arguments.index("-n") + 1] if "-n" in arguments else ""
            self._look(KINDS[arguments[1]], space, arguments[2])
        return super().run(*arguments, seconds=seconds, stdin=stdin)

    def _look(self, kind: str, space: str, name: str) -> None:
        thing, steps = self.objects.get((kind, space, name)), self.work.get(kind)
        if thing is not None and steps:
            (steps.pop(0) if len(steps) > 1 else steps[0])(self, thing)

    def _create(self, arguments: Sequence[str], body: Object) -> str:
        made = json.loads(json.dumps(body))
        meta = made["metadata"]
        if base := meta.pop("generateName", ""):
            meta["name"] = f"{base}x7k2p"
        meta |= {"uid": "uid-new", "creationTimestamp": "2026-11-26T02:30:00Z", "generation": 1}
        if (OF[made["kind"]], meta["namespace"], meta["name"]) in self.objects:
            raise KubectlError(f"{made['kind']} {meta['name']} already exists")
        if "--dry-run=server" not in arguments:
            self.created.append(json.loads(json.dumps(made)))
            self.put(OF[made["kind"]], made)
        return json.dumps(made)

    def _delete(self, arguments: Sequence[str]) -> str:
        kind, name, space = KINDS[arguments[1]], arguments[2], arguments[arguments.index("-n") + 1]
        found = self.objects.pop((kind, space, name))
        self.deleted.append(f"{arguments[1]} {name}")
        pv = self.objects.get(("volume", "", str((found.get("spec") or {}).get("volumeName"))))
        if pv and self.provisioner and pv["spec"]["persistentVolumeReclaimPolicy"] == "Delete":
            del self.objects["volume", "", pv["metadata"]["name"]]
        return ""

    def _merge(self, kind: str, name: str, body: Object) -> str:
        found = next(one for (k, _, n), one in self.objects.items() if (k, n) == (kind, name))
        for key, value in body.items():
            found[key] = {**found.get(key, {}), **value}
        space = found["metadata"].get("namespace", "")
        claims = [
            (k, s) for (k, s, _), c in self.objects.items() if k == "claim" and c["spec"].get("volumeName") == name
        ]
        policy = found["spec"].get("persistentVolumeReclaimPolicy")
        if kind == "volume" and not claims and self.provisioner and policy == "Delete":
            del self.objects[kind, space, name]
        return ""
