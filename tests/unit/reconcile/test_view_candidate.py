"""A generation that waits for a person, and what it changes for users."""

from __future__ import annotations

import pytest

from pdshub.api.generation import Changes
from pdshub.reconcile.view import comparison
from pdshub.survey_api import SurveyError
from tests.unit.reconcile.views import SPEC, A, B, C, served


def test_a_candidate_shows_what_it_changes_for_users() -> None:
    bench = served({**SPEC, "release": "approve", "approved": "a" * 12}, A)
    bench.surveys.keep(B, previous=A)
    bench.surveys.keep(C, previous=B)
    bench.look()
    assert bench.status["generation"]["name"] == A
    assert (bench.status["candidate"]["name"], bench.status["candidate"]["reason"]) == (C, "WaitsForApproval")
    assert bench.status["candidate"]["changes"]["filesAdded"] == 7
    assert bench.condition("Released")[:2] == ("False", "WaitsForApproval")
    bench.look()
    assert bench.surveys.asked == ["diff ac"]  # once
    bench.apply({**SPEC, "release": "approve", "approved": "c" * 12})
    bench.look()
    assert bench.status["generation"]["name"] == C and "candidate" not in bench.status


UNKNOWN: list[tuple[str, Changes | SurveyError | None, str]] = [
    ("not yet", None, comparison.BEING_COMPARED),
    ("failed", SurveyError("more memory is needed"), f"{comparison.NOT_COMPARED}: more memory is needed"),
]


@pytest.mark.parametrize(("compared", "says"), [c[1:] for c in UNKNOWN], ids=[c[0] for c in UNKNOWN])
def test_no_numbers_are_shown_before_they_are_known(compared: Changes | SurveyError | None, says: str) -> None:
    bench = served({**SPEC, "release": "approve", "approved": "a" * 12}, A)
    bench.surveys.keep(B, previous=A)
    bench.surveys.generations[0]["changes"] = {"filesAdded": 1}
    bench.look()
    assert bench.status["candidate"]["changes"]["filesAdded"] == 1  # the surveyor compared with what users see
    bench.surveys.keep(C, previous=B)
    bench.surveys.generations[0]["changes"] = {"filesAdded": 2}
    bench.surveys.compared = compared
    for _ in range(2):
        bench.look()
        candidate = bench.status["candidate"]
        assert candidate["name"] == C and "changes" not in candidate, "neither those of B nor none at all"
        assert candidate["message"].endswith(says)
        bench.kube.writes.clear()
        bench.look()
        assert bench.kube.writes == [], "while it is worked out nothing is written again and again"
        bench.surveys.error = "away"
    asked = len(bench.surveys.asked)
    bench.surveys.error, bench.surveys.compared = "", Changes(files_added=3)
    bench.look()
    assert bench.status["candidate"]["changes"]["filesAdded"] == 3
    assert "worked out" not in bench.status["candidate"]["message"]
    bench.surveys.error = "away"
    bench.look()
    assert bench.status["candidate"]["changes"]["filesAdded"] == 3 and len(bench.surveys.asked) == asked + 1


def test_a_store_that_was_lost_cannot_be_compared_with() -> None:
    bench = served({**SPEC, "release": "approve", "approved": "a" * 12}, A)
    bench.surveys.generations.clear()
    bench.surveys.keep(C)
    bench.surveys.generations[0]["changes"] = {"filesAdded": 100}
    bench.look()
    candidate = bench.status["candidate"]
    assert candidate["message"].endswith(comparison.CANNOT_COMPARE) and "changes" not in candidate
    assert bench.surveys.asked == []


def test_a_shrunk_one_waits_and_approval_shows_it() -> None:
    bench = served(None, A)
    bench.surveys.keep(B, files=1, previous=A)
    bench.look()
    assert bench.condition("Released")[:2] == ("False", "Shrunk") and "99.0 %" in bench.condition("Released")[2]
    assert bench.status["generation"]["name"] == A
    bench.apply({**SPEC, "approved": "b" * 12})
    bench.look()
    assert bench.status["generation"]["name"] == B


def test_the_first_one_is_compared_with_the_sources_that_users_see_live() -> None:
    """Not with a predecessor that was never released, nor as if users had nothing."""
    bench = served({**SPEC, "release": "approve"}, A)
    bench.surveys.keep(B, previous=A)
    bench.surveys.generations[0]["changes"] = {"datasetsRemoved": 2}
    bench.surveys.asked.clear()
    bench.look()
    candidate = bench.status["candidate"]
    assert (candidate["name"], candidate["against"], bench.surveys.asked) == (B, "live", ["diff liveb"])
    assert candidate["changes"] == Changes(files_added=7).wire() and candidate["counts"]["datasets"] == 2
    bench.look()
    assert bench.surveys.asked == ["diff liveb"], "once a survey"
    bench.surveys.survey["lastFinished"] = "2026-01-01T01:00:00Z"  # the same generation, and another file hidden
    bench.surveys.compared = None
    bench.look()
    assert bench.status["candidate"]["changes"]["filesAdded"] == 7, "the last numbers stand until there are others"
    bench.surveys.compared = Changes(files_removed=1)
    bench.look()
    assert bench.status["candidate"]["changes"] == Changes(files_removed=1).wire()
    bench.apply({**SPEC, "release": "approve", "approved": "b" * 12})
    bench.look()
    bench.surveys.keep(C, previous=B)
    bench.surveys.generations[0]["changes"] = {"filesAdded": 9}
    bench.look()
    assert bench.status["candidate"]["against"] == B and bench.status["candidate"]["changes"]["filesAdded"] == 9


def test_the_words_in_columns_are_those_of_the_condition() -> None:
    bench = served({**SPEC, "release": "approve"}, A)
    assert bench.status["candidate"]["reason"] == bench.condition("Released")[1] == "WaitsForApproval"
    bench.apply({**SPEC, "approved": "a" * 12})
    bench.look()
    bench.surveys.keep(B, files=1, previous=A)
    bench.look()
    assert bench.status["candidate"]["reason"] == bench.condition("Released")[1] == "Shrunk"
