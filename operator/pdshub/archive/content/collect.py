"""Reads the files of a plan that travel with it, at a bounded rate, the newest datasets first, into packs.

A file is taken with the size and time that the plan has, before and after it was read; one that changed since the
survey is left to the next generation, which knows it as it is then.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import time
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from pdshub.archive import synced_stat
from pdshub.archive.beneath import open_regular
from pdshub.archive.content import merging
from pdshub.archive.content.document import Amount
from pdshub.archive.content.pack import MAX_OBJECT, Pack, Writer, objects, unpacked
from pdshub.archive.content.rules import Rules
from pdshub.archive.content.shelf import Object, Read, Seen, Shelf, Shelved
from pdshub.archive.pace import Pace
from pdshub.archive.plan import Plan
from pdshub.archive.synced_stat import retry_stale
from pdshub.generation_id import digits

SUFFIX = ".tar.zst"
WORKERS = 8
"""Files that are read side by side: they hide the time that a NAS takes to answer."""
_FILES, _BYTES = 64, 64 << 20
"""Files that are read before the first of them is written, and how large these may be together."""
_NOTED = 400_000
"""Files that one step notes."""


class Changed(Exception):
    """A file is not as the plan has it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file that travels and is not read yet."""

    source: str
    folder: str
    name: str
    size: int
    mtime: int

    @property
    def path(self) -> str:
        """Its path in the source."""
        return f"{self.folder}/{self.name}" if self.folder else self.name


@dataclass(slots=True)
class Step:
    """What one step did: ``local`` travels, of ``wanted``. ``rest``: files that are still to be read."""

    local: Amount = field(default_factory=Amount)
    wanted: Amount = field(default_factory=Amount)
    rest: int = 0
    read: int = 0
    changed: int = 0
    unreadable: int = 0
    over_budget: bool = False
    packs: list[Pack] = field(default_factory=list)


class _Queue:
    """The files that are still to be read, in their order; on disk, as there may be millions."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a file of its own, without a name
        self._db.execute("CREATE TABLE wanted (dataset INT, source TEXT, folder BLOB, name BLOB, size INT, mtime INT)")
        self._newest: dict[int, int] = {}
        self._db.execute("BEGIN")

    def add(self, dataset: int, one: Wanted) -> None:
        raw = (one.folder.encode("utf-8", "surrogateescape"), one.name.encode("utf-8", "surrogateescape"))
        self._db.execute(
            "INSERT INTO wanted VALUES (?, ?, ?, ?, ?, ?)", (dataset, one.source, *raw, one.size, one.mtime)
        )
        self._newest[dataset] = max(self._newest.get(dataset, one.mtime), one.mtime)

    def in_order(self) -> Iterator[Wanted]:
        self._db.execute("CREATE TABLE newest (dataset INTEGER PRIMARY KEY, mtime INT)")
        self._db.executemany("INSERT INTO newest VALUES (?, ?)", self._newest.items())
        rows = self._db.execute(
            "SELECT source, folder, name, size, wanted.mtime FROM wanted JOIN newest USING (dataset)"
            " ORDER BY newest.mtime DESC, wanted.rowid"
        )
        for source, folder, name, size, mtime in rows:
            place = (os.fsdecode(folder), os.fsdecode(name))
            yield Wanted(source, *place, size, mtime)

    def close(self) -> None:
        self._db.close()


@dataclass(slots=True)
class Collector:
    """Steps for one plan. ``folder``: where packs lie; ``budget``: bytes that all of them may take there, compressed.

    ``until``: a step ends when the clock says so, or when its pack is full; asked again it goes on.
    """

    plan: Plan
    roots: Mapping[str, Path]
    rules: Rules
    shelf: Shelf
    folder: Path
    pace: Pace
    budget: int
    seconds: float = 900.0
    clock: Callable[[], float] = time.monotonic
    say: Callable[[str], None] = lambda text: None

    def step(self) -> Step:
        """Reads until the end of the step. Raises OSError where the shelf or its folder can't be written."""
        self.tidy()
        done = Step()
        with closing(_Queue()) as queue:
            self._look_through(queue, done)
            self._read(queue, done)
        self.merge()
        done.packs = [one.pack for one in self.shelf.packs()]
        return done

    def tidy(self) -> None:
        """Removes what no shelf knows, and forgets packs that are not there."""
        for one in self.shelf.packs():
            path = self.path(one.pack)
            if path.is_file() and path.stat().st_size == one.stored:
                continue
            with self.shelf.changing():
                self.shelf.drop(one.number)
        for path in self.folder.glob("*.partial"):
            path.unlink()

    def path(self, pack: Pack) -> Path:
        """Where a pack lies."""
        return self.folder / (digits(pack.digest) + SUFFIX)

    def sweep(self, named: Container[str]) -> None:
        """Removes the files of packs that are neither on the shelf nor ``named`` (sha256:…) by a generation."""
        known = {one.pack.digest for one in self.shelf.packs()}
        for path in self.folder.glob(f"*{SUFFIX}"):
            digest = "sha256:" + path.name.removesuffix(SUFFIX)
            if digest not in known and digest not in named:
                path.unlink()

    # --- reading ----------------------------------------------------------------------------------------------

    def _look_through(self, queue: _Queue, done: Step) -> None:
        files = size = here = bytes_here = 0
        for directory in self.plan.tree():
            for group in directory.get("groups", ()):
                source, known = self.plan.sources[group["source"]], dict[str, Seen]()
                looked = False
                for name, length, mtime in zip(group["names"], group["sizes"], group["mtimes"], strict=True):
                    if length > MAX_OBJECT or not self.rules.travels(directory["path"], name, length):
                        continue
                    files, size = files + 1, size + length
                    if not looked:
                        known, looked = self.shelf.files(source, group["path"]), True
                    seen = known.get(name)
                    if seen and (seen.size, seen.mtime) == (length, mtime):
                        here, bytes_here = here + 1, bytes_here + length
                        continue
                    queue.add(group.get("dataset", -1), Wanted(source, group["path"], name, length, mtime))
        done.wanted, done.local, done.rest = Amount(files, size), Amount(here, bytes_here), files - here

    def _read(self, queue: _Queue, done: Step) -> None:
        room = self.budget - sum(one.stored for one in self.shelf.packs())
        if not done.rest:
            return
        if room <= 0:
            done.over_budget = True
            return
        end, partial_file = self.clock() + self.seconds, self.folder / "pack.partial"
        waiting = queue.in_order()
        noted: list[Read] = []
        new: dict[bytes, Object] = {}
        with ThreadPoolExecutor(WORKERS) as readers, Writer(partial_file) as writer:
            ended = False
            while not ended and (some := _some(waiting)):
                for one, data in self._bytes(readers, some, done):
                    digest = hashlib.sha256(data).digest()
                    if digest not in new and not self.shelf.holds(digest):
                        if writer.full(len(data)):
                            ended = True
                            continue
                        new[digest] = _object(digest, data)
                        writer.add(digest, data)
                    noted.append(Read(one.source, one.folder, one.name, Seen(one.size, one.mtime, digest)))
                    done.read, done.rest = done.read + 1, done.rest - 1
                    done.local += Amount(1, len(data))
                self.say(f"content: {done.local.files} of {done.wanted.files} files")
                done.over_budget = writer.stored > room
                ended = ended or done.over_budget or self.clock() >= end or len(noted) >= _NOTED
            self._keep(writer, partial_file, new.values(), noted)

    def _bytes(self, readers: ThreadPoolExecutor, some: Sequence[Wanted], done: Step) -> Iterator[tuple[Wanted, bytes]]:
        """The files' bytes; those that can't be had are counted."""
        futures: list[Future[bytes]] = []
        for one in some:
            self.pace.wait()
            futures.append(readers.submit(retry_stale, partial(_whole, str(self.roots[one.source]), one)))
        for one, future in zip(some, futures, strict=True):
            try:
                yield one, future.result()
            except Changed:
                done.changed, done.rest = done.changed + 1, done.rest - 1
            except OSError:
                done.unreadable, done.rest = done.unreadable + 1, done.rest - 1

    def _keep(self, writer: Writer, made: Path, new: Collection[Object], noted: list[Read]) -> None:
        pack = writer.close()
        with self.shelf.changing():
            if new:
                self._place(pack, made, new)
            self.shelf.note(noted)
        with suppress(FileNotFoundError):
            made.unlink()

    def _place(self, pack: Pack, made: Path, contents: Iterable[Object]) -> None:
        stored = made.stat().st_size
        descriptor = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        made.replace(self.path(pack))
        self.shelf.put(pack, stored, contents)

    # --- merging ----------------------------------------------------------------------------------------------

    def merge(self) -> None:
        """Writes packs anew that are too many or too hollow. The former files stay until nobody needs them."""
        while several := merging.to_merge(self.shelf.packs(), self.shelf.live()):
            self._merge(several)

    def _merge(self, several: list[Shelved]) -> None:
        self.say(f"content: {len(several)} packs become one")
        made, taken = self.folder / "merged.partial", dict[bytes, Object]()
        with Writer(made) as writer:
            for one in several:
                needed = self.shelf.needed(one.number)
                if not needed:
                    continue
                with self.path(one.pack).open("rb") as file:
                    for digest, data in objects(unpacked(file), one.pack):
                        if digest in needed and digest not in taken:
                            taken[digest] = _object(digest, data)
                            writer.add(digest, data)
            pack = writer.close()
        with self.shelf.changing():
            if taken:
                self._place(pack, made, taken.values())
            for one in several:
                if one.pack.digest != pack.digest:
                    self.shelf.drop(one.number)
        made.unlink(missing_ok=True)


def _object(digest: bytes, data: bytes) -> Object:
    return Object(digest, len(data), hashlib.md5(data, usedforsecurity=False).digest())


def _some(waiting: Iterator[Wanted]) -> list[Wanted]:
    """The next files, a few."""
    found, size = list[Wanted](), 0
    while len(found) < _FILES and size < _BYTES and (one := next(waiting, None)):
        found.append(one)
        size += one.size
    return found


def _whole(root: str, one: Wanted) -> bytes:
    with open_regular(root, one.path) as stream:
        _as_planned(stream.fileno(), one)
        data = stream.read(one.size + 1)
        _as_planned(stream.fileno(), one)
    if len(data) != one.size:
        raise Changed(one.path)
    return data


def _as_planned(descriptor: int, one: Wanted) -> None:
    found = synced_stat.fstat(descriptor)
    if (found.st_size, found.st_mtime_ns) != (one.size, one.mtime):
        raise Changed(one.path)
