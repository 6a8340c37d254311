"""Directories that would be empty only because of decisions disappear; what is empty on the NAS stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.unit.archive.archive_support import OLD, build, bundle, run, spec

NEW, FORMER = bundle("x", "2.0"), bundle("x", "1.0")

# name: ({source: files; a name that ends with "/" is an empty directory}, spec, the view's directories)
CASES: dict[str, tuple[dict[str, dict[str, str]], dict[str, Any], set[str]]] = {
    "all superseded": (
        {"a": {"x/bundle.xml": NEW, "SUPERSEDED/x/bundle.xml": FORMER}},
        spec(["a"]),
        {"", "x"},
    ),
    "all superseded, deeper": (
        {"a": {"x/bundle.xml": NEW, "old/er/SUPERSEDED/x/bundle.xml": FORMER}},
        spec(["a"]),
        {"", "x"},
    ),
    "hidden by a rule": ({"a": {"d/e/f": "", "g": ""}}, spec(["a"], rules=[{"hide": "d/e"}]), {""}),
    "moved by a rule": (
        {"a": {"d/e/f": ""}},
        spec(["a"], rules=[{"rename": {"from": "d/e", "to": "n/e"}}]),
        {"", "n", "n/e"},
    ),
    "merged into another place": (
        {"a": {"p/bundle.xml": NEW}, "b": {"deep/q/bundle.xml": NEW}},
        spec(["a", "b"]),
        {"", "p"},
    ),
    "beside something that is shown": (
        {"a": {"x/bundle.xml": NEW, "o/x/bundle.xml": FORMER, "o/note": ""}},
        spec(["a"]),
        {"", "x", "o"},
    ),
    "empty in the source": ({"a": {"d/": "", "e/f/": "", "g": ""}}, spec(["a"]), {"", "d", "e", "e/f"}),
    "empty in one of two sources": (
        {"a": {"x/bundle.xml": NEW, "o/x/bundle.xml": FORMER}, "b": {"o/": ""}},
        spec(["a", "b"]),
        {"", "x", "o"},
    ),
    "an entry of the tree": (
        {"a": {"x/bundle.xml": NEW, "s/x/bundle.xml": FORMER}},
        spec(["a"], {"new": ["a:x"], "old/er": ["a:s"]}),
        {"", "new", "old", "old/er"},
    ),
}  # fmt: skip


def write(root: Path, files: dict[str, str]) -> Path:
    build(root, {path: content for path, content in files.items() if not path.endswith("/")})
    for path in files:
        if path.endswith("/"):
            (root / path).mkdir(parents=True, exist_ok=True)
    return root


@pytest.mark.parametrize("name", CASES)
def test_which_directories_are_shown(name: str, tmp_path: Path) -> None:
    files, view, expected = CASES[name]
    plan, _ = run(tmp_path, {s: write(tmp_path / s, tree) for s, tree in files.items()}, view)
    assert {d["path"] for d in plan.tree()} == expected


def test_what_is_withheld_leaves_no_empty_directory(tmp_path: Path) -> None:
    a = write(tmp_path / "a", {"old/bundle.xml": bundle("old")})
    first, _ = run(tmp_path, {"a": a}, spec(["a"]), "g1")
    write(a, {"delivery/x/bundle.xml": NEW})
    now = (a / "delivery/x").stat().st_ctime_ns
    plan, result = run(
        tmp_path, {"a": a}, spec(["a"]), "g2", first.path.parent, now_ns=now, settle_seconds=OLD
    )  # fmt: skip
    assert result.held_back == 2
    assert {d["path"] for d in plan.tree()} == {"", "old"}
