"""The contenders: the same export, mounted alone or under something that joins trees.

All use the node plugin's own NFS mount (options included), one each, so that none finds another's cache. The unions
get an empty second branch: the least that they can be asked for.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pdshub.node.mount import syscalls, worker_main
from pdshub.node.mount.catalog import KEPT_OPTIONS
from pdshub.node.store.generations import Generation

ADDRESS = "127.0.0.1"


class Refused(RuntimeError):
    """A contender could not be mounted; the text says why."""


@dataclass(frozen=True)
class Place:
    """Where a contender is mounted: ``nfs`` its own NFS mount, ``root`` what people see."""

    nfs: Path
    root: Path


def in_child(do: Callable[[], object]) -> None:
    """Run ``do`` in a process of its own, as the plugin's worker does: it changes directory and user."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        text = ""
        try:
            do()
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(into, text.encode()[:4000])
        os._exit(0)
    os.close(into)
    with os.fdopen(out) as answer:
        text = answer.read()
    os.waitpid(child, 0)
    if text:
        raise Refused(text)


def mount_nfs(export: str, point: Path, more: str = "") -> None:
    point.mkdir(parents=True, exist_ok=True)
    worker_main.mount_nfs(ADDRESS, export, 2049, "4.2", str(point), f"{ADDRESS}:{export}", more)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise Refused(f"{command[0]}: {done.stderr.strip() or done.returncode}")


def unmount(point: Path) -> None:
    """All mounts of ``point``; a moment's use by a FUSE daemon that is ending is waited out."""
    for attempt in range(100):
        try:
            syscalls.umount(str(point))
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == 22:  # EINVAL: nothing is mounted there
                return
            if attempt == 99:
                raise
            time.sleep(0.1)


class Contenders:
    """Makes and unmakes mounts below ``folder``. ``catalog``: generation and its directory."""

    def __init__(self, folder: Path, export: str) -> None:
        self._folder, self._export = folder, export
        self.generation: tuple[Generation, Path] | None = None
        self.form = ""
        self.makers: dict[str, Callable[[Place], None]] = {
            "NFS": lambda place: None,
            "overlayfs": self._overlay,
            "mergerfs": self._mergerfs,
            "unionfs-fuse": self._unionfs,
            "catalog": self._catalog,
        }
        self.empty = folder / "empty"
        self.empty.mkdir(parents=True)

    def place(self, name: str) -> Place:
        nfs = self._folder / name / "nfs"
        return Place(nfs, nfs if name == "NFS" else self._folder / name / "entry/mnt")

    def mount(self, name: str) -> Place:
        """Raises Refused."""
        place = self.place(name)
        # a catalog has a mount of its own of each source; here it is made beforehand, so that its calls can be counted
        mount_nfs(self._export, place.nfs, KEPT_OPTIONS if name == "catalog" else "")
        place.root.mkdir(parents=True, exist_ok=True)
        try:
            self.makers[name](place)
        except BaseException:
            with suppress(OSError):
                unmount(place.nfs)
            raise
        return place

    def unmount(self, name: str) -> None:
        place = self.place(name)
        for point in dict.fromkeys((place.root, place.nfs)):
            unmount(point)

    @contextmanager
    def mounted(self, name: str) -> Iterator[Place]:
        place = self.mount(name)
        try:
            yield place
        finally:
            self.unmount(name)

    def _overlay(self, place: Place) -> None:
        lowers = f"{place.nfs}:{self.empty}"
        syscalls.mount(
            "overlay", str(place.root), "overlay", syscalls.MS_RDONLY | syscalls.MS_NOATIME, f"lowerdir={lowers}"
        )

    def _mergerfs(self, place: Place) -> None:
        _run("mergerfs", "-o", "ro,allow_other,use_ino", f"{place.nfs}:{self.empty}", str(place.root))

    def _unionfs(self, place: Place) -> None:
        _run("unionfs-fuse", "-o", "ro,allow_other", f"{place.nfs}=RO:{self.empty}=RO", str(place.root))

    def _catalog(self, place: Place) -> None:
        assert self.generation
        generation, directory = self.generation
        build_catalog(generation, directory, place.nfs, place.root, self.empty)
        self.form = form(place.root)


def build_catalog(generation: Generation, directory: Path, nfs: Path, point: Path, empty: Path) -> None:
    """As the node plugin does: probe the source's directories, then mount the catalog over them."""
    found = worker_main.probe(str(nfs), [layer.path for layer in generation.data])["layers"]

    def build() -> None:
        worker_main.build_catalog(
            str(point),
            {"generation": generation.name, "layers": []},
            generation=generation.name,
            images=[{"path": str(directory / i.name), "source": i.source} for i in generation.images],
            data=[
                {"source": x.source, "base": str(nfs), "path": x.path, "identity": found[x.path], "runAs": None}
                for x in generation.data
            ],
            nested=generation.nested,
            top=generation.top,
            empty=str(empty),
        )

    in_child(build)


def form(point: Path) -> str:
    """How a catalog was mounted, by the plugin's own note, and how its image is read."""
    noted = json.loads((point.parent / "entry.json").read_text())["form"]
    looped = [p for p in Path("/sys/block").glob("loop*/loop/backing_file") if ".erofs" in p.read_text()]
    return f"{noted}, image {'through a loop device' if looped else 'straight from its file'}"
