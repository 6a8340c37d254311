"""How long a move takes: tables of lines, sizes and what comes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pdshub.aws_plan import moving
from pdshub.aws_plan.moving import Facts
from pdshub.aws_plan.usage import GIB, TIB, Figure, How


def given(value: float) -> Figure:
    return Figure(value, How.GIVEN, "a test")


FACTS = Facts(
    line=given(125e6), share=given(0.7), archive_bytes=given(10 * TIB), archive_files=given(1e6), homes=given(40),
    home_used=given(120 * GIB), changes=given(0.02), ttl=given(60), warn=given(300), days=given(1),
)  # fmt: skip


def times(**changed: float) -> dict[str, float]:
    facts = replace(FACTS, **{key: given(value) for key, value in changed.items()})
    return {stage.key: stage.seconds for stage in moving.stages(facts)}


@pytest.mark.parametrize(
    ("text", "speed"),
    [("1Gbit/s", 125e6), ("100 Mbit/s", 12.5e6), ("1.25Gbps", 156.25e6), ("50MB/s", 50e6), ("800bit/s", 100)],
)
def test_speeds(text: str, speed: float) -> None:
    assert moving.speed(text) == speed


@pytest.mark.parametrize("text", ["", "1", "fast", "0Mbit/s", "-1Gbit/s", "1Gbit", "1e9bit/s", "1 Pbit/s"])
def test_no_speeds(text: str) -> None:
    with pytest.raises(ValueError, match="is no speed"):
        moving.speed(text)


def test_a_small_node() -> None:
    found = times()
    assert found["archive"] == pytest.approx(10 * TIB / 87.5e6)
    assert found["compare"] == pytest.approx(10 * TIB / 150e6)
    assert found["homes"] == pytest.approx(120 * GIB / 87.5e6 + 14 * 20)
    assert found["last"] == pytest.approx(0.02 * 120 * GIB / 87.5e6 + 14 * 20)
    made = moving.make(FACTS)
    assert made.down == pytest.approx(60 + found["last"] + 120 + 60)
    assert [stage.key for stage in made.stages if stage.down] == ["fence", "last", "hub", "name"]


@pytest.mark.parametrize(
    ("changed", "key", "more"),
    [
        ({"line": 12.5e6}, "archive", True), ({"archive_files": 1e9}, "archive", True),
        ({"archive_bytes": 0, "archive_files": 0}, "archive", False), ({"home_used": 0}, "last", False),
        ({"days": 5}, "last", True), ({"ttl": 3600}, "name", True), ({"homes": 400}, "last", True),
        ({"homes": 4}, "homes", False),
    ],
)  # fmt: skip
def test_what_takes_longer(changed: dict[str, float], key: str, more: bool) -> None:
    assert (times(**changed)[key] > times()[key]) is more and times(**changed)[key] != times()[key]


def test_all_of_it_changes_at_most_once() -> None:
    assert times(days=5000)["last"] == times(changes=1)["last"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (0.2, "1 s"), (89, "89 s"), (90, "2 min"), (5399, "90 min"), (5400, "1.5 h"), (172_799, "48 h"),
     (172_800, "2 days"), (9e6, "104.2 days")],
)  # fmt: skip
def test_durations(seconds: float, said: str) -> None:
    assert moving.duration(seconds) == said


def test_advice() -> None:
    def said(**changed: float) -> str:
        facts = replace(FACTS, **{key: given(value) for key, value in changed.items()})
        return "\n".join(moving.advice(moving.make(facts)))

    assert "the rehearsal tells your own" in said() and "remembered for long" not in said()
    assert "set its time to live to 60 s" in said(ttl=3600)
    assert "more than a month" in said(line=1e6) and "most of the time" in said(days=40)
    assert "seconds that each home takes beside its bytes" in said(), "what is assumed is said"


def test_the_table_of_the_page_is_what_the_figures_make() -> None:
    page = (Path(__file__).parents[3] / "docs/aws-move.md").read_text()
    for stage in moving.make(FACTS).stages:
        row = f"| {stage.what} | {moving.duration(stage.seconds)} | {'**none**' if stage.down else 'yes'} |"
        assert row in page, f"write: {row}"
    assert moving.duration(moving.make(FACTS).down) == "10 min" and "Ten minutes without a hub" in page


def test_users_are_told_before_each_step_that_they_notice() -> None:
    made = moving.make(FACTS)
    keys = [stage.key for stage in made.stages]
    told = {stage.key: stage.told for stage in made.stages if stage.told}
    assert keys.index("warn") + 1 == keys.index("fence") and {"homes", "rehearse", "warn", "fence", "name"} <= set(told)
    answer = moving.as_json("hub/sbn", made, ["a note"])
    assert answer["secondsWithoutHub"] == sum(s["seconds"] for s in answer["stages"] if s["down"])
    assert answer["notes"][-1] == "a note" and answer["figures"]["line"] == {
        "value": 125e6,
        "how": "given",
        "why": "a test",
    }
