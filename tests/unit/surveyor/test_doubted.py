"""A hole that an earlier survey left in its record: told of, looked at again soon, and gone two surveys later."""

from __future__ import annotations

from array import array

from pdshub.archive import record
from tests.unit.surveyor.support import Bench, names, needs_mkfs

pytestmark = needs_mkfs
WEEK = 168 * 3600


def poison(bench: Bench) -> None:
    """As if a listing of x/data had been cut, under the times that the directory has."""
    path = bench.surveyor.entries[0].directory / record.FILE
    scans, labels = record.read_record(path)
    directory = scans["main"].dirs["x/data"]
    assert directory.trusted
    kept = [n for n, name in enumerate(directory.files()) if not name.startswith("f")]
    directory.names = "/".join(directory.files()[n] for n in kept)
    directory.sizes = array("q", [directory.sizes[n] for n in kept])
    directory.mtimes = array("q", [directory.mtimes[n] for n in kept])
    directory.attrs = array("H", [directory.attrs[n] for n in kept])
    record.write_record(path, scans, labels)


def test_a_hole_in_the_record_heals(bench: Bench) -> None:
    async def run() -> None:
        await bench.restart(stale_seconds=0)
        bench.put(authority={"settleSeconds": 60, "shrinkThresholdPercent": 100})
        whole = await bench.turn()
        for _ in range(2):  # trusted when it was met twice
            await bench.turn(after=3601)
        poison(bench)
        hole = await bench.turn(after=3601)
        assert hole["generations"][0]["counts"]["files"] == 14 - 8
        await bench.restart(stale_seconds=90)
        began = bench.clock.now + WEEK
        doubted = await bench.turn(after=WEEK)  # every directory is read
        assert bench.surveyor.progress.settles == began + 90, "not before a server may say something else"
        assert names(doubted) == names(hole) and doubted["survey"]["state"] == "waiting"
        assert doubted["generations"][0]["findings"]["error"] == 1
        await bench.restart(stale_seconds=0)
        healed = await bench.turn(after=91)  # not only when the interval has passed
        assert healed["generations"][0]["name"] == whole["generations"][0]["name"]
        assert healed["survey"]["state"] == "idle" and "error" not in healed["generations"][0]["findings"]

    bench.run(run)
