"""``explain``: every path that a source holds is shown or has a reason; what is nowhere is said to be nowhere."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdshub.archive import beneath, words
from pdshub.archive.explain import explain
from pdshub.archive.look import Look
from pdshub.archive.main import main
from pdshub.archive.view import view_from_spec
from tests.unit.archive.archive_support import build, bundle, collection, run, spec

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SETTLE = 1000

FOLDERS = ["p", "q", "p/data", "q/data", "SUPERSEDED/p", "deep/er", ".snapshot/p", "p/data/.snapshot"]
THINGS = [
    "bundle 1.0", "bundle 2.0", "bundle other", "collection 1.0", "collection 1.10", "broken",
    "file f", "file g", "file data", "file p", "temporary", "link f", "link ..", "link /etc/passwd", "link data",
    "fifo", "empty",
]  # fmt: skip
items = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(FOLDERS), st.sampled_from(THINGS)), min_size=1, max_size=10
)
RULES = [
    {"hide": "p/data"},
    {"hide": "a:q"},
    {"rename": {"from": "p", "to": "new/name"}},
    {"rename": {"from": "p/data", "to": "q/data"}},
    {"pin": {"dataset": "urn:nasa:pds:x", "source": "b"}},
    {"supersedes": {"winner": "q", "loser": "p"}},
]
TREES: list[dict[str, list[str]]] = [
    {".": ["a", "b"]},
    {".": ["b"]},
    {"t": ["a:p", "b:q"], "u": ["b:deep"], "v/w": ["a:absent", "a:SUPERSEDED"]},
]
views = st.tuples(
    st.sampled_from(TREES), st.sampled_from(["hide", "sibling"]), st.lists(st.sampled_from(RULES), max_size=2)
)


def put(root: Path, folder: str, thing: str, content: str) -> None:
    """Writes one thing, unless something is in its way."""
    kind, _, value = thing.partition(" ")
    name = {
        "bundle": "bundle.xml", "collection": "collection.xml", "broken": "bundle.xml", "file": value,
        "temporary": ".f.fits.Ab3dE9", "link": f"link{THINGS.index(thing)}", "fifo": "pipe",
    }.get(kind, "nothing")  # fmt: skip
    target = root / folder / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if kind == "empty" or os.path.lexists(target):
            target.mkdir(exist_ok=True)
        elif kind == "link":
            target.symlink_to(value)
        elif kind == "fifo":
            os.mkfifo(target)
        else:
            identity = "y" if value == "other" else "x"
            version = "1.0" if value == "other" else value
            label = {"bundle": bundle, "collection": collection}.get(kind)
            text = "<broken" if kind == "broken" else content
            build(root, {f"{folder}/{name}": label(identity, version) if label else text})
    except (FileExistsError, NotADirectoryError):
        return


def paths(root: Path) -> Iterator[tuple[str, str]]:
    """(kind, path) of everything below a directory, without following links."""
    for top, dirs, files in os.walk(root):
        for name in [*dirs, *files]:
            full = Path(top) / name
            kind = "link" if full.is_symlink() else "directory" if full.is_dir() else "file"
            yield kind, str(full.relative_to(root))


def told(generation: Path, source: str, path: str, kind: str, asked: str, look: Look | None) -> bool:
    """Whether users see this very thing, or are told why not."""
    answer = explain(generation, asked, look)
    if answer["visible"]:
        if answer["kind"] == kind == "directory" or {"source": source, "path": path} in answer["from"]:
            return True
        if answer["kind"] == kind == "link" and answer["from"] == [{"source": source}]:
            return True
    mine = [o for o in answer["others"] if (o["source"], o["path"]) == (source, path)]
    return bool(mine and mine[0]["reason"].strip() and mine[0]["reason"] in words.explained(answer))


def after(path: Path) -> int:
    """A moment (ns) before which everything was made, and after which everything will be made."""
    mark = path / "mark"
    mark.touch()
    moment = mark.stat().st_ctime_ns
    while mark.stat().st_ctime_ns <= moment:  # the clock of the file system goes on by itself
        mark.touch()
    return moment


@SETTINGS
@given(items, items, views, st.booleans())
def test_every_path_is_shown_or_has_a_reason(
    first: list[tuple[str, str, str]],
    then: list[tuple[str, str, str]],
    view: tuple[dict[str, list[str]], str, list[dict[str, Any]]],
    looks: bool,
) -> None:
    tree, superseded, rules = view
    with tempfile.TemporaryDirectory() as name:
        tmp = Path(name)
        sources = {s: tmp / s for s in "ab"}
        for root in sources.values():
            root.mkdir()
        wire = spec(["a", "b"], tree, superseded=superseded, rules=rules, exclude=[".snapshot"])
        for source, folder, thing in first:
            put(sources[source], folder, thing, source)
        made, _ = run(tmp, sources, wire, "g1")
        moment = after(tmp)
        for source, folder, thing in then:  # a delivery, which is still settling
            put(sources[source], folder, thing, source + source)
        settling = {"now_ns": moment + SETTLE * 10**9, "settle_seconds": SETTLE, "racy_ns": 10**18}
        again, _ = run(tmp, sources, wire, "g2", made.path.parent, **settling)
        look = Look(sources) if looks else None
        for layer in view_from_spec("v", wire).layers:
            for kind, path in paths(sources[layer.source] / layer.path):
                full = "/".join(p for p in (layer.path, path) if p)
                for asked in (layer.place(full), f"{layer.source}:{full}"):
                    generation = again.path.parent
                    assert told(generation, layer.source, full, kind, asked, look), (asked, explain(generation, asked))
        answer = explain(again.path.parent, "p/data/nowhere at all/x", Look(sources))
        assert answer["state"] == "absent" and explain(again.path.parent, answer["parent"])["visible"]


def archive(tmp: Path) -> tuple[dict[str, Path], dict[str, Any]]:
    a = build(
        tmp / "a",
        {
            "x/bundle.xml": bundle("x", "2.0"),
            "x/data/f.fits": "",
            "x/data/unread/f": "",
            "x/.snapshot/f": "",
            "x/.f.fits.Ab3dE9": "",
            "SUPERSEDED/x/bundle.xml": bundle("x", "1.0"),
            "SUPERSEDED/x/old.fits": "",
        },
    )
    (a / "x/away").symlink_to("/etc/passwd")
    (a / "x/near").symlink_to("data")
    (a / "x/empty").mkdir()
    os.mkfifo(a / "x/pipe")
    b = build(tmp / "b", {"x/bundle.xml": bundle("x", "2.0"), "p/bundle.xml": bundle("p"), "p/f": ""})
    build(tmp / "a", {"p/bundle.xml": bundle("other")})
    return {"a": a, "b": b}, {**spec(["a", "b"]), "tree": [
        {"path": "o", "layers": [{"source": "a"}, {"source": "b"}]},
        {"path": "now", "live": True, "layers": [{"source": "b"}]},
    ]}  # fmt: skip


# path: (state, part of what people read)
ANSWERS = {
    "o/x/data/f.fits": ("visible", "file\n  from a:x/data/f.fits"),
    "o/x/bundle.xml": ("visible", "also at b:x/bundle.xml: the order of layers"),
    "o/SUPERSEDED/x/old.fits": ("hidden", "at a:SUPERSEDED/x/old.fits: urn:nasa:pds:x::2.0 is newer"),
    "o/SUPERSEDED": ("hidden", "nothing of what it holds is shown here; urn:nasa:pds:x::1.0: urn:nasa:pds:x::2.0 is"),
    "o/x/old.fits": ("hidden", "at a:SUPERSEDED/x/old.fits: urn:nasa:pds:x::2.0 is newer"),
    "a:SUPERSEDED/x/old.fits": ("hidden", "urn:nasa:pds:x::2.0 is newer"),
    "b:p/f": ("hidden", "urn:nasa:pds:other::1.0 has its place by the order of layers"),
    "o/x/away": ("hidden", "it is a link to /etc/passwd, which leaves its dataset"),
    "o/x/pipe": ("hidden", "it is a device, a socket, a FIFO or another file system"),
    "o/x/.f.fits.Ab3dE9": ("hidden", "a file that is still being copied"),
    "o/x/.snapshot/f": ("hidden", "directories called .snapshot are never entered (authority.exclude)"),
    "o/x/data/unread/f": ("hidden", "a:x/data/unread may not be read"),
    "o/x/near/f.fits": ("hidden", "a:x/near is a link to data: look there"),
    "o/x/late": ("hidden", "at a:x/late: it is there now, and was not when this generation was surveyed"),
    "o/x/data/unread": ("visible", "a:x/data/unread may not be read"),
    "o/x/empty": ("visible", "a:x/empty is empty too"),
    "o/x/filled": ("visible", "a:x/filled has 2 entries now, and had none when it was surveyed"),
    "o/x/data/f.fit": ("absent", "no such path\n  the nearest directory is o/x/data\n  a name like it: o/x/data/f"),
    "O/x": ("absent", "a name like it: o"),
    "o/x/.snapshot/none": ("absent", "no such path"),
    "c:x": ("absent", "no such path"),
    "now/x": ("live", "now is shown straight from the sources"),
    "": ("visible", "directory"),
}  # fmt: skip


@pytest.fixture(scope="module")
def surveyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Look]]:
    tmp = tmp_path_factory.mktemp("explained")
    sources, view = archive(tmp)
    (sources["a"] / "x/filled").mkdir()
    scan_below = beneath.scan_below

    def refused(root: str, path: str) -> Any:
        if path.endswith("unread"):
            raise PermissionError(13, "Permission denied")
        return scan_below(root, path)

    with pytest.MonkeyPatch.context() as patch:  # root may read everything
        patch.setattr(beneath, "scan_below", refused)
        run(tmp, sources, view)
    build(sources["a"], {"x/late": "", "x/filled/1": "", "x/filled/2": ""})
    yield tmp / "gen", Look(sources)


@pytest.mark.parametrize("path", ANSWERS)
def test_answers(surveyed: tuple[Path, Look], path: str) -> None:
    generation, look = surveyed
    state, said = ANSWERS[path]
    answer = explain(generation, path, look)
    assert answer["state"] == state, words.explained(answer)
    assert said in words.explained(answer)


def test_a_source_that_hangs_is_asked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "f").touch()
    asked, release = [], threading.Event()
    lstat = Path.lstat

    def hangs(path: Path) -> os.stat_result:
        asked.append(path)
        release.wait()
        return lstat(path)

    look = Look({"a": tmp_path}, seconds=0.01)
    monkeypatch.setattr(Path, "lstat", hangs)
    try:
        assert [look.kind("a", "f"), look.kind("a", "f"), look.entries("a", "")] == [None] * 3
        assert asked == [tmp_path / "f"] and look.silent == {"a"}
    finally:
        release.set()


@pytest.mark.parametrize(("path", "code"), [("o/x/data/f.fits", 0), ("o/SUPERSEDED", 0), ("o/none", 1)])
def test_the_programs_exit_code(surveyed: tuple[Path, Look], path: str, code: int) -> None:
    assert main(["explain", "--generation", str(surveyed[0]), path]) == code
