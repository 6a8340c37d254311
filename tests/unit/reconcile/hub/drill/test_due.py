"""When a drill is begun."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.reconcile.hub.drill.decide import due
from pdshub.reconcile.hub.drill.record import Drills, Verdict
from tests.unit.reconcile.hub.drill.given import facts


def tried(clock: str, reason: str) -> Drills:
    """The day's drill has ended."""
    at_ = f"2026-03-16T{clock}Z"
    return Drills(started=at_, last=Verdict(at=at_, ok=False, reason=reason, message="x"))


DUE = [
    ("at the tick", {"now": "2026-03-16T04:00:00Z"}, True),
    ("missed", {"now": "2026-03-18T04:00:00Z"}, True),
    ("done since", {"drills": Drills(started="2026-03-16T04:00:02Z")}, False),
    ("the last was begun by a clock that was ahead", {"drills": Drills(started="2027-03-16T04:00:02Z")}, True),
    ("nothing to restore", {"runs": ()}, False),
    ("suspended", {"drill": {"suspend": True}}, False),
    ("could look at nothing, a while ago", {"drills": tried("05:59:59", "Unreachable")}, True),
    ("could look at nothing, just now", {"drills": tried("06:00:01", "Unreachable")}, False),
    ("no room in the quota", {"drills": tried("05:00:00", "Refused")}, True),
    ("found damage", {"drills": tried("05:00:00", "Damaged")}, False),
]


@pytest.mark.parametrize(("more", "wanted"), [case[1:] for case in DUE], ids=[case[0] for case in DUE])
def test_when_a_drill_is_due(more: dict[str, Any], wanted: bool) -> None:
    assert due(facts(**more)) is wanted
