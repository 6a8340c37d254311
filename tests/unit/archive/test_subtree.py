"""A large tree in parts: how it is cut, that nothing is lost, and that what is new changes little."""

from __future__ import annotations

import io
import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pdshub.archive import catalog, subtree
from pdshub.archive.plan import Plan
from pdshub.archive.subtree import Cut, Layout, bucket, choose, cut, path_of, weights
from tests.unit.archive.archive_support import OLD, build, run, spec

ODD = ['d"path":"x', "back\\slash", "ends}", "a,b", "\udcff", "ü", "x\ny"]


def line(path: str, names: int = 1) -> bytes:
    item = {"path": path, "attr": [1, 2, 3], "mtime": 5, "groups": [{"names": ODD[:1] * names, "path": path}]}
    return (json.dumps(item, separators=(",", ":"), sort_keys=True) + ",\n").encode()


@pytest.mark.parametrize("path", ["", "a", "a/b/c", *ODD, *(f"{one}/{one}" for one in ODD)])
def test_the_path_of_a_line(path: str) -> None:
    assert path_of(line(path)) == path
    assert path_of(line(path).rstrip(b",\n")) == path, "the last one"


@pytest.mark.parametrize(
    ("path", "unit"),
    [("", None), ("css", None), ("css/G96", "css/G96"), ("css/G96/2020/x", "css/G96"), ("css/G9", "css/G9")],
)
def test_where_a_directory_lies(path: str, unit: str | None) -> None:
    layout = Layout(2, 8)
    assert layout.part(path) == (None if unit is None else bucket(unit, 8))
    assert layout.above(path) is (unit is None)


def tree(stations: int, nights: int, names: int = 10) -> list[bytes]:
    """A sky survey: css/STATION/YEAR/NIGHT."""
    paths = ["", "css"]
    for station in range(stations):
        paths += [f"css/s{station}", f"css/s{station}/2020"]
        paths += [f"css/s{station}/2020/n{night:03d}" for night in range(nights)]
    return [line(path, names if path.count("/") == 3 else 0) for path in paths]


CHOICES: dict[str, tuple[list[bytes], int, Layout | None, Layout]] = {
    "nights are the units": (tree(3, 400), 3_000_000, None, Layout(4, 32)),
    "stations are, where they are many": (tree(900, 2), 3_000_000, None, Layout(2, 32)),
    "more images for more entries": (tree(3, 2000), 30_000_000, None, Layout(4, 128)),
    "no more than overlayfs takes": (tree(3, 4000), 900_000_000, None, Layout(4, 256)),
    "as before, though another were better": (tree(900, 2), 3_000_000, Layout(4, 32), Layout(4, 32)),
    "as before, though it has grown": (tree(3, 400), 20_000_000, Layout(4, 32), Layout(4, 32)),
    "not as before where one part is too large": (tree(3, 400), 3_000_000, Layout(2, 32), Layout(4, 32)),
    "nor where it has grown much": (tree(3, 2000), 60_000_000, Layout(4, 32), Layout(4, 256)),
    "a former layout of nowhere": (tree(3, 400), 3_000_000, Layout(99, 32), Layout(4, 32)),
    "one directory that has all": ([line("", 0), line("all", 9000)], 3_000_000, None, Layout(1, 32)),
}


@pytest.mark.parametrize(("lines", "entries", "before", "expected"), CHOICES.values(), ids=CHOICES)
def test_how_it_is_cut(lines: list[bytes], entries: int, before: Layout | None, expected: Layout) -> None:
    assert choose(weights(iter(lines)), entries, before) == expected


def test_nothing_is_lost_and_order_is_kept(tmp_path: Path) -> None:
    lines = tree(5, 40)
    cuts = cut(iter(lines), Layout(4, 16), tmp_path)
    assert [one.number for one in cuts] == [None, *sorted(one.number for one in cuts if one.number is not None)]
    found = [text for one in cuts for text in one.lines.read_bytes().splitlines()]
    assert Counter(found) == Counter(text.rstrip(b",\n") for text in lines)
    order = [text.rstrip(b",\n") for text in lines]
    for one in cuts:
        mine = one.lines.read_bytes().splitlines()
        assert mine == sorted(mine, key=order.index)


def numbers(cuts: list[Cut]) -> dict[int | None, str]:
    return {one.number: one.digest for one in cuts}


def test_a_new_night_changes_its_part_and_no_other(tmp_path: Path) -> None:
    layout = Layout(4, 32)
    before = tree(3, 100)
    night = line("css/s1/2020/n999", 10)
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    was = numbers(cut(iter(before), layout, tmp_path / "one"))
    now = numbers(cut(iter(sorted([*before, night], key=path_of)), layout, tmp_path / "two"))
    assert {number for number in now if now[number] != was.get(number)} == {layout.part("css/s1/2020/n999")}


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees of twenty entries are large."""
    monkeypatch.setattr(subtree, "SPLIT", 20)
    monkeypatch.setattr(subtree, "LEAST", 8)


def planned(tmp_path: Path, files: dict[str, str], out: str = "gen") -> Plan:
    build(tmp_path / "nas", files)
    return run(tmp_path, {"nas": tmp_path / "nas"}, spec(["nas"]), out)[0]


FILES = {f"css/s{s}/n{n}/f{f}.dat": f"{s}{n}{f}" for s in range(3) for n in range(6) for f in range(2)} | {
    "readme.txt": "read me", "css/about.txt": "about", "other/x": "x",
}  # fmt: skip


def entries(stream: bytes) -> dict[str, tuple[Any, ...]]:
    """What a stream for mkfs.erofs says: path -> everything else."""
    with tarfile.open(fileobj=io.BytesIO(_without_data(stream)), errorlevel=2) as tar:
        return {o.name: (o.type, o.mode, o.uid, o.gid, o.mtime, o.linkname, dict(o.pax_headers)) for o in tar}


def _without_data(stream: bytes) -> bytes:
    """The same with sizes of 0: headers alone are no tar for everybody."""
    return stream.replace(b"size=", b"sizE=")


def test_parts_together_are_the_whole(tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = planned(tmp_path, FILES)
    parts = catalog.parts(plan, tmp_path)
    assert parts[0].name == "catalog-top.erofs" and parts[-1].name == "catalog-end.erofs" and len(parts) > 4
    seen: dict[str, tuple[Any, ...]] = {}
    for part in parts:
        for path, said in entries(b"".join(catalog.stream(plan, part))).items():
            first = seen.setdefault(path, said)
            assert first is said or said[0] == tarfile.DIRTYPE, f"{path} is a file of one part"
    monkeypatch.setattr(subtree, "SPLIT", 10**9)
    (whole,) = catalog.parts(plan, tmp_path)
    alone = entries(b"".join(catalog.stream(plan, whole)))
    assert seen.keys() == alone.keys()
    for path, said in alone.items():
        mine = {**seen[path][-1], "SCHILY.xattr.trusted.overlay.opaque": None}
        assert (*seen[path][:-1], mine) == (*said[:-1], {**said[-1], "SCHILY.xattr.trusted.overlay.opaque": None}), path


def test_what_above_a_unit_happens_is_the_uppermosts_alone(tmp_path: Path, small: None) -> None:
    """A new night has its directory's time, and every one above it: no other part may see that."""
    plan = planned(tmp_path, FILES)
    layout = catalog.parts(plan, tmp_path)[0].layout
    before = {part.name: catalog.made_of(plan, part) for part in catalog.parts(plan, tmp_path)}
    later = planned(tmp_path, {"css/s1/n9/f.dat": "new"}, "later")
    after = {part.name: catalog.made_of(later, part) for part in catalog.parts(later, tmp_path, layout)}
    changed = {name for name in after if before.get(name) != after[name]}
    assert layout and changed == {"catalog-top.erofs", f"catalog-{layout.part('css/s1/n9'):03d}.erofs"}
    assert OLD
