"""When backups are due. Pure: times are seconds since 1970, calendars are UTC.

Source: crontab(5) of Debian, as package cronsim reads it; Kubernetes, CronJob (a missed run is run once).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from pdshub.api.hub_backup import Hours

_FIXED = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@weekly": "0 0 * * 0", "@monthly": "0 0 1 * *"}
_DAY = 24 * 60
AHEAD = 3600.0
"""Seconds by which a moment may lie ahead. What lies further was dated by a wrong clock, or this one is wrong now."""


def fields(schedule: str, namespace: str, name: str) -> str:
    """Five cron fields of a schedule. A -random one is at a moment that follows from the hub's name, and stays there:
    hubs of one cluster or one repository do not all begin at once.
    """
    if schedule in _FIXED:
        return _FIXED[schedule]
    number = int.from_bytes(hashlib.sha256(f"{namespace}/{name}".encode()).digest()[:8], "big")
    minute, hour, weekday = number % 60, number // 60 % 24, number // _DAY % 7
    drawn = {
        "@hourly-random": f"{minute} * * * *",
        "@daily-random": f"{minute} {hour} * * *",
        "@weekly-random": f"{minute} {hour} * * {weekday}",
    }
    return drawn.get(schedule, schedule)


def trouble(schedule: str) -> str:
    """Why a schedule is none; empty for one that is. What cron takes and no day ever matches is none either."""
    try:
        next(CronSim(fields(schedule, "", ""), datetime(2026, 1, 1, tzinfo=UTC)))
    except CronSimError as error:
        return f"{schedule!r} is no schedule: {error}"
    except StopIteration:
        return f"{schedule!r} never comes: choose a day that there is"
    return ""


def _ticks(cron: str, now: float, *, reverse: bool) -> Iterator[float]:
    at = datetime.fromtimestamp(now, UTC).replace(microsecond=0)
    # CronSim leaves out the moment that it begins at
    begin = at + timedelta(seconds=1) if reverse else at
    for tick in CronSim(cron, begin, reverse=reverse):
        yield tick.timestamp()


def before(cron: str, now: float, how_many: int = 1) -> float:
    """The newest tick not after ``now``, or the one so many before it. Raises StopIteration for a cron without any."""
    found = _ticks(cron, now, reverse=True)
    for _ in range(how_many - 1):
        next(found)
    return next(found)


def after(cron: str, now: float) -> float:
    """The next tick after ``now``."""
    return next(_ticks(cron, now, reverse=False))


def _minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def opens_in(hours: Hours | None, now: float) -> float:
    """Seconds until backups may begin by ``hours``; 0 while they may. Hours that begin when they end are all hours."""
    if hours is None:
        return 0.0
    begin, end = _minutes(hours.begin), _minutes(hours.end)
    at = datetime.fromtimestamp(now, UTC)
    minute = at.hour * 60 + at.minute
    inside = begin <= minute < end if begin < end else minute >= begin or minute < end
    if begin == end or inside:
        return 0.0
    return (begin - minute) % _DAY * 60.0 - at.second


def known(at: float, now: float) -> float:
    """A moment that has been; 0 for one that is yet to come.

    A clock that once ran ahead leaves runs behind that seem young until their day comes. When they were is not known:
    in doubt it is long ago, so that the next is made and nobody is told that all is well.
    """
    return at if at <= now + AHEAD else 0.0


def due(cron: str, now: float, last: float) -> float:
    """The tick for which a run is due, 0 for none. ``last``: when the newest run was made, or else the hub.

    Of all ticks since then there is one run: what an operator that was away has missed is made up for once.
    """
    tick = before(cron, now)
    return tick if tick > last else 0.0


def too_old(cron: str, now: float, succeeded: float) -> bool:
    """Whether a run that succeeded is older than two periods: neither of the two ticks before this had one."""
    return succeeded < before(cron, now, 2)
