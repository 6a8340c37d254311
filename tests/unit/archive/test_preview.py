"""A rule before it is applied: the same as a survey with it, without one look at the sources."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.archive import words
from pdshub.archive.diff import diff
from pdshub.archive.plan import open_plan
from pdshub.archive.preview import NeedsSurvey, preview
from pdshub.archive.view import view_from_spec
from tests.unit.archive.archive_support import build, bundle, run, spec
from tests.unit.archive.test_explain import RULES, items, put

TREE = {".": ["a", "b"]}


def archive(tmp: Path) -> dict[str, Path]:
    return {
        "a": build(tmp / "a", {"x/bundle.xml": bundle("x", "1.0"), "x/f": "1", "n/g": "", "n/skip/h": ""}),
        "b": build(tmp / "b", {"x/bundle.xml": bundle("x", "2.0"), "x/g": "", "y/bundle.xml": bundle("y")}),
    }


# name: (what the new spec has instead, datasets and files that change, findings that are new, that are gone)
CASES: dict[str, tuple[dict[str, Any], str, list[str], list[str]]] = {
    "nothing": (spec(["a", "b"]), "no difference", [], []),
    "hide": (
        spec(["a", "b"], rules=[{"hide": "urn:nasa:pds:y"}]),
        "removed urn:nasa:pds:y::1.0\n1 files removed\n  y/bundle.xml",
        [],
        [],
    ),
    "another winner": (
        spec(["a", "b"], rules=[{"pin": {"dataset": "urn:nasa:pds:x", "version": "1.0"}}]),
        "replaced urn:nasa:pds:x::1.0: was urn:nasa:pds:x::2.0, from b:x, now a:x\n1 files added\n  x/f\n"
        "1 files removed\n  x/g",
        [],
        ["superseded"],
    ),
    "a rule without effect": (
        spec(["a", "b"], rules=[{"hide": "nowhere"}]),
        "no difference",
        ["rule-without-effect"],
        [],
    ),
    "a wrong path": (
        spec(["a", "b"], {"t": ["a:nn"], "u": ["b:y"]}),
        "removed urn:nasa:pds:x::2.0\nrehomed urn:nasa:pds:y::1.0: was at y, now at u",
        ["entry-empty", "layer-missing"],
        ["superseded"],
    ),
    "another order": (spec(["b", "a"], {".": ["b", "a"]}), "no difference", [], []),
    "a part of the tree": (spec(["a", "b"], {"n": ["a:n"]}), "removed urn:nasa:pds:x::2.0", [], ["superseded"]),
    "one more excluded name": (
        spec(["a", "b"], exclude=["skip", ".snapshot", ".zfs", "@eaDir", "#recycle", "lost+found"]),
        "1 files removed\n  n/skip/h",
        [],
        [],
    ),
}


def made(tmp: Path, view: dict[str, Any]) -> tuple[Path, dict[str, Path]]:
    sources = archive(tmp)
    plan, _ = run(tmp, sources, view)
    (tmp / "work").mkdir()
    return plan.path.parent, sources


@pytest.mark.parametrize("name", CASES)
def test_what_would_change(name: str, tmp_path: Path) -> None:
    wanted, said, new, gone = CASES[name]
    generation, sources = made(tmp_path, spec(["a", "b"]))
    for source in sources.values():
        shutil.rmtree(source)  # nothing is read from them
    answer = preview(generation, generation, view_from_spec("test", wanted), tmp_path / "work")
    assert words.previewed(answer).startswith(said)
    assert [f["kind"] for f in answer["findings"]["new"]] == new
    assert [f["kind"] for f in answer["findings"]["gone"]] == gone


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (spec(["a", "b", "c"], {".": ["a", "c"]}), "c:. was not read by the last survey"),
        (spec(["a", "b"], {".": ["a", "b"]}), "b:. was not read by the last survey"),
        (spec(["a", "b"], {"n": ["a:n"]}, exclude=[]), "directories called #recycle, .snapshot"),
    ],
)
def test_what_needs_a_survey(wanted: dict[str, Any], reason: str, tmp_path: Path) -> None:
    generation, _ = made(tmp_path, spec(["a", "b"], {".": ["a", "b:x"]}))
    with pytest.raises(NeedsSurvey, match=reason):
        preview(generation, generation, view_from_spec("test", wanted), tmp_path / "work")


def test_against_the_sources_live(tmp_path: Path) -> None:
    generation, _ = made(tmp_path, spec(["a", "b"]))
    wanted = view_from_spec("test", spec(["a", "b"], rules=[{"hide": "urn:nasa:pds:y"}]))
    answer = preview(generation, None, wanted, tmp_path / "work")
    assert answer["files"]["removed"]["paths"] == ["x/f", "y/bundle.xml"]
    assert [d["dataset"] for d in answer["datasets"]["removed"]] == ["urn:nasa:pds:x::1.0", "urn:nasa:pds:y::1.0"]
    said = words.previewed(answer)
    assert "of this the view itself does: 1 datasets removed, 1 files removed; the rest the newest" in said


def test_what_the_nas_changed_meanwhile_is_told_apart(tmp_path: Path) -> None:
    generation, sources = made(tmp_path, spec(["a", "b"]))
    build(sources["a"], {"n/late": ""})
    newest, _ = run(tmp_path, sources, spec(["a", "b"]), "newest", generation)
    wanted = view_from_spec("test", spec(["a", "b"], rules=[{"hide": "urn:nasa:pds:y"}]))
    answer = preview(newest.path.parent, generation, wanted, tmp_path / "work")
    assert answer["files"]["added"]["paths"] == ["n/late"] and answer["files"]["removed"]["count"] == 1
    said = words.previewed(answer)
    assert (
        "of this the view itself does: 1 datasets removed, 1 files removed; the rest the newest survey brings anyway"
        in said
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(items, st.lists(st.sampled_from(RULES), max_size=3), st.sampled_from(["hide", "sibling"]))
def test_a_preview_is_what_a_survey_finds(
    things: list[tuple[str, str, str]], rules: list[dict[str, Any]], superseded: str
) -> None:
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        sources = {s: tmp / s for s in "ab"}
        for root in sources.values():
            root.mkdir()
        for source, folder, thing in things:
            put(sources[source], folder, thing, source)
        before, _ = run(tmp, sources, spec(["a", "b"]), "g1")
        wanted = spec(["a", "b"], rules=rules, superseded=superseded)
        (tmp / "work").mkdir()
        answer = preview(before.path.parent, before.path.parent, view_from_spec("test", wanted), tmp / "work")
        after, _ = run(tmp, sources, wanted, "g2", before.path.parent)
        assert open_plan(tmp / "work/wanted").tree_digest() == after.tree_digest()
        assert {k: answer[k] for k in ("datasets", "files")} == diff(before.path.parent, after.path.parent)
