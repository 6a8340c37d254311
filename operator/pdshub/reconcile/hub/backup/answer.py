"""What a backup Job answers, read as what it is: a text that others may have written. Pure.

The pod that wrote it had no rights, but a home is a user's: names of files in it are theirs, and a hub that was taken
over may show pods of its own. So an answer is bounded, is about the item that was asked for or counts as none, and its
texts are plain.
"""

from __future__ import annotations

import math
import re

from pydantic import ValidationError

from pdshub.api.backup import ItemStatus, Unread
from pdshub.api.backup_job import LONGEST_ANSWER, JobAnswer, JobEntry, JobSnapshot

MOST = 2**53
"""The largest number that is believed: beyond it programs that read JSON round."""
_SHOWN, _PATH, _WHY, _MESSAGE = 20, 256, 128, 512
_NAME = 255
"""Bytes of a name on Linux (NAME_MAX); here characters."""
_SNAPSHOT = re.compile(r"[0-9a-f]{64}")
_REASON = re.compile(r"[A-Z][A-Za-z]{0,39}")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
_CLAIM = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SEALED = re.compile(r"[A-Za-z0-9+/]{0,3000}={0,2}")
_HOW = ("Snapshot", "InUse", "Stopped", "SQLite")


def plain(text: str, longest: int = _MESSAGE) -> str:
    """A text on one line that shows as it is: no control characters, and none that turn the direction of writing."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[:longest])


def _number(value: int) -> int:
    return min(max(value, 0), MOST)


def _seconds(value: float) -> float:
    return round(min(max(value, 0.0), 1e9), 3) if math.isfinite(value) else 0.0


def _item(item: ItemStatus) -> ItemStatus:
    ended = item.phase if item.phase in ("Completed", "PartiallyCompleted", "Failed") else "Completed"
    return ItemStatus(
        item=item.item,
        phase=ended,
        snapshot=item.snapshot if _SNAPSHOT.fullmatch(item.snapshot) else "",
        how=item.how if item.how in _HOW else "",
        size_bytes=_number(item.size_bytes),
        files=_number(item.files),
        added_bytes=_number(item.added_bytes),
        seconds=_seconds(item.seconds),
        digest=item.digest if _SNAPSHOT.fullmatch(item.digest) else "",
        unread_count=_number(item.unread_count),
        unread=[Unread(path=plain(u.path, _PATH), why=plain(u.why, _WHY)) for u in item.unread[:_SHOWN]],
        message=plain(item.message),
    )


def _snapshot(found: JobSnapshot) -> JobSnapshot:
    return JobSnapshot(
        id=found.id if _SNAPSHOT.fullmatch(found.id) else "",
        item=plain(found.item, 260),
        time=found.time if _MOMENT.fullmatch(found.time) else "",
        run=plain(found.run, 253),
        size_bytes=_number(found.size_bytes),
        files=_number(found.files),
        digest=found.digest if _SNAPSHOT.fullmatch(found.digest) else "",
        claim=found.claim if _CLAIM.fullmatch(found.claim) else "",
    )


def _entries(found: JobAnswer) -> list[JobEntry]:
    """Entries of a folder: names that can be one, each below the folder. As many as the answer had room for."""
    return [
        JobEntry(
            name=name,
            kind=entry.kind,
            size_bytes=_number(entry.size_bytes),
            modified=entry.modified if _MOMENT.fullmatch(entry.modified) else "",
        )
        for entry in found.entries
        if (name := plain(entry.name, _NAME)) not in ("", ".", "..") and "/" not in name
    ]


def read(text: str, expected: str = "") -> JobAnswer | None:
    """The answer in a termination message; None for one that is none, or about something else than ``expected``.

    ``expected``: the item that was to be saved; empty where the action is about none.
    """
    data = text.encode(errors="replace")
    if len(data) > LONGEST_ANSWER:
        return None
    try:
        found = JobAnswer.model_validate_json(data)
        item = _item(found.item) if found.item else None
    except (ValidationError, RecursionError):
        return None
    if expected and ((item is None and found.ok) or (item is not None and item.item != expected)):
        return None
    entries, snapshots = _entries(found), [_snapshot(snapshot) for snapshot in found.snapshots[:_SHOWN]]
    left = len(found.entries) - len(entries) + len(found.snapshots) - len(snapshots)
    return JobAnswer(
        ok=found.ok,
        reason=found.reason if _REASON.fullmatch(found.reason) else "" if found.ok else "Failed",
        message=plain(found.message),
        item=item,
        snapshots=snapshots,
        entries=entries,
        more=_number(found.more + left),
        place=plain(found.place, _MESSAGE),
        replaced=plain(found.replaced, _MESSAGE),
        files=_number(found.files),
        size_bytes=_number(found.size_bytes),
        sealed=found.sealed if _SEALED.fullmatch(found.sealed) else "",
        unlocked=_number(found.unlocked),
        seconds=_seconds(found.seconds),
    )
