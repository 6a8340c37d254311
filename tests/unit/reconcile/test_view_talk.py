"""What is said to a view's surveyor, and what its answers mean."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import reconcile, surveyor_sync
from tests.unit.reconcile.views import SPEC, A, B, Bench, C, served


def test_what_users_see_is_kept_whatever_its_age() -> None:
    bench = served({**SPEC, "release": "approve", "approved": "b" * 12}, A, B, C)
    held = "sha256:" + "9" * 64
    bench.words |= {"shows": A, "shown": {A: 2, held: 1, "live": 1}}
    bench.look()
    bench.look()
    # held by a server, seen on a node, released, waiting
    assert bench.surveys.puts[-1]["keep"] == [held, A, B, C]


def test_a_survey_that_runs_is_looked_at_often_and_written_seldom() -> None:
    bench = served(None, A)
    bench.look()
    bench.kube.writes.clear()
    for phase in ("reading", "deciding", "writing"):
        bench.surveys.survey |= {"state": "running", "phase": phase}
        assert bench.look() == reconcile.SURVEYING
    assert bench.status["survey"]["state"] == "running" and bench.status["survey"]["message"] == "reading"
    assert bench.kube.writes == ["patch status archiveviews/sbn"]
    bench.long_ago(phase=surveyor_sync.PHASE_SECONDS)
    bench.look()
    assert bench.status["survey"]["message"] == "writing"
    bench.surveys.survey |= {"state": "idle", "message": ""}
    bench.long_ago(told=reconcile.JUST_TOLD)
    assert bench.look() == reconcile.EVERY
    assert bench.status["survey"]["message"] == ""


def test_a_surveyor_that_is_away_takes_nothing_away() -> None:
    bench = served(None, A)
    bench.look()
    before = {kind: bench.condition(kind) for kind in ("Released", "Surveyed")}
    bench.surveys.error = "the surveyor does not answer: refused"
    bench.look()
    assert {kind: bench.condition(kind) for kind in before} == before  # a restart is no outage
    bench.long_ago(answer=surveyor_sync.ANSWER_GRACE_SECONDS)
    bench.look()
    assert bench.condition("Surveyed")[:2] == ("False", "SurveyorAway")
    assert bench.condition("Released") == before["Released"]
    assert bench.status["generation"]["name"] == A and bench.status["generations"]
    assert bench.condition("Ready")[0] == "True"


def test_another_views_surveyor_is_not_listened_to() -> None:
    bench = Bench()
    bench.surveys.keep(A)
    bench.surveys.view = "other"
    bench.serve()
    assert bench.surveys.puts == [] and "generation" not in bench.status
    assert bench.condition("Surveyed")[:2] == ("False", "SurveyorAway") and "other" in bench.condition("Surveyed")[2]


def test_who_asks_for_a_survey() -> None:
    bench = served(None, A)
    bench.look()

    def request() -> str:
        bench.look()
        return str(bench.surveys.puts[-1]["request"])

    assert request() == ""
    bench.annotate(refresh="now-1")
    assert request() == "now-1"
    bench.words["surveyWanted"] = "aaaaaaaaaaaa-1"
    first = request()
    assert first.startswith("now-1+") and request() == first
    assert bench.status["survey"]["request"] == "now-1"
    bench.words["surveyWanted"] = "aaaaaaaaaaaa-2"
    assert request() == first  # not so soon
    bench.long_ago(requests=surveyor_sync.NODE_REQUESTS_SECONDS)
    second = request()
    assert second != first
    del bench.words["surveyWanted"]
    assert request() == second  # what ended is no new wish
    bench.words["surveyWanted"] = "aaaaaaaaaaaa-2"
    bench.start()
    assert request() == second  # nor is a restart
    bench.annotate(refresh="now-2")
    assert request().startswith("now-2+")


@pytest.mark.parametrize(
    "junk", [None, [], {"sbn": 1}, {"sbn": {"surveyWanted": 5}}, {"sbn": {"surveyWanted": "", "shown": 7}}]
)
def test_strange_words_of_a_node_ask_for_nothing(junk: Any) -> None:
    reports = {"n1": NodeReport("n1", {"views": junk}, 1.0)}
    assert surveyor_sync.surveys_wanted("sbn", reports) == frozenset()
    spec = ArchiveViewSpec.model_validate(SPEC)
    assert surveyor_sync.generations_in_use("sbn", spec, ArchiveViewStatus(), reports) == []


NOT_YET = "has not finished"

SURVEYS: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("well", {"state": "idle", "lastFinished": "t1"}, "True", "Finished", "t1"),
    ("again", {"state": "running", "phase": "reading", "lastFinished": "t1"}, "True", "Finished", "t1"),
    (
        "the first",
        {"state": "running", "phase": "reading", "message": "5 directories"},
        "Unknown",
        "Surveying",
        NOT_YET,
    ),
    ("not asked yet", {"state": "idle", "message": "no wish"}, "Unknown", "Surveying", "no wish"),
    ("settling", {"state": "waiting", "message": "2 copied", "lastFinished": "t1"}, "True", "Settling", "2 copied"),
    ("failed", {"state": "failed", "message": "main is away"}, "False", "SurveyFailed", "main is away"),
    ("failed again", {"state": "failed", "lastFinished": "t1"}, "False", "SurveyFailed", "ended t1"),
]


@pytest.mark.parametrize(("survey", "status", "reason", "says"), [c[1:] for c in SURVEYS], ids=[c[0] for c in SURVEYS])
def test_how_it_stands_with_the_survey(survey: dict[str, Any], status: str, reason: str, says: str) -> None:
    bench = Bench()
    bench.surveys.survey = survey
    bench.serve()
    assert bench.condition("Surveyed")[:2] == (status, reason) and says in bench.condition("Surveyed")[2]
    assert bench.condition("Ready")[0] == "True"
