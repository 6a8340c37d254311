"""Condition Local: whether what travels with what users see is on every node. And the words of the command line."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.generation import ReleasedGeneration, Travelling
from pdshub.api.status import Condition
from pdshub.api.survey import State
from pdshub.api.view import ArchiveViewSpec, NodeStatus
from pdshub.cli import words
from pdshub.reconcile.view import conditions
from pdshub.reconcile.view.generations import Verdict
from tests.unit.reconcile.views import SPEC, A, B

CONTENT, OLDER = "sha256:" + "c" * 64, "sha256:" + "d" * 64
WITH = ArchiveViewSpec.model_validate({**SPEC, "survey": {"content": {}}})
ALL = {"digest": CONTENT, "files": 20_000, "bytes": 93_000_000, "wantedFiles": 20_000, "complete": True}
SOME = {**ALL, "files": 15_000, "complete": False}


def node(name: str, digest: str = CONTENT, message: str = "") -> dict[str, Any]:
    """What a node has."""
    return {"name": name, "content": {"digest": digest, "files": 20_000 if digest else 0, "message": message}}


def reading(state: str = "done", of: str = A, **more: Any) -> dict[str, Any]:
    """What the surveyor says of reading."""
    return {"generation": of, "state": state, **more}


BOTH = [node("a"), node("b")]
FULL = "packs take more than nodePlugin.packs.maxBytes"
CASES: list[tuple[str, dict[str, Any] | None, dict[str, Any] | None, list[dict[str, Any]], str, str, str]] = [
    (
        "all of it, everywhere",
        ALL,
        reading(),
        BOTH,
        "True",
        "Complete",
        "20,000 files (93,000,000 bytes) are read on 2",
    ),
    ("on one of two", ALL, reading(), [node("a"), node("b", "")], "Unknown", "Fetching", "to 1 nodes: b"),
    ("an older one on one", ALL, reading(), [node("a", OLDER), node("b")], "Unknown", "Fetching", "to 1 nodes: a"),
    ("a node that says nothing of it", ALL, reading(), [node("a"), {"name": "b"}], "Unknown", "Fetching", "nodes: b"),
    ("no room on one", ALL, reading(), [node("a"), node("b", "", FULL)], "False", "NotOnNode", f"node b: {FULL}"),
    ("nothing read yet", None, reading("running"), [{"name": "a"}], "Unknown", "Reading", "the first files"),
    ("some of it", SOME, reading("running"), BOTH, "Unknown", "Reading", "15,000 of 20,000"),
    (
        "the budget is used up",
        SOME,
        reading(overBudget=True),
        BOTH,
        "False",
        "OverBudget",
        "spec.survey.content.budget",
    ),
    ("some changed", SOME, reading(changed=7), BOTH, "False", "LeftOut", "7 changed since the survey"),
    ("some unreadable", SOME, reading(unreadable=3), BOTH, "False", "LeftOut", "3 could not be read"),
    ("the store is full", SOME, reading("failed", message="no space"), BOTH, "False", "ReadFailed", "no space"),
    ("of another generation", SOME, reading("failed", of=B, message="x"), BOTH, "Unknown", "Reading", "15,000"),
    ("a state that nobody knows", SOME, reading("dozing"), BOTH, "Unknown", "Reading", "15,000"),
    ("the surveyor is away", ALL, None, BOTH, "True", "Complete", "20,000"),
]


def _verdict(content: dict[str, Any] | None) -> Verdict:
    travels = Travelling.model_validate(content) if content else None
    return Verdict(ReleasedGeneration(name=A, content=travels), None, True, "Newest", "")


@pytest.mark.parametrize(
    ("content", "said", "nodes", "status", "reason", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_local(
    content: dict[str, Any] | None, said: dict[str, Any] | None, nodes: list[dict[str, Any]],
    status: str, reason: str, says: str,
) -> None:  # fmt: skip
    state = State.model_validate({"reading": said}) if said else None
    rows = [NodeStatus.model_validate(one) for one in nodes]
    ((kind, *found, message),) = conditions.local(WITH, _verdict(content), state, rows, [])
    assert kind == "Local" and found == [status, reason] and says in message


def test_nothing_is_said_where_nothing_travels() -> None:
    assert conditions.local(ArchiveViewSpec.model_validate(SPEC), _verdict(None), None, [], []) == []


def test_before_the_first_generation() -> None:
    ((_, status, reason, _),) = conditions.local(WITH, Verdict(None, None, None, "NoGeneration", ""), None, [], [])
    assert (status, reason) == ("Unknown", "NoGeneration")


@pytest.mark.parametrize(("reason", "stands"), [("OverBudget", True), ("ReadFailed", True), ("NotOnNode", False)])
def test_what_was_said_of_reading_stands_while_the_surveyor_is_away(reason: str, stands: bool) -> None:
    was = Condition(type="Local", status="False", reason=reason, message="as before", last_transition_time="t")
    rows = [NodeStatus.model_validate(one) for one in BOTH]
    ((_, *found, message),) = conditions.local(WITH, _verdict(SOME), None, rows, [was])
    assert (found == ["False", reason] and message == "as before") is stands


VIEW: dict[str, Any] = {
    "metadata": {"name": "sbn"},
    "spec": {},
    "status": {
        "form": "catalog",
        "generation": {"name": A, "content": SOME},
        "nodes": [{"name": "a", "ready": True, **node("a")}, {"name": "b", "ready": True, **node("b", "", FULL)}],
    },
}


@pytest.mark.parametrize(
    "text",
    [
        "Read on the nodes themselves: 15,000 of 20,000 files, 93,000,000 bytes (content cccccccccccc)",
        "LOCAL   PODS",
        "20,000  -",
        FULL,
    ],
)
def test_the_command_line_says_it(text: str) -> None:
    assert text in words.view(VIEW)


def test_the_command_line_has_no_column_where_nothing_travels() -> None:
    nodes = [{"name": "a", "ready": True}]
    assert "LOCAL" not in words.view({**VIEW, "status": {"generation": {"name": A}, "nodes": nodes}})
