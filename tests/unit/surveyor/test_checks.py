"""What is looked at in the background: verification and audit."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.api.survey import State
from pdshub.surveyor import answers, check_runner
from pdshub.surveyor.worker import WorkerError
from tests.unit.archive.archive_support import OLD, build
from tests.unit.surveyor.support import Bench, names, needs_mkfs

pytestmark = needs_mkfs


@pytest.mark.parametrize(
    ("drift", "drifted", "example"),
    [
        (lambda p: None, 0, None),
        (lambda p: p.write_text("another length"), 1, "main:x/data/f3.dat"),
        (lambda p: p.unlink(), 1, "main:x/data/f3.dat"),
        # the same size and time: only the sample's checksum tells
        (lambda p: (p.write_text("CONTENT 3"), os.utime(p, (OLD, OLD))), 1, "main:x/data/f3.dat"),
    ],
)
def test_a_pinned_generation_is_verified(
    bench: Bench, drift: Callable[[Path], Any], drifted: int, example: str | None
) -> None:
    async def run() -> None:
        bench.put()
        name = names(await bench.turn())[0]
        drift(bench.sources / "main/x/data/f3.dat")
        bench.put(pin=name)
        verify = (await bench.checked())["verify"]
        assert verify["generation"] == name and verify["state"] == "done"
        assert verify["files"] == 14 and verify["drifted"] == drifted
        assert verify["examples"] == ([example] if example else [])

    bench.run(run)


def test_a_file_whose_name_is_no_text_is_named_all_the_same(bench: Bench) -> None:
    """The answer is JSON, and the operator reads it."""

    async def run() -> None:
        strange = bench.sources / "main/x/data" / os.fsdecode(b"odd\xff: files.dat")
        strange.write_text("odd")
        os.utime(strange, (OLD, OLD))
        bench.put()
        name = names(await bench.turn())[0]
        strange.unlink()
        bench.put(pin=name)
        verify = (await bench.checked())["verify"]
        assert verify["drifted"] == 1 and verify["examples"] == ["main:x/data/odd\\udcff: files.dat"]
        assert State.model_validate_json(json.dumps(answers.state(bench.surveyor).body())).verify

    bench.run(run)


def test_a_directory_whose_name_speaks_of_files_is_named_whole(bench: Bench) -> None:
    """What drifted is no search for words in a finding."""

    async def run() -> None:
        build(bench.sources / "main", {"x/data/all: files/f.dat": "here"})
        bench.put()
        name = names(await bench.turn())[0]
        (bench.sources / "main/x/data/all: files/f.dat").unlink()
        bench.put(pin=name)
        verify = (await bench.checked())["verify"]
        assert verify["drifted"] == 1 and verify["examples"] == ["main:x/data/all: files/f.dat"]

    bench.run(run)


def test_the_audit_opens_every_label_once_a_generation(bench: Bench) -> None:
    async def run() -> None:
        os.unlink(bench.sources / "main/x/data/p.dat")
        bench.put(survey={"auditLabelsPerSecond": 1000})
        await bench.turn()
        assert answers.state(bench.surveyor).body()["generations"][0]["findings"] == {}
        checked = await bench.checked()
        audit = checked["audit"]
        assert checked["generations"][0]["findings"] == audit["findings"]
        assert audit["state"] == "done" and audit["labels"] == 4 and audit["findings"]["error"] == 1
        await bench.restart()
        assert (await bench.checked())["audit"]["at"] == audit["at"]

    bench.run(run)


@pytest.mark.parametrize("kind", ["audit", "verify"])
def test_a_check_that_failed_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Soon at first, then less often, with a bound; what the failures were is forgotten when it goes well."""
    broken, begun = True, 0
    real = check_runner.Worker

    class Breaks:
        def __init__(self, task: str, *arguments: Any, **more: Any) -> None:
            self._task, self._real = task, real(task, *arguments, **more)

        async def run(self, **more: Any) -> Any:
            nonlocal begun
            if self._task != kind:
                return await self._real.run(**more)
            begun += 1
            if broken:
                raise WorkerError("the process ended by signal 9")
            return await self._real.run(**more)

        def stop(self, why: str) -> None:
            self._real.stop(why)

    async def tried(after: float) -> int:
        """How often, when so many seconds have passed."""
        bench.clock.now += after
        await bench.checked()
        return begun

    async def run() -> None:
        nonlocal broken
        monkeypatch.setattr(check_runner, "Worker", Breaks)
        bench.put(survey={"intervalSeconds": 604800})
        bench.put(survey={"intervalSeconds": 604800}, pin=names(await bench.turn())[0])
        assert await tried(0) == 1
        for number, wait in enumerate([30, 60, 120, 240], 1):
            assert await tried(wait - 1) == number, "not before its time"
            assert await tried(1) == number + 1
        assert answers.state(bench.surveyor).body()[kind]["failures"] == 5
        await bench.restart()
        assert await tried(0) == 5, "a new life of the surveyor is no reason to try"
        for _ in range(20):
            before = begun
            assert await tried(check_runner.RETRY_SECONDS) > before, "it is never given up"
        broken = False
        before = begun
        state = await tried(check_runner.RETRY_SECONDS) and answers.state(bench.surveyor).body()[kind]
        assert begun == before + 1 and state["state"] == "done" and "failures" not in state
        assert await tried(check_runner.RETRY_SECONDS) == begun

    bench.run(run)
