"""``kubectl pdshub``: approve, reject and pin with who and why, and comparison with what users see."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli.main import main
from tests.unit.cli.test_plugin import DIFFED, NEW, OLD, SHOWN, VIEW, Fake, decided, inside, patch
from tests.unit.cli.test_plugin import kubectl as kubectl

ADA = {"auth whoami": {"status": {"userInfo": {"username": "ada@example.org\x1b[1m"}}}}
BY = {"by": "ada@example.org [1m"}


def view(fake: Fake, spec: dict[str, Any] | None = None, **status: Any) -> None:
    """The view is this one, and who asks is known."""
    changed = {**VIEW, "spec": {**VIEW["spec"], **(spec or {})}, "status": {**VIEW["status"], **status}}
    fake.answers |= {"get archiveviews.pdshub.dev sbn": changed, **ADA}
    fake.write()


DECISIONS: list[tuple[str, str, dict[str, Any], list[str], str]] = [
    ("approve", "approve sbn", {}, decided("approved", NEW, BY), "approved aaaaaaaaaaaa: 3 files added"),
    (
        "with a reason",
        "approve sbn --reason looked",
        {},
        decided("approved", NEW, {**BY, "reason": "looked"}),
        "approved",
    ),
    ("reject", "reject sbn", {}, decided("rejected", NEW, BY), "rejected aaaaaaaaaaaa: users keep what they see"),
    (
        "reject by name",
        "reject sbn aaaaaaaaaaaa --reason bad",
        {},
        decided("rejected", NEW, {**BY, "reason": "bad"}),
        "",
    ),
    (
        "reject what was approved",
        "reject sbn",
        {"approved": "a" * 12},
        decided("rejected", NEW, BY, approved=None),
        "rejected",
    ),
    ("an approval of another one stays", "reject sbn", {"approved": SHOWN}, decided("rejected", NEW, BY), "rejected"),
    (
        "approve what was rejected",
        "approve sbn aaaaaaaaaaaa",
        {"rejected": "a" * 12},
        decided("approved", NEW, BY, rejected=None),
        "approved aaaaaaaaaaaa, which was rejected before",
    ),
    ("pin", "pin sbn cccccccccccc --reason rollback", {}, decided("pin", OLD, {**BY, "reason": "rollback"}), "held at"),
    (
        "unpin",
        "unpin sbn",
        {"pin": OLD},
        patch({"spec": {"pin": None}, "metadata": {"annotations": {"pdshub.dev/pinned": None}}}),
        "follows",
    ),
]


@pytest.mark.parametrize(("line", "spec", "last", "said"), [d[1:] for d in DECISIONS], ids=[d[0] for d in DECISIONS])
def test_a_decision_says_who_and_why(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], line: str, spec: dict[str, Any], last: list[str], said: str
) -> None:
    view(kubectl, spec)
    assert main(["archive", *line.split()]) == 0
    assert kubectl.calls()[-1] == last
    assert said in capsys.readouterr().out


def test_who_is_not_known_is_not_invented(kubectl: Fake) -> None:
    assert main(["archive", "approve", "sbn"]) == 0
    assert kubectl.calls()[-1] == decided("approved", NEW)
    assert ["auth", "whoami", "-o", "json"] in kubectl.calls()


@pytest.mark.parametrize(
    ("line", "status", "code", "words"),
    [
        (
            ["reject", "sbn", "bbbbbbbbbbbb"],
            {},
            1,
            "users see bbbbbbbbbbbb already: kubectl pdshub archive pin sbn prev",
        ),
        (["reject", "sbn", "cccccccccccc"], {}, 1, "cccccccccccc does not wait for a decision; aaaaaaaaaaaa does"),
        (["reject", "sbn"], {"candidate": None}, 1, "no generation waits for a decision"),
        (["reject", "sbn", "--reason", "x" * 301], {}, 2, "at most 300 characters"),
    ],
)
def test_what_can_not_be_decided(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], line: list[str], status: dict[str, Any], code: int, words: str
) -> None:
    view(kubectl, **status)
    try:
        made = main(["archive", *line])
    except SystemExit as end:
        made = int(str(end.code))
    assert made == code and words in capsys.readouterr().err
    assert not [call for call in kubectl.calls() if call[0] == "patch"]


def test_nobody_rolls_back_to_what_was_rejected(kubectl: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    view(kubectl, {"rejected": "c" * 12})
    assert main(["archive", "pin", "sbn", "previous"]) == 1
    assert "no generation before bbbbbbbbbbbb is kept" in capsys.readouterr().err


LIVE = {**DIFFED, "from": "live", "asOf": "2026-11-20T00:00:00Z"}
COMPARED: list[tuple[str, str, dict[str, Any], list[str], str]] = [
    ("what users see and what waits", "diff sbn", {}, ["diff", SHOWN, NEW], "from bbbbbbbbbbbb to aaaaaaaaaaaa"),
    ("nothing waits: the newest", "diff sbn", {"candidate": None}, ["diff", SHOWN], "from bbbbbbbbbbbb"),
    (
        "before the first release users see the sources",
        "diff sbn",
        {"generation": None},
        ["diff", "live", NEW],
        "from the sources live as of 2026-11-20T00:00:00Z to aaaaaaaaaaaa",
    ),
    ("live by name", "diff sbn live cccccccccccc", {}, ["diff", "live", OLD], "from the sources live"),
]


@pytest.mark.parametrize(("line", "status", "asks", "says"), [c[1:] for c in COMPARED], ids=[c[0] for c in COMPARED])
def test_what_is_compared(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], line: str, status: dict[str, Any], asks: list[str], says: str
) -> None:
    kubectl.answers["exec diff"] = LIVE if "live" in asks else DIFFED
    view(kubectl, **status)
    assert main(["archive", *line.split()]) == 0
    assert kubectl.calls()[-1] == inside(*asks, "--limit", "1000")
    assert capsys.readouterr().out.startswith(says)


FIRST: list[tuple[str, dict[str, Any] | None, str]] = [
    ("not known", None, "what it changes is not known yet"),
    ("nothing hidden", {}, "first generation: 2 datasets, 9 files; against what users see live: no change of names"),
    (
        "hidden",
        {"datasetsRemoved": 1, "filesRemoved": 4, "filesReplaced": 2, "filesAdded": 3},
        "first generation: 2 datasets, 9 files; against what users see live: "
        "1 datasets hidden, 4 files hidden, 2 files from another copy, 3 files at another",
    ),
]


@pytest.mark.parametrize(("changes", "says"), [c[1:] for c in FIRST], ids=[c[0] for c in FIRST])
def test_the_first_approval_is_not_blind(
    kubectl: Fake, capsys: pytest.CaptureFixture[str], changes: dict[str, Any] | None, says: str
) -> None:
    waits = {
        **VIEW["status"]["candidate"],
        "against": "live",
        "counts": {"datasets": 2, "files": 9},
        "changes": changes,
    }
    view(kubectl, generation=None, candidate=waits)
    assert main(["archive", "status", "sbn"]) == 0
    out = capsys.readouterr().out
    assert f"it brings: {says}" in out and "Users see no generation yet, but the sources live" in out
    assert main(["archive", "approve", "sbn"]) == 0
    assert f"approved aaaaaaaaaaaa: {says}" in capsys.readouterr().out


def test_status_says_who_decided_and_why_it_does_not_go(kubectl: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    pinned = {
        "kind": "Pinned",
        "generation": OLD,
        "by": "ada",
        "manager": "kubectl-pdshub",
        "at": "t1",
        "reason": "r\x07",
    }
    deleting = {"type": "Deleting", "status": "True", "reason": "InUse", "message": "the deletion waits"}
    conditions = [*VIEW["status"]["conditions"], deleting]
    view(kubectl, {"pin": OLD}, decisions=[pinned], conditions=conditions)
    assert main(["archive", "status", "sbn"]) == 0
    out = capsys.readouterr().out
    assert "Pinned: cccccccccccc by ada with kubectl-pdshub at t1: r\\x07" in out and "Pinned at" not in out
    assert "Deleting is True: the deletion waits" in out


def test_the_columns_have_the_words_of_the_manual(kubectl: Fake, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "status"]) == 0
    assert "WaitsForApproval" in capsys.readouterr().out
    manual = (Path(__file__).parents[3] / "docs" / "conditions.md").read_text()
    for word in ("WaitsForApproval", "Shrunk", "EntryEmpty", "LayerMissing", "Rejected", "Fetching", "InUse"):
        assert f"`{word}`" in manual
    assert json.dumps(VIEW).count('"Approve"') == 0
