"""Which snapshots of a home there are, as the HubBackups say it: the repository is not asked. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pdshub import rfc3339
from pdshub.cli import words
from pdshub.cli.backup_status import HOME, PARTIAL, Run
from pdshub.cli.backup_words import HOW, amount


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of somebody's home."""

    id: str
    at: str
    """When the backup that made it began, RFC 3339."""
    files: int
    size_bytes: int
    how: str
    unread: int
    partial: bool
    keep: bool
    backup: str

    def wire(self) -> dict[str, Any]:
        """The same for programs. Keys are always the same."""
        return {
            "snapshot": self.id, "at": self.at, "files": self.files, "sizeBytes": self.size_bytes, "how": self.how,
            "unreadCount": self.unread, "partial": self.partial, "keep": self.keep, "backup": self.backup,
        }  # fmt: skip


def of(runs: Sequence[Run], user: str) -> list[Snapshot]:
    """The snapshots of a user's home, the newest first."""
    found = []
    for run in runs:
        item = run.item(f"{HOME}{user}")
        if item is None or not item.saved:
            continue
        partial = item.phase == PARTIAL
        found.append(
            Snapshot(item.snapshot, run.at, item.files, item.size_bytes, item.how, item.unread_count, partial,
                     run.keep, run.name)
        )  # fmt: skip
    return sorted(found, key=lambda one: rfc3339.seconds(one.at), reverse=True)


def chosen(found: Sequence[Snapshot], snapshot: str, as_of: str) -> Snapshot | None:
    """The one that a restore is likely to take; None where the HubBackups that are left name none.

    ``snapshot``: the beginning of an id; ``as_of``: RFC 3339; both "": the newest.
    """
    if snapshot:
        return next((one for one in found if one.id.startswith(snapshot)), None)
    if as_of:
        end = rfc3339.seconds(as_of)
        return next((one for one in found if rfc3339.seconds(one.at) <= end), None)
    return next(iter(found), None)


def text(found: Sequence[Snapshot]) -> str:
    """The snapshots as a table."""
    rows: list[Sequence[Any]] = [["SNAPSHOT", "BEGAN", "FILES", "SIZE", "HOW", "NOT READ", "KEPT", "BACKUP"]]
    for one in found:
        rows.append([one.id[:12], one.at, one.files, amount(one.size_bytes), HOW.get(one.how, one.how),
                     one.unread or "", "kept" if one.keep else "", one.backup])  # fmt: skip
    return words.table(rows) if found else "no HubBackup that is left names a snapshot of it"
