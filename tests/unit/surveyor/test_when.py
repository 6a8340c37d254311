"""When the surveyor surveys, and what it is asked."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from pdshub.surveyor import answers, schedule
from pdshub.surveyor.desired_view import DesiredViewError
from tests.unit.surveyor.support import Bench, add, body, needs_mkfs

pytestmark = needs_mkfs

SURVEYED: list[tuple[dict[str, Any], bool]] = [
    ({}, False),
    ({"release": "approve"}, False),
    ({"pin": "a" * 64}, False),
    ({"survey": {"intervalSeconds": 7200}}, False),
    ({"authority": {"shrinkThresholdPercent": 90}}, False),
    ({"authority": {"superseded": "hide"}}, False),  # the default, spelled out
    ({"generation": 7}, False),
    ({"keep": ["sha256:" + "a" * 64]}, False),
    ({"form": "live"}, False),
    ({"request": "now"}, True),
    ({"authority": {"rules": [{"hide": "urn:nasa:pds:y"}]}}, True),
    ({"authority": {"superseded": "sibling"}}, True),
]


def test_what_asks_for_a_survey(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        await bench.turn()
        for change, surveyed in SURVEYED:
            before = bench.surveyor.progress.surveys
            bench.put(**change)
            await bench.turn()
            assert (bench.surveyor.progress.surveys > before) is surveyed, change

    bench.run(run)


def test_the_stamp_file_asks_for_a_survey(bench: Bench) -> None:
    async def run() -> None:
        bench.put(survey={"stampFile": "release.txt"})
        await bench.turn()
        counts = [bench.surveyor.progress.surveys]
        stamp = bench.sources / "main" / "release.txt"
        for text in ("2030-1", None, "2030-02"):
            if text:
                stamp.write_text(text)
            await bench.turn(after=30)
            counts.append(bench.surveyor.progress.surveys)
        assert counts == [1, 2, 2, 3]

    bench.run(run)


def test_a_dataset_that_is_being_copied_waits(bench: Bench) -> None:
    async def run() -> None:
        bench.clock.now = time.time()
        bench.put(authority={"settleSeconds": 60}, keep=["sha256:" + "a" * 64])  # users have a generation already
        state = await bench.turn(after=0)
        assert state["survey"]["state"] == "waiting" and state["survey"]["settling"] == 3
        assert state["generations"][0]["counts"]["files"] == 0
        assert (await bench.turn(after=30))["survey"]["state"] == "waiting"
        state = await bench.turn(after=31)
        assert state["survey"]["state"] == "idle" and state["generations"][0]["counts"]["files"] == 14

    bench.run(run)


def test_the_first_generation_withholds_nothing(bench: Bench) -> None:
    async def run() -> None:
        bench.clock.now = time.time()
        bench.put(authority={"settleSeconds": 60})
        state = await bench.turn(after=0)
        assert state["survey"]["state"] == "waiting" and state["generations"][0]["counts"]["files"] == 14
        add(bench)  # what changes from now on waits
        bench.clock.now = time.time()  # the survey has taken real time, and files have real times
        state = await bench.turn(after=31)
        assert state["generations"][0]["counts"]["files"] == 14
        state = await bench.turn(after=31)
        assert state["survey"]["state"] == "idle" and state["generations"][0]["counts"]["files"] == 15

    bench.run(run)


def test_a_changed_view_stops_the_survey_of_the_old_one(bench: Bench) -> None:
    async def run() -> None:
        bench.put()
        turn = asyncio.create_task(bench.surveyor.turn())
        while not bench.surveyor.surveying:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        bench.put(authority={"rules": [{"hide": "urn:nasa:pds:y"}]})
        await turn
        assert answers.state(bench.surveyor).body()["generations"] == [] and bench.surveyor.progress.failures == 0
        assert (await bench.turn())["generations"][0]["counts"]["files"] == 12

    bench.run(run)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ([], "an object"),
        ({"name": "sbn"}, "an object"),
        ({**body(), "name": ""}, "name"),
        ({**body(), "request": 7}, "request"),
        ({**body(), "keep": ["sha256:12"]}, "keep"),
        ({**body(), "keep": "all"}, "keep"),
        ({**body(), "spec": {**body()["spec"], "surprise": 1}}, "surprise"),
        ({**body(), "spec": {"sources": []}}, "sources"),
        ({**body(), "name": "another"}, "this is the surveyor of sbn"),
    ],
)
def test_wishes_that_are_refused(bench: Bench, wrong: Any, words: str) -> None:
    bench.put()
    with pytest.raises(DesiredViewError, match=words):
        bench.surveyor.put(wrong)
    assert bench.surveyor.desired and bench.surveyor.desired.body() == body()


@pytest.mark.parametrize(
    ("request_", "tried", "expected"),
    [
        ("", "", False), ("2026-1", "", False), ("full-1", "", True), ("full-1", "full-1", False),
        ("full-2", "full-1", True), ("full-1+node", "full-1", False), ("full-2+node", "full-1+node", True),
        ("2026-1+full-", "", False),
    ],
)  # fmt: skip
def test_who_asks_for_every_directory(request_: str, tried: str, expected: bool) -> None:
    """A person does, once each; what nodes ask for behind a plus changes nothing of that."""
    assert schedule.full(request_, tried) is expected
