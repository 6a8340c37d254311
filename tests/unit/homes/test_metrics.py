"""Metrics of homes: what they say, and that the manual explains each and that none names a home."""

from __future__ import annotations

import asyncio
import os
import re
import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pdshub.homes import main, names
from pdshub.homes.metrics import Seen, families
from pdshub.homes.model import Checkpoint, Pool, Volume
from pdshub.homes.policy import Schedule
from pdshub.homes.watch import Watch
from pdshub.node.report import exposition, metrics
from tests.unit.homes.memory import GI, NOW, Memory, homes

ROOT = Path(__file__).parents[3]
ONE = names.volume_id("pvc-ada")
SEEN = Seen(
    Pool(100 * GI, 25 * GI, 50 * GI, 0.5),
    (Volume(ONE, GI, 0, "pvc-ada"),),
    (Checkpoint(names.checkpoint_id(ONE, "x"), NOW, GI, True, "reflink"),),
    {"age": 3, "room": 1},
    2,
)


def read(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("pool_bytes", ("total",), 100 * GI),
        ("pool_bytes", ("promised",), 50 * GI),
        ("pool_fill_ratio", (), 0.5),
        ("pool_metadata_ratio", (), 0.5),
        ("volumes", (), 1),
        ("checkpoints", ("reflink",), 1),
        ("newest_checkpoint_timestamp_seconds", (), NOW),
        ("checkpoints_dropped_total", ("room",), 1),
        ("problems", (), 2),
    ],
)
def test_values(name: str, labels: tuple[str, ...], value: float) -> None:
    assert read(metrics.text(lambda: families(SEEN)))[f"pdshub_homes_{name}", labels] == value


def test_the_manual_explains_each_and_no_other() -> None:
    text = metrics.text(lambda: families(SEEN))
    told = {name for name, _ in read(text)} | {main.AGE}
    page = set(re.findall(r"^\| `(pdshub_homes_\w+)`", (ROOT / "docs/storage.md").read_text(), re.MULTILINE))
    assert page == told
    assert b"pvc-ada" not in text and ONE.encode() not in text


def test_their_age_has_a_name_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "metrics.prom"
    file.write_bytes(metrics.text(lambda: families(SEEN)))
    os.utime(file, (1000, 1000))
    found = read(exposition.read(file, 1002.0, main.AGE))
    assert found[main.AGE, ()] == 2.0 and (exposition.AGE, ()) not in found


def test_a_look_at_the_disk_is_what_they_say(tmp_path: Path) -> None:
    disk = Memory()
    found = homes(tmp_path, disk)
    watch = Watch(found, Schedule())
    volume = found.create("pvc-1", GI, 0).id
    assert watch.turn() == []
    assert watch.seen and [c.volume for c in watch.seen.checkpoints] == [volume] and watch.seen.problems == 0
    disk.used = 95 * GI
    watch.turn()
    assert watch.seen.checkpoints == () and watch.seen.dropped["room"] == 1


def test_a_look_that_fails_is_said_and_the_next_goes_on(tmp_path: Path) -> None:
    disk = Memory()
    watch = Watch(homes(tmp_path, disk), Schedule())
    watch.turn()
    disk.pool = lambda: (_ for _ in ()).throw(OSError("the disk is away"))  # type: ignore[method-assign]

    async def once() -> None:
        task = asyncio.create_task(watch.run())
        end = time.monotonic() + 20
        while not (watch.seen and watch.seen.problems):
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(once())
