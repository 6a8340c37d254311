"""docs/benchmarks/backup.md: what was measured stands beside its bar, and what was not is said."""

from __future__ import annotations

from typing import Any

import pytest

from tests.bench.backup import estate, page, work

RUN = {"seconds": 300.0, "resticSeconds": 180.0, "items": 24, "files": 100_000, "movedBytes": 10_100_000_000}
FIGURES: dict[str, Any] = {
    "homes": 20, "filledBytes": 10_000_000_000, "changedFiles": 1003, "changedBytes": 99_000_000,
    "first": RUN, "second": {**RUN, "seconds": 150.0, "resticSeconds": 30.0, "movedBytes": 101_000_000},
    "restoreSeconds": [9.0, 8.0, 11.5], "spawnSeconds": {"alone": [8.0, 8.0, 9.0], "beside": [9.0] * 6},
    "recovery": {"homes": 20, "filledBytes": 2_000_000_000, "readySeconds": 61.2, "backSeconds": 402.0, "compared": 3},
    "run": {"date": "2026-11-26", "processors": 2, "kernel": "6.18.44", "loadAtTheEnd": [1.0, 2.0, 3.0]},
}  # fmt: skip


def test_a_page_has_each_figure_and_its_bar() -> None:
    said = page.page(FIGURES)
    for row in (
        "| first run: 20 homes, 10.00 GB, 100,000 files | 300 s, of which restic 180 s; 24 items, each 5.0 s for "
        "its Job; 10.10 GB to the service |  |",
        "| second run, 1,003 files (1.0% of the bytes) written anew | 150 s, of which restic 30 s; ",
        "| what the second moves, of what the first did | 1.0% | <= 5% |",
        "| one file of one user back, from command to file, 3 times: median / worst | 9.0 / 11.5 s | <= 20 s |",
        "| a server starts, 6 times beside a run: median / worst | 9.0 / 9.0 s |  |",
        "| median beside a run against alone | 1.12 | <= 1.2 |",
        "| a hub with 20 homes of 100.0 MB from S3 alone: the hub is Ready | 61 s |  |",
        "| a hub with 20 homes of 100.0 MB from S3 alone: every home is back, 3 of them compared | 402 s | <= 600 s |",
    ):
        assert row in said
    assert page.missed(FIGURES) == []


def test_what_was_not_measured_is_no_figure() -> None:
    said = page.page({**FIGURES, "recovery": None})
    assert "| a hub from S3 alone | not measured: " in said and "every home is back" not in said
    assert page.missed({**FIGURES, "recovery": None}) == []


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"second": {**RUN, "movedBytes": 510_000_000}}, "the second run moves 5.0%"),
        ({"restoreSeconds": [5.0, 20.1]}, "one file takes 20.1 s"),
        ({"spawnSeconds": {"alone": [8.0], "beside": [10.0] * 5}}, "a server beside a run takes 1.25 times as long"),
        ({"spawnSeconds": {"alone": [8.0], "beside": [10.0] * 4}}, ""),  # too few to say so
        ({"recovery": {**FIGURES["recovery"], "backSeconds": 601.0}}, "a hub from the repository takes 601.0 s"),
    ],
)
def test_a_bar_that_is_missed_is_named(changes: dict[str, Any], says: str) -> None:
    assert page.missed({**FIGURES, **changes}) == ([says] if says else [])


def test_what_a_run_moved_is_what_was_not_there_before() -> None:
    assert estate.moved({"a": 5, "b": 7}, {"b": 7, "c": 11, "d": 1}) == 12  # a was replaced by a prune
    assert estate.moved({}, {}) == 0


def test_restics_seconds_are_told_apart() -> None:
    items = [{"item": "home/ada", "seconds": 3.5}, {"item": "keys", "seconds": 0.5}]
    status = {"items": items, "files": 7, "sizeBytes": 9, "addedBytes": 8, "wall": 20.04}
    found = work.figures(status, 10)
    assert (found["seconds"], found["resticSeconds"], found["items"], found["movedBytes"]) == (20.0, 4.0, 2, 10)


@pytest.mark.parametrize("code", [estate.FILL, estate.CHANGE, estate.DIGEST, work.ONE])
def test_cells_are_python(code: str) -> None:
    words = {"seed": "user00", "files": 10, "size": 100, "share": 0.01, "top": "bench", "name": "000001.bin"}
    compile(code if code is estate.DIGEST else code.format(**words), "cell", "exec")


def test_a_home_is_filled_changed_and_told_apart(tmp_path: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """The cells themselves, in a home of this machine."""
    monkeypatch.setenv("HOME", str(tmp_path))

    def cell(code: str) -> str:
        exec(compile(code, "cell", "exec"), {})  # noqa: S102
        return str(capsys.readouterr().out.strip())

    made = int(cell(estate.FILL.format(seed="user00", files=700, size=2_000_000)))
    files = [file for file in tmp_path.rglob("*.bin") if file.is_file()]
    assert len(files) == 700 and sum(file.stat().st_size for file in files) == made
    assert 1_990_000 < made < 2_010_000
    before = cell(estate.DIGEST)
    assert cell(estate.DIGEST) == before
    count, changed = map(int, cell(estate.CHANGE.format(seed="user00", share=0.01)).split())
    assert count >= 1 and 0.9 * 0.01 * made < changed <= 0.01 * made
    assert cell(estate.DIGEST) != before and sum(file.stat().st_size for file in files) == made
    assert len(cell(work.ONE.format(top="bench", name="000123.bin"))) == 64
