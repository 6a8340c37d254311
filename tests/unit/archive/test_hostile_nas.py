"""A NAS on which somebody does what they can to harm the survey: it ends, in bounded memory, names what it did not
read, and nothing outside of the export is ever looked at, listed or opened."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from pdshub.archive import beneath, directory, record
from pdshub.archive.directory import DirRecord
from pdshub.archive.file_system import LocalFileSystem
from pdshub.archive.links import MAX_HOPS, MAX_STEPS, stays_inside
from pdshub.archive.plan import Plan
from pdshub.archive.walk import scan
from tests.unit.archive.archive_support import build, bundle, kinds, run, spec, visible
from tests.unit.archive.simulated import ROOT, FaultyFileSystem, Nas

SECRET = "root:x:0:0"


def paths(plan: Plan, kind: str) -> set[str]:
    return {path for f in plan.tail["findings"] if f["kind"] == kind for path in f["paths"]}


@pytest.fixture(params=["openat2", "name by name"])
def opening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels with openat2, and those without it or with a filter that refuses it."""
    monkeypatch.setattr(beneath, "_absent", [True] if request.param == "name by name" else [])


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export with a directory, and beside it what nobody may see."""
    build(tmp_path / "outside", {"secret": SECRET, "bundle.xml": bundle("outside"), "deep/secret": SECRET})
    return build(tmp_path / "export", {"d/bundle.xml": bundle("x"), "d/f": "1", "d/e/g": "2", "other/h": "3"})


# --- nothing outside is reached --------------------------------------------------------------------------------------

CALLS: list[tuple[str, Callable[[LocalFileSystem, str], Any]]] = [
    ("lstat", lambda fs, path: fs.lstat(f"{path}/secret")),
    ("scandir", lambda fs, path: list_of(fs, path)),
    ("scandir below", lambda fs, path: list_of(fs, f"{path}/deep")),
    ("listdir", lambda fs, path: fs.listdir(path)),
    ("readlink", lambda fs, path: fs.readlink(f"{path}/link")),
    ("open", lambda fs, path: fs.open(f"{path}/secret")),
]


def list_of(fs: LocalFileSystem, path: str) -> list[str]:
    with fs.scandir(path) as entries:
        return [entry.name for entry in entries]


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize("call", [c[1] for c in CALLS], ids=[c[0] for c in CALLS])
@pytest.mark.parametrize("target", ["../outside", "{top}/outside", "/proc/self/root{top}/outside", "."])
def test_no_call_goes_through_a_link(export: Path, call: Callable[[LocalFileSystem, str], Any], target: str) -> None:
    (export.parent / "outside" / "link").symlink_to("secret")
    (export / "secret").write_text("")
    (export / "to").symlink_to(target.format(top=export.parent))
    with pytest.raises(OSError) as refused:
        call(LocalFileSystem([str(export)]), f"{export}/to")
    assert refused.value.errno in (errno.ELOOP, errno.ENOTDIR, errno.EXDEV, errno.ENOENT)


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize("path", ["../outside/secret", "d/../../outside/secret", "d/../../export/d/f", "x\0/f"])
def test_no_path_leaves_the_export(export: Path, path: str) -> None:
    with pytest.raises(OSError):
        LocalFileSystem([str(export)]).open(f"{export}/{path}")


def test_no_path_but_below_a_root(export: Path) -> None:
    fs = LocalFileSystem([str(export)])
    for path in (f"{export}ed/secret", str(export.parent / "outside"), "/etc/passwd", "etc/passwd"):
        with pytest.raises(OSError):
            fs.lstat(path)


@pytest.mark.usefixtures("opening")
def test_what_is_inside_is_read(export: Path) -> None:
    (export / "link").symlink_to("d/f")
    (export.parent / "root").symlink_to("export")  # the source's own directory may be a link
    for root in (export, export.parent / "root"):
        fs = LocalFileSystem([str(root), str(export.parent)])
        assert sorted(list_of(fs, f"{root}/d")) == sorted(fs.listdir(f"{root}/d")) == ["bundle.xml", "e", "f"]
        assert sorted(list_of(fs, str(root))) == ["d", "link", "other"]
        assert stat.S_ISLNK(fs.lstat(f"{root}/link").st_mode) and fs.readlink(f"{root}/link") == "d/f"
        assert stat.S_ISDIR(fs.lstat(f"{root}/.").st_mode)
        with fs.open(f"{root}/d/e/g") as stream:
            assert stream.read() == b"2"
        with fs.scandir(f"{root}/d") as entries:
            assert {e.name: e.stat(follow_symlinks=False).st_size for e in entries}["f"] == 1


class Swapping(LocalFileSystem):
    """Puts a link to the outside in the place of a directory or a file, just before one call of a survey."""

    def __init__(self, export: Path, path: str, call: str, number: int, instead: Callable[[Path], None]) -> None:
        super().__init__([str(export)])
        self.export, self.path, self.call, self.left, self.instead = export, path, call, number, instead
        self.swapped = False

    def _before(self, call: str, path: str) -> None:
        if call == self.call and not self.swapped:
            self.left -= 1
            if self.left < 0 and path.startswith(f"{self.export}/{self.path.partition('/')[0]}"):
                self.swapped = True
                place = self.export / self.path
                place.rename(self.export.parent / "moved")
                self.instead(place)

    def lstat(self, path: str) -> os.stat_result:
        self._before("lstat", path)
        return super().lstat(path)

    def scandir(self, path: str) -> Any:
        self._before("scandir", path)
        return super().scandir(path)

    def listdir(self, path: str) -> list[str]:
        self._before("listdir", path)
        return super().listdir(path)

    def open(self, path: str) -> BinaryIO:
        self._before("open", path)
        return super().open(path)


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize("path", ["d", "d/e", "other"])
@pytest.mark.parametrize("call", ["lstat", "scandir", "listdir", "open"])
@pytest.mark.parametrize("number", range(10))
def test_a_directory_that_becomes_a_link_at_any_call(export: Path, path: str, call: str, number: int) -> None:
    def outside(place: Path) -> None:
        place.symlink_to(export.parent / "outside")

    fs = Swapping(export, path, call, number, outside)
    plan, _ = run(export.parent, {"a": export}, spec(["a"]), fs=fs)
    seen = visible(plan)
    assert not [name for name in seen if "secret" in name or "deep" in name]
    assert "urn:nasa:pds:outside" not in {d["key"] for d in plan.header["datasets"]}
    if path != "other":
        assert "other/h" in seen, "the rest is read as ever"
    if fs.swapped:
        after, _ = run(export.parent, {"a": export}, spec(["a"]), "again", export.parent / "gen")
        assert path not in {p.rpartition("/")[0] for p in visible(after)}


def test_directories_and_links_swapped_under_load(export: Path) -> None:
    """However it comes out: only what is in the export is in a generation."""
    stop = threading.Event()
    here, link, aside = export / "d", export / "link", export.parent / "aside"
    link.symlink_to(export.parent / "outside")

    def swap() -> None:
        while not stop.is_set():
            here.rename(aside)
            link.rename(here)
            here.rename(link)
            aside.rename(here)

    inside, whole = {"d/bundle.xml", "d/f", "d/e/g", "other/h"}, 0
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for number in range(15):
            plan, _ = run(export.parent, {"a": export}, spec(["a"]), f"g{number}", workers=4)
            shown = set(visible(plan))
            assert shown <= inside
            whole += "other/h" in shown  # a listing that names less than its links tell of is asked again
            scans, _ = record.read_record(export.parent / f"g{number}" / record.FILE)
            assert set(scans["a"].dirs) <= {"", "d", "d/e", "other"}
            assert "urn:nasa:pds:outside" not in {d["key"] for d in plan.header["datasets"]}
    finally:
        stop.set()
        thread.join()
    assert whole > 0


# --- what is no file -------------------------------------------------------------------------------------------------


def fifo(place: Path) -> None:
    os.mkfifo(place)


def a_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(place))


REPLACED: list[tuple[str, Callable[[Path], None]]] = [
    ("a FIFO", fifo),
    ("a socket", a_socket),
    ("a directory", lambda place: place.mkdir()),
    ("a link", lambda place: place.symlink_to("../../outside/bundle.xml")),
    ("a loop of links", lambda place: place.symlink_to(place.name)),
    ("nothing", lambda place: None),
]


@pytest.mark.usefixtures("opening")
@pytest.mark.parametrize("instead", [r[1] for r in REPLACED], ids=[r[0] for r in REPLACED])
def test_a_label_that_is_none_any_more_when_it_is_opened(export: Path, instead: Callable[[Path], None]) -> None:
    fs = Swapping(export, "d/bundle.xml", "open", 0, instead)
    plan, _ = run(export.parent, {"a": export}, spec(["a"]), fs=fs)
    assert fs.swapped and paths(plan, "broken-label") == {"a:d/bundle.xml"}
    assert "urn:nasa:pds:outside" not in {d["key"] for d in plan.header["datasets"]}
    _, known = record.read_record(export.parent / "gen" / record.FILE)
    assert known == {}, "the next survey opens it again"


def test_fifos_sockets_and_devices_are_never_opened(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(export)  # names of sockets are short
    fifo(export / "bundle.xml")
    a_socket(export / "collection.xml")
    fifo(export / "voldesc.cat")
    plan, result = run(export.parent, {"a": export}, spec(["a"]))
    assert result.counters.labels_opened == 1 and "not-shown" in kinds(plan)
    assert paths(plan, "not-shown") == {"bundle.xml", "collection.xml", "voldesc.cat"}


def test_a_label_that_grows_while_it_is_read(export: Path) -> None:
    class Growing(LocalFileSystem):
        def open(self, path: str) -> BinaryIO:
            stream = super().open(path)

            class Grows:
                def read(self, size: int) -> bytes:
                    with open(path, "ab") as more:
                        more.write(b" " * size)
                    return stream.read(size)

                def __enter__(self) -> Any:
                    return self

                def __exit__(self, *_: object) -> None:
                    stream.close()

            return Grows()  # type: ignore[return-value]

    plan, _ = run(export.parent, {"a": export}, spec(["a"]), fs=Growing([str(export)]))
    assert paths(plan, "label-quarantined") == {"a:d/bundle.xml"}
    assert {"d/f", "other/h"} <= visible(plan).keys()


# --- links -----------------------------------------------------------------------------------------------------------


def directory_of(links: dict[str, str]) -> dict[str, DirRecord]:
    rows = tuple(sorted((name, target, 0) for name, target in links.items()))
    return {"": DirRecord("", 0, 0, (0, 0, 0), links=rows)}


CHAIN = {f"l{n:03}": f"l{n + 1:03}" for n in range(100)}
LINKS: list[tuple[str, dict[str, str], str, bool]] = [
    ("to itself", {"a": "a"}, "a", False),
    ("to each other", {"a": "b", "b": "a"}, "a", False),
    ("through a directory", {"a": "d/../a"}, "a", False),
    ("to where it lies", {"a": "."}, "a/a/a/a", True),
    ("to where it lies, too often", {"a": "."}, "a/" * (MAX_HOPS + 1), False),
    ("a chain", CHAIN, f"l{100 - MAX_HOPS:03}", True),
    ("a chain that is too long", CHAIN, f"l{100 - MAX_HOPS - 1:03}", False),
    ("twice as long at each", {f"l{n:02}": f"l{n + 1:02}/l{n + 1:02}" for n in range(39)}, "l00", True),
    ("long", {"a": "./" * 2000}, "a", False),
    ("longer than any", {}, "./" * 2048, False),
    ("many names", {}, "x/" * (MAX_STEPS + 1), False),
    ("up and down", {}, "x/../" * 20, True),
    ("up", {}, "x/../..", False),
    ("absolute", {"a": "/etc"}, "a/passwd", False),
    ("to the top, and up", {"a": "."}, "a/../x", False),
    ("nowhere", {}, "none", True),
]


@pytest.mark.parametrize(("links", "target", "inside"), [item[1:] for item in LINKS], ids=[item[0] for item in LINKS])
def test_where_a_link_leads(links: dict[str, str], target: str, inside: bool) -> None:
    assert stays_inside(directory_of(links), "", target, "") is inside


def test_a_storm_of_links_costs_what_its_links_cost() -> None:
    """Each is followed for a bounded number of steps, and a step looks at few of the links of its directory."""
    looks = 0

    class Counted(tuple[tuple[str, str, int], ...]):
        def __getitem__(self, which: Any) -> Any:
            nonlocal looks
            looks += 1
            return tuple.__getitem__(self, which)

    many = 20_000
    dirs = directory_of({f"{n:05}": f"{n + 1:05}" for n in range(many)})
    dirs[""].links = Counted(dirs[""].links)
    for number in range(0, many, 100):
        stays_inside(dirs, "", f"{number:05}", "")
    assert looks <= (many // 100) * (MAX_HOPS + 2) * 20


def test_a_storm_of_links_on_disk(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"b/bundle.xml": bundle("x"), "b/f": "1"})
    for number in range(2000):
        (a / "b" / f"l{number}").symlink_to(f"l{number + 1}")
    (a / "b" / "up").symlink_to("..")
    (a / "b" / "loop").symlink_to("../b/loop")
    (a / "b" / "self").symlink_to(".")
    for number in range(300):
        os.link(a / "b" / "bundle.xml", a / "b" / f"hard{number}")
    plan, result = run(tmp_path, {"a": a}, spec(["a"]))
    assert result.counters.directories_checked == 2, "no link is followed"
    shown = {link[0] for d in plan.tree() for link in d.get("links", ())}
    assert "self" in shown and not shown & {"up", "loop", "l0"} and f"l{2000 - 1}" in shown
    assert sum(name.startswith("b/hard") for name in visible(plan)) == 300


# --- directories -----------------------------------------------------------------------------------------------------


class Endless(FaultyFileSystem):
    """Some directories have as many entries as anybody asks for."""

    def __init__(self, nas: Nas, large: set[str], most: int = 10**12) -> None:
        super().__init__(nas)
        self.large, self.most, self.pulled, self.now, self.at_once = large, most, 0, 0, 0
        self._lock = threading.Lock()

    @contextmanager
    def scandir(self, path: str) -> Iterator[Iterator[Any]]:
        with super().scandir(path) as entries:
            if self._inside(path) not in self.large:
                yield entries
                return
            one = next(entries)

            def every() -> Iterator[Any]:
                counted = False
                try:
                    for number in itertools.islice(itertools.count(), self.most):
                        with self._lock:
                            self.pulled += 1
                            if number > directory.LARGE and not counted:
                                counted = True
                                self.now += 1
                                self.at_once = max(self.at_once, self.now)
                        yield type(one)(f"n{number}", f"{path}/n{number}", one.node, self)
                finally:
                    with self._lock:
                        self.now -= counted

            yield every()

    def listdir(self, path: str) -> list[str]:
        if self._inside(path) in self.large:
            return [f"n{number}" for number in range(self.most)]
        return super().listdir(path)


def nas_of(*large: str) -> Nas:
    nas = Nas()
    for path in (*large, "b"):
        nas.mkdir(path)
        nas.put(f"{path}/f", b"1")
    nas.put("b/bundle.xml", bundle("x").encode())
    nas.now += 10**15
    return nas


def test_a_directory_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_ENTRIES", 5000)
    nas = nas_of("large", "large/below")
    fs = Endless(nas, {"large"})
    for out, former in (("gen", None), ("again", tmp_path / "gen")):
        fs.pulled = 0
        plan, result = run(tmp_path, {"a": Path(ROOT)}, spec(["a"]), out, former, fs=fs, now_ns=nas.now)
        assert fs.pulled == 5001, "no more is taken into memory, and it is tried again"
        assert paths(plan, "not-read") == {"large"} and result.held_back == 0 and not result.doubted
        assert set(visible(plan)) == {"b/f", "b/bundle.xml"}
    fs.large = set()
    plan, _ = run(tmp_path, {"a": Path(ROOT)}, spec(["a"]), "after", tmp_path / "again", fs=fs, now_ns=nas.now)
    assert "large/f" in visible(plan) and "not-read" not in kinds(plan)


def test_links_with_long_targets_count_for_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "MAX_ENTRIES", 1000)
    a = build(tmp_path / "a", {"few/f": "", "many/f": ""})
    for number in range(30):
        (a / "few" / f"l{number}").symlink_to("x" * 100)
        (a / "many" / f"l{number}").symlink_to("x/" * 2000)
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    assert paths(plan, "not-read") == {"many"} and "few/f" in visible(plan)


def test_large_directories_are_listed_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "LARGE", 50)
    large = {f"large{n}" for n in range(6)}
    fs = Endless(nas_of(*sorted(large)), large, most=2000)
    found = scan("a", ROOT, workers=6, fs=fs)
    assert all(len(found.dirs[path].sizes) == 2000 for path in large)
    assert fs.at_once == 1


def test_a_path_that_is_too_long_is_not_entered(tmp_path: Path) -> None:
    a = build(tmp_path / "a", {"b/bundle.xml": bundle("x")})
    name, at = "n" * 250, os.open(a, os.O_RDONLY)
    for _ in range(20):  # 5000 bytes: no path to the last ones can be opened
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    plan, _ = run(tmp_path, {"a": a}, spec(["a"]))
    (deep,) = paths(plan, "not-read")
    assert directory.MAX_PATH < len(deep) <= directory.MAX_PATH + 255
    assert "b/bundle.xml" in visible(plan)


# --- names -----------------------------------------------------------------------------------------------------------

NAMES = [
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"a\nerror: forged: line",
    b"\r\n",
    b"\t",
    b" ",
    b"\x1b[31m\x1b]0;title\x07",
    b"\x9b31m",
    b"\x7f",
    "\u202egnp.exe".encode(),
    "\u2066\u200b\ufeff".encode(),
    b"-rf",
    b"$(reboot)",
    b"`reboot`",
    b"'\"\\",
    b"%s%n{}",
    b"#",
    b"urn:nasa:pds:x",
    b"n" * 255,
    "e\u0301".encode(),
    "é".encode(),
]


def test_names_are_bytes_and_nothing_else(tmp_path: Path) -> None:
    top = os.fsencode(tmp_path / "a")
    for name in NAMES:
        os.makedirs(os.path.join(top, b"d", name))
        for file in (os.path.join(top, name), os.path.join(top, b"d", name, name)):
            with open(file, "wb"):
                pass
        os.symlink(b"/" + name, os.path.join(top, b"d", b"l" + name[:200]))
    os.mkfifo(os.path.join(top, b"\x1b[32mfifo\n"))
    view = spec(["a"])
    plan, _ = run(tmp_path, {"a": tmp_path / "a"}, view)
    want = {os.fsdecode(name) for name in NAMES} | {os.fsdecode(b"d/" + name + b"/" + name) for name in NAMES}
    assert visible(plan).keys() == want
    again, second = run(tmp_path, {"a": tmp_path / "a"}, view, "again", tmp_path / "gen")
    assert again.tree_digest() == plan.tree_digest() and second.counters.directories_read <= len(NAMES) + 2
    text = (tmp_path / "gen" / "findings.txt").read_text()
    lines = text.split("\n")
    assert all(c.isprintable() for line in lines for c in line)
    assert all(line.startswith(("error: ", "warning: ", "info: ", "    ")) or not line for line in lines)
    assert "forged" in text and not [line for line in lines if line.startswith("error: forged")]
    assert {"link-hidden", "not-shown"} <= kinds(plan)
