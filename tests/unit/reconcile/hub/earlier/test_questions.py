"""What a hub asks for its people, as a hub that was taken over would ask it."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.reconcile.hub.earlier.questions import MOST, QuestionsError, read

RUN, ID, ONE = "0f" * 16, "a1" * 16, "1a" * 32


def ask(**more: Any) -> dict[str, Any]:
    row = {
        "id": ID,
        "number": 1,
        "user": "ada@example.org",
        "what": "restore",
        "snapshot": ONE,
        "asOf": "",
        "path": "x",
    }
    return {**row, **more}


def answer(*rows: Any, **more: Any) -> dict[str, Any]:
    return {"run": RUN, "last": 1, "asks": list(rows), **more}


def test_a_question_is_read() -> None:
    (one,) = read(answer(ask(later="what a newer hub says"))).asked
    assert (one.user, one.what, one.snapshot, one.path) == ("ada@example.org", "restore", ONE, "x")


NONE = [
    None,
    [],
    "x",
    {},
    {"run": RUN},
    answer(run="x"),
    answer(last=-1),
    answer(last=True),
    answer(last=2**70),
    answer(asks={}),
]


@pytest.mark.parametrize("body", NONE)
def test_what_is_no_answer_is_refused(body: Any) -> None:
    with pytest.raises(QuestionsError):
        read(body)


BAD: list[dict[str, Any]] = [
    {"path": "../x"},
    {"path": "a/../../b"},
    {"path": "/etc/passwd"},
    {"path": ""},
    {"path": "a//b"},
    {"path": "a\0b"},
    {"path": "a\nb"},
    {"path": "a\u202eb"},
    {"path": "x" * 600},
    {"path": 5},
    {"snapshot": "latest"},
    {"snapshot": "1a2b3c4d"},
    {"snapshot": ONE + "\n"},
    {"snapshot": "--no-lock"},
    {"asOf": "yesterday"},
    {"asOf": "2026-03-10T02:30:05Z\n"},
    {"user": ""},
    {"user": "x" * 300},
    {"user": "ada\nbela"},
    {"user": ["ada"]},
    {"what": "delete"},
    {"number": 0},
    {"asOf": "2026-03-10T02:30:05Z"},
]
"""The last is of two versions at once."""


@pytest.mark.parametrize("wrong", BAD)
def test_a_question_that_is_none_is_answered_and_not_done(wrong: dict[str, Any]) -> None:
    found = read(answer(ask(**wrong)))
    assert found.asked == () and found.bad == (ID,)


@pytest.mark.parametrize("row", [None, "x", [], {}, {"id": "../x"}, {"id": ID + "0"}, ask(id="Z" * 32)])
def test_what_has_no_name_is_left_out(row: Any) -> None:
    found = read(answer(row))
    assert found.asked == () and found.bad == ()


def test_somebody_has_one_question_and_all_have_a_bound() -> None:
    rows = [ask(id=f"{n:032x}", number=n + 1) for n in range(10)]
    found = read(answer(*rows))
    assert len(found.asked) == 1 and len(found.bad) == 9
    rows = [ask(id=f"{n:032x}", number=n + 1, user=f"u{n}") for n in range(10_000)]
    assert len(read(answer(*rows)).asked) == MOST
