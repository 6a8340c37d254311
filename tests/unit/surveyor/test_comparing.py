"""Comparisons of generations: one worker however many ask, and an answer for who comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive.diff import diff
from pdshub.surveyor import comparing
from pdshub.surveyor.comparing import Comparisons, Say
from pdshub.surveyor.local import TOLD_SECONDS, Teller
from pdshub.surveyor.store import Entry
from pdshub.surveyor.worker import WorkerError
from tests.unit.archive.archive_support import build, run, spec

LONG = 60.0
"""Seconds that no test waits: what is waited for happens."""


def entry(name: str) -> Entry:
    return Entry(name, Path("/", name), {}, {}, {})


A, B, C = map(entry, "abc")


class Work:
    """Comparisons that end when they are told to."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.go, self.error = asyncio.Event(), ""
        self.now = 0.0
        self.comparisons = Comparisons(self, lambda: self.now)

    async def __call__(self, old: Entry, new: Entry, say: Say) -> dict[str, Any]:
        self.begun.append(old.name + new.name)
        say("half")
        await self.go.wait()
        if self.error:
            raise WorkerError(self.error)
        return {"pair": old.name + new.name}

    async def ask(self, wait: float = LONG, old: Entry = A, new: Entry = B) -> Any:
        return await self.comparisons.ask(old, new, wait)


def story(tell: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        work = Work()
        await tell(work)
        work.go.set()
        await work.comparisons.close()

    asyncio.run(whole())


def test_two_who_ask_share_one_job() -> None:
    async def tell(work: Work) -> None:
        both = [asyncio.create_task(work.ask()) for _ in range(2)]
        assert await work.ask(0) == "half"
        work.go.set()
        assert [await task for task in both] == [{"pair": "ab"}] * 2 and work.begun == ["ab"]
        assert await work.ask(0) == {"pair": "ab"} and work.begun == ["ab"], "it is kept"
        assert await work.ask(LONG, B, A) == {"pair": "ba"}, "the other way round is another question"

    story(tell)


def test_it_goes_on_without_who_asked() -> None:
    async def tell(work: Work) -> None:
        asker = asyncio.create_task(work.ask())
        assert await work.ask(0) == "half"
        asker.cancel()
        await asyncio.gather(asker, return_exceptions=True)
        assert asker.cancelled()
        work.go.set()
        assert await work.ask() == {"pair": "ab"} and work.begun == ["ab"]

    story(tell)


def test_a_failure_is_the_answer_for_a_while() -> None:
    async def tell(work: Work) -> None:
        work.error = "out of memory"
        work.go.set()
        for now, workers in ((0.0, 1), (comparing.RETRY_SECONDS - 1, 1), (comparing.RETRY_SECONDS, 2)):
            work.now = now
            with pytest.raises(WorkerError, match="out of memory"):
                await work.ask()
            assert len(work.begun) == workers
        work.error, work.now = "", 2 * comparing.RETRY_SECONDS
        assert await work.ask() == {"pair": "ab"}
        work.now += 2 * comparing.RETRY_SECONDS
        assert await work.ask() == {"pair": "ab"} and len(work.begun) == 3

    story(tell)


def test_the_oldest_answers_go_first_and_no_job_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "KEPT", 2)

    async def tell(work: Work) -> None:
        assert await work.ask(0, C, C) == "half"
        others = [(A, B), (A, C), (B, A)]
        for old, new in others:
            assert await work.ask(0, old, new) == "half"
        work.go.set()
        for old, new in [(C, C), *others]:
            await work.ask(LONG, old, new)
        assert work.begun == ["cc", "ab", "ac", "ba"]
        await work.ask(LONG, B, C)  # one more than may be kept beside it
        await work.ask(LONG, B, A)
        assert work.begun == ["cc", "ab", "ac", "ba", "bc"]
        await work.ask(LONG, C, C)
        assert work.begun[5:] == ["cc"]

    story(tell)


def test_how_far_a_diff_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdshub.archive.diff.STEP", 2)
    for out, more in (("old", {}), ("new", {"e/x": "1"})):
        source = build(tmp_path / f"source-{out}", {**{f"d{n}/x": "1" for n in range(3)}, **more})
        run(tmp_path, {"a": source}, spec(["a"]), out)
    said: list[str] = []
    found = diff(tmp_path / "old", tmp_path / "new", 10, said.append)
    assert found["files"]["added"] == {"count": 1, "paths": ["e/x"]}
    assert said == [f"{n} of some 5 directories are compared" for n in (0, 2, 4)]


def test_who_waits_is_told_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    tell = Teller(lambda: now[0])
    for seconds, text in ((0.0, "at once"), (TOLD_SECONDS, "one"), (TOLD_SECONDS + 1, "soon"), (9.0, "two")):
        now[0] = seconds
        tell(text)
    assert capsys.readouterr().err == "… one\n… two\n"
