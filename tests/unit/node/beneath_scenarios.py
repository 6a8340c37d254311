"""Paths that an image or a view names, and what lies on the way: links, also such as come between two looks. Each
function is one test of test_beneath.py. What must never be seen lies in `outside`."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pdshub.node.health import examiner_main, write_probe
from pdshub.node.mount import mountinfo, syscalls, targets, worker, worker_main
from tests.unit.node import forge, scenarios
from tests.unit.node.forge import Node, directory, file, link
from tests.unit.node.machine import Machine

SECRET = "outside"
TURNS = 300


def refused(numbers: int | tuple[int, ...], what: Callable[[], object]) -> None:
    try:
        what()
    except OSError as error:
        assert error.errno in (numbers if isinstance(numbers, tuple) else (numbers,)), error
    else:
        raise AssertionError("nothing was refused")


def prepared(m: Machine) -> Path:
    """A folder of another's, and the plugin's own."""
    outside = m.directory / "outside"
    outside.mkdir()
    (outside / "f").write_text(SECRET)
    (outside / "deep").mkdir()
    for name in ("empty", "target/at"):
        (m.directory / name).mkdir(parents=True)
    m.file("main/d/f", "inside")
    m.file("main/x", "inside")
    return outside


def built(m: Machine, root: Node, name: str, *, nested: bool = False) -> Path:
    """A catalog of an image, mounted by the worker as the plugin has it done."""
    image, point, base = m.directory / f"{name}.erofs", m.directory / f"entries/{name}/mnt", m.directory / "nas"
    image.write_bytes(forge.image(root))
    layer = {
        "source": "main", "base": str(base), "path": "main", "identity": worker_main.identity((base / "main").stat()),
        "runAs": None, "nfs": None,
    }  # fmt: skip
    images = [{"path": str(image), "source": "main"}]
    arguments: dict[str, Any] = {
        "point": str(point), "generation": "sha256:" + "0" * 64, "nested": nested, "top": forge.TOP, "cover": False,
        "empty": str(m.directory / "empty"), "note": {}, "images": images, "data": [layer],
    }  # fmt: skip
    asyncio.run(worker.once("build_catalog", 20, **arguments))
    return point


def mounted(m: Machine) -> set[str]:
    return {x.point for x in mountinfo.read() if x.point.startswith(f"{m.directory}/entries")}


def a_link_in_place_of_the_top(m: Machine) -> None:
    """The folder of an image that is the view: a link in its place published what it leads to."""
    outside = prepared(m)
    good = {forge.TOP: directory({"x": file(6, b"/x")}, attributes={forge.OPAQUE: b"y"})}
    for nested in (False, True):
        point = built(m, directory({**good}), f"good-{nested}", nested=nested)
        assert (point / "x").read_text() == "inside", "images made by hand are images"
        before = mounted(m)
        for n, target in enumerate((str(outside), f"..{outside}", "/", "other")):
            evil = directory({forge.TOP: link(target.encode()), "other": directory({"x": file(6)})})
            refused(errno.ELOOP, lambda e=evil, n=n, nested=nested: built(m, e, f"evil-{n}-{nested}", nested=nested))
        assert {x for x in mounted(m) if "evil" in x} == set() and before <= mounted(m)


def a_link_in_the_middle(m: Machine) -> None:
    """Parts of a catalog beside live entries are mounted by their paths in it."""
    outside = prepared(m)
    tree = forge.catalog({
        "out": link(str(outside).encode()), "d": directory({"f": file(6, b"/d/f"), "up": link(b"../../../../..")}),
        "beside": link(b"d"),
    })  # fmt: skip
    point, target = str(built(m, tree, "links")), str(m.directory / "target")
    for sub in ("out", "out/deep", "beside", "d/up"):
        refused(errno.ELOOP, lambda s=sub: targets.attach(point, target, "at", str(m.directory), s))
    refused((errno.EXDEV, errno.ENOENT), lambda: targets.attach(point, target, "at", str(m.directory), "../../.."))
    assert targets.switch(point, [(target, "at", 0)], str(m.directory), sub="out")[0].startswith("open")
    assert not [x for x in mountinfo.read() if x.point.startswith(target)]
    assert worker_main.listing(point, ["", "d", "out", "beside", "d/up", "none"]) == {
        "": ["d"], "d": [], "out": [], "beside": [], "d/up": [], "none": [],
    }  # fmt: skip
    targets.attach(point, target, "at", str(m.directory), "d")
    assert (m.directory / "target/at/f").read_text() == "inside"


@contextmanager
def swapping(place: Path, outside: Path) -> Iterator[list[int]]:
    """A directory and a link to `outside` take turns in a place, as fast as they can."""
    stop, turns = threading.Event(), [0]
    kept = place.with_name("kept")

    def swap() -> None:
        while not stop.is_set():
            place.rename(kept)
            place.symlink_to(outside)
            place.unlink()
            kept.rename(place)
            turns[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield turns
    finally:
        stop.set()
        thread.join()


def swapped_under_load(m: Machine) -> None:
    """Between the look and the use: what is mounted is what was looked at, or nothing."""
    outside = prepared(m)
    nas, target = m.directory / "nas", m.directory / "target"
    expected = worker_main.identity((nas / "main/d").stat())
    shown: set[str] = set()
    with swapping(nas / "main/d", outside) as turns:
        while turns[0] < 10 or len(shown) < 1:
            _turns(m, nas, target, expected, shown)
    assert shown == {"inside"}, shown


def _turns(m: Machine, nas: Path, target: Path, expected: str, shown: set[str]) -> None:
    def attached() -> None:
        targets.attach(str(nas), str(target), "at", str(m.directory), "main/d")
        shown.add((target / "at/f").read_text())

    def bound() -> None:
        point = m.directory / "entries/one/mnt"
        assert (
            worker_main.build([[str(nas), "main/d", expected, None]], str(point), str(m.directory / "empty"), {})
            == "bind"
        )
        os.chdir(m.directory)
        shown.add((point / "f").read_text())

    def opened() -> None:
        with syscalls.opened(str(nas), "main/d") as found:
            shown.add(Path(f"/proc/self/fd/{found}/f").read_text())

    for _ in range(TURNS):
        for attempt, point in ((attached, target / "at"), (bound, m.directory / "entries/one/mnt"), (opened, None)):
            try:
                attempt()
            except OSError as error:
                assert error.errno in (errno.ELOOP, errno.ENOENT, errno.ESTALE, errno.ENOTDIR), error
            os.chdir(m.directory)
            if point is not None:
                with suppress(OSError):
                    syscalls.umount(str(point), lazy=True)


def looks_stay_inside(m: Machine) -> None:
    """Canary and proof look at mount points of a target, over which another mount may lie."""
    outside = prepared(m)
    target = m.directory / "target"
    (m.directory / "cover").mkdir()
    (m.directory / "cover/live").symlink_to(outside)
    subprocess.run(["mount", "--bind", m.directory / "cover", target / "at"], check=True)
    refused(errno.ELOOP, lambda: examiner_main.files({".": (str(target), "at/live")}, [("f", 7, "", "")]))
    refused(errno.ELOOP, lambda: write_probe.InMounts(str(target), [".", "at/live"]))
    assert examiner_main.files({".": (str(target), "at")}, [("live/f", 7, "", "")]) == {"live/f": "gone"}
    with write_probe.InMounts(str(target), [".", "at", "none"]) as found:
        assert [one["at"] for one in found()] == [".", "at"]


ALL = {
    f.__name__: f
    for f in (a_link_in_place_of_the_top, a_link_in_the_middle, swapped_under_load, looks_stay_inside)
}  # fmt: skip


if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]])
