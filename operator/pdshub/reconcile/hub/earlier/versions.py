"""Which earlier versions of a home there are, as the HubBackups say it: no Job is needed for a list. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pdshub import rfc3339
from pdshub.reconcile.hub.backup.asked import Restore, Run
from pdshub.render.backup_request import user_of

MOST = 400
"""Versions that are told."""
RESTORES = 5
"""Restores that are told, the newest."""


@dataclass(frozen=True)
class Version:
    """A snapshot of somebody's home."""

    snapshot: str
    at: str
    """When the run began, RFC 3339."""
    files: int
    size_bytes: int
    partial: bool

    def wire(self) -> dict[str, Any]:
        """As the hub gets it."""
        return {
            "snapshot": self.snapshot, "at": self.at, "files": self.files, "sizeBytes": self.size_bytes,
            "partial": self.partial,
        }  # fmt: skip


def by_user(runs: Sequence[Run]) -> dict[str, list[Version]]:
    """The versions of everybody's home, the newest first.

    A snapshot that more than one item of the runs names is nobody's: no honest backup makes such. All in one pass: a
    hub may ask for two hundred people at a time.
    """
    items: dict[str, set[str]] = {}
    found: dict[str, tuple[str, Version]] = {}
    for run in runs:
        at = run.status.started or rfc3339.text(run.created)
        for item in run.status.items:
            if not item.snapshot:
                continue
            items.setdefault(item.snapshot, set()).add(item.item)
            if user := user_of(item.item):
                partial = item.phase == "PartiallyCompleted"
                found[item.snapshot] = user, Version(item.snapshot, at, item.files, item.size_bytes, partial)
    homes: dict[str, list[Version]] = {}
    for user, version in found.values():
        if len(items[version.snapshot]) == 1:
            homes.setdefault(user, []).append(version)
    newest = {user: sorted(mine, key=lambda one: rfc3339.seconds(one.at), reverse=True) for user, mine in homes.items()}
    return {user: mine[:MOST] for user, mine in newest.items()}


def restores(asked: Sequence[Restore], user: str) -> list[dict[str, Any]]:
    """The newest restores of a user's home, the newest first, in words that are the user's."""
    mine = [one for one in asked if one.spec is not None and one.spec.user == user][-RESTORES:]
    return [_told(one) for one in reversed(mine)]


def _told(restore: Restore) -> dict[str, Any]:
    status = restore.status
    good = status.phase in ("Completed", "PartiallyCompleted")
    return {
        "at": rfc3339.text(restore.created),
        "path": restore.spec.path if restore.spec else ".",
        "over": not restore.unfinished,
        "ok": good,
        "place": status.place,
        "message": "" if good or restore.unfinished else words_of(status.message),
    }


_WORDS = {
    "NotFound": "That is not in this version.",
    "Full": "Your home has no room for it: delete what you no longer need, and ask again.",
    "InUse": "Your home is in use on another computer: stop your server, and ask again.",
    "NodeAway": "The computer on which your home lies takes nothing at the moment: ask again when it is back.",
    "Locked": "A backup is being tidied up: ask again in a few minutes.",
    "BadRequest": "That cannot be asked for.",
    "Deadline": "It took too long and was ended: ask for less at a time.",
    "OutOfMemory": "The backup is too large to be looked into so: write the path of what you look for.",
}
OTHERWISE = "It did not work. The hub's administrators can see why."


def words_of(message: str) -> str:
    """What went wrong, for whoever asked: ``message`` begins with a reason. What else it says is for administrators."""
    return _WORDS.get(message.partition(":")[0], OTHERWISE)
