"""Processes that do one task each: how they fail."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from pdshub.surveyor.worker import Worker, WorkerError
from tests.unit.surveyor.support import needs_mkfs

pytestmark = needs_mkfs


@pytest.mark.parametrize(
    ("kind", "task", "memory", "words"),
    [
        ("explain", {"generation": "/nowhere", "path": "x", "sources": "/nowhere"}, 0, "No such file"),
        ("survey", {"name": "v", "spec": {}, "sources": "/", "work": "/", "now": 0}, 0, "sources"),
        (
            "explain",
            {"generation": "HUGE", "path": "x", "sources": "/nowhere"},
            40 << 20,
            "more than 40 MiB of memory are needed",
        ),
        ("nonsense", {}, 0, "KeyError"),
    ],
)
def test_workers_fail_in_words(tmp_path: Path, kind: str, task: dict[str, Any], memory: int, words: str) -> None:
    if task.get("generation") == "HUGE":
        task = {**task, "generation": str(tmp_path)}
        (tmp_path / "plan.json").write_text("[" + " " * (200 << 20))
    with pytest.raises(WorkerError, match=words):
        asyncio.run(Worker(kind, task, memory=memory).run())


def test_a_job_that_says_nothing_is_killed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "plan.json")  # opened for reading, it waits for ever
    with pytest.raises(WorkerError, match="nothing was heard"):
        asyncio.run(Worker("explain", {"generation": str(tmp_path), "path": "x", "sources": "/"}).run(seconds=1))
