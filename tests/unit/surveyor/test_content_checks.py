"""What travels makes checks exact: files compared byte by byte, and with the checksums of their labels."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive.content.shelf import FILE, Shelf
from pdshub.surveyor import checks
from tests.unit.archive.archive_support import OLD, build
from tests.unit.surveyor.support import Bench, names, needs_mkfs
from tests.unit.surveyor.test_content import LABELS, put, read

pytestmark = needs_mkfs
SMALL = {"maxFileSize": "100"}
ALL = 14


def _other_bytes(path: Path) -> None:
    """Of the same size and with the same time: nothing but reading tells."""
    path.write_text(path.read_text().swapcase())
    os.utime(path, (OLD, OLD))


DRIFTS: dict[str, tuple[dict[str, Any], str, Callable[[Path], Any], int, int]] = {
    "as they were": (SMALL, "x/data/f3.dat", lambda p: None, ALL, 0),
    "labels alone": ({}, "x/data/f3.dat", lambda p: None, LABELS, 0),
    "other bytes": (SMALL, "x/data/f3.dat", _other_bytes, ALL, 1),
    "other bytes of a label": ({}, "x/data/p.xml", _other_bytes, LABELS, 1),
    "another length is counted once": (
        SMALL,
        "x/data/f3.dat",
        lambda p: p.write_text("a longer one"),
        ALL - 1,
        1,
    ),
    "gone is counted once": (SMALL, "x/data/f3.dat", lambda p: p.unlink(), ALL - 1, 1),
}


@pytest.mark.parametrize(("content", "path", "drift", "compared", "drifted"), DRIFTS.values(), ids=DRIFTS)
def test_what_travels_is_verified_byte_by_byte(
    bench: Bench, content: dict[str, Any], path: str, drift: Callable[[Path], Any], compared: int, drifted: int
) -> None:
    async def run() -> None:
        put(bench, content)
        name = names(await bench.turn())[0]
        await read(bench)
        drift(bench.sources / "main" / path)
        (bench.surveyor.entries[0].directory / "proof.json").unlink()  # no sample that would know it, too
        put(bench, content, pin=name)
        verify = (await bench.checked())["verify"]
        assert {k: verify[k] for k in ("state", "files", "compared", "drifted")} == {
            "state": "done", "files": ALL, "compared": compared, "drifted": drifted,
        }  # fmt: skip
        assert verify["examples"] == ([f"main:{path}"] if drifted else [])

    bench.run(run)


def test_one_that_the_sample_has_too_is_counted_once(bench: Bench) -> None:
    async def run() -> None:
        put(bench, SMALL)
        name = names(await bench.turn())[0]
        await read(bench)
        _other_bytes(bench.sources / "main/x/data/f3.dat")
        put(bench, SMALL, pin=name)
        assert (await bench.checked())["verify"]["drifted"] == 1

    bench.run(run)


WRONG: dict[str, tuple[dict[str, Any], str, int]] = {
    "not as its label says": (SMALL, "HELLO", 1),
    "as its label says": (SMALL, "hello", 0),
    "it does not travel": ({}, "HELLO", 0),
}


@pytest.mark.parametrize(("content", "data", "errors"), WRONG.values(), ids=WRONG)
def test_what_travels_is_compared_with_its_label(bench: Bench, content: dict[str, Any], data: str, errors: int) -> None:
    async def run() -> None:
        build(bench.sources / "main", {"x/data/p.dat": data})
        put(bench, content)
        state = await bench.turn()
        await bench.surveyor.turn()
        assert not bench.surveyor.check_runner.running("audit"), "files are read first"
        await read(bench)
        checked = await bench.checked()
        assert checked["audit"]["state"] == "done" and checked["audit"]["findings"].get("error", 0) == errors
        found = checks.findings_of(bench.surveyor.entries[0].directory, 10)["findings"]
        assert [f["paths"] for f in found if f["kind"] == "checksum"] == [["a/x/data/p.dat"]] * errors
        assert names(state)

    bench.run(run)


def test_an_audit_waits_for_no_reading_that_fails(bench: Bench) -> None:
    async def run() -> None:
        put(bench)
        await bench.turn()
        (bench.path / "packs").write_text("in the way")
        await read(bench)
        assert (await bench.checked())["audit"]["state"] == "done"

    bench.run(run)


DAMAGED: dict[str, Callable[[Path], Any]] = {
    "there is none": lambda p: p.unlink(),
    "no database": lambda p: p.write_text("not at all"),
    "empty": lambda p: p.write_bytes(b""),
    "cut": lambda p: os.truncate(p, 1000),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED)
def test_who_only_reads_changes_nothing(tmp_path: Path, damage: Callable[[Path], Any]) -> None:
    path = tmp_path / FILE
    Shelf(path).close()
    damage(path)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(OSError, match=FILE):
        Shelf(path, only_read=True)
    assert (path.read_bytes() if path.exists() else None) == before
    Shelf(path).close()
    Shelf(path, only_read=True).close()


def test_a_shelf_that_is_being_written_is_not_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdshub.archive.content.shelf._PATIENCE", 0.05)
    path = tmp_path / FILE
    Shelf(path).close()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    for only_read in (True, False):
        with pytest.raises(OSError, match="locked"):
            Shelf(path, only_read=only_read)
    other.execute("COMMIT")
    other.close()
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
