"""reconcile() of a view from end to end: what users see, how it is released, and that it is whole."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.generation import Proof, ReleasedGeneration
from pdshub.api.status import Condition
from pdshub.api.view import ArchiveViewSpec, NodeStatus
from pdshub.kube import PDSHUB
from pdshub.reconcile.common import events
from pdshub.reconcile.view import conditions, reconcile, surveyor_sync
from pdshub.reconcile.view.generations import Verdict
from pdshub.reconcile.view.surveyor_objects import Obstacle, SurveyorObjects
from tests.unit.reconcile.views import SPEC, A, B, Bench, served


def test_the_first_generation_is_released() -> None:
    bench = served(None, A)
    assert bench.status["surveyor"] == {"address": "10.96.0.7:9810", "namespace": "pdshub-surveyors"}
    assert bench.status["generation"]["name"] == A and bench.status["generation"]["short"] == "a" * 12
    assert bench.status["generations"] == [{"name": A, "asOf": "2026-01-01", "files": 100}]
    assert bench.condition("Released")[:2] == ("True", "Newest")
    assert bench.condition("Surveyed")[:2] == ("True", "Finished")
    assert bench.kube.events() == ["GenerationReleased"]
    (said,) = bench.surveys.puts
    assert (said["name"], said["generation"], said["request"], said["keep"]) == ("sbn", 1, "", [])
    assert said["spec"]["sources"][0]["nfs"]["export"] == "/pds"


def test_looks_without_news_write_nothing() -> None:
    bench = served(None, A)
    bench.look()  # what users see now is to be kept: said once
    bench.kube.writes.clear()
    bench.surveys.puts.clear()
    bench.long_ago(told=reconcile.JUST_TOLD)
    for _ in range(3):
        assert bench.look() == reconcile.EVERY
    assert bench.kube.writes == [] and bench.surveys.puts == []
    bench.start()
    bench.look()
    assert bench.kube.writes == [] and len(bench.surveys.puts) == 1


DRIFTED = {"generation": A, "state": "done", "at": "2026-01-02", "files": 9, "drifted": 2, "examples": ["main:x"]}

DRIFTS: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("not yet", {}, "Unknown", "NotCompared", "being compared"),
    ("another one", {**DRIFTED, "generation": B}, "Unknown", "NotCompared", "being compared"),
    ("begun", {"generation": A, "state": "running", "at": "2026-01-02"}, "Unknown", "NotCompared", "being compared"),
    ("failed", {"generation": A, "state": "failed", "message": "timeout"}, "Unknown", "CompareFailed", "timeout"),
    ("drifted", DRIFTED, "True", "Drifted", "main:x"),
    ("drifted, compared again", {**DRIFTED, "state": "running"}, "True", "Drifted", "2 of 9"),
    ("as surveyed", {**DRIFTED, "drifted": 0}, "False", "AsSurveyed", "all 9 files"),
]


@pytest.mark.parametrize(("said", "status", "reason", "says"), [c[1:] for c in DRIFTS], ids=[c[0] for c in DRIFTS])
def test_a_pinned_one_is_compared_with_its_sources(said: dict[str, Any], status: str, reason: str, says: str) -> None:
    bench = Bench({**SPEC, "pin": "a" * 12})
    bench.surveys.keep(A)
    bench.surveys.keep(B)
    bench.surveys.verified = said
    bench.serve()
    assert bench.status["generation"]["name"] == A
    assert bench.condition("PinnedDrift")[:2] == (status, reason) and says in bench.condition("PinnedDrift")[2]
    bench.surveys.error = "gone"
    bench.long_ago(answer=surveyor_sync.ANSWER_GRACE_SECONDS)
    bench.look()
    assert bench.condition("PinnedDrift")[:2] == (status, reason) or reason == "CompareFailed"  # the last word stands
    bench.surveys.error = ""
    bench.apply(SPEC)
    bench.look()
    assert bench.status["generation"]["name"] == B and bench.condition("PinnedDrift")[0] == ""


PIN = ArchiveViewSpec.model_validate({**SPEC, "pin": "a" * 12})


@pytest.mark.parametrize(
    ("was_released", "message", "stands"),
    [(A, "2 of 9 files differ", True), (B, f"generation {'a' * 12} as surveyed", False), (None, "a" * 12, False)],
    ids=["of this one", "of another one", "of none"],
)
def test_the_last_comparison_stands_by_its_generation_not_by_its_words(
    was_released: str | None, message: str, stands: bool
) -> None:
    was = Condition(type="PinnedDrift", status="True", reason="Drifted", message=message, last_transition_time="t")
    verdict = Verdict(ReleasedGeneration(name=A), None, True, "Pinned", "")
    released = ReleasedGeneration(name=was_released) if was_released else None
    ((_, status, reason, words),) = conditions.drift(PIN, verdict, None, [was], released)
    assert ((status, reason, words) == ("True", "Drifted", message)) is stands
    assert stands or reason == "NotCompared"


OBSTACLES: list[tuple[Obstacle | None, str, str]] = [
    (None, "Unknown", "SurveyorStarting"),
    (Obstacle.STARTING, "Unknown", "SurveyorStarting"),
    (Obstacle.NOT_RUNNING, "False", "SurveyorStarting"),
    (Obstacle.SETTLING, "Unknown", "Settling"),
    (Obstacle.NO_IMAGE, "False", "NoImage"),
    (Obstacle.NOT_ALLOWED, "False", "NotAllowed"),
    (Obstacle.STORAGE_TOO_LARGE, "False", "StorageTooLarge"),
    (Obstacle.NO_STORAGE_CLASS, "False", "NoStorageClass"),
    (Obstacle.NOT_OURS, "False", "NotOurs"),
    (Obstacle.REFUSED, "False", "Refused"),
]


@pytest.mark.parametrize(("obstacle", "status", "reason"), OBSTACLES)
@pytest.mark.parametrize("words", ["its pod is starting", "anything else"])
def test_an_obstacle_tells_the_reason_whatever_its_words(
    obstacle: Obstacle | None, status: str, reason: str, words: str
) -> None:
    found = SurveyorObjects(obstacle=obstacle, trouble=words)
    assert conditions.surveyed(found, None, "")[:3] == ("Surveyed", status, reason)


def test_the_table_of_obstacles_is_whole() -> None:
    assert {obstacle for obstacle, _, _ in OBSTACLES} == {None, *Obstacle}


def test_a_source_whose_trouble_speaks_of_what_is_allowed_is_not_refused() -> None:
    """A reason is no search for words: a node's message may hold any."""
    bench = Bench()
    bench.words["ready"] = False
    bench.source = {"ready": False, "message": "is not allowed by this installation of the NAS"}
    bench.look()
    assert bench.condition("Ready")[:2] == ("False", "SourceUnreachable")


def hub(name: str, **archive: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"archive": archive}}


def test_nodes_read_how_each_hub_takes_up_a_generation() -> None:
    bench = Bench()
    bench.kube.put(PDSHUB, hub("one", viewRef="sbn"))
    bench.kube.put(PDSHUB, hub("two", viewRef="sbn", updates="nextServer", maxHoldSeconds=60))
    bench.kube.put(PDSHUB, hub("three", viewRef="other"))
    bench.kube.put(PDSHUB, {"metadata": {"name": "four", "namespace": "ns"}, "spec": {}})
    bench.look()
    found = {item["volume"][:14]: (item["updates"], item["maxHoldSeconds"]) for item in bench.status["volumes"]}
    assert found == {"pdshub-ns-one-": ("live", 3600), "pdshub-ns-two-": ("nextServer", 60)}


PROOFS: list[tuple[str, dict[str, Any] | None, tuple[str, str]]] = [
    ("none yet", None, ("", "")),
    ("strange", {"ok": "perhaps"}, ("", "")),
    ("intact", {"ok": True, "result": "intact", "at": "t", "message": "m"}, ("True", "Proven")),
    ("writable", {"ok": False, "result": "violated", "message": "could write"}, ("False", "Violated")),
    ("no result word", {"ok": False, "message": "could write"}, ("False", "Violated")),
    ("not all read", {"ok": False, "result": "incomplete", "message": "timeout"}, ("Unknown", "Incomplete")),
    ("being delivered", {"ok": False, "result": "changing", "message": "orex since"}, ("Unknown", "Changing")),
    ("a word of a newer node", {"ok": False, "result": "scratched", "message": "could write"}, ("False", "Violated")),
]


@pytest.mark.parametrize(("proof", "condition"), [c[1:] for c in PROOFS], ids=[c[0] for c in PROOFS])
def test_the_continuous_proof(proof: dict[str, Any] | None, condition: tuple[str, str]) -> None:
    bench = Bench()
    if proof:
        bench.words["proof"] = proof
    bench.look()
    assert bench.condition("Intact")[:2] == condition
    if condition[0] == "False":
        assert "n1" in bench.condition("Intact")[2] and "could write" in bench.condition("Intact")[2]


@pytest.mark.parametrize(
    ("nodes", "status", "reason", "message"),
    [
        ({"a": "intact m", "b": "intact m"}, "True", "Proven", "on 2 nodes no user can write"),
        ({"a": "intact m", "b": "changing orex since 12"}, "Unknown", "Changing", "node b: orex since 12"),
        ({"a": "changing orex", "b": "changing orex"}, "Unknown", "Changing", "nodes a, b: orex"),
        ({"a": "changing orex", "b": "changing ocams"}, "Unknown", "Changing", "node a: orex; node b: ocams"),
        ({"a": "incomplete EIO", "b": "changing orex"}, "Unknown", "Changing", "node b: orex"),
        ({"a": "incomplete EIO", "b": "intact m"}, "Unknown", "Incomplete", "node a: EIO"),
        (
            {"a": "changing orex", "b": "violated written", "c": "incomplete EIO"},
            "False",
            "Violated",
            "node b: written",
        ),
    ],
)
def test_the_proofs_of_many_nodes(nodes: dict[str, str], status: str, reason: str, message: str) -> None:
    said = {name: word.partition(" ") for name, word in nodes.items()}
    rows = [
        NodeStatus(name=name, proof=Proof(ok=result == "intact", result=result, message=text))
        for name, (result, _, text) in said.items()
    ]
    ((kind, *found),) = conditions.intact(rows)
    assert (kind, *found[:2]) == ("Intact", status, reason) and found[2].startswith(message)


def test_a_delivery_is_no_event() -> None:
    """Normal work warns nobody; damage does."""

    def intact(status: Any, reason: str) -> Condition:
        return Condition(type="Intact", status=status, reason=reason, message="m", last_transition_time="t")

    proven, changing, violated = intact("True", "Proven"), intact("Unknown", "Changing"), intact("False", "Violated")
    assert events.happened([proven], [changing]) == events.happened([changing], [proven]) == []
    assert [h.reason for h in events.happened([changing], [violated])] == ["Violated"]


def test_what_nodes_show_stands_beside_what_is_released() -> None:
    bench = served(None, A)
    bench.words |= {"form": "live", "shows": "live", "fetching": A}
    bench.look()
    (node,) = bench.status["nodes"]
    assert (node["generation"], node["message"]) == ("", "is fetching generation aaaaaaaaaaaa")
    bench.words |= {"form": "catalog", "shows": A, "fetching": ""}
    bench.look()
    (node,) = bench.status["nodes"]
    assert (node["ready"], node["form"], node["generation"]) == (True, "catalog", A)
    assert bench.status["form"] == "catalog"
