"""Catalogs mounted in all the ways that kernels know, with real mounts; a test of test_generations.py."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

from tests.unit.node import scenarios
from tests.unit.node.generations import Release
from tests.unit.node.machine import Machine


def every_way(m: Machine) -> None:
    """Images and layers in all the ways that kernels know, with a source away, and with users of their own."""
    for n, (shared, refuse) in enumerate(
        (shared, refuse)
        for shared in (False, True)
        for refuse in ("", "file", "file fsconfig", "data", "fsconfig data")
    ):
        way(m, f"{n}", shared, refuse)


def way(m: Machine, number: str, shared: bool, refuse: str) -> None:
    """In a process of its own: the kernel's calls are replaced."""
    if os.fork():
        assert os.wait()[1] == 0, (number, shared, refuse)
        return
    try:
        _way(m, number, shared, refuse.split())
        os._exit(0)
    except BaseException as error:
        print(number, shared, refuse, repr(error), file=sys.stderr)
        os._exit(1)


def _way(m: Machine, number: str, shared: bool, refuse: list[str]) -> None:
    from pdshub.node.mount import catalog, syscalls, worker_main
    from pdshub.node.store import generations

    new, image, overlay = syscalls.new_filesystem, catalog.mount_image, catalog.overlay

    def no(code: int) -> OSError:
        return OSError(code, "not known")

    def new_filesystem(fstype: str, *more: Any) -> int:
        if fstype == "overlay" and "fsconfig" in refuse:
            raise no(errno.EINVAL)
        return new(fstype, *more)

    def mount_image(path: str, place: str, loop: bool) -> str:
        if "file" in refuse and not loop:
            raise no(errno.ENOTBLK)
        return image(path, place, loop)

    def one_overlay(place: str, label: str, lowers: Any, data: Any) -> None:
        if data and "data" in refuse:
            raise no(errno.EINVAL)
        overlay(place, label, lowers, data)

    syscalls.new_filesystem, catalog.mount_image, catalog.overlay = new_filesystem, mount_image, one_overlay
    files = {"main/t": "t", "main/x/f": "from main", "more/u": "u", "more/y/g": "from more"}
    files |= {"main/x/both": "wins", "more/x/both": "loses!"} if shared else {}
    nas = m.directory / "nas" / number
    for path, text in files.items():
        m.file(f"{number}/{path}", text)
    (nas / "main/.pdshub-catalog").mkdir()
    (nas / "main/.pdshub-catalog/sneaked").write_text("in")
    view = Release(m, {".": [f"{number}/main", f"{number}/more"]}, f"{number}/main", f"{number}/more")
    view.tree, view.sources = {".": ["main", "more"]}, ("main", "more")
    made = generations.parse((view.made(nas) / "manifest.json").read_bytes())
    assert made.nested is shared
    for path in (view.folder / made.digits).glob("*.erofs"):
        os.truncate(path, -(-path.stat().st_size // 4096) * 4096)
    empty = m.directory / "empty"
    empty.mkdir(exist_ok=True)
    for case in ("all", "away", "none", "users"):
        users = {"main": [1234, 1234], "more": [1235, 1235]} if case == "users" else {}
        data = []
        for layer in made.data:
            place = nas / layer.source / layer.path
            if users:
                (nas / layer.source).chmod(0o700)
                os.chown(nas / layer.source, *users[layer.source])
            gone = case == "none" or (case == "away" and layer.source == "main")
            data.append({
                "source": layer.source, "base": str(nas / layer.source), "path": layer.path,
                "identity": "" if gone else worker_main.identity(place.stat()), "runAs": users.get(layer.source),
            })  # fmt: skip
        point = m.directory / "entries" / number / case / "mnt"
        form = worker_main.build_catalog(
            str(point), {"generation": made.name, "layers": []}, generation=made.name, nested=made.nested, top=made.top,
            images=[{"path": str(view.folder / made.digits / i.name), "source": i.source} for i in made.images],
            data=data, empty=str(empty),
        )  # fmt: skip
        assert form == ("catalog-merged" if "data" in refuse else "catalog")
        assert sorted(p.name for p in point.parent.iterdir()) == ["entry.json", "mnt"]
        assert sorted(p.name for p in point.iterdir()) == [".pdshub-catalog", "t", "u", "x", "y"]
        assert [p.name for p in (point / "x").iterdir()] == (["both", "f"] if shared else ["f"])
        main, more = case not in ("none", "away"), case != "none"
        expect(point / "x/f", "from main" if main else None, "data" in refuse)
        expect(point / "y/g", "from more" if more else None, "data" in refuse)
        if shared:
            expect(point / "x/both", "wins" if main else None, "data" in refuse)
        if users:
            os.chown(nas / "main/x/f", 0, 0)
            (nas / "main/x/f").chmod(0o600)
            try:
                (point / "x/f").read_text()
            except PermissionError:
                pass
            else:
                raise AssertionError("read as root, not as runAs")
        worker_main.drop(str(point))
    syscalls.new_filesystem = new


def expect(path: Path, text: str | None, merged: bool) -> None:
    """`text` None: its source is away. Only kernels without data-only layers need it for `stat`."""
    if text is not None:
        assert path.stat().st_size == len(text) and path.read_text() == text
        return
    assert merged or path.stat().st_size > 0
    try:
        path.read_text()
    except OSError as error:
        assert error.errno == errno.ENOTCONN, error
    else:
        raise AssertionError(f"{path} was read without its source")


ALL = {"every_way": every_way}


if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]])
