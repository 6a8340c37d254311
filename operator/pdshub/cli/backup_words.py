"""Backups and restores in words: steps while they run, tables and sentences after. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pdshub.cli import words
from pdshub.cli.backup_status import COMPLETED, FAILED, PARTIAL, PENDING, RUNNING, Item, Restored, Run

HOW = {"Snapshot": "from a checkpoint", "InUse": "while in use", "Stopped": "at rest", "SQLite": "SQLite's own copy"}
_UNITS = ("", "Ki", "Mi", "Gi", "Ti", "Pi")
MOST_UNREAD = 20


def amount(number: int) -> str:
    """Bytes for people, as 1.5Gi."""
    value, units = float(number), list(_UNITS)
    while value >= 1024 and len(units) > 1:
        value, units = value / 1024, units[1:]
    return f"{value:.1f}{units[0]}" if units[0] else str(number)


def count(number: int, word: str) -> str:
    """A number of things, as ``1 file`` or ``2 files``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def duration(seconds: float) -> str:
    """A time for people, as 7 s, 3 min 5 s, 2 h 10 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def steps(run: Run) -> list[str]:
    """What can be said of a run as far as it is, a line for each item that has begun, in the order of the run."""
    lines = [f"waiting: {run.message}"] if run.phase == PENDING and run.message else []
    return lines + [line for item in run.items if (line := _step(item))]


def _step(item: Item) -> str:
    if item.phase == RUNNING:
        return f"{item.item}: being saved"
    if item.phase == COMPLETED:
        return f"{item.item}: saved, {count(item.files, 'file')}, {amount(item.added_bytes)} new"
    if item.phase == PARTIAL:
        why = f"but for {count(item.unread_count, 'path')}" if item.unread_count else f"in part: {item.message}"
        return f"{item.item}: saved {why}"
    if item.phase == FAILED:
        return f"{item.item}: FAILED: {item.message or 'no reason is given'}"
    return f"{item.item}: waits: {item.message}" if item.message else ""


def restore_steps(restored: Restored) -> list[str]:
    """What can be said of a restore as far as it is."""
    if restored.over:
        return []
    said = restored.message or {PENDING: "", RUNNING: "being restored"}.get(restored.phase, restored.phase)
    return [said] if said else []


def stuck(phase: str, message: str) -> str:
    """Why something has not ended, from what is known of it."""
    if message:
        return f"it is {phase}: {message}"
    if phase == PENDING:
        return (
            "it is Pending and nobody has begun with it: another run may be under way (kubectl pdshub backup list), or"
            " the operator is not (kubectl logs -n pdshub-system deployment/pdshub-operator)"
        )
    return f"it is {phase}"


def runs(found: Sequence[Run]) -> str:
    """A line for each run."""
    rows: list[Sequence[Any]] = [["BACKUP", "TRIGGER", "PHASE", "BEGAN", "TOOK", "SNAPSHOTS", "SIZE", "NEW", "MESSAGE"]]
    for run in found:
        trigger = f"{run.trigger}, kept" if run.keep else run.trigger
        took = duration(run.seconds) if run.over else ""
        said = "" if run.phase == COMPLETED else run.message
        rows.append([run.name, trigger, run.phase, run.at, took, run.snapshots, amount(run.size_bytes),
                     amount(run.added_bytes), said])  # fmt: skip
    return words.table(rows) if found else "no backups"


def items(found: Sequence[Item]) -> str:
    """A line for each item of a run."""
    rows: list[Sequence[Any]] = [["ITEM", "PHASE", "SNAPSHOT", "FILES", "SIZE", "NEW", "TOOK", "HOW", "MESSAGE"]]
    for item in found:
        unread = f"{count(item.unread_count, 'path')} not read" if item.unread_count else ""
        said = "; ".join(part for part in (unread, item.message) if part)
        numbers = [item.files, amount(item.size_bytes), amount(item.added_bytes)] if item.saved else ["", "", ""]
        took = duration(item.seconds) if item.saved else ""
        rows.append([item.item, item.phase, item.snapshot[:12], *numbers, took, HOW.get(item.how, item.how), said])
    return words.table(rows) if found else "no items yet"


def unread(found: Sequence[Item]) -> list[str]:
    """The paths that could not be saved, as far as the status names them."""
    lines: list[str] = []
    for item in found:
        lines += [f"not saved: {item.item}: {path}: {why}" for path, why in item.unread[:MOST_UNREAD]]
        if (more := item.unread_count - min(len(item.unread), MOST_UNREAD)) > 0 and item.unread_count:
            lines.append(f"not saved: {item.item}: {more} more")
    return lines


def summary(run: Run) -> str:
    """A run in a sentence."""
    if not run.over:
        done = sum(item.phase in (COMPLETED, PARTIAL, FAILED) for item in run.items)
        return f"backup {run.name} is {run.phase}: {done} of {count(len(run.items), 'item')} done" + (
            f"; {run.message}" if run.message else ""
        )
    numbers = f"{count(run.snapshots, 'snapshot')} of {amount(run.size_bytes)}, {amount(run.added_bytes)} new"
    kept = ", kept whatever the retention says" if run.keep else ""
    said = f": {run.message}" if run.message and run.phase != COMPLETED else ""
    return f"backup {run.name}: {run.phase} in {duration(run.seconds)}, {numbers}{kept}{said}"


def restored(found: Restored) -> list[str]:
    """What came of a restore, in lines."""
    what = f"{'the home' if found.path == '.' else found.path} of {found.user}"
    if found.phase == FAILED:
        return [f"restore {found.name} failed: {found.message or 'no reason is given'}"]
    as_of = f" as of {found.taken_at}" if found.taken_at else ""
    short = f" (snapshot {found.snapshot[:12]})" if found.snapshot else ""
    lines = [f"{what}{as_of}{short}: {count(found.files, 'file')}, {amount(found.size_bytes)}"]
    if found.phase == PARTIAL:
        lines.append(f"NOT ALL of it: {found.message or 'no reason is given'}")
    if found.where not in ("", "."):
        lines.append(f"it is in the home at: {found.where}")
    if found.before:
        lines.append(f"what was there before is at: {found.before}")
    return lines
