"""The live view from what a survey read: what overlayfs shows of layers, and what a first generation changes of it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.archive import live
from tests.unit.archive.archive_support import build, bundle, run, spec

# layers (first wins): path -> content, "/" at the end makes a directory -> what users see: path -> layer
CASES: list[tuple[str, list[dict[str, str]], dict[str, int]]] = [
    ("one layer", [{"f": "", "d/g": ""}], {"f": 0, "d/g": 0}),
    ("the first wins", [{"f": "1"}, {"f": "2", "g": ""}], {"f": 0, "g": 1}),
    ("directories merge", [{"d/f": ""}, {"d/f": "", "d/g": ""}], {"d/f": 0, "d/g": 1}),
    ("a file hides a directory", [{"d": ""}, {"d/f": ""}], {"d": 0}),
    ("a directory hides a file", [{"d/f": ""}, {"d": ""}], {"d/f": 0}),
    ("below a file nothing merges", [{"d/f": ""}, {"d": ""}, {"d/g": ""}], {"d/f": 0}),
    ("an empty directory hides a file too", [{"d/": ""}, {"d": ""}, {"d/g": ""}], {}),
    ("deep", [{"a/b/c/f": ""}, {"a/b/g": ""}, {"a/b/c/h": ""}], {"a/b/c/f": 0, "a/b/g": 1, "a/b/c/h": 2}),
    ("in the order of a plan", [{"a-b/f": "", "a/f": "", "a/b/f": ""}], {"a-b/f": 0, "a/f": 0, "a/b/f": 0}),
]


def made(root: Path, files: dict[str, str]) -> Path:
    root.mkdir(parents=True)
    for path in files:
        if path.endswith("/"):
            (root / path).mkdir(parents=True)
    return build(root, {path: text for path, text in files.items() if not path.endswith("/")})


def seen(generation: Path) -> dict[str, int]:
    """path -> number of its layer; and the order is that of a plan."""
    tree, _ = live.read(generation)
    directories = list(tree.tree())
    places = [d["path"].split("/") if d["path"] else [] for d in directories]
    assert places == sorted(places)
    return {
        "/".join(filter(None, (d["path"], name))): g["source"]
        for d in directories
        for g in d["groups"]
        for name in g["names"]
    }


@pytest.mark.parametrize(("layers", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_layers_merge_by_name(tmp_path: Path, layers: list[dict[str, str]], expected: dict[str, int]) -> None:
    sources = {f"s{n}": made(tmp_path / f"s{n}", files) for n, files in enumerate(layers)}
    run(tmp_path, sources, spec(list(sources), {"data": list(sources)}))
    assert seen(tmp_path / "gen") == {f"data/{path}": layer for path, layer in expected.items()}


def by_hand(layers: list[Path], place: str = "") -> dict[str, int]:
    """What overlayfs shows, looked up name by name from the first layer down (fs/overlayfs/namei.c)."""
    found: dict[str, int] = {}
    for name in sorted({p.name for top in layers for p in ((top / place).iterdir() if (top / place).is_dir() else ())}):
        path = f"{place}/{name}" if place else name
        stack = []
        for n, top in enumerate(layers):
            at = top / path
            if not at.exists():
                continue
            if at.is_dir():
                stack.append(n)
                continue
            if not stack:
                found[path] = n
            break
        if path not in found and stack:
            inside = by_hand([layers[n] for n in stack], path)
            found |= {p: stack[n] for p, n in inside.items()}
    return found


names = st.sampled_from(["a", "b", "c"])
trees = st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), st.booleans(), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(trees, min_size=1, max_size=3))
def test_as_overlayfs_does(tmp_path: Path, layers: list[dict[str, bool]]) -> None:
    sources = {}
    for n, wanted in enumerate(layers):
        root = tmp_path / f"s{n}"
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        for path, directory in sorted(wanted.items()):
            at = root / path
            if any(parent.is_file() for parent in at.parents) or at.exists():
                continue
            at.parent.mkdir(parents=True, exist_ok=True)
            at.mkdir() if directory else at.touch()
        sources[f"s{n}"] = root
    shutil.rmtree(tmp_path / "gen", ignore_errors=True)
    run(tmp_path, sources, spec(list(sources), {".": list(sources)}), now_ns=2**62)
    assert seen(tmp_path / "gen") == by_hand(list(sources.values()))


def _numbers(answer: dict[str, Any]) -> dict[str, list[str]]:
    return {kind: item["paths"] for kind, item in answer["files"].items() if item["count"]}


def test_a_first_generation_against_what_users_see_live(tmp_path: Path) -> None:
    """The older copy stands first, so live users read it; the generation hides it and shows the newer one."""
    old = {"x/bundle.xml": bundle("x", "1.0"), "x/dropped": "old", "x/f": "old", "same": "s"}
    new = {"x/bundle.xml": bundle("x", "2.0", ["urn:m"]), "x/f": "newer", "x/more": ""}
    sources = {"a": build(tmp_path / "a", old), "b": build(tmp_path / "b", new)}
    plan, _ = run(tmp_path, sources, spec(["a", "b"]))
    answer = live.diff_from_live(tmp_path / "gen")
    assert [d["dataset"] for d in answer["datasets"]["removed"]] == ["urn:nasa:pds:x::1.0"]
    assert not answer["datasets"]["added"] and not answer["datasets"]["replaced"]
    assert _numbers(answer) == {"removed": ["x/dropped"], "replaced": ["x/bundle.xml", "x/f"]}
    assert plan.tail["counts"]["datasets"] == 1


def test_nothing_differs_where_nothing_overlaps(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"x/bundle.xml": bundle("x"), "x/f": "", "g": ""})
    (a / "x" / "link").symlink_to("f")
    run(tmp_path, {"a": a}, spec(["a"], {"data": ["a"]}))
    answer = live.diff_from_live(tmp_path / "gen")
    assert _numbers(answer) == {} and not any(answer["datasets"].values())


def test_what_still_changes_is_seen_live_and_hidden_by_the_generation(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"keep": "", "x/f": ""})
    run(tmp_path, {"a": a}, spec(["a"]), "g1")
    build(a, {"x/bundle.xml": bundle("x"), "y/bundle.xml": bundle("y"), "y/sub/f": ""})
    now = max(p.stat().st_ctime_ns for p in a.rglob("*"))
    run(tmp_path, {"a": a}, spec(["a"]), "g2", tmp_path / "g1", now_ns=now, settle_seconds=10**4)
    answer = live.diff_from_live(tmp_path / "g2")
    assert _numbers(answer) == {"removed": ["x/bundle.xml", "y/bundle.xml", "y/sub/f"]}
    assert live.diff_from_live(tmp_path / "g2", 1)["files"]["removed"] == {"count": 3, "paths": ["x/bundle.xml"]}
