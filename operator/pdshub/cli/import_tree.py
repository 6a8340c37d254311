"""The files of a home on the old machine: listed, opened and read below one directory, never written.

Whoever's home it is may put a link in the place of a directory while it is read, and it is read by root. So everything
is opened below the folder of homes, without a link on the way (pdshub.archive.beneath).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from pdshub.archive import beneath

CHUNK = 1 << 20
DEEPEST = 256


@dataclass(frozen=True)
class Entry:
    """A file, directory or link of a home. ``size`` and ``mtime_ns`` count for files, ``target`` for links."""

    path: str
    kind: str
    """``f``, ``d`` or ``l``."""
    size: int = 0
    mtime_ns: int = 0
    mode: int = 0
    target: str = ""
    uid: int = -1


@dataclass(frozen=True)
class Tree:
    """What a home holds, and what is left out."""

    entries: tuple[Entry, ...] = ()
    stubs: tuple[str, ...] = ()
    """Empty directories that other mounts left behind."""
    hidden: tuple[str, ...] = ()
    """Directories at which something else was mounted, and which hold files all the same."""
    left_out: tuple[str, ...] = ()
    """Sockets, pipes and devices; what can not be read."""

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries)

    def owners(self) -> dict[int, int]:
        """How many entries each uid has."""
        found: dict[int, int] = {}
        for entry in self.entries:
            found[entry.uid] = found.get(entry.uid, 0) + 1
        return found


def mode_of(status: os.stat_result) -> int:
    """The permissions of a file at its new place: its own, without set-id bits, and never closed to its owner."""
    return stat.S_IMODE(status.st_mode) & 0o777 | (0o700 if stat.S_ISDIR(status.st_mode) else 0o400)


def read(root: str, home: str, stubs: Collection[str] = ()) -> Tree:
    """Everything below the directory ``home`` of ``root``. ``stubs``: paths in it at which something else was mounted.

    Raises OSError where the home itself can not be read.
    """
    reader = _Reader(root, home, frozenset(stubs))
    entries = tuple(reader.below("", 0))
    return Tree(entries, tuple(reader.stubs), tuple(reader.hidden), tuple(reader.left_out))


class _Reader:
    def __init__(self, root: str, home: str, stubs: frozenset[str]) -> None:
        self.root, self.home, self.mounted = root, home, stubs
        self.parents = {path.rpartition("/")[0] for stub in stubs for path in _above(stub)} - {""}
        self.stubs: list[str] = []
        self.hidden: list[str] = []
        self.left_out: list[str] = []

    def below(self, folder: str, depth: int) -> Iterator[Entry]:
        path = f"{self.home}/{folder}" if folder else self.home
        with beneath.scan_below(self.root, path) as scanned:
            found = sorted(scanned, key=lambda entry: entry.name)
            looked = [(entry.name, _status(entry)) for entry in found]
        for name, status in looked:
            below = f"{folder}/{name}" if folder else name
            if status is None:
                self.left_out.append(below)
            elif stat.S_ISDIR(status.st_mode):
                yield from self._directory(below, status, depth)
            elif stat.S_ISREG(status.st_mode):
                yield Entry(below, "f", status.st_size, status.st_mtime_ns, mode_of(status), uid=status.st_uid)
            elif stat.S_ISLNK(status.st_mode):
                yield from self._link(below, status)
            else:
                self.left_out.append(below)

    def _directory(self, below: str, status: os.stat_result, depth: int) -> Iterator[Entry]:
        if depth >= DEEPEST:
            self.left_out.append(below)
            return
        try:
            inside = list(self.below(below, depth + 1))
        except OSError:
            self.left_out.append(below)
            return
        if below in self.mounted or below in self.parents:
            if not inside:
                self.stubs.append(below)
                return
            if below in self.mounted:
                self.hidden.append(below)
        yield Entry(below, "d", 0, status.st_mtime_ns, mode_of(status), uid=status.st_uid)
        yield from inside

    def _link(self, below: str, status: os.stat_result) -> Iterator[Entry]:
        try:
            target = beneath.readlink_below(self.root, f"{self.home}/{below}")
        except OSError:
            self.left_out.append(below)
            return
        yield Entry(below, "l", target=target, uid=status.st_uid)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _above(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path.rpartition("/")[0]


def digests(root: str, home: str, entries: Collection[Entry]) -> dict[str, str]:
    """SHA-256 of each file, by path; links by their target. What can not be read has none."""
    found = {}
    for entry in entries:
        if entry.kind == "l":
            found[entry.path] = hashlib.sha256(os.fsencode(entry.target)).hexdigest()
        elif entry.kind == "f":
            try:
                digest = hashlib.sha256()
                with beneath.open_regular(root, f"{home}/{entry.path}") as opened:
                    while chunk := opened.read(CHUNK):
                        digest.update(chunk)
                found[entry.path] = digest.hexdigest()
            except OSError:
                continue
    return found
