"""A NAS in memory with a clock of its own, and a file system of it that can be made to lie."""

from __future__ import annotations

import errno
import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO

SECOND = 10**9
ROOT = "/nas"


@dataclass
class Node:
    """A file (bytes), a directory (dict) or a link (str)."""

    ino: int
    held: bytes | str | dict[str, Node]
    mtime: int
    ctime: int


@dataclass
class Nas:
    """A tree that changes. ``now``: this machine's clock; the server's is ``skew`` ahead and moves in ticks."""

    skew: int = 0
    tick: int = SECOND
    counts_links: bool = True
    now: int = 2_000_000_000 * SECOND
    inodes: int = 1
    root: Node = field(default_factory=lambda: Node(1, {}, 0, 0))

    def clock(self) -> int:
        return (self.now + self.skew) // self.tick * self.tick

    def _new(self, held: bytes | str | dict[str, Node]) -> Node:
        self.inodes += 1
        return Node(self.inodes, held, self.clock(), self.clock())

    def find(self, path: str) -> Node:
        """The node at a path; raises OSError as a kernel does."""
        node = self.root
        for part in path.split("/") if path else ():
            if not isinstance(node.held, dict):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
            if part not in node.held:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
            node = node.held[part]
        return node

    def _above(self, path: str) -> tuple[Node, dict[str, Node], str]:
        above, _, name = path.rpartition("/")
        node = self.find(above)
        assert isinstance(node.held, dict)
        return node, node.held, name

    def directory(self, path: str) -> dict[str, Node]:
        held = self.find(path).held
        assert isinstance(held, dict)
        return held

    def _touch(self, directory: Node) -> None:
        directory.mtime = directory.ctime = self.clock()

    def put(self, path: str, held: bytes | str | dict[str, Node], sneaky: bool = False) -> None:
        """Create or replace a name. ``sneaky``: the directory's times do not move."""
        directory, names, name = self._above(path)
        names[name] = self._new(held)
        if not sneaky:
            self._touch(directory)

    def mkdir(self, path: str) -> None:
        """With what is missing above it."""
        above = path.rpartition("/")[0]
        if above and above not in self.directories():
            self.mkdir(above)
        if path not in self.directories():
            self.put(path, {})

    def overwrite(self, path: str, content: bytes, keep_mtime: bool = False) -> None:
        """In place: only the file's own times move."""
        node = self.find(path)
        node.held, node.ctime = content, self.clock()
        if not keep_mtime:
            node.mtime = self.clock()

    def remove(self, path: str, sneaky: bool = False) -> None:
        directory, names, name = self._above(path)
        del names[name]
        if not sneaky:
            self._touch(directory)

    def rename(self, old: str, new: str) -> None:
        source, names, name = self._above(old)
        target, places, place = self._above(new)
        node = places[place] = names.pop(name)
        node.ctime = self.clock()
        self._touch(source)
        self._touch(target)

    def walk(self) -> Iterator[tuple[str, Node]]:
        todo = [("", self.root)]
        while todo:
            path, node = todo.pop()
            yield path, node
            if isinstance(node.held, dict):
                todo += [(f"{path}/{name}" if path else name, below) for name, below in node.held.items()]

    def directories(self) -> list[str]:
        return sorted(path for path, node in self.walk() if isinstance(node.held, dict))

    def files(self) -> list[str]:
        return sorted(path for path, node in self.walk() if isinstance(node.held, bytes))

    def stat(self, node: Node) -> os.stat_result:
        links, size, mode = 1, 0, 0o644
        if isinstance(node.held, dict):
            mode, size = stat.S_IFDIR | 0o755, 4096
            below = sum(isinstance(n.held, dict) for n in node.held.values())
            links = 2 + below if self.counts_links else 1
        elif isinstance(node.held, str):
            mode, size = stat.S_IFLNK | 0o777, len(node.held)
        else:
            mode, size = stat.S_IFREG | 0o644, len(node.held)
        times = {"st_mtime_ns": node.mtime, "st_ctime_ns": node.ctime, "st_atime_ns": 0}
        seconds = (0, node.mtime // SECOND, node.ctime // SECOND)
        return os.stat_result((mode, node.ino, 7, links, 0, 0, size, *seconds), times)


@dataclass
class Fault:
    """What goes wrong at one directory (or, as an error, at any path), for so many calls of a kind."""

    kind: str  # empty, truncated, older, times, or the name of an errno
    path: str
    calls: int


@dataclass
class _Entry:
    name: str
    path: str
    node: Node
    fs: FaultyFileSystem

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        return isinstance(self.node.held, dict)

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        self.fs.maybe_fail(self.path)
        return self.fs.nas.stat(self.node)


class FaultyFileSystem:
    """What a survey reads. Faults last as long as their calls; ``remember`` is what "older" and "times" answer."""

    def __init__(self, nas: Nas) -> None:
        self.nas = nas
        self.faults: list[Fault] = []
        self._listings: dict[str, dict[str, Node]] = {}
        self._times: dict[str, tuple[int, int]] = {}

    def remember(self) -> None:
        for path, node in self.nas.walk():
            if isinstance(node.held, dict):
                self._listings[path] = dict(node.held)
                self._times[path] = (node.mtime, node.ctime)

    def _fault(self, path: str, *kinds: str) -> str:
        for fault in self.faults:
            if fault.path == path and fault.kind in kinds and fault.calls:
                fault.calls -= 1
                return fault.kind
        return ""

    @staticmethod
    def _inside(path: str) -> str:
        return path.removesuffix("/.").removeprefix(ROOT).strip("/")

    def maybe_fail(self, path: str) -> None:
        if kind := self._fault(self._inside(path), "ENOENT", "ESTALE", "EIO"):
            number = getattr(errno, kind)
            raise OSError(number, os.strerror(number), path)

    def lstat(self, path: str) -> os.stat_result:
        self.maybe_fail(path)
        inside = self._inside(path)
        node = self.nas.find(inside)
        if inside in self._times and self._fault(inside, "times"):
            node = Node(node.ino, node.held, *self._times[inside])
        return self.nas.stat(node)

    def _listing(self, path: str) -> dict[str, Node]:
        self.maybe_fail(path)
        inside = self._inside(path)
        held = self.nas.directory(inside)
        match self._fault(inside, "empty", "truncated", "older"):
            case "empty":
                return {}
            case "truncated":
                return dict(list(held.items())[: len(held) // 2])
            case "older":
                return self._listings.get(inside, {})
        return held

    @contextmanager
    def scandir(self, path: str) -> Iterator[Iterator[_Entry]]:
        yield iter([_Entry(name, f"{path}/{name}", node, self) for name, node in self._listing(path).items()])

    def listdir(self, path: str) -> list[str]:
        return list(self._listing(path))

    def readlink(self, path: str) -> str:
        held = self.nas.find(self._inside(path)).held
        assert isinstance(held, str)
        return held

    def open(self, path: str) -> BinaryIO:
        self.maybe_fail(path)
        held = self.nas.find(self._inside(path)).held
        assert isinstance(held, bytes)
        return io.BytesIO(held)

    def time_ns(self) -> int:
        return self.nas.now
