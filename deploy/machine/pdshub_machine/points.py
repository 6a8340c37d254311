"""Points of return as times: their names, which of them are kept, which make room. No input, no output."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

FORM = "%Y%m%dT%H%M%SZ"
AHEAD = timedelta(minutes=10)
"""A point that is further ahead was taken by a clock that was wrong."""
_PERIODS: tuple[Callable[[datetime], tuple[int, ...]], ...] = (
    lambda at: (at.year, at.month, at.day),
    lambda at: tuple(at.isocalendar()[:2]),
)
"""Days and ISO weeks, in UTC."""


def name_of(at: datetime) -> str:
    """The name of a point: its second, in UTC."""
    return at.astimezone(UTC).strftime(FORM)


def time_of(name: str) -> datetime | None:
    """The time that a name says; None for every other text."""
    try:
        at = datetime.strptime(name, FORM).replace(tzinfo=UTC)
    except ValueError:
        return None
    return at if name_of(at) == name else None


def next_name(now: datetime, taken: Collection[str]) -> str:
    """The name of a point of ``now``; of the second after the newest that is ``taken``, where there were two in one."""
    before = newest((at for name in taken if (at := time_of(name))), now)
    if before and before >= now.replace(microsecond=0):
        now = before + timedelta(seconds=1)
    while name_of(now) in taken:
        now += timedelta(seconds=1)
    return name_of(now)


def believed(at: datetime, now: datetime) -> bool:
    """Whether a point is not of the future. Either its clock was wrong, or today's is: which, nobody can tell."""
    return at <= now + AHEAD


def kept(times: Iterable[datetime], now: datetime, last: int, daily: int, weekly: int) -> set[datetime]:
    """Which are kept: the ``last`` ones, and the newest of each of the last ``daily`` days and ``weekly`` weeks.

    Days without one do not count, so that a machine that was off for a month loses nothing by it. The newest of all
    is kept whatever the numbers are. Points of the future are counted by themselves: after a clock that was wrong,
    neither they nor the others may take each other's places.
    """
    every = set(times)
    past = {at for at in every if believed(at, now)}
    return _kept(past, last, daily, weekly) | _kept(every - past, last, daily, weekly)


def _kept(times: Collection[datetime], last: int, daily: int, weekly: int) -> set[datetime]:
    newest_first = sorted(times, reverse=True)
    chosen = set(newest_first[: max(last, 1)])
    for number, period in zip((daily, weekly), _PERIODS, strict=True):
        first: dict[tuple[int, ...], datetime] = {}
        for at in newest_first:
            first.setdefault(period(at), at)
        chosen |= set(list(first.values())[:number])
    return chosen


def newest(times: Iterable[datetime], now: datetime) -> datetime | None:
    """The newest that is not of the future: a clock that was wrong once must not hide for years that none is made."""
    return max((at for at in times if believed(at, now)), default=None)


def least_wanted(now: datetime) -> Callable[[datetime], tuple[bool, datetime]]:
    """A key that sorts points as they go when there is no room: those of the future, then the oldest."""
    return lambda at: (believed(at, now), at)


def may_write(free: int, total: int, keep_free_percent: int) -> int:
    """Bytes that may be written to a file system until only so much of it is left; below 0 when there is less."""
    return free - total * keep_free_percent // 100


def dropped_for(missing: int, least_wanted_first: Sequence[tuple[str, int]]) -> list[str] | None:
    """Names to drop so that ``missing`` bytes become free. The last in the list always stays.

    None when all others together are not enough: then none of them is given up for nothing.
    """
    names: list[str] = []
    for name, size in least_wanted_first[:-1]:
        if missing <= 0:
            break
        names.append(name)
        missing -= size
    return names if missing <= 0 else None
