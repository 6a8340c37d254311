"""When a run is due: ticks, missed ones, hours of the day, and what is no schedule."""

from __future__ import annotations

from collections import Counter

import pytest

from pdshub import rfc3339
from pdshub.api.hub_backup import WORDS, Hours
from pdshub.reconcile.hub.backup import schedule


def at(text: str) -> float:
    return rfc3339.seconds(f"2026-{text}Z")


DAILY = "30 2 * * *"
DUE: list[tuple[str, str, str, str, str]] = [
    ("never yet, the tick is to come", DAILY, "03-10T01:00:00", "03-09T12:00:00", ""),
    ("never yet, the tick has been", DAILY, "03-10T02:30:00", "03-09T12:00:00", "03-10T02:30:00"),
    ("the very second before", DAILY, "03-10T02:29:59", "03-09T12:00:00", ""),
    ("done at the tick", DAILY, "03-10T02:30:01", "03-10T02:30:00", ""),
    ("done a little later", DAILY, "03-10T09:00:00", "03-10T02:30:07", ""),
    ("five days missed are one run", DAILY, "03-15T01:00:00", "03-10T02:30:07", "03-14T02:30:00"),
    ("every minute", "* * * * *", "03-10T02:30:59", "03-10T02:29:00", "03-10T02:30:00"),
    ("the last of a month", "0 4 L * *", "04-01T00:00:00", "03-01T00:00:00", "03-31T04:00:00"),
    ("weekdays", "0 4 * * 1-5", "03-15T12:00:00", "03-12T05:00:00", "03-13T04:00:00"),
    ("a clock that went back", DAILY, "03-10T02:00:00", "03-10T02:30:07", ""),
]


@pytest.mark.parametrize(("cron", "now", "last", "tick"), [c[1:] for c in DUE], ids=[c[0] for c in DUE])
def test_a_run_is_due_once_for_all_ticks_since_the_last(cron: str, now: str, last: str, tick: str) -> None:
    assert schedule.due(cron, at(now), at(last)) == (at(tick) if tick else 0.0)


def test_the_next_tick_is_after_now() -> None:
    assert schedule.after(DAILY, at("03-10T02:30:00")) == at("03-11T02:30:00")
    assert schedule.after(DAILY, at("03-10T02:29:59")) == at("03-10T02:30:00")
    assert schedule.before(DAILY, at("03-10T02:30:00"), 2) == at("03-09T02:30:00")


OLD = [
    ("03-10T02:30:05", "03-10T20:00:00", False),
    ("03-09T02:30:05", "03-10T20:00:00", False),
    ("03-09T02:29:00", "03-10T20:00:00", True),
    ("03-08T02:30:05", "03-10T02:30:00", True),
    ("03-08T02:30:05", "03-10T02:29:00", False),
]


@pytest.mark.parametrize(("succeeded", "now", "old"), OLD)
def test_too_old_is_older_than_two_periods(succeeded: str, now: str, old: bool) -> None:
    assert schedule.too_old(DAILY, at(now), at(succeeded)) is old


HOURS = [
    (None, "03-10T12:00:00", 0),
    (("22:00", "04:00"), "03-10T23:00:00", 0),
    (("22:00", "04:00"), "03-10T03:59:59", 0),
    (("22:00", "04:00"), "03-10T04:00:00", 18 * 3600),
    (("22:00", "04:00"), "03-10T21:59:30", 30),
    (("01:00", "02:00"), "03-10T01:30:00", 0),
    (("01:00", "02:00"), "03-10T02:00:10", 23 * 3600 - 10),
    (("05:00", "05:00"), "03-10T12:00:00", 0),
]


@pytest.mark.parametrize(("hours", "now", "seconds"), HOURS)
def test_hours_of_the_day(hours: tuple[str, str] | None, now: str, seconds: int) -> None:
    given = Hours(begin=hours[0], end=hours[1]) if hours else None
    assert schedule.opens_in(given, at(now)) == seconds


def test_a_random_moment_stays_and_spreads() -> None:
    drawn = [schedule.fields("@daily-random", "ns", f"hub-{number}") for number in range(500)]
    assert drawn == [schedule.fields("@daily-random", "ns", f"hub-{number}") for number in range(500)]
    hours = Counter(text.split()[1] for text in drawn)
    assert len(hours) == 24 and max(hours.values()) < 60
    assert schedule.fields("@daily-random", "a", "hub") != schedule.fields("@daily-random", "b", "hub")


@pytest.mark.parametrize("word", WORDS)
def test_every_word_is_a_schedule(word: str) -> None:
    cron = schedule.fields(word, "ns", "hub")
    assert len(cron.split()) == 5 and schedule.trouble(word) == ""
    assert at("03-10T02:30:00") < schedule.after(cron, at("03-10T02:30:00")) < at("04-11T02:30:00")


WRONG = ["61 * * * *", "a b c d e", "0 0 31 2 *", "*/0 * * * *", "5-1 * * * *", "", "@sometimes"]
"""The schema sees that there are five fields: a sixth would be cron's seconds."""


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_schedule_says_so(text: str) -> None:
    said = schedule.trouble(text)
    assert "is no schedule" in said or "never comes" in said
