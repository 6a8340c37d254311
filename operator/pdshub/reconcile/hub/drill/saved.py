"""What a restore would find: the newest snapshot of each item, as the HubBackups say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pdshub import rfc3339
from pdshub.reconcile.hub.backup.asked import Run
from pdshub.render.backup_request import DATABASE, KEYS, OBJECTS, user_of

FIXED = (DATABASE, KEYS, OBJECTS)
"""Items that each drill compares, as far as they are saved."""


@dataclass(frozen=True)
class Saved:
    """The newest snapshot of an item."""

    item: str
    snapshot: str
    at: str
    """When the run that made it began, RFC 3339."""
    size_bytes: int


def newest(runs: Sequence[Run]) -> dict[str, Saved]:
    """By item the newest snapshot. ``runs``: the oldest first."""
    found: dict[str, Saved] = {}
    for run in runs:
        for item in run.status.items:
            if item.snapshot:
                at = run.status.started or rfc3339.text(run.created)
                found[item.item] = Saved(item.item, item.snapshot, at, item.size_bytes)
    return found


def users(saved: Mapping[str, Saved]) -> list[str]:
    """Whose homes are saved."""
    return sorted(user for item in saved if (user := user_of(item)))


def age(saved: Mapping[str, Saved], now: float) -> float:
    """Seconds since the oldest of the newest snapshots: what some item would lose, were everything lost now."""
    return max((max(0.0, now - rfc3339.seconds(one.at)) for one in saved.values()), default=0.0)


def since(runs: Sequence[Run]) -> float:
    """When the first of the runs that are left saved something, seconds since 1970; 0 where none did."""
    made = [rfc3339.seconds(run.status.started) or run.created for run in runs if run.status.snapshots]
    return min(made, default=0.0)
