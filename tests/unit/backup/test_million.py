"""What a home of a million small files needs: memory and seconds of a real restic and of the program that starts it.

The figures of docs/backup.md: ``./hack/run pytest -s -m long tests/unit/backup/test_million.py``, on a machine on which
nothing else runs. 5 GB below pytest's folder (--basetemp).
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.api.backup_job import JobAnswer
from pdshub.api.base import parse_quantity
from tests.unit.backup.harness import ROOT, Hub

FOLDERS, EACH = 2000, 500
FILES = FOLDERS * EACH
CHANGED = FILES // 100
MIB = 1 << 20


def made(home: Path) -> None:
    """Files of some 180 bytes, of which no two are alike."""
    for d in range(FOLDERS):
        folder = home / f"many/{d // 100:02d}/{d:04d}"
        folder.mkdir(parents=True)
        here = os.open(folder, os.O_RDONLY)
        for n in range(EACH):
            file = os.open(f"obs-{n:03d}.tab", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
            os.write(file, f"{d:04d},{n:03d},{os.urandom(16).hex()}\n".encode() * 4)
            os.close(file)
        os.close(here)


def changed(home: Path) -> None:
    """One in a hundred, a hundred in each of some folders."""
    for d in range(0, FOLDERS, FOLDERS * 100 // CHANGED):
        for n in range(100):
            (home / f"many/{d // 100:02d}/{d:04d}/obs-{n:03d}.tab").write_text(os.urandom(60).hex())


@dataclass
class Used:
    """What a Job took."""

    answer: JobAnswer
    seconds: float
    cpu: float
    memory: int
    """Bytes of its largest process; files in the page cache do not count."""


def used(hub: Hub, what: str, action: str, **fields: Any) -> Used:
    began = time.monotonic()
    process = hub.start(action, deadline_seconds=86_400, **fields)
    assert process.stdout is not None
    out = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)  # of the program and all that it has waited for
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, out.decode("utf-8", "replace")
    made = Used(hub.told(), time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
    item = made.answer.item
    restic = f", restic's backup {item.seconds:.0f} s, {item.added_bytes / 1e6:.1f} MB new" if item else ""
    print(f"{what}: {made.seconds:.0f} s, {made.cpu:.0f} s of a processor, {made.memory / MIB:.0f} MiB{restic}")
    return made


def limit() -> int:
    """Bytes of memory that a Job has by the chart's values."""
    values = yaml.safe_load((ROOT / "charts/pdshub/values.yaml").read_text())
    return int(parse_quantity(values["backup"]["resources"]["limits"]["memory"]))


@pytest.fixture
def empty(empty: Hub) -> Iterator[Hub]:
    """A hub whose files go with the test: they are seven gigabytes, and pytest keeps the folders of three runs."""
    yield empty
    shutil.rmtree(empty.folder, ignore_errors=True)


@pytest.mark.long
def test_a_million_files_need_less_memory_than_a_job_has(empty: Hub) -> None:
    began = time.monotonic()
    made(empty.home)
    print(f"\n{FILES} files in {FOLDERS} folders were made in {time.monotonic() - began:.0f} s")
    empty.run("init").good()
    first = used(empty, "first backup", "backup")
    changed(empty.home)
    second = used(empty, f"second, {CHANGED} files later", "backup")
    third = used(empty, "third, nothing changed", "backup")
    browsed = used(empty, "a folder is shown", "browse", path="many/07/0700")
    restored = used(empty, f"a folder of {EACH} files comes back", "restore", path="many/07/0700")
    forgotten = used(empty, "forget and prune", "forget", keep={"last": 1, "daily": 0, "weekly": 0, "monthly": 0})
    index = sum(file.stat().st_size for file in (empty.repository / "index").iterdir())
    whole = sum(file.stat().st_size for file in empty.repository.rglob("*") if file.is_file())
    print(f"the repository has {whole / 1e6:.0f} MB, its index {index / 1e6:.0f} MB")
    assert first.answer.files == FILES and restored.answer.files == EACH
    assert second.answer.item and first.answer.item
    assert second.answer.item.added_bytes < first.answer.item.added_bytes / 10
    for one in (first, second, third, browsed, restored, forgotten):
        assert one.memory < 0.75 * limit(), one
