"""Claims and volumes of a move: written down, let go, bound anew. Every function can be done again."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from pdshub.cli import backup_run, change, home_move, home_record
from pdshub.cli.archive import CliError
from pdshub.cli.home_move import Seen
from pdshub.cli.home_record import MOVE, MOVED_OF, Record
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.wellknown import CHANGED_BY, PLUGIN

Json = dict[str, Any]
CLAIM, VOLUME = "persistentvolumeclaim", "persistentvolume"
CHANGE_SECONDS = 120.0
"""How long the API server may take to let a claim go, or to bind one."""


def there(kubectl: Kubectl, kind: str, name: str, namespace: str = "") -> Json | None:
    """An object; None where there is none. Raises KubectlError."""
    try:
        return kubectl.get(kind, name, *(["-n", namespace] if namespace else []))
    except KubectlError as error:
        if "not found" in str(error).lower():
            return None
        raise


def find(kubectl: Kubectl, namespace: str, hub: str, user: str) -> Record | None:
    """The move of somebody's home that is under way, or whose former volume is kept. Raises CliError, KubectlError."""
    found = []
    for volume in kubectl.items("persistentvolumes", "-l", f"{MOVE}={home_record.move_id(namespace, hub, user)}"):
        record = home_record.read(volume)
        if record and (record.namespace, record.hub, record.user) == (namespace, hub, user):
            found.append(record)
    if len(found) > 1:
        raise CliError(f"several volumes say that the home of {user} is moved: {', '.join(r.former for r in found)}")
    return found[0] if found else None


def note(kubectl: Kubectl, record: Record, **fields: Any) -> Record:
    """Writes down what changes in a record; the record with it. The former volume is kept from then on."""
    made = replace(record, **fields)
    try:
        text = made.text()
    except ValueError as error:
        raise CliError(str(error)) from None

    def of_volume(found: Json) -> list[Json]:
        marks = change.noted(found, {MOVE: made.id}, "labels")
        return [*marks, *change.noted(found, {MOVE: text}), *_retained(found)]

    change.apply(kubectl, (VOLUME, made.former), of_volume)
    return made


def _retained(found: Json) -> list[Json]:
    if (found.get("spec") or {}).get("persistentVolumeReclaimPolicy") == "Retain":
        return []
    return [{"op": "add", "path": change.pointer("spec", "persistentVolumeReclaimPolicy"), "value": "Retain"}]


def retain(kubectl: Kubectl, names: Sequence[str]) -> None:
    """Volumes stay when their claims go."""
    for name in names:
        change.apply(kubectl, (VOLUME, name), _retained)


def forget(kubectl: Kubectl, record: Record) -> None:
    """The volume remembers no move any more; nothing, where it is gone."""

    def of_volume(found: Json) -> list[Json]:
        meta = found.get("metadata") or {}
        under = [part for part in ("labels", "annotations") if MOVE in (meta.get(part) or {})]
        return [{"op": "remove", "path": change.pointer("metadata", part, MOVE)} for part in under]

    if there(kubectl, VOLUME, record.former):
        change.apply(kubectl, (VOLUME, record.former), of_volume)


def seen(kubectl: Kubectl, record: Record) -> Seen:
    """What there is of a move. Raises KubectlError."""
    claims = {name: there(kubectl, CLAIM, name, record.namespace) for name in (record.claim, record.copy, record.kept)}
    volumes = {name: there(kubectl, VOLUME, name) for name in (record.former, record.next) if name}
    return Seen(
        record,
        {name: found for name, found in claims.items() if found},
        {name: found for name, found in volumes.items() if found},
    )


def make(kubectl: Kubectl, body: Json, *, dry_run: bool = False) -> None:
    """Makes a claim. Raises KubectlError."""
    namespace, only = str(body["metadata"]["namespace"]), ["--dry-run=server"] if dry_run else []
    line = ["create", "-n", namespace, f"--field-manager={PLUGIN}", "-f", "-", "-o", "json", *only]
    kubectl.run(*line, stdin=json.dumps(body))


def claim(record: Record, name: str, size: str, storage_class: str, volume: str = "") -> Json:
    """A claim of the move. The home's is what it was, but for size, class and volume."""
    if name == record.claim:
        meta: Json = {"labels": dict(record.labels), "annotations": dict(record.annotations)}
    else:
        # without the label of homes: nobody takes it for one
        meta = {"labels": {MOVE: record.id}, "annotations": {MOVED_OF: record.user}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": record.namespace, **meta},
        "spec": {
            "accessModes": list(record.modes),
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": size}},
            **({"volumeName": volume} if volume else {}),
        },
    }


def drop(kubectl: Kubectl, namespace: str, name: str, uid: str, *,
         sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
    """Deletes a claim and waits until it is gone; its volume stays. Raises CliError, KubectlError."""
    kubectl.run("delete", CLAIM, name, "-n", namespace, "--wait=false")
    end = clock() + CHANGE_SECONDS
    while found := there(kubectl, CLAIM, name, namespace):
        if found["metadata"].get("uid") != uid:
            return
        if clock() >= end:
            raise CliError(f"claim {name} is still there after {CHANGE_SECONDS:.0f} s: does a pod have it?")
        sleep(backup_run.POLL_SECONDS)


def bind(kubectl: Kubectl, record: Record, name: str, volume: Json, *,
         sleep: Callable[[float], None] = time.sleep, clock: Callable[[], float] = time.monotonic) -> None:  # fmt: skip
    """Gives a volume to a claim, which is made where it is missing. Raises CliError, KubectlError."""
    called, spec = str(volume["metadata"]["name"]), volume.get("spec") or {}
    held = there(kubectl, CLAIM, name, record.namespace)
    if held is None or not home_move.belongs(volume, held):
        # without a uid it is free for this claim and for no other
        ref = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": record.namespace, "name": name}

        def of_volume(found: Json) -> list[Json]:
            if not home_move.ours(found, record):
                raise CliError(f"volume {called} belongs to somebody else by now: nothing more is done")
            now = found["spec"]["claimRef"]
            if now.get("name") == name and now.get("uid") in (None, ((held or {}).get("metadata") or {}).get("uid")):
                return []
            return [{"op": "add", "path": change.pointer("spec", "claimRef"), "value": ref}]

        change.apply(kubectl, (VOLUME, called), of_volume)
    if held is None:
        size, kind = str((spec.get("capacity") or {}).get("storage") or record.size), spec.get("storageClassName")
        body = claim(record, name, size, str(kind or ""), called)
        by = change.by(kubectl, ["homes", "move", record.user])
        body["metadata"]["annotations"] = {**body["metadata"]["annotations"], CHANGED_BY: by}
        make(kubectl, body)
    end = clock() + CHANGE_SECONDS
    while True:
        held, now = there(kubectl, CLAIM, name, record.namespace), there(kubectl, VOLUME, called)
        if held and now and (held.get("status") or {}).get("phase") == "Bound" and home_move.belongs(now, held):
            return
        if clock() >= end:
            raise CliError(f"claim {name} is not bound to volume {called} after {CHANGE_SECONDS:.0f} s")
        sleep(backup_run.POLL_SECONDS)
