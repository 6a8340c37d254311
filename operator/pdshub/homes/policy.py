"""What is decided about a pool and its checkpoints. Pure: no disk, no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pdshub.homes import names
from pdshub.homes.model import Checkpoint, Pool, Volume

LONGEST_LOOK = 8 * 86_400.0
"""Seconds after which a checkpoint of one look goes though nobody removed it: no Job of a backup takes that long."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a pool, as the installation sets them.

    ``overcommit``: how many times its size may be promised to volumes. ``drop_above``: beyond this fill (0 to 1)
    checkpoints go, the oldest first. ``refuse_above``: beyond this one nothing new is made, and nothing grows.
    """

    overcommit: float = 1.0
    drop_above: float = 0.90
    refuse_above: float = 0.95


@dataclass(frozen=True)
class Schedule:
    """Daily checkpoints: from which hour (UTC) on, and how many of each volume are kept; 0: none are made."""

    hour: int = 2
    keep: int = 7


def available(pool: Pool, limits: Limits) -> int:
    """Bytes that may still be promised to volumes."""
    if pool.fill > limits.refuse_above:
        return 0
    return max(0, int((pool.total - pool.others) * limits.overcommit) - pool.promised)


def why_no_room(pool: Pool, limits: Limits, more: int) -> str:
    """Why ``more`` bytes may not be promised; empty where they may."""
    if more <= available(pool, limits):
        return ""
    if pool.fill > limits.refuse_above:
        return f"the pool of homes is {pool.fill:.0%} full, and nothing is made above {limits.refuse_above:.0%}"
    others = f", of which others have {pool.others}," if pool.others else ","
    return (
        f"{more} bytes more would promise {pool.promised + more} of a pool of {pool.total}{others} "
        f"which may be promised {limits.overcommit:g} times"
    )


def next_to_drop(pool: Pool, checkpoints: Iterable[Checkpoint], limits: Limits) -> Checkpoint | None:
    """The checkpoint that goes because the pool is too full: the oldest daily one, then of a look, then the oldest.

    One at a time: what it frees is known only afterwards, since checkpoints share what did not change.
    """
    if pool.fill <= limits.drop_above:
        return None
    return min(checkpoints, key=lambda c: (0 if c.daily else 1 if c.brief else 2, c.created, c.id), default=None)


def expired(checkpoints: Iterable[Checkpoint], keep: int, now: float) -> list[Checkpoint]:
    """Daily checkpoints beyond the newest ``keep`` (0: all stay) of each volume, and those of looks that nobody ended.

    The oldest first.
    """
    known = list(checkpoints)
    of: dict[str, list[Checkpoint]] = {}
    for checkpoint in known if keep else ():
        if checkpoint.daily:
            of.setdefault(checkpoint.volume, []).append(checkpoint)
    newest_first = (sorted(found, key=lambda c: (-c.created, c.id)) for found in of.values())
    left = [c for c in known if c.brief and now - c.created > LONGEST_LOOK]
    return sorted([*left, *(c for found in newest_first for c in found[keep:])], key=lambda c: (c.created, c.id))


def day_name(now: float, hour: int) -> str:
    """What the daily checkpoint of this moment is called: a day begins at ``hour`` o'clock (UTC)."""
    return f"daily-{datetime.fromtimestamp(now, UTC) - timedelta(hours=hour):%Y-%m-%d}"


def due(volume: Volume, checkpoints: Iterable[Checkpoint], now: float, schedule: Schedule) -> str:
    """The name of the daily checkpoint that a volume lacks; empty where none is to be made.

    None is made of a volume that nobody has written to since the last one: days on which nothing changed would push
    out those on which something did.
    """
    if not schedule.keep:
        return ""
    name = day_name(now, schedule.hour)
    own = [c for c in checkpoints if c.volume == volume.id and not c.brief]
    if any(c.id == names.checkpoint_id(volume.id, name) for c in own):
        return ""
    last = max((c.created for c in own), default=None)
    if last is not None and volume.changed is not None and volume.changed <= last:
        return ""
    return name
