"""What is written of a hub's answers: each entry once, every gap told, and nothing that a hub may not say."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.audit_log import entry
from pdshub.audit_log.spools import Budget, Reader, SpoolError, read

RUN, OTHER = "a" * 32, "b" * 32


def said(*seqs: int, **more: Any) -> list[dict[str, Any]]:
    return [{"seq": seq, "time": 1e9, "event": "sign-in", "user": f"u{seq}", **more} for seq in seqs]


def answer(*seqs: int, run: str = RUN, first: int = 1, last: int = 0) -> dict[str, Any]:
    return {"run": run, "first": first, "last": last or max(seqs, default=0), "entries": said(*seqs)}


def told(reader: Reader, found: dict[str, Any], limit: int = 500) -> list[tuple[str, int, int]]:
    made = reader.entries(read(found, limit))
    reader.written(made)
    return [(each["event"], each["seq"], each.get("missing", 0)) for each in made]


S, G, F, R = "sign-in", entry.GAP, entry.HUB_FOLLOWED, entry.HUB_RESTARTED
STORIES: list[tuple[str, list[tuple[dict[str, Any], list[tuple[str, int, int]]]]]] = [
    ("the first look", [(answer(1, 2), [(F, 0, 0), (S, 1, 0), (S, 2, 0)])]),
    ("an empty hub", [(answer(last=0), [(F, 0, 0)]), (answer(last=0), [])]),
    ("nothing twice", [(answer(1, 2), [(F, 0, 0), (S, 1, 0), (S, 2, 0)]), (answer(1, 2, 3), [(S, 3, 0)])]),
    ("overrun", [(answer(1), [(F, 0, 0), (S, 1, 0)]), (answer(7, 8, first=7), [(G, 6, 5), (S, 7, 0), (S, 8, 0)])]),
    ("a new run", [(answer(1, 2), [(F, 0, 0), (S, 1, 0), (S, 2, 0)]), (answer(1, run=OTHER), [(R, 0, 0), (S, 1, 0)])]),
    ("late to a hub", [(answer(5, first=5), [(F, 0, 0), (G, 4, 4), (S, 5, 0)])]),
    ("a hole in the middle", [(answer(1, 4), [(F, 0, 0), (S, 1, 0), (G, 3, 2), (S, 4, 0)])]),
    ("out of order and twice", [(answer(2, 1, 2), [(F, 0, 0), (S, 1, 0), (S, 2, 0)])]),
    ("backwards, which is told once", [(answer(1, 2), [(F, 0, 0), (S, 1, 0), (S, 2, 0)]),
                                       (answer(1, last=1), [(G, 2, 0)]), (answer(1, last=1), [])]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "story"), STORIES, ids=[name for name, _ in STORIES])
def test_each_entry_once_and_every_gap(name: str, story: list[Any]) -> None:
    reader = Reader("ns/hub")
    for found, wanted in story:
        assert told(reader, found) == wanted


def test_what_was_not_written_is_asked_again() -> None:
    reader = Reader("ns/hub", (RUN, 1))
    made = reader.entries(read(answer(2, 3), 10))
    assert reader.at == (RUN, 1)
    assert reader.entries(read(answer(2, 3), 10)) == made


REFUSED: list[Any] = [
    None, [], "x", {}, {"run": RUN}, {**answer(1), "run": "x"}, {**answer(1), "run": RUN + "\n"},
    {**answer(1), "first": -1}, {**answer(1), "last": 2**70}, {**answer(1), "last": True}, {**answer(1), "last": 1.0},
    {**answer(1), "entries": {}}, {**answer(1), "entries": ["x"]}, {**answer(1), "entries": [{}]},
    {**answer(1), "entries": said(1) * 501}, {**answer(1), "entries": [{"seq": "1"}]},
]  # fmt: skip


@pytest.mark.parametrize("found", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_spool_is_refused_whole(found: Any) -> None:
    with pytest.raises(SpoolError):
        read(found, 500)


FORGED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"event": "list-change"}, {"event": "unreadable"}),
    ({"event": "log-pruned", "file": 7}, {"event": "unreadable"}),
    ({"event": "X\x1b[2J"}, {"event": "unreadable"}),
    ({"event": 7}, {"event": "unreadable"}),
    ({"user": ["a"]}, {"event": "unreadable"}),
    ({"hub": "other/hub", "from": "operator", "n": 1, "prev": "x", "time": 9e99}, {"hub": "ns/hub", "from": "hub"}),
    ({"by": "somebody", "manager": "m", "person": "p", "run": OTHER, "digest": "d"}, {"run": RUN}),
    ({"time": float("nan")}, {"at": "an impossible time"}),
    ({"time": -1e300}, {"at": "an impossible time"}),
    ({"time": True}, {"at": "an impossible time"}),
    ({"time": 4102444800}, {"at": "2100-01-01T00:00:00Z"}),  # time travel shows: `time` is the operator's own
    ({"reason": {"a": 1}, "K" * 99: "x", "\x1b": "y", "way": "api"}, {"way": "api"}),
]


@pytest.mark.parametrize(("over", "wanted"), FORGED, ids=range(len(FORGED)))
def test_a_hub_speaks_for_itself_alone(over: dict[str, Any], wanted: dict[str, Any]) -> None:
    found = answer(1)
    found["entries"][0] |= over
    (_, made) = Reader("ns/hub").entries(read(found, 10))
    assert {key: made.get(key) for key in wanted} == wanted
    assert made["hub"] == "ns/hub" and made["from"] == "hub" and made["run"] == RUN
    assert not {"by", "manager", "person", "digest", "n", "prev", "time", "K" * 99, "\x1b"} & made.keys()


SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = SCALAR | st.lists(SCALAR, max_size=3) | st.dictionaries(st.text(max_size=8), SCALAR, max_size=3)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    entries=st.lists(
        st.fixed_dictionaries(
            {"seq": st.integers(0, 40)}, optional={"event": JSON, "user": JSON, "time": JSON, "x": JSON}
        ),
        max_size=6,
    ),
    at=st.none() | st.tuples(st.sampled_from([RUN, OTHER]), st.integers(0, 40)),
)
def test_whatever_a_hub_answers_makes_lines_whose_numbers_grow(entries: Any, at: Any) -> None:
    reader = Reader("ns/hub", at)
    made = reader.entries(read({"run": RUN, "first": 1, "last": 41, "entries": entries}, 500))
    numbers = [each["seq"] for each in made]
    assert numbers == sorted(numbers)
    for number, each in enumerate(made):
        line = entry.line(number, "2026-01-01T00:00:00Z", each, "")
        assert line.isascii() and line.count(b"\n") == 1 and len(line) <= entry.LINE
        assert json.loads(line)["hub"] == "ns/hub"
    before = len(made)
    reader.written(made)
    assert not reader.entries(read({"run": RUN, "first": 1, "last": 41, "entries": entries}, 500)) or not before


def test_a_hub_that_talks_is_given_less() -> None:
    budget = Budget(burst=1000, each_minute=60)
    assert budget.take(0.0, 500) == 500
    budget.spend(500)
    assert budget.take(0.0, 500) == 500
    budget.spend(500)
    assert budget.take(0.0, 500) == 0
    assert budget.take(30.0, 500) == 30
    assert budget.take(1e6, 500) == 500
