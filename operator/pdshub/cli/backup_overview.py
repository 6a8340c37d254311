"""``kubectl pdshub backup status``: is it saved, does it come back, and who asked for something back lately."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

from pdshub.archive.findings import printable
from pdshub.cli import backup_drills, backup_status, backup_words, hub_choice, words
from pdshub.cli.archive import Said
from pdshub.cli.backup_drills import Drills, Verdict
from pdshub.cli.backup_run import BACKUPS, RESTORES
from pdshub.cli.backup_status import Restored, Run
from pdshub.cli.hub_choice import key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.wellknown import GROUP

Json = dict[str, Any]
CONDITIONS = ("BackedUp", "KeyEscrowed", "RestoreVerified")
ASKED = f"{GROUP}/asked-at"
"""Label of a HubRestore that somebody asked for at the hub's page of earlier versions: ``page``."""
MOST_RESTORES = 10


def status(kubectl: Kubectl, args: argparse.Namespace) -> Said:
    """Answers ``backup status`` for each hub that is meant."""
    answer, blocks = list[Json](), list[str]()
    for hub in hub_choice.every(kubectl, args):
        namespace, name = key(hub)
        drills, notes = _drills(kubectl, namespace, name)
        runs = [backup_status.run(one) for one in kubectl.items(BACKUPS, "-n", namespace)]
        runs = sorted((run for run in runs if run.hub == name), key=lambda run: (run.at, run.name), reverse=True)
        asked = [one for one in kubectl.items(RESTORES, "-n", namespace) if _is_of(one, name)]
        asked.sort(key=lambda one: str(one["metadata"].get("creationTimestamp") or ""), reverse=True)
        restores = [_restore(one) for one in asked[:MOST_RESTORES]]
        known = {kind: _condition(hub, kind) for kind in CONDITIONS}
        configured = bool((hub.get("spec") or {}).get("backup"))
        going = next((run for run in runs if not run.over), None)
        ended = next((run for run in runs if run.over and not run.users), None)
        answer.append(
            {"namespace": namespace, "name": name, "configured": configured, "conditions": known,
             "running": going.name if going else None, "last": _short(ended), "drills": drills.wire(),
             "restores": restores, "notes": notes}
        )  # fmt: skip
        blocks.append("\n".join(_lines(f"hub {namespace}/{name}", answer[-1], drills, going, ended, restores)))
    return {"hubs": answer}, "\n\n".join(blocks) or "no hubs", 0


def _drills(kubectl: Kubectl, namespace: str, name: str) -> tuple[Drills, list[str]]:
    try:
        return backup_drills.read(kubectl.get("configmap", f"{name}{backup_drills.SUFFIX}", "-n", namespace)), []
    except KubectlError as error:
        if "not found" in str(error).lower():
            return Drills(), []
        return Drills(), [f"what was found by drills can not be read: {error}"]


def _is_of(restore: Json, hub: str) -> bool:
    return backup_status.restored(restore).hub == hub


def _condition(hub: Json, kind: str) -> Json | None:
    found = words.condition(hub, kind)
    if not found:
        return None
    return {field: backup_status.text(found, field) for field in ("status", "reason", "message", "lastTransitionTime")}


def _short(run: Run | None) -> Json | None:
    return {name: value for name, value in run.wire().items() if name != "items"} if run else None


def _restore(found: Json) -> Json:
    """A HubRestore in short, and whether its user asked for it alone, at the hub's page."""
    one: Restored = backup_status.restored(found)
    labels = found["metadata"].get("labels")
    page = isinstance(labels, Mapping) and labels.get(ASKED) == "page"
    return {
        "name": one.name,
        "user": one.user,
        "path": one.path,
        "asked": backup_status.text(found["metadata"], "creationTimestamp"),
        "by": "user" if page else "administrator",
        "phase": one.phase,
        "where": one.where or None,
    }


def _lines(
    heading: str, found: Json, drills: Drills, going: Run | None, ended: Run | None, restores: Sequence[Json]
) -> list[str]:
    if not found["configured"]:
        return [printable(f"{heading}: it has no spec.backup")]
    lines = [heading]
    for kind in CONDITIONS:
        known = found["conditions"][kind]
        said = f"{known['status']} ({known['reason']}): {known['message']}" if known else "not known yet"
        lines.append(f"{kind}: {said}")
    if going:
        lines.append(f"now: {backup_words.summary(going)}")
    if ended:
        lines.append(f"last: {backup_words.summary(ended)}")
    lines += drilled(drills)
    lines += [f"note: {note}" for note in found["notes"]]
    if not restores:
        return [*map(printable, lines), "restores: none that are left to be read"]
    rows: list[Sequence[Any]] = [["ASKED", "RESTORE", "BY", "USER", "PATH", "PHASE", "WHERE"]]
    for one in restores:
        rows.append([one[field] for field in ("asked", "name", "by", "user", "path", "phase", "where")])
    return [*map(printable, lines), words.table(rows)]


def drilled(drills: Drills) -> list[str]:
    """The newest drill and the last good one, in lines."""
    lines = []
    if drills.running:
        done = sum(stage.phase not in ("Pending", "Running") for stage in drills.stages)
        lines.append(f"drill {drills.number}, begun at {drills.started}: {done} of {len(drills.stages)} stages done")
    if drills.last:
        lines.append(f"last drill: {_verdict(drills.last)}")
    if drills.good and drills.good != drills.last:
        lines.append(f"last good drill: {_verdict(drills.good)}")
    if drills.suspects:
        shown = ", ".join(drills.suspects[:MOST_RESTORES])
        lines.append(f"did NOT come back as they were saved, and are tried again by each drill: {shown}")
    return lines or ["last drill: none has ended yet"]


def _verdict(found: Verdict) -> str:
    said = [f"{found.at}, {'all well' if found.ok else f'NOT well ({found.reason})'}: {found.message}"]
    if found.recovery_seconds:
        said.append(f"measured: {backup_words.duration(found.recovery_seconds)} to a hub that answers")
    if found.age_seconds:
        said.append(f"what would have been lost: {backup_words.duration(found.age_seconds)}")
    return "; ".join(said)
