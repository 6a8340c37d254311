"""What is looked at in the background: verification and audit."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.surveyor import answers
from tests.unit.archive.archive_support import OLD
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


def test_the_audit_opens_every_label_once_a_generation(bench: Bench) -> None:
    async def run() -> None:
        os.unlink(bench.sources / "main/x/data/p.dat")
        bench.put(survey={"auditLabelsPerSecond": 1000})
        await bench.turn()
        assert answers.state(bench.surveyor)["generations"][0]["findings"] == {}
        checked = await bench.checked()
        audit = checked["audit"]
        assert checked["generations"][0]["findings"] == audit["findings"]
        assert audit["state"] == "done" and audit["labels"] == 4 and audit["findings"]["error"] == 1
        await bench.restart()
        assert (await bench.checked())["audit"]["at"] == audit["at"]

    bench.run(run)
