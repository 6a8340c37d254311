"""Keys of a listing as directories of a scan, and what is no path."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import directory, keys
from pdshub.archive.listed import Listing, listed, shared

DAY = 1_700_000_000 * 10**9


@dataclass
class Thing:
    key: bytes
    etag: str = "e"
    size: int = 1
    mtime: int = DAY
    stored: str = "STANDARD"


def things(*names: str | bytes | Thing) -> list[Thing]:
    made = [n if isinstance(n, Thing) else Thing(n.encode() if isinstance(n, str) else n) for n in names]
    return sorted(made, key=lambda t: t.key)


def of(*names: Any, top: str = "", **more: Any) -> Listing:
    return listed("s", things(*names), top, **more)


def tree(found: Listing) -> dict[str, tuple[list[str], tuple[str, ...]]]:
    return {path: (d.files(), d.dirs) for path, d in found.scan.dirs.items()}


def test_directories() -> None:
    found = of("a/b/c", "a/b/d", "a/z", "a-b/x", "a.txt", "b", Thing(b"e/", size=0))
    assert tree(found) == {
        "": (["a.txt", "b"], ("a", "a-b", "e")),
        "a": (["z"], ("b",)),
        "a/b": (["c", "d"], ()),
        "a-b": (["x"], ()),
        "e": ([], ()),
    }
    assert not found.odd.count


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("../etc/passwd", keys.DOTS), ("a/../b", keys.DOTS), ("a/./b", keys.DOTS), ("..", keys.DOTS), (".", keys.DOTS),
        ("a/..", keys.DOTS), ("a/../", keys.DOTS), ("/etc/passwd", keys.EMPTY), ("a//b", keys.EMPTY), ("/", keys.EMPTY),
        ("a//", keys.EMPTY), (b"a\0b", keys.CONTROL), ("a\nb", keys.CONTROL), ("a\x7fb", keys.CONTROL),
        ("\x1b[31m", keys.CONTROL), (b"a\xff", keys.NO_TEXT), (b"\xed\xa0\x80", keys.NO_TEXT),
        ("a/．．/b", keys.QUOTED), ("．", keys.QUOTED), ("‛a", keys.QUOTED), ("a／b", keys.QUOTED), ("␊", keys.QUOTED),
        ("ä" * 128, keys.LONG), (Thing(b"f/cold", stored="GLACIER"), keys.ARCHIVED),
    ],
)  # fmt: skip
def test_a_key_that_is_no_path_is_told_and_not_shown(key: Any, reason: str) -> None:
    found = of(key, "f/good")
    assert tree(found) == {"": ([], ("f",)), "f": (["good"], ())}
    assert found.odd.count == {reason: 1}
    assert all(text.isprintable() for text in found.odd.examples[reason])


def test_a_key_that_is_file_and_directory() -> None:
    found = of("d/a", "d/a/b", "d/c")
    assert tree(found)["d"] == (["c"], ("a",)) and tree(found)["d/a"] == (["b"], ())
    assert found.odd.examples == {keys.CLASH: ["d/a"]}
    found = of("d/a", Thing(b"d/a/", size=0))
    assert tree(found)["d"] == ([], ("a",)), "a marker makes a directory as well"


def test_a_marker_with_content_is_a_directory() -> None:
    found = of(Thing(b"a/", size=9), "a/b")
    assert tree(found) == {"": ([], ("a",)), "a": (["b"], ())}
    assert found.odd.count == {keys.MARKER: 1}


def test_what_looks_odd_and_is_a_name() -> None:
    names = ["a b", "a\\b", "ümlaut", "a．", "％", "＊：", "...", "%2e%2e", "a+b", "-rf", "名前", ".hidden"]
    assert tree(of(*names))[""][0] == sorted(names)


def test_a_prefix_is_cut_off_and_excluded_directories_are_not_read() -> None:
    found = of("p/.snapshot/x", "p/.snapshot/y/z", "p/a", "p/b/.snapshot/q", "p/b/c", top="p/", exclude=[".snapshot"])
    assert tree(found) == {"": (["a"], ("b",)), "b": (["c"], ())}
    assert found.scan.dirs[""].subdirs == 2


CHANGES: list[tuple[str, dict[str, Any]]] = [
    ("ETag", {"etag": "f"}),
    ("size", {"size": 2}),
    ("time", {"mtime": DAY + 10**9}),
]


@pytest.mark.parametrize(("what", "change"), CHANGES)
def test_a_change_is_seen_by(what: str, change: dict[str, Any]) -> None:
    before = of("a/x", "a/y", "b/z")
    same = of("a/x", "a/y", "b/z", previous=before.scan)
    assert same.scan.counters.directories_read == 0 and not same.etags
    assert all(same.scan.dirs[path] is found for path, found in before.scan.dirs.items())
    after = of("a/x", Thing(b"a/y", **change), "b/z", previous=before.scan)
    assert after.scan.counters.directories_read == 1 and list(after.etags) == ["a"]
    a, b = before.scan.dirs["a"], after.scan.dirs["a"]
    assert (a.mtime, a.ino) != (b.mtime, b.ino), "so a catalog is another one, too"
    assert after.scan.dirs["b"] is before.scan.dirs["b"]


def test_names_that_come_and_go() -> None:
    before = of("a/x", "a/y", "b/z")
    gone = of("a/x", "b/z", previous=before.scan)
    assert gone.scan.counters.directories_read == 1 and gone.scan.dirs["a"].files() == ["x"]
    more = of("a/x", "a/y", "a/n/w", "b/z", previous=before.scan)
    assert set(more.etags) == {"a", "a/n"}


def test_a_directory_in_doubt_is_taken_anew() -> None:
    before = of("a/x")
    before.scan.dirs["a"].doubt = directory.CHANGED
    assert of("a/x", previous=before.scan).scan.dirs["a"] is not before.scan.dirs["a"]


def test_a_directory_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_ENTRIES", 3)
    found = of("a/1", "a/2", "a/3", "a/4", "b/1")
    assert "more than 3" in found.scan.dirs["a"].unread and found.scan.dirs["b"].files() == ["1"]


def test_layers_of_a_source() -> None:
    assert list(shared(["pds4/b", "pds4", ".snapshot", "x/y"])) == [".snapshot", "pds4", "x/y"]
    assert list(shared(["a", "."])) == [""]
    found = of("a/b/c", tops=["a/b"])
    assert list(found.scan.dirs) == ["a/b"]


@pytest.mark.parametrize("seed", range(20))
def test_as_a_walk_of_the_same_files(seed: int, tmp_path: Path) -> None:
    """What a walk finds of names and sizes, whatever the names' order."""
    from pdshub.archive.walk import scan

    chance = random.Random(seed)
    letters = ["a", "b", "a-", "a.b", "a0", "Z", "é", "名"]
    files = set[str]()
    for _ in range(40):
        parts = [chance.choice(letters) for _ in range(chance.randint(1, 4))]
        path = "/".join(parts)
        if not any(f == path or f.startswith(path + "/") or path.startswith(f + "/") for f in files):
            files.add(path)
    for path in files:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"x" * (len(path) % 7))
    walked = scan("s", str(tmp_path))
    found = of(*(Thing(path.encode(), size=len(path) % 7) for path in files))
    assert list(found.scan.dirs) == list(walked.dirs)
    for path, record in walked.dirs.items():
        mine = found.scan.dirs[path]
        assert (mine.files(), list(mine.sizes), mine.dirs) == (record.files(), list(record.sizes), record.dirs)
