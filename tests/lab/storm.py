"""The update storm: changes on the NAS with a log of them, and which errors of readers they explain.

A file's content is an endless stream of its name tag and version, cut at the file's size: so whoever reads it can
tell a whole file from a mixed one, and a file from another. A truncated and an appended one are whole, too.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

CACHE_SECONDS = 60.0
"""So long the NFS client believes what it knows of a file or directory (nfs(5): acregmax, acdirmax)."""

EXPLAINED: dict[str, frozenset[str]] = {
    # what a reader met -> changes of that path, or of a directory above it, that explain it
    "ESTALE": frozenset({"replace", "delete", "move", "move directory", "remove directory"}),
    "ENOENT": frozenset({"delete", "move", "move directory", "remove directory"}),
    # overlayfs: the catalog has the name, the source has it no more
    "EIO": frozenset({"delete", "move", "move directory", "remove directory"}),
    "other size": frozenset(
        {"overwrite", "truncate", "append", "replace", "move", "create", "move directory", "new directory"}
    ),
    "mixed": frozenset({"overwrite", "truncate", "append", "replace"}),
    "other file": frozenset({"move", "replace", "create", "move directory", "new directory"}),
}


def content(tag: str, version: int, size: int) -> bytes:
    unit = f"{tag} v{version}\n".encode()
    return (unit * (size // len(unit) + 1))[:size]


@dataclass(frozen=True)
class Change:
    began: float
    """Monotonic seconds."""
    kind: str
    path: str


class Storm:
    """Changes below ``root``; ``log`` has every path that a change touched."""

    def __init__(self, root: Path, directories: int, files: int, seed: int = 1) -> None:
        self.root = root
        self.log: list[Change] = []
        self.counts: Counter[str] = Counter()
        self._random = random.Random(seed)
        self._tags = 0
        self._files: dict[str, tuple[str, int]] = {}
        """Path -> (tag, version)."""
        self._directories: list[str] = []
        for _ in range(directories):
            self._new_directory(files)
        self._floor = directories * files // 2
        self.log.clear()
        self.counts.clear()

    def _note(self, kind: str, *paths: str) -> None:
        now = time.monotonic()
        self.log += [Change(now, kind, path) for path in paths]

    def _size(self) -> int:
        return self._random.choice((80, 700, 4096, 9000, 40000))

    def _write(self, path: str) -> None:
        self._tags += 1
        self._files[path] = (f"f{self._tags}", 1)
        (self.root / path).write_bytes(content(f"f{self._tags}", 1, self._size()))

    def _new_directory(self, files: int) -> None:
        self._tags += 1
        path = f"d{self._tags}"
        self._note("new directory", path)
        (self.root / path).mkdir()
        self._directories.append(path)
        for n in range(files):
            self._write(f"{path}/{n:03d}.dat")

    def _pick(self) -> str:
        return self._random.choice(list(self._files))

    def _free(self) -> str:
        self._tags += 1
        return f"{self._random.choice(self._directories)}/n{self._tags}.dat"

    # the kinds of change

    def create(self) -> None:
        path = self._free()
        self._note("create", path)
        self._write(path)

    def delete(self) -> None:
        path = self._pick()
        self._note("delete", path)
        (self.root / path).unlink()
        del self._files[path]

    def move(self) -> None:
        """To another name, now and then over another file."""
        old = self._pick()
        new = self._pick() if self._random.random() < 0.2 else self._free()
        if old == new:
            return
        self._note("move", old, new)
        (self.root / old).rename(self.root / new)
        self._files[new] = self._files.pop(old)

    def overwrite(self) -> None:
        """In place: the same inode, first the new bytes, then the new size."""
        path = self._pick()
        tag, version = self._files[path]
        self._note("overwrite", path)
        size = self._size()
        with (self.root / path).open("r+b") as file:
            file.write(content(tag, version + 1, size))
            file.truncate(size)
        self._files[path] = (tag, version + 1)

    def truncate(self) -> None:
        path = self._pick()
        size = (self.root / path).stat().st_size // 2
        self._note("truncate", path)
        with (self.root / path).open("r+b") as file:
            file.truncate(size)

    def append(self) -> None:
        path = self._pick()
        tag, version = self._files[path]
        size = (self.root / path).stat().st_size
        self._note("append", path)
        with (self.root / path).open("ab") as file:
            file.write(content(tag, version, size + 500)[size:])

    def replace(self) -> None:
        """What rsync does: a temporary name beside it, then a rename."""
        path = self._pick()
        folder, _, name = path.rpartition("/")
        tag, version = self._files[path]
        aside = self.root / folder / f".{name}.Xy12Zz"
        self._note("replace", path)
        aside.write_bytes(content(tag, version + 1, self._size()))
        aside.rename(self.root / path)
        self._files[path] = (tag, version + 1)

    def new_directory(self) -> None:
        self._new_directory(5)

    def move_directory(self) -> None:
        old = self._random.choice(self._directories)
        self._tags += 1
        new = f"m{self._tags}"
        self._note("move directory", old, new)
        (self.root / old).rename(self.root / new)
        self._directories[self._directories.index(old)] = new
        self._files = {
            (new + path[len(old) :] if path.startswith(f"{old}/") else path): known
            for path, known in self._files.items()
        }

    def remove_directory(self) -> None:
        path = self._random.choice(self._directories)
        inside = [file for file in self._files if file.startswith(f"{path}/")]
        if len(self._directories) < 4 or len(inside) > 12:
            return
        self._note("remove directory", path)
        for file in inside:
            (self.root / file).unlink()
            del self._files[file]
        (self.root / path).rmdir()
        self._directories.remove(path)

    def run(self, changes: int, pause: float, stop: threading.Event) -> None:
        """``changes`` changes, ``pause`` seconds between two."""
        kinds = {
            "create": 12, "delete": 10, "move": 14, "overwrite": 14, "truncate": 10, "append": 14, "replace": 14,
            "new_directory": 4, "move_directory": 3, "remove_directory": 5,
        }  # fmt: skip
        names, weights = list(kinds), list(kinds.values())
        while self.counts.total() < changes and not stop.is_set():
            kind = self._random.choices(names, weights)[0]
            if len(self._files) < self._floor and kind in ("delete", "remove_directory"):
                kind = "create"
            before = len(self.log)
            getattr(self, kind)()
            if len(self.log) > before:
                self.counts[kind] += 1
                time.sleep(pause)


@dataclass(frozen=True)
class Error:
    """What a reader met between ``listed``, when it learned the path (or met the former file there), and ``ended``."""

    kind: str
    path: str
    listed: float
    ended: float
    detail: str


def explain(error: Error, log: list[Change], since: float) -> bool:
    """Whether a change of the error's path, begun after ``since`` and before the error's end, is a reason for it."""
    kinds = EXPLAINED.get(error.kind, frozenset())
    return any(
        since <= change.began <= error.ended
        and change.kind in kinds
        and (error.path == change.path or error.path.startswith(f"{change.path}/"))
        for change in log
    )


READER = r"""
import json, os, random, sys, time
root, stop, seed = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.nice(19)
dice, reads, lists, known = random.Random(seed), 0, 0, {}
def say(kind, path, listed, detail=''):
    print(json.dumps([kind, path, listed, time.monotonic(), detail]), flush=True)
def name(error):
    import errno
    return errno.errorcode.get(error.errno, str(error.errno))
def whole(data):
    unit = data[:data.find(b'\n') + 1]
    if not unit:
        return b'' if data else None
    return unit if (unit * (len(data) // len(unit) + 1))[:len(data)] == data else None
print('reading', flush=True)
while not os.path.exists(stop):
    listed, paths = time.monotonic(), []
    lists += 1
    def failed(error):
        say(name(error), os.path.relpath(error.filename or root, root), listed, 'listing')
    for top, _, names in os.walk(root, onerror=failed):
        paths += [os.path.relpath(os.path.join(top, n), root) for n in names]
    for path in dice.sample(paths, min(60, len(paths))):
        time.sleep(0.01)
        reads += 1
        try:
            fd = os.open(f'{root}/{path}', os.O_RDONLY)
            try:
                size, data = os.fstat(fd).st_size, b''
                while chunk := os.read(fd, 1 << 16):
                    data += chunk
            finally:
                os.close(fd)
        except OSError as error:
            say(name(error), path, listed, 'read')
            continue
        unit = whole(data)
        if len(data) != size:
            say('other size', path, listed, f'{size} said, {len(data)} read')
        elif unit is None and data:
            say('mixed', path, listed, repr(data[:30]))
        elif unit:
            tag = unit.split(b' ')[0].decode()
            before, since = known.get(path, (tag, listed))
            if before != tag:
                say('other file', path, since, f'{before} before, now {tag}')
            known[path] = tag, listed
print(json.dumps({'reads': reads, 'lists': lists}), flush=True)
"""
"""Reads files of a tree again and again, one line for whatever is not as it should be: [kind, path, times, detail]."""
