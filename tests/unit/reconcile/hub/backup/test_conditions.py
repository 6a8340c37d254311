"""What a hub says of its backups: BackedUp and KeyEscrowed."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.reconcile.hub.backup.conditions import OWNED, backed_up, drafts, escrowed
from tests.unit.reconcile.hub.backup.given import backup, done, facts, run

GOOD = run("good", done("home/ada", "keys"), "2026-03-10T02:30:05Z")
LOST = run(
    "lost",
    {
        **done(
            "home/ada", phase="PartiallyCompleted", message="1 of 2 items saved; not saved: keys (Full: no space left)"
        ),
        "items": [
            {"item": "home/ada", "phase": "Completed", "snapshot": "ab" * 32},
            {"item": "keys", "phase": "Failed"},
        ],
    },
    "2026-03-10T05:00:00Z",
)
PARTLY = run(
    "partly",
    {
        **done(phase="PartiallyCompleted", message="1 of 1 items saved; files that could not be read in home/ada"),
        "items": [{"item": "home/ada", "phase": "PartiallyCompleted", "snapshot": "ab" * 32}],
    },
    "2026-03-10T05:00:00Z",
)
FAILED = run("bad", {"phase": "Failed", "message": "Unreachable: connection refused"}, "2026-03-10T05:00:00Z")
OF_ONE = run("ada", {"phase": "Failed", "message": "x"}, "2026-03-10T06:00:00Z", users=["ada"])
GOES_ON = run("now", {"phase": "Running", "started": "2026-03-10T11:59:00Z"}, "2026-03-10T11:59:00Z")
CASES: list[tuple[str, dict[str, Any], str, str, list[str]]] = [
    (
        "all is well",
        {"runs": (GOOD,)},
        "True",
        "Saved",
        ["good of 2026-03-10T02:30:05Z", "due at 2026-03-11T02:30:00Z"],
    ),
    ("files that nobody can read", {"runs": (GOOD, PARTLY)}, "True", "Saved", ["could not be read in home/ada"]),
    ("an item is missing", {"runs": (GOOD, LOST)}, "False", "ItemsNotSaved", ["keys (Full", "good of 2026-03-10"]),
    ("the last run failed", {"runs": (GOOD, FAILED)}, "False", "RunFailed", ["Unreachable", "good of 2026-03-10"]),
    (
        "mended since",
        {"runs": (FAILED, run("later", done("keys"), "2026-03-10T09:00:00Z"))},
        "True",
        "Saved",
        ["later"],
    ),
    ("one of single homes says nothing of it", {"runs": (GOOD, OF_ONE)}, "True", "Saved", []),
    ("one goes on", {"runs": (GOOD, GOES_ON)}, "True", "Saved", ["good of"]),
    (
        "two periods without",
        {"runs": (GOOD,), "now": "2026-03-13T12:00:00Z"},
        "False",
        "TooOld",
        ["good of 2026-03-10"],
    ),
    ("one period without", {"runs": (GOOD,), "now": "2026-03-11T12:00:00Z"}, "True", "Saved", []),
    ("none yet", {"now": "2026-03-01T06:00:00Z"}, "Unknown", "NoneYet", ["nothing was saved", "2026-03-02T02:30:00Z"]),
    ("the first goes on", {"runs": (GOES_ON,)}, "Unknown", "NoneYet", []),
    ("none for long", {"now": "2026-03-09T06:00:00Z"}, "False", "TooOld", ["nothing was saved whole yet"]),
    ("refused", {"refused": ("NotAllowed", "ask"), "runs": (GOOD,)}, "False", "NotAllowed", ["ask", "good of"]),
    ("the key is gone", {"key": "Lost", "runs": (GOOD,)}, "False", "KeyMissing", ["demo-backup-key", "put it back"]),
    ("suspended", {"spec": backup(suspend=True), "runs": (GOOD,)}, "True", "Saved", ["spec.backup.suspend"]),
]


@pytest.mark.parametrize(("given", "status", "reason", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_backed_up(given: dict[str, Any], status: str, reason: str, says: list[str]) -> None:
    kind, found, why, message = backed_up(facts(**given))
    assert (kind, found, why) == ("BackedUp", status, reason), message
    assert all(words in message for words in says), message


def test_the_message_stays_while_nothing_happens() -> None:
    """A look a minute later writes nothing."""
    first, second = (backed_up(facts(f"2026-03-10T12:0{n}:00Z", runs=(GOOD,))) for n in (0, 1))
    assert first == second


def test_a_key_that_nobody_keeps_elsewhere_is_said_until_somebody_says_where_it_is() -> None:
    _, status, reason, message = escrowed(facts())
    assert (status, reason) == ("False", "NotDeclared")
    assert "kubectl get secret demo-backup-key -n ns -o jsonpath='{.data.key}' | base64 -d" in message
    told = backup(key={"escrow": "in the safe of room 7, Dr. Ada"})
    assert escrowed(facts(spec=told))[1:3] == ("True", "Declared")
    assert escrowed(facts(key="Absent"))[1:3] == ("Unknown", "NoKey")
    assert escrowed(facts(refused=("ClaimMissing", "x")))[1] == "False", "what is refused changes nothing of the key"


def test_a_hub_without_backups_says_nothing() -> None:
    assert drafts(facts(backup=None)) == []
    assert tuple(draft[0] for draft in drafts(facts(runs=(GOOD,)))) == OWNED
