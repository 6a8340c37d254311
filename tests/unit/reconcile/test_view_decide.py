"""Every outcome of a look at a view: the one next action, and that looking writes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.generation import Candidate, Counts, ReleasedGeneration
from pdshub.api.survey import State
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.kube import ARCHIVE_VIEW, PDSHUB
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.common.objects import Step
from pdshub.reconcile.view import comparison, surveyor_sync
from pdshub.reconcile.view.act import ACTS
from pdshub.reconcile.view.comparison import UserChanges
from pdshub.reconcile.view.decide import decide, desired_view, lacks, verdict
from pdshub.reconcile.view.deletion import Users
from pdshub.reconcile.view.observation import Action, Observation, SurveyorSeen
from pdshub.reconcile.view.observe import observe
from pdshub.reconcile.view.reconcile import EVERY, FIRST, STARTING, SURVEYING, pause
from pdshub.reconcile.view.surveyor_objects import Obstacle, SurveyorObjects
from pdshub.reconcile.view.surveyor_sync import Told, desired_digest
from tests.unit.reconcile.views import SPEC, A, B, Bench, served

CATALOG = ArchiveViewSpec.model_validate(SPEC)
LIVE = ArchiveViewSpec.model_validate({**SPEC, "form": "live"})
APPROVE = ArchiveViewSpec.model_validate({**SPEC, "release": "approve"})
USED = Users(("ns/one",), {"n1": 1})
STEP = Step("Service survey-sbn is written", {"kind": "Service"}, "apply")
RUNS = SurveyorObjects(address="10.96.0.7:9810", runs=True, exists=True)
SURVEYED = ArchiveViewStatus.model_validate(
    {"conditions": [{"type": "Surveyed", "status": "True", "reason": "Finished", "lastTransitionTime": "t"}]}
)


def state(*names: str, **survey: Any) -> State:
    kept = [{"name": name, "counts": {"files": 5}, "previous": A if name != A else None} for name in names]
    return State.model_validate({"view": "sbn", "spec": "s1", "survey": survey, "generations": kept})


def look(spec: ArchiveViewSpec | None = CATALOG, *, surveyor: Any = "settled", **seen: Any) -> Observation:
    """A settled view that nobody uses, but for what a case says."""
    view = {"metadata": {"name": "sbn", "annotations": {}}}
    made = Observation("sbn", view, 3, seen.pop("before", ArchiveViewStatus()), 1000.0, spec=spec, **seen)
    if spec is None or not spec.cataloged:
        return made
    if isinstance(surveyor, SurveyorSeen):
        return replace(made, surveyor=surveyor)
    return told(made, SurveyorSeen(RUNS, state(A), fresh=True))


def told(seen: Observation, found: SurveyorSeen) -> Observation:
    """The surveyor knows what is wanted of it."""
    knows = Told(desired_digest(desired_view(seen, found)), "s1", 0.0)
    return replace(seen, surveyor=replace(found, told=knows))


def waits(known: UserChanges | None = None) -> Observation:
    """B waits for approval; what it changes compares with A, and users see the sources live."""
    seen = replace(look(APPROVE), surveyor=SurveyorSeen(RUNS, state(B, A), fresh=True, user_changes=known))
    assert seen.surveyor is not None
    return told(seen, seen.surveyor)


ADDED = comparison.Changes(files_added=1)
CASES: list[tuple[str, Observation, Action]] = [
    ("settled", look(), Action.REPORT),
    ("the nodes were not asked yet", look(asked=False), Action.WAIT),
    ("live", look(LIVE, finalizer=False), Action.REPORT),
    ("live and used", look(LIVE, finalizer=False, users=USED), Action.ADD_FINALIZER),
    ("live and held", look(LIVE, users=USED), Action.REPORT),
    ("live and held no more", look(LIVE), Action.REMOVE_SURVEYOR),
    ("live, inline and used", look(LIVE, finalizer=False, users=USED, inline=True), Action.REPORT),
    ("live, was surveyed", look(LIVE, before=SURVEYED, finalizer=False), Action.REMOVE_SURVEYOR),
    ("live, was surveyed, used", look(LIVE, before=SURVEYED, users=USED), Action.REMOVE_SURVEYOR),
    ("live, was surveyed, going", look(LIVE, before=SURVEYED, users=USED, deleting=True), Action.REPORT),
    ("refused spec", look(None, finalizer=False), Action.REPORT),
    ("refused spec, used", look(None, finalizer=False, users=USED), Action.ADD_FINALIZER),
    ("refused spec, was surveyed", look(None, finalizer=False, before=SURVEYED), Action.ADD_FINALIZER),
    ("nothing made yet", look(surveyor=SurveyorSeen(SurveyorObjects((STEP,)))), Action.MAKE_SURVEYOR),
    (
        "nothing made yet, and no finalizer",
        look(finalizer=False, surveyor=SurveyorSeen(SurveyorObjects((STEP,)))),
        Action.ADD_FINALIZER,
    ),
    ("the finalizer was replaced away", look(finalizer=False), Action.ADD_FINALIZER),
    ("the same, inline", look(finalizer=False, inline=True), Action.ADD_FINALIZER),
    (
        "the same, and none can be made",
        look(finalizer=False, surveyor=SurveyorSeen(SurveyorObjects(obstacle=Obstacle.NO_IMAGE, exists=True))),
        Action.ADD_FINALIZER,
    ),
    (
        "none can be made, and there is none",
        look(finalizer=False, surveyor=SurveyorSeen(SurveyorObjects(obstacle=Obstacle.NO_IMAGE))),
        Action.REPORT,
    ),
    ("deleted, finalizer gone", look(deleting=True, finalizer=False), Action.WAIT),
    ("deleted, nobody uses it", look(deleting=True), Action.LET_GO),
    ("deleted, nobody knows who uses it", look(deleting=True, asked=False), Action.WAIT),
    ("deleted, used", look(deleting=True, users=USED), Action.REPORT),
    ("deleted, used, confirmed", look(deleting=True, users=USED, confirmed=True), Action.LET_GO),
    ("deleted, confirmed, nobody asked", look(deleting=True, confirmed=True, asked=False), Action.LET_GO),
    (
        "deleted, used, its surveyor is collected",
        look(deleting=True, users=USED, surveyor=SurveyorSeen(SurveyorObjects((STEP,)))),
        Action.REPORT,
    ),
    ("not told yet", look(surveyor=SurveyorSeen(RUNS, State(view="sbn"), fresh=True)), Action.TELL),
    ("told something else", look(surveyor=SurveyorSeen(RUNS, state(A), fresh=True)), Action.TELL),
    ("away, with its last word", look(surveyor=SurveyorSeen(RUNS, state(A), away="refused")), Action.REPORT),
    ("away", look(surveyor=SurveyorSeen(RUNS, away="refused")), Action.REPORT),
    ("a candidate", waits(), Action.COMPARE),
    ("a candidate that is compared", waits(UserChanges("live", B, ADDED)), Action.REPORT),
    ("compared with another", waits(UserChanges("live", A, ADDED)), Action.COMPARE),
    ("compared before the last survey", waits(UserChanges("live", B, ADDED, surveyed="t0")), Action.COMPARE),
    ("could not be compared", waits(UserChanges("live", B, failure="memory")), Action.COMPARE),
]


@pytest.mark.parametrize(("seen", "action"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_next_action(seen: Observation, action: Action) -> None:
    assert decide(seen) is action


@pytest.mark.parametrize("seen", [c[1] for c in CASES], ids=[c[0] for c in CASES])
def test_no_action_is_chosen_twice_in_one_look(seen: Observation) -> None:
    chosen: list[Action] = []
    while (action := decide(seen)) in ACTS:
        chosen.append(action)
        seen = replace(seen, done=seen.done | {action})
    assert len(chosen) == len(set(chosen)) <= len(ACTS)


def test_every_action_is_reached_and_has_its_act() -> None:
    assert {action for _, _, action in CASES} == set(Action)
    assert set(ACTS) == set(Action) - {Action.WAIT, Action.REPORT}


PAUSES: list[tuple[str, Observation, float]] = [
    ("settled", told(look(), SurveyorSeen(RUNS, state(A), fresh=True)), EVERY),
    ("not asked", look(asked=False), FIRST),
    ("going", look(deleting=True, confirmed=True, asked=False), EVERY),
    ("live", look(LIVE), EVERY),
    ("surveying", look(surveyor=SurveyorSeen(RUNS, state(A, state="running"))), SURVEYING),
    ("just told", look(surveyor=SurveyorSeen(RUNS, state(A), told=Told("d", "s1", 999.0))), SURVEYING),
    ("being made", look(surveyor=SurveyorSeen(SurveyorObjects())), STARTING),
    ("starting", look(surveyor=SurveyorSeen(SurveyorObjects(obstacle=Obstacle.STARTING))), STARTING),
    ("does not start", look(surveyor=SurveyorSeen(SurveyorObjects(obstacle=Obstacle.NOT_RUNNING))), STARTING),
    ("settling", look(surveyor=SurveyorSeen(SurveyorObjects(obstacle=Obstacle.SETTLING))), STARTING),
    ("refused", look(surveyor=SurveyorSeen(SurveyorObjects(obstacle=Obstacle.REFUSED))), EVERY),
    (
        "users have a generation",
        look(
            before=ArchiveViewStatus(generation=ReleasedGeneration(name=A)),
            surveyor=SurveyorSeen(SurveyorObjects(obstacle=Obstacle.STARTING)),
        ),
        EVERY,
    ),
]


@pytest.mark.parametrize(("seen", "seconds"), [c[1:] for c in PAUSES], ids=[c[0] for c in PAUSES])
def test_when_to_look_again(seen: Observation, seconds: float) -> None:
    assert pause(seen) == seconds


def layer(found: str) -> State:
    entries = [{"path": "pds4", "layers": [{"source": "main", "path": ".", "found": found}]}]
    return State.model_validate({"spec": "s1", "generations": [{"name": A, "entries": entries}]})


@pytest.mark.parametrize(
    ("seen", "lacking"),
    [
        (look(LIVE), 0),
        (look(), 0),
        (look(surveyor=SurveyorSeen(RUNS, layer("missing"), fresh=True)), 1),
        (look(surveyor=SurveyorSeen(RUNS, layer("settling"), fresh=True)), 0),
        (look(surveyor=SurveyorSeen(RUNS)), 0),
        (
            look(
                before=ArchiveViewStatus.model_validate(
                    {"candidate": {"name": A, "gaps": [{"entry": "pds4", "found": "missing"}]}}
                ),
                surveyor=SurveyorSeen(RUNS),
            ),
            1,
        ),
    ],
    ids=["live", "whole", "missing", "still being copied", "nobody knows", "away, as the candidate had it"],
)
def test_what_users_lack(seen: Observation, lacking: int) -> None:
    assert len(lacks(seen)) == lacking


def test_a_live_view_has_no_verdict() -> None:
    assert verdict(look(LIVE)) is None and verdict(look()) is not None


# --- looking writes nothing ----------------------------------------------------------------------------------------


def replaced(bench: Bench) -> None:
    bench.kube.objects[("archiveviews", "", "sbn")]["metadata"].pop("finalizers", None)


def changed(bench: Bench) -> None:
    bench.apply({**SPEC, "survey": {"keep": 7}})


def deployment_gone(bench: Bench) -> None:
    del bench.kube.objects[("deployments", "pdshub-surveyors", "survey-sbn")]


def candidate(bench: Bench) -> None:
    bench.surveys.keep(B, files=1, previous=None)


def live(bench: Bench) -> None:
    bench.apply({**SPEC, "form": "live"})


def refused(bench: Bench) -> None:
    bench.apply({"tree": []})


MOVES: list[tuple[Callable[[Bench], None], Action]] = [
    (lambda bench: None, Action.REPORT),
    (replaced, Action.ADD_FINALIZER),
    (deployment_gone, Action.MAKE_SURVEYOR),
    (changed, Action.TELL),
    (candidate, Action.COMPARE),
    (live, Action.REMOVE_SURVEYOR),
    (refused, Action.REPORT),
    (lambda bench: bench.delete(), Action.LET_GO),
]


@pytest.mark.parametrize(("move", "action"), MOVES, ids=[action.value for _, action in MOVES])
def test_looking_writes_nothing(move: Callable[[Bench], None], action: Action) -> None:
    bench = served(None, A)
    bench.words["targets"] = 0
    bench.look()
    move(bench)
    bench.kube.writes.clear()
    bench.surveys.puts.clear()
    bench.context.view("sbn").objects = None
    view = bench.kube.objects[("archiveviews", "", "sbn")]
    reports = {"n1": NodeReport("n1", bench.report(), time.monotonic())}
    seen = asyncio.run(observe(bench.context, view, reports, True))
    assert decide(seen) is action
    assert bench.kube.writes == [] and bench.surveys.puts == [] and bench.surveys.asked == []


# --- acts ----------------------------------------------------------------------------------------------------------


def test_a_surveyor_that_refuses_what_it_is_told_counts_as_away() -> None:
    bench = served(None, A)
    bench.look()
    bench.surveys.refuses = "the surveyor answers PUT /spec with 422: spec: keep"
    changed(bench)
    bench.look()
    assert bench.condition("Surveyed")[0] == "True", "for a while its last word counts"
    bench.long_ago(answer=surveyor_sync.ANSWER_GRACE_SECONDS)
    bench.look()
    assert bench.condition("Surveyed")[:2] == ("False", "SurveyorAway") and "422" in bench.condition("Surveyed")[2]
    assert bench.status["generation"]["name"] == A
    bench.surveys.refuses = ""
    bench.look()
    assert bench.condition("Surveyed")[0] == "True" and bench.surveys.puts[-1]["spec"]["survey"]["keep"] == 7


def test_a_hub_that_appears_holds_the_view() -> None:
    bench = Bench({**SPEC, "form": "live"})
    bench.words["targets"] = 0
    bench.look()
    assert not bench.kube.objects[("archiveviews", "", "sbn")]["metadata"].get("finalizers")
    bench.kube.put(PDSHUB, {"metadata": {"name": "one", "namespace": "ns"}, "spec": {"archive": {"viewRef": "sbn"}}})
    bench.look()
    found = asyncio.run(bench.kube.get(ARCHIVE_VIEW, "sbn"))
    assert found is not None and found["metadata"]["finalizers"] == ["pdshub.dev/view"]


# --- what a candidate changes --------------------------------------------------------------------------------------

WAITING = Candidate(name=B, message="B waits", against=A, counts=Counts(files=5), changes=comparison.Changes())
RELEASED = ReleasedGeneration(name=A)
# released, what is known, the surveyor's state -> changes, and the end of the message
SHOWN: list[tuple[str, ReleasedGeneration | None, UserChanges | None, State, int | None, str]] = [
    ("compared with what users see", RELEASED, None, state(B, A), 0, "B waits"),
    ("not asked yet", None, None, state(B, A), None, comparison.BEING_COMPARED),
    ("known", None, UserChanges("live", B, ADDED), state(B, A), 1, "B waits"),
    ("known of another", None, UserChanges("live", A, ADDED), state(B, A), None, comparison.BEING_COMPARED),
    ("failed", None, UserChanges("live", B, failure="memory"), state(B), None, f"{comparison.NOT_COMPARED}: memory"),
    ("of an earlier survey", None, UserChanges("live", B, ADDED, surveyed="t0"), state(B), 1, "B waits"),
    ("lost", ReleasedGeneration(name="sha256:" + "9" * 64), None, state(B), None, comparison.CANNOT_COMPARE),
]


@pytest.mark.parametrize(
    ("released", "known", "kept", "files", "says"), [c[1:] for c in SHOWN], ids=[c[0] for c in SHOWN]
)
def test_no_numbers_where_none_are_known(
    released: ReleasedGeneration | None, known: UserChanges | None, kept: State, files: int | None, says: str
) -> None:
    waiting = replace(verdict_of(released), candidate=WAITING)
    shown = comparison.with_user_changes(waiting, known, kept).candidate
    assert shown is not None and shown.message.endswith(says)
    assert (shown.changes.files_added if shown.changes else None) == files


def verdict_of(released: ReleasedGeneration | None) -> Any:
    found = verdict(look())
    assert found is not None
    return replace(found, released=released)
