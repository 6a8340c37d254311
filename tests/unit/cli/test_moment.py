"""What --at means: a table of texts, with the present and the zone given."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pdshub.cli import moment

BERLIN, ARIZONA = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Phoenix")
NOW = datetime(2026, 11, 26, 15, 30, 20, 999, BERLIN)


def at(text: str, now: datetime = NOW) -> str:
    zone = now.tzinfo
    return moment.wire(moment.parse(text, now, lambda wall: wall.replace(tzinfo=zone)))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("now", "2026-11-26T14:30:20Z"),
        ("today", "2026-11-26T14:30:20Z"),  # it has no end yet
        ("2026-11-26", "2026-11-26T14:30:20Z"),
        ("yesterday", "2026-11-25T22:59:59Z"),  # its end
        (" Yesterday ", "2026-11-25T22:59:59Z"),
        ("yesterday 9:05", "2026-11-25T08:05:00Z"),
        ("today 14:00", "2026-11-26T13:00:00Z"),
        ("2026-11-25", "2026-11-25T22:59:59Z"),
        ("2026-11-25 14:00", "2026-11-25T13:00:00Z"),
        ("2026-11-25T14:00", "2026-11-25T13:00:00Z"),
        ("2026-11-25 14:00:07", "2026-11-25T13:00:07Z"),
        ("2026-11-25T14:00:00Z", "2026-11-25T14:00:00Z"),
        ("2026-11-25t14:00:00z", "2026-11-25T14:00:00Z"),
        ("2026-11-25T14:00:00.123456Z", "2026-11-25T14:00:00Z"),
        ("2026-11-25T14:00:00-07:00", "2026-11-25T21:00:00Z"),
        ("2026-11-25 14:00 +0530", "2026-11-25T08:30:00Z"),
        ("30 minutes ago", "2026-11-26T14:00:20Z"),
        ("1 min ago", "2026-11-26T14:29:20Z"),
        ("2 hours ago", "2026-11-26T12:30:20Z"),
        ("2h ago", "2026-11-26T12:30:20Z"),
        ("1 day ago", "2026-11-25T14:30:20Z"),
        ("2 weeks ago", "2026-11-12T14:30:20Z"),
        # over the end of summer time on 2026-10-25: days are days, hours are hours
        ("40 days ago", "2026-10-17T13:30:20Z"),
        ("960 hours ago", "2026-10-17T14:30:20Z"),
        ("2026-10-24", "2026-10-24T21:59:59Z"),
        ("2026-10-25", "2026-10-25T22:59:59Z"),
        ("2026-03-29 02:30", "2026-03-29T01:30:00Z"),  # no clock shows it
        ("2026-10-25 02:30", "2026-10-25T00:30:00Z"),  # clocks show it twice: the first
        ("2024-02-29", "2024-02-29T22:59:59Z"),
    ],
)
def test_moments(text: str, found: str) -> None:
    assert at(text) == found


@pytest.mark.parametrize(
    "text",
    ["", "tomorrow", "last week", "noon", "2026-11-25 noon", "now 10:00", "yesterday ago", "-2 hours ago", "2 hours",
     "25.11.2026", "11/25/2026", "20261125", "1764000000", "2026-11-25T14", "2026-11-25T14:00Europe/Berlin",
     "yesterday\n--kubeconfig=/x", "\x1b[2J", "２ hours ago x", "2 months ago"],
)  # fmt: skip
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(moment.MomentError, match='is no moment: write yesterday, 2026-11-25, "2026-11-25 14:00"'):
        at(text)


@pytest.mark.parametrize(
    "text",
    ["2026-13-01", "2026-02-29", "2026-11-25 25:00", "2026-11-25 14:60", "0000-01-01", "999999 weeks ago",
     "2026-11-25 14:00+99:00", "2026-11-25 14:00+01:60"],
)  # fmt: skip
def test_what_no_calendar_has(text: str) -> None:
    with pytest.raises(moment.MomentError, match=r"is no moment of the calendar: .*; write yesterday"):
        at(text)


@pytest.mark.parametrize("text", ["2026-11-27", "2026-11-26 15:31", "today 23:00", "2030-01-01T00:00:00Z"])
def test_what_is_not_over_yet(text: str) -> None:
    with pytest.raises(moment.MomentError, match="is in the future: it is 2026-11-26T14:30:20Z now"):
        at(text)


@pytest.mark.parametrize(
    ("now", "text", "found"),
    [
        (datetime(2026, 11, 26, 0, 5, tzinfo=ARIZONA), "yesterday", "2026-11-26T06:59:59Z"),
        (datetime(2026, 11, 25, 23, 55, tzinfo=ARIZONA), "yesterday", "2026-11-25T06:59:59Z"),
        (datetime(2026, 3, 1, 0, 0, tzinfo=UTC), "yesterday", "2026-02-28T23:59:59Z"),
        (datetime(2026, 1, 1, 0, 0, tzinfo=UTC), "yesterday 23:59", "2025-12-31T23:59:00Z"),
        (datetime(2026, 3, 29, 4, 0, tzinfo=BERLIN), "3 hours ago", "2026-03-28T23:00:00Z"),
        (datetime(2026, 3, 29, 4, 0, tzinfo=BERLIN), "1 day ago", "2026-03-28T03:00:00Z"),
    ],
)
def test_days_are_those_of_whoever_asks(now: datetime, text: str, found: str) -> None:
    assert at(text, now) == found


def test_this_machines_zone_is_one() -> None:
    found = moment.parse("yesterday", datetime.now().astimezone(), lambda wall: wall.astimezone())
    assert found.tzinfo is UTC and found < datetime.now(UTC)
