"""Which moment somebody means by ``--at``: words, a date, a time. Pure: the present and the zone are given."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone

Zone = Callable[[datetime], datetime]
"""From what a clock on the wall shows (without a zone) to the moment (with one)."""
FORMS = 'yesterday, 2026-11-25, "2026-11-25 14:00", "2 hours ago", or RFC 3339 as 2026-11-25T14:00:00Z'
_AGO = re.compile(r"(\d{1,6}) *(minute|min|hour|h|day|d|week|w)s? +ago")
_DAY = re.compile(
    r"(?P<day>now|today|yesterday|\d{4}-\d\d-\d\d)"
    r"(?:[ t]+(?P<clock>\d\d?:\d\d(?::\d\d)?)(?:\.\d+)? *(?P<zone>z|[+-]\d\d:?\d\d)?)?"
)
_EXACT = {"minute": 60, "min": 60, "hour": 3600, "h": 3600}
_DAYS = {"day": 1, "d": 1, "week": 7, "w": 7}
_SECOND, _DAY_LONG = timedelta(seconds=1), timedelta(days=1)


class MomentError(ValueError):
    """A text names no moment, or one that is not over yet; the text says what to write."""


def parse(text: str, now: datetime, zone: Zone) -> datetime:
    """The moment that a text names, in UTC.

    A day without a time means its end: what was there in the evening. Minutes and hours ago are exact; days and weeks
    ago are the same time of day. ``now``: with the zone of whoever asks. Raises MomentError.
    """
    words = " ".join(text.lower().split())
    try:
        found = _ago(words, now, zone) or _on(words, now, zone)
    except (ValueError, OverflowError, OSError) as error:
        raise MomentError(f"{text!r} is no moment of the calendar: {error}; write {FORMS}") from None
    if found is None:
        raise MomentError(f"{text!r} is no moment: write {FORMS}")
    if found > now:
        raise MomentError(f"{text!r} is in the future: it is {wire(now)} now")
    return found.astimezone(UTC)


def wire(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _ago(words: str, now: datetime, zone: Zone) -> datetime | None:
    if not (found := _AGO.fullmatch(words)):
        return None
    number, unit = int(found[1]), found[2]
    if unit in _EXACT:
        return now.astimezone(UTC) - timedelta(seconds=number * _EXACT[unit])  # exact, whatever clocks do in between
    return zone(now.replace(tzinfo=None) - timedelta(days=number * _DAYS[unit]))


def _on(words: str, now: datetime, zone: Zone) -> datetime | None:
    found = _DAY.fullmatch(words)
    if not found or (found["day"] == "now" and found["clock"]):
        return None
    if found["day"] == "now":
        return now
    day = _day(found["day"], now.date())
    if found["clock"]:
        hour, minute, second = (int(part) for part in f"{found['clock']}:0".split(":")[:3])
        wall = datetime.combine(day, time(hour, minute, second))
        return wall.replace(tzinfo=_offset(found["zone"])) if found["zone"] else zone(wall)
    if day == now.date():
        return now  # today has no end yet
    return zone(datetime.combine(day + _DAY_LONG, time.min)) - _SECOND


def _day(word: str, today: date) -> date:
    if word == "today":
        return today
    return today - _DAY_LONG if word == "yesterday" else date.fromisoformat(word)


def _offset(text: str) -> timezone:
    if text == "z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    if minutes > 59:
        raise ValueError(f"{text} is no offset from UTC")
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
