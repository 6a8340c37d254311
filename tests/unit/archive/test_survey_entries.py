"""What a survey says of the entries of the tree: layers that are not there, entries that show nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pdshub.archive import entries, record
from pdshub.archive.settle import _had
from tests.unit.archive.archive_support import build, bundle, kinds, run, spec, visible

FILES = {"pds4/x/bundle.xml": bundle("x"), "pds4/x/f": "1", "other/f": "2"}
CASES: list[tuple[str, list[str], list[tuple[str, int]], set[str]]] = [
    ("right", ["a:pds4"], [("files", 2)], set()),
    ("a wrong path", ["a:pds44"], [("missing", 0)], {"layer-missing", "entry-empty"}),
    ("a file", ["a:other/f"], [("missing", 0)], {"layer-missing", "entry-empty"}),
    ("an empty directory", ["a:void"], [("empty", 0)], {"entry-empty"}),
    ("directories only", ["a:deep"], [("empty", 0)], {"entry-empty"}),
    ("one of two is wrong", ["a:pds44", "a:pds4"], [("missing", 0), ("files", 2)], {"layer-missing"}),
    ("one of two is empty", ["a:void", "a:pds4"], [("empty", 0), ("files", 2)], set()),
]


@pytest.mark.parametrize(("layers", "found", "said"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_every_entry_says_what_was_found(
    tmp_path: Path, layers: list[str], found: list[tuple[str, int]], said: set[str]
) -> None:
    a = build(tmp_path / "a", FILES)
    (a / "void").mkdir()
    (a / "deep" / "er").mkdir(parents=True)
    plan, _ = run(tmp_path, {"a": a}, spec(["a"], {"data": layers, "more": ["a:other"]}))
    first, second = plan.tail["entries"]
    assert first["path"] == "data" and [(la["found"], la["files"]) for la in first["layers"]] == found
    assert [f"{la['source']}:{la['path']}" for la in first["layers"]] == layers
    assert second == {"path": "more", "layers": [{"source": "a", "path": "other", "found": "files", "files": 1}]}
    assert kinds(plan) & {"layer-missing", "entry-empty"} == said
    assert plan.tail["counts"]["datasets"] == (1 if ("files", 2) in found else 0)


def test_an_entry_that_is_still_being_copied_says_so(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"old/f": ""})
    run(tmp_path, {"a": a}, spec(["a"], {"old": ["a:old"]}), "g1")
    build(a, FILES)
    now = max(p.stat().st_ctime_ns for p in a.rglob("*"))
    view = spec(["a"], {"data": ["a:pds4"], "old": ["a:old"]})
    plan, result = run(tmp_path, {"a": a}, view, "g2", tmp_path / "g1", now_ns=now, settle_seconds=10**4)
    assert result.held_back == 1
    assert plan.tail["entries"][0]["layers"][0] == {"source": "a", "path": "pds4", "found": "settling", "files": 0}
    assert "entry-empty" in kinds(plan)


@pytest.mark.parametrize(
    ("before", "words", "shown"),
    [
        ([], "it is withheld", set[str]()),
        (["x"], "it is withheld", set()),
        (["x", "x/data"], "it is withheld", set()),
        (["x", "x/f"], "this generation keeps its former state", {"x/f"}),
    ],
    ids=["nothing was there", "an empty directory", "directories", "a file"],
)
def test_a_former_state_is_spoken_of_where_there_is_one(
    tmp_path: Path, before: list[str], words: str, shown: set[str]
) -> None:
    a = build(tmp_path / "a", {"keep": ""})
    for path in before:
        build(a, {path: "1"}) if path.endswith("/f") else (a / path).mkdir()
    run(tmp_path, {"a": a}, spec(["a"]), "g1")
    build(a, {"x/bundle.xml": bundle("x"), "x/g": "2", "x/data/h": "3"})
    now = max(p.stat().st_ctime_ns for p in a.rglob("*"))
    plan, result = run(tmp_path, {"a": a}, spec(["a"]), "g2", tmp_path / "g1", now_ns=now, settle_seconds=10**4)
    (said,) = [f["message"] for f in plan.tail["findings"] if f["kind"] == "settling"]
    assert said.endswith(words) and result.held_back == 1
    assert visible(plan).keys() == {"keep", *shown}
    scans, _ = record.read_record(tmp_path / "g2" / record.FILE)
    assert _had(scans["a"], "x") is bool(shown)


def test_what_is_withheld_is_remembered_for_who_sees_no_generation(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"keep": "", "x/f": ""})
    run(tmp_path, {"a": a}, spec(["a"]), "g1")
    assert record.read_record(tmp_path / "g1" / record.HELD)[0]["a"].dirs == {}
    build(a, {"x/bundle.xml": bundle("x")})
    now = max(p.stat().st_ctime_ns for p in a.rglob("*"))
    run(tmp_path, {"a": a}, spec(["a"]), "g2", tmp_path / "g1", now_ns=now, settle_seconds=10**4)
    held = record.read_record(tmp_path / "g2" / record.HELD)[0]["a"]
    assert {path: d.files() for path, d in held.dirs.items()} == {"x": ["bundle.xml", "f"]}


def test_words_of_the_schema() -> None:
    assert {entries.FILES, entries.MISSING, entries.DENIED, entries.EMPTY, entries.SETTLING} == {
        "files", "missing", "denied", "empty", "settling",
    }  # fmt: skip
