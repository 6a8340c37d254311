"""A clock that jumps: what is due then, and what is said of what was saved.

What matters is after the jump: nothing is due for days that seem to have been, nothing is said to be young for years.
"""

from __future__ import annotations

from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.reconcile.hub.backup import schedule
from pdshub.reconcile.hub.backup.asked import by_age, runs_of
from pdshub.reconcile.hub.backup.conditions import backed_up
from pdshub.reconcile.hub.backup.decide import SETTLED, beyond, decide
from pdshub.reconcile.hub.backup.steps import MakeRun, Nothing
from tests.unit.reconcile.hub.backup.given import backup, done, facts, run

TUESDAY = run("demo-202603100230", done("home/ada", "keys"), "2026-03-10T02:30:05Z", trigger="Schedule")
NOW = "2026-03-10T12:00:00Z"


def ahead(created: str, name: str = "demo-ahead", **status: Any) -> Any:
    """A run of a moment at which the clock was wrong."""
    return run(name, done("home/ada", "keys", started=created, **status), created, trigger="Schedule")


KNOWN = [
    ("long ago", "2026-03-01T00:00:00Z", True),
    ("now", NOW, True),
    ("clocks differ", "2026-03-10T12:59:00Z", True),
    ("tomorrow", "2026-03-11T12:00:00Z", False),
    ("never", "", True),
]


@pytest.mark.parametrize(("at", "is_known"), [k[1:] for k in KNOWN], ids=[k[0] for k in KNOWN])
def test_what_is_yet_to_come_is_no_moment(at: str, is_known: bool) -> None:
    given = rfc3339.seconds(at)
    assert schedule.known(given, rfc3339.seconds(NOW)) == (given if is_known else 0.0)


DUE: list[tuple[str, str, tuple[Any, ...], Any]] = [
    ("it goes three days ahead: the days that seem to be missed are one run", "2026-03-13T12:00:00Z", (TUESDAY,),
     MakeRun("demo-202603130230")),
    ("and is ahead: one run", "2026-03-13T12:00:30Z", (TUESDAY, ahead("2026-03-13T12:00:01Z")), Nothing(SETTLED)),
    ("and comes back: the last before it counts, and it was today", NOW,
     (TUESDAY, ahead("2026-03-13T12:00:01Z")), Nothing(SETTLED)),
    ("the next tick is kept, not that of Friday", "2026-03-11T02:30:00Z",
     (TUESDAY, ahead("2026-03-13T12:00:01Z")), MakeRun("demo-202603110230")),
    ("ten years ahead, and back", "2026-03-11T02:30:00Z",
     (TUESDAY, ahead("2036-03-13T12:00:01Z")), MakeRun("demo-202603110230")),
    ("the only run there is", NOW, (ahead("2036-03-13T12:00:01Z"),), MakeRun("demo-202603100230")),
    ("it goes back by an hour, and what was done is not done again", "2026-03-10T01:35:00Z", (TUESDAY,),
     Nothing(SETTLED)),
    ("it goes back by three days: the run of that tick is there or is made, and is one", "2026-03-07T12:00:00Z",
     (TUESDAY,), MakeRun("demo-202603070230")),
    ("and is back for a day: one a day, as ever", "2026-03-07T12:00:00Z",
     (ahead("2026-03-07T02:31:00Z"), TUESDAY), Nothing(SETTLED)),
]  # fmt: skip


@pytest.mark.parametrize(("now", "runs", "wanted"), [d[1:] for d in DUE], ids=[d[0] for d in DUE])
def test_what_is_due(now: str, runs: tuple[Any, ...], wanted: Any) -> None:
    assert decide(facts(now, runs=runs)) == wanted


@pytest.mark.parametrize("days", range(-3, 4))
def test_a_hub_whose_clock_was_set_back_on_the_day_it_was_made_is_saved_all_the_same(days: int) -> None:
    created = rfc3339.seconds("2026-03-10T00:00:00Z") + days * 86400
    step = decide(facts(NOW, runs=(), created=created))
    assert isinstance(step, MakeRun), "its first tick has been, or nobody knows"


def test_a_run_whose_name_is_taken_is_tried_once_a_look_and_hinders_nobody() -> None:
    """Of a tick that the clock had come to when it was ahead: the HubBackup of its name is there."""
    given = facts("2026-03-13T02:30:00Z", runs=(TUESDAY, ahead("2026-03-13T12:00:01Z", "demo-202603130230")))
    assert decide(given) == MakeRun("demo-202603130230")
    assert isinstance(decide(given, {("HubBackup", "demo-202603130230")}), Nothing)


SAID: list[tuple[str, str, tuple[Any, ...], str, str, list[str]]] = [
    ("of today, and one of Friday", NOW, (TUESDAY, ahead("2026-03-13T12:00:01Z")),
     "True", "Saved", ["demo-202603100230 of"]),
    ("one of Friday, and today's failed", NOW,
     (run("bad", {"phase": "Failed", "message": "Full: x"}, "2026-03-10T02:30:05Z"), ahead("2026-03-13T12:00:01Z")),
     "False", "RunFailed", ["bad: Full", "yet to come: a clock was wrong then, or is now"]),
    ("only one that is yet to come", NOW, (ahead("2036-03-13T12:00:01Z"),),
     "False", "TooOld", ["demo-ahead of 2036-03-13", "yet to come", "the next is due at 2026-03-11T02:30:00Z"]),
    ("the clock is ahead", "2026-03-20T12:00:00Z", (TUESDAY,), "False", "TooOld", ["older than two periods"]),
    ("the clock is behind: nobody knows how old it is", "2026-03-05T12:00:00Z", (TUESDAY,),
     "False", "TooOld", ["yet to come"]),
    ("it was set back by minutes", "2026-03-10T02:00:00Z", (TUESDAY,), "True", "Saved", ["demo-202603100230 of"]),
]  # fmt: skip


@pytest.mark.parametrize(("now", "runs", "status", "reason", "words"), [s[1:] for s in SAID], ids=[s[0] for s in SAID])
def test_what_is_said(now: str, runs: tuple[Any, ...], status: str, reason: str, words: list[str]) -> None:
    found = backed_up(facts(now, runs=runs))
    assert found[1:3] == (status, reason), found
    for word in words:
        assert word in found[3]


def test_the_history_takes_what_is_yet_to_come_before_what_has_been() -> None:
    runs = [run(f"r{n}", done("keys"), f"2026-03-{n:02}T02:30:05Z", trigger="Schedule") for n in range(1, 10)]
    given = facts(NOW, backup(history=9), runs=(*runs, ahead("2036-03-13T12:00:01Z")))
    assert beyond(given) == ("demo-ahead",)


def test_the_order_of_runs_is_that_of_their_making_but_for_those_that_are_yet_to_come() -> None:
    made = ["2026-03-08", "2026-03-09", "2036-01-01", "2037-01-01"]
    runs = runs_of([run(day, done("keys"), f"{day}T02:30:05Z").item for day in reversed(made)])
    assert [one.name for one in by_age(runs, rfc3339.seconds(NOW))] == [*made[2:], *made[:2]]
