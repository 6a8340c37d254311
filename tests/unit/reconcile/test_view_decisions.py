"""Decisions of people: who, when and why, a rejection, and what a whole approval looks like from outside."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.decision import LONGEST_NAME, LONGEST_REASON, Decision, plain, read_note, words, write_note
from pdshub.api.view import ArchiveViewSpec, InlineArchive
from pdshub.installation import Installation
from pdshub.kube import EVENT
from pdshub.reconcile.hub import archive_state
from pdshub.reconcile.view import update_policy
from pdshub.reconcile.view.decisions import decisions
from pdshub.render.archive import ViewRef
from tests.unit.reconcile.views import SPEC, A, B, Bench, C, served

APPROVE: dict[str, Any] = {**SPEC, "release": "approve"}


def managed(manager: str, at: str, *fields: str, **more: Any) -> dict[str, Any]:
    return {"manager": manager, "time": at, "fieldsV1": {"f:spec": {f"f:{name}": {} for name in fields}}, **more}


PLAIN: list[tuple[str, str, str]] = [
    ("as it is", "looked at it", "looked at it"),
    ("control characters", "red \x1b[31m\x07\n\nnext\u202eline", "red [31m next line"),
    ("too long", "x" * 400, "x" * (LONGEST_REASON - 1) + "…"),
]


@pytest.mark.parametrize(("text", "line"), [c[1:] for c in PLAIN], ids=[c[0] for c in PLAIN])
def test_what_people_write_is_one_short_line(text: str, line: str) -> None:
    assert plain(text, LONGEST_REASON) == line
    note = read_note(write_note(A, "ada", text), A)
    assert note is not None and (note.by, note.reason) == ("ada", line)
    by_hand = json.dumps({"generation": "a" * 12, "reason": text})
    assert (note := read_note(by_hand, A)) is not None and note.reason == line


NOTES: list[tuple[str, Any, bool]] = [
    ("none", None, False),
    ("no JSON", "because", False),
    ("no object", "[]", False),
    ("a number", 7, False),
    ("no text", json.dumps({"generation": A, "reason": 7}), False),
    ("something more", json.dumps({"generation": A, "role": "admin"}), False),
    ("of another generation", json.dumps({"generation": B, "reason": "x"}), False),
    ("of all generations", json.dumps({"generation": "", "reason": "x"}), False),
    ("endless", json.dumps({"generation": A, "reason": "x" * 5000}), False),
    ("of this one", json.dumps({"generation": A, "reason": "x"}), True),
    ("of this one in short", json.dumps({"generation": "a" * 12, "reason": "x"}), True),
]


@pytest.mark.parametrize(("text", "counts"), [c[1:] for c in NOTES], ids=[c[0] for c in NOTES])
def test_a_note_counts_for_its_generation_only(text: Any, counts: bool) -> None:
    assert (read_note(text, A) is not None) is counts
    assert (read_note(text, "sha256:" + "a" * 12) is not None) is counts


WHO: list[tuple[str, list[Any], tuple[str, str]]] = [
    ("nobody known", [], ("", "")),
    ("one", [managed("kubectl-patch", "t1", "approved")], ("kubectl-patch", "t1")),
    ("another field", [managed("kubectl-patch", "t1", "pin")], ("", "")),
    ("the last of two", [managed("argocd", "t2", "approved"), managed("kubectl", "t1", "approved")], ("argocd", "t2")),
    ("no time", [{"manager": "m", "fieldsV1": {"f:spec": {"f:approved": {}}}}], ("m", "")),
    ("nonsense", ["x", {"fieldsV1": []}, {"fieldsV1": {"f:spec": "f:approved"}}], ("", "")),
    (
        "strange names",
        [managed("m\x1b" + "x" * 300, "t\n1", "approved")],
        ("m " + "x" * (LONGEST_NAME - 3) + "…", "t 1"),
    ),
]


@pytest.mark.parametrize(("entries", "who"), [c[1:] for c in WHO], ids=[c[0] for c in WHO])
def test_who_is_known_from_the_field_managers(entries: list[Any], who: tuple[str, str]) -> None:
    view = {"metadata": {"name": "sbn", "managedFields": entries}}
    (found,) = decisions(view, ArchiveViewSpec.model_validate({**SPEC, "approved": "a" * 12}))
    assert (found.kind, found.generation, found.manager, found.at) == ("Approved", "a" * 12, *who)


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        ({}, ""),
        ({"manager": "kubectl-patch", "at": "t1"}, "by kubectl-patch at t1"),
        (
            {"by": "ada", "manager": "kubectl-pdshub", "at": "t1", "reason": "ok"},
            "by ada with kubectl-pdshub at t1: ok",
        ),
        ({"reason": "ok"}, "ok"),
    ],
)
def test_words(decision: dict[str, str], text: str) -> None:
    assert words(Decision(kind="Approved", **decision)) == text


def events(bench: Bench) -> list[tuple[str, str, str]]:
    found = [item for (plural, _, _), item in bench.kube.objects.items() if plural == EVENT.plural]
    return [(item["type"], item["reason"], item["message"]) for item in found]


def decide(bench: Bench, note: dict[str, str], **spec: str) -> None:
    """A person patches the spec, and the API server writes down who did."""
    bench.apply({**bench.kube.objects[("archiveviews", "", "sbn")]["spec"], **spec}, **note)
    meta = bench.kube.objects[("archiveviews", "", "sbn")]["metadata"]
    meta["managedFields"] = [managed("kubectl-pdshub", "2026-01-05T00:00:00Z", *spec)]


KINDS = [
    ("approved", "Approved", ("True", "Newest"), B),
    ("pin", "Pinned", ("True", "Pinned"), B),
    ("rejected", "Rejected", ("False", "Rejected"), A),
]


@pytest.mark.parametrize(("field", "kind", "condition", "shown"), KINDS, ids=[k[0] for k in KINDS])
def test_a_decision_is_in_status_and_event_and_condition(
    field: str, kind: str, condition: tuple[str, str], shown: str
) -> None:
    bench = served({**APPROVE, "approved": "a" * 12}, A)
    bench.surveys.keep(B, previous=A)
    bench.look()
    old = len(events(bench))
    note = write_note(B, "ada", "looked \x1b[1mat it")
    decide(bench, {f"pdshub.dev/{kind.lower()}": note}, **{field: "b" * 12})
    for _ in range(2):
        bench.look()
    (made,) = [item for item in bench.status["decisions"] if item["kind"] == kind]
    assert made == {
        "kind": kind, "generation": "b" * 12, "by": "ada", "manager": "kubectl-pdshub",
        "at": "2026-01-05T00:00:00Z", "reason": "looked [1mat it",
    }  # fmt: skip
    said = "by ada with kubectl-pdshub at 2026-01-05T00:00:00Z: looked [1mat it"
    new = events(bench)[old:]
    assert new[0] == ("Normal", kind, f"generation {'b' * 12} is {kind.lower()} {said}")
    assert [reason for _, reason, _ in new[1:]] == ([] if field == "rejected" else ["GenerationReleased"])
    assert bench.condition("Released")[:2] == condition
    assert field == "approved" or f"({said})" in bench.condition("Released")[2]
    assert bench.status["generation"]["name"] == shown and "candidate" not in bench.status
    bench.start()
    bench.look()
    assert len(events(bench)) == old + len(new), "a new operator tells nothing again"


def test_a_rejection_ends_with_its_successor() -> None:
    bench = served(None, A)
    bench.surveys.keep(B, files=1, previous=A)
    bench.look()
    decide(bench, {}, rejected="b" * 12)
    bench.look()
    assert "candidate" not in bench.status and "Users see generation aaaaaaaaaaaa" in bench.condition("Released")[2]
    bench.surveys.keep(C, previous=A)
    bench.look()
    assert bench.status["generation"]["name"] == C and bench.condition("Released")[:2] == ("True", "Newest")


@pytest.mark.parametrize(
    ("model", "fields", "says"),
    [
        (ArchiveViewSpec, {"rejected": "latest"}, "names no generation"),
        (ArchiveViewSpec, {"rejected": "a" * 12, "approved": "a" * 12}, "take one of them away"),
        (InlineArchive, {"rejected": "a" * 12}, "decisions about the ArchiveView"),
    ],
)
def test_a_rejection_is_checked_as_an_approval_is(model: Any, fields: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        model.model_validate({**SPEC, **fields})


# --- a whole approval ----------------------------------------------------------------------------------------------


class History:
    """Conditions and events over a sequence of looks."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.seen = bench, list[tuple[str, str, str]]()
        self.old = len(events(bench))

    def look(self, **words: Any) -> None:
        """The operator looks while the node says this."""
        self.bench.words |= words
        self.bench.look()
        ready = self.bench.condition("Ready")
        released = self.bench.condition("Released")
        self.seen.append((ready[0], ready[1], released[1]))

    @property
    def events(self) -> list[tuple[str, str]]:
        return [(kind, reason) for kind, reason, _ in events(self.bench)[self.old :]]


def later(bench: Bench, seconds: float) -> None:
    """Time passes for what the operator remembers."""
    memory = bench.context.view("sbn")
    known = memory.take_up
    fetching = {node: (what, since - seconds) for node, (what, since) in known.fetching.items()}
    memory.take_up = replace(known, newest_at=known.newest_at - seconds, fetching=fetching)


def test_an_approval_step_by_step() -> None:
    """The node learns of it a moment later, fetches, switches: Ready stays, and nothing is a warning."""
    bench = served({**APPROVE, "approved": "a" * 12}, A)
    bench.look()
    bench.surveys.keep(B, previous=A)
    story = History(bench)
    story.look(generation=1, shows=A)
    decide(bench, {}, approved="b" * 12)
    story.look(generation=1)  # the node still has the spec of before
    story.look(generation=2, fetching=B)
    story.look(generation=2, fetching="", shows=B)
    assert story.seen == [("True", "Complete", "WaitsForApproval")] + [("True", "Complete", "Newest")] * 3
    assert story.events == [("Normal", "WaitsForApproval"), ("Normal", "Approved"), ("Normal", "GenerationReleased")]


def test_the_first_approval_step_by_step() -> None:
    """Users see the sources live. New servers have to wait for the catalog: that is work, no failure."""
    bench = served(APPROVE, A)
    story = History(bench)
    story.look(shows="live")
    decide(bench, {}, approved="a" * 12)
    story.look(generation=1)
    away = {"ready": False, "state": "failed", "message": "generation aaaaaaaaaaaa is being fetched: 40 %"}
    story.look(generation=2, fetching=A, **away)
    assert bench.condition("Ready")[2].endswith("node n1 is fetching generation aaaaaaaaaaaa")
    story.look(fetching="", ready=True, state="ready", message="", shows=A)
    assert story.seen == [("True", "Complete", "WaitsForApproval")] + [("True", "Complete", "Newest")] * 3
    assert story.events == [("Normal", "Approved"), ("Normal", "GenerationReleased")]


@pytest.mark.parametrize(
    ("words", "ready"),
    [
        ({"shows": "live", "targets": 2}, ("True", "Complete")),
        ({"shows": A, "targets": 0}, ("True", "Complete")),
        ({"shows": A, "targets": 2}, ("Unknown", "Connecting")),
        ({"shows": "", "targets": 2}, ("Unknown", "Connecting")),
    ],
    ids=["users see the sources live", "nobody has a server", "the generation itself", "nothing is shown"],
)
def test_a_node_that_mounts_what_it_fetched(words: dict[str, Any], ready: tuple[str, str]) -> None:
    """Between a catalog's arrival and its mount a node looks at directories that only the catalog names."""
    bench = served(APPROVE, A)
    decide(bench, {}, approved="a" * 12)
    story = History(bench)
    story.look(generation=2, fetching=A)
    connecting = {"ready": False, "state": "connecting", "message": "source main: x not looked at yet"}
    story.look(fetching="", **words, **connecting)
    assert story.seen[-1][:2] == ready
    assert "ViewNotReady" not in [reason for _, reason in story.events]


def test_what_takes_long_is_said_and_what_takes_too_long_is_a_warning() -> None:
    bench = served(APPROVE, A)
    decide(bench, {}, approved="a" * 12)
    away = {"ready": False, "state": "failed", "message": "generation aaaaaaaaaaaa can't be fetched: timeout"}
    story = History(bench)
    story.look(generation=2, fetching=A, **away)
    later(bench, update_policy.EXCUSED_SECONDS)
    story.look()
    later(bench, update_policy.FETCHING_SECONDS)
    story.look()
    assert [ready for *ready, _ in story.seen] == [
        ["True", "Complete"], ["Unknown", "Fetching"], ["False", "ViewNotReady"],
    ]  # fmt: skip
    assert "can't be fetched" in bench.condition("Ready")[2]
    assert [kind for kind, reason in story.events if reason == "ViewNotReady"] == ["Warning"]
    story.look(ready=True, state="ready", fetching="", message="")
    assert story.seen[-1][:2] == ("True", "Complete")


def test_a_node_that_stays_behind_is_told_of() -> None:
    bench = served(APPROVE, A)
    decide(bench, {}, approved="a" * 12)
    story = History(bench)
    story.look(generation=1)
    later(bench, update_policy.EXCUSED_SECONDS)
    story.look()
    assert [ready for *ready, _ in story.seen] == [["True", "Complete"], ["Unknown", "Progressing"]]


def test_another_tree_is_not_excused() -> None:
    bench = served(APPROVE, A)
    bench.apply({**APPROVE, "tree": [{"path": "other", "layers": [{"source": "main"}]}]})
    story = History(bench)
    story.look(generation=1)
    assert story.seen[0][:2] == ("Unknown", "Progressing")


def test_a_new_operator_knows_what_the_last_one_saw() -> None:
    bench = served(APPROVE, A)
    bench.start()
    decide(bench, {}, approved="a" * 12)
    story = History(bench)
    bench.words["generation"] = 1
    bench.look()  # its first looks at the surveyor
    story.look()
    assert story.seen[0][:2] == ("True", "Complete")


@pytest.mark.parametrize(
    ("change", "known"),
    [({"approved": "a" * 12}, True), ({"tree": [{"path": "x", "layers": [{"source": "main"}]}]}, None)],
    ids=["a decision", "another tree"],
)
def test_a_hub_takes_the_last_word_on_its_view_while_only_a_decision_changed(
    change: dict[str, Any], known: bool | None
) -> None:
    bench = served(APPROVE, A)
    bench.apply({**APPROVE, **change})
    seen = bench.kube.objects[("archiveviews", "", "sbn")]
    found = archive_state.archive_state(ViewRef("sbn", "sbn", False), seen, None, Installation())
    assert found.ready is known
