"""Reads the names, sizes and times of a source: in parallel, without following links, re-using a former survey.

A million entries must fit in little memory: a directory is one record of packed columns, never an object a file.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from queue import SimpleQueue

from pdshub.archive import directory, synced_stat
from pdshub.archive.directory import INCOMPLETE, TICK_NS, Attr, AttrTable, DirRecord, Reader, SourceError, links_mean
from pdshub.archive.file_system import FileSystem, LocalFileSystem

__all__ = ["RACY_NS", "Attr", "Counters", "DirRecord", "Scan", "SourceError", "scan"]

# A directory that changed this shortly before it was read may change again within the same clock tick of the
# server; its record is not trusted by the next survey.
RACY_NS = TICK_NS
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What looking at a directory answers that is not there, or in whose place, or above it, a file or a link is now."""
_ROUNDS = 3
"""So often a directory is listed again whose sub-directory is not there."""


@dataclass(slots=True)
class Counters:
    """What a walk cost."""

    directories_checked: int = 0  # stat of the directory itself
    directories_read: int = 0  # listed, with a stat of every entry
    entries_read: int = 0
    labels_opened: int = 0
    labels_reused: int = 0


@dataclass(slots=True)
class Scan:
    """All directories of a source that a view uses."""

    source: str
    root: str
    dirs: dict[str, DirRecord] = field(default_factory=dict)
    attrs: list[Attr] = field(default_factory=list)
    counters: Counters = field(default_factory=Counters)

    def order(self) -> None:
        """Sorts ``dirs``: parents first, then by name."""
        self.dirs = dict(sorted(self.dirs.items(), key=lambda item: item[0].split("/")))


def scan(
    source: str,
    root: str,
    tops: Iterable[str] = ("",),
    *,
    previous: Scan | None = None,
    workers: int = 8,
    exclude: Iterable[str] = (),
    restat: Callable[[str], bool] = lambda path: False,
    racy_ns: int = RACY_NS,
    progress: Callable[[int], None] = lambda n: None,
    fs: FileSystem | None = None,
) -> Scan:
    """Walks the directories ``tops`` of the source at ``root``; ``workers`` hide the latency of NFS.

    A directory whose times are those in ``previous`` is taken from there without listing it, except where
    ``restat(path)`` asks (directory times miss writes in place: a rolling slice is read again), where the directory
    had changed within ``racy_ns`` nanoseconds before it was read, and where the record is empty or in doubt.
    What is in doubt now has a record that says so (``DirRecord.doubted``). ``fs``: the file system, else the disk.
    Raises SourceError where a directory fails otherwise than by permission or by having gone away.
    """
    fs = fs or LocalFileSystem([root])
    try:
        device = fs.lstat(f"{root}/.").st_dev  # the root itself may be a link
    except OSError as error:
        raise SourceError(f"source {source}: {root}: {error.strerror}") from error
    old = previous.dirs if previous else {}
    reader = Reader(fs, root, frozenset(exclude), AttrTable(previous.attrs if previous else ()), racy_ns)
    reader.newest = max((record.youngest for record in old.values()), default=0)
    walk = _Walk(Scan(source, root, attrs=reader.table.rows), reader, old, device, restat, progress)
    walk.run([top for top in _outermost(tops) if not _through_link(fs, root, top)], max(1, workers))
    walk.scan.order()
    return walk.scan


@dataclass(frozen=True, slots=True)
class _Task:
    path: str
    new: bool = False  # the directory that names it was listed just now: it may be another one
    forced: bool = False  # it is listed whatever is known of it


@dataclass(slots=True)
class _Walk:
    """One walk. Workers look, only the thread that runs it keeps what they found."""

    scan: Scan
    reader: Reader
    old: Mapping[str, DirRecord]
    device: int
    restat: Callable[[str], bool]
    progress: Callable[[int], None]
    links: bool = False  # the file system's link counts count sub-directories
    _todo: SimpleQueue[_Task | None] = field(default_factory=SimpleQueue)
    _done: SimpleQueue[tuple[_Task, DirRecord | None, bool, Exception | None]] = field(default_factory=SimpleQueue)
    _outstanding: int = 0
    _failure: Exception | None = None
    _absent: set[str] = field(default_factory=set)  # named by their parents and not there
    _tops: frozenset[str] = frozenset()

    def run(self, tops: Iterable[str], workers: int) -> None:
        self._tops = frozenset(tops)
        self.links = links_mean(self.old.values())
        threads = [
            threading.Thread(target=self._work, name=f"walk-{self.scan.source}-{n}", daemon=True)
            for n in range(workers)
        ]
        for thread in threads:
            thread.start()
        for top in sorted(self._tops):
            self._put(_Task(top))
        self._collect()
        for _ in range(_ROUNDS):
            if not self._absent or self._failure:
                break
            self._ask_parents()
        for _ in threads:
            self._todo.put(None)
        for thread in threads:
            thread.join()
        if self._failure is not None:
            raise SourceError(f"source {self.scan.source}: {self._failure}") from self._failure
        self._doubt()
        self.reader.compare_clocks(self.scan.dirs)

    def _work(self) -> None:
        while (task := self._todo.get()) is not None:
            try:
                record, read = synced_stat.retry_stale(partial(self._visit, task))
                self._done.put((task, record, read, None))
            except Exception as error:
                self._done.put((task, None, False, error))

    def _visit(self, task: _Task) -> tuple[DirRecord | None, bool]:
        """The directory's record and whether it was listed; None where a link or a file took its place."""
        path, root = task.path, self.reader.root
        if len(os.fsencode(path)) > directory.MAX_PATH:
            return directory.unread(path, None, f"its path has more than {directory.MAX_PATH} bytes"), False
        st = self.reader.fs.lstat(f"{root}/{path}" if path else f"{root}/.")
        if not stat.S_ISDIR(st.st_mode):
            return None, False
        if st.st_dev != self.device:  # overlayfs reads a source without what is mounted inside it
            return DirRecord(path, 0, 0, (0, 0, 0), others=(".",)), False
        former = self.old.get(path)
        if (
            former is not None
            and former.trusted
            and not former.doubt
            and not former.denied
            and not former.unread
            and not former.empty
            and not task.forced
            and (former.mtime, former.ctime, former.nlink) == (st.st_mtime_ns, st.st_ctime_ns, st.st_nlink)
            and (former.ino == st.st_ino or not task.new)
            and not (self.links and former.hollow)
            and not self.restat(path)
        ):
            return former, False
        try:
            return self.reader.read(path, st, former), True
        except PermissionError:
            return replace(directory.unread(path, st, ""), denied=True), True
        except directory.Unreadable as error:
            return directory.unread(path, st, str(error)), True

    def _put(self, task: _Task) -> None:
        self._todo.put(task)
        self._outstanding += 1

    def _collect(self) -> None:
        counters = self.scan.counters
        while self._outstanding:
            task, record, read, problem = self._done.get()
            self._outstanding -= 1
            gone = isinstance(problem, OSError) and self._is_gone(task, problem)
            if problem is not None and not gone:
                self._failure = self._failure or problem
                continue
            counters.directories_checked += not gone
            if record is None:
                self._forget(task.path)
                self._absent.add(task.path)
                continue
            if read:
                counters.directories_read += 1
                counters.entries_read += len(record.sizes) + len(record.dirs) + len(record.links) + len(record.others)
                if counters.directories_read % 1000 == 0:
                    self.progress(counters.entries_read)
            self._keep(record, read)

    def _is_gone(self, task: _Task, error: OSError) -> bool:
        """Whether an error says that the directory is not there. One that is stale however often it is looked for is
        replaced faster than it can be read: its parent is asked, and is in doubt when it still names it. A top that is
        stale tells of the whole export."""
        return error.errno in _GONE or (error.errno == errno.ESTALE and task.path not in self._tops)

    def _keep(self, record: DirRecord, read: bool) -> None:
        path, dirs = record.path, self.scan.dirs
        before = dirs.get(path)
        dirs[path] = record
        named = set(record.dirs)
        if before is not None:  # listed again
            for name in set(before.dirs) - named:
                self._absent.discard(_below(path, name))
                self._forget(_below(path, name))
            named -= set(before.dirs)
        if self._failure is None:
            for name in sorted(named):
                self._put(_Task(_below(path, name), new=read))

    def _forget(self, top: str) -> None:
        """A directory is not there, and so nothing below it."""
        if top not in self.scan.dirs:
            return
        for path in [p for p in self.scan.dirs if p == top or p.startswith(top + "/")]:
            del self.scan.dirs[path]

    def _ask_parents(self) -> None:
        """List again what names a directory that is not there; then look for those it still names."""
        absent, self._absent, dirs = self._absent, set(), self.scan.dirs
        for parent in sorted({_above(path) for path in absent} & dirs.keys()):
            self._put(_Task(parent, forced=True))
        self._collect()
        for path in sorted(absent - dirs.keys()):
            named = dirs.get(_above(path))
            if path in self._tops or (named is not None and path.rpartition("/")[2] in named.dirs):
                self._put(_Task(path, new=True))
        self._collect()

    def _doubt(self) -> None:
        """Mark what contradicts itself when everything was read. Raises SourceError where that is a top."""
        dirs, fs = self.scan.dirs, self.reader.fs
        for top in self._absent & self._tops:
            if _listed(fs, f"{self.reader.root}/{top}"):
                raise SourceError(f"source {self.scan.source}: {top} is listed and can not be found")
        doubtful = {_above(path) for path in self._absent - self._tops} & dirs.keys()
        if links_mean(dirs.values()):
            doubtful |= {path for path, record in dirs.items() if record.hollow}
        for path in doubtful:
            if not dirs[path].doubted:
                dirs[path] = replace(dirs[path], doubt=INCOMPLETE)


def _listed(fs: FileSystem, path: str) -> bool:
    above, _, name = path.rpartition("/")
    try:
        return name in fs.listdir(above)
    except OSError:
        return False


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _below(path: str, name: str) -> str:
    return f"{path}/{name}" if path else name


def _outermost(tops: Iterable[str]) -> list[str]:
    """The given directories without those inside another: each is walked once."""
    kept: list[str] = []
    for top in sorted({"" if t == "." else t.strip("/") for t in tops}, key=lambda t: t.split("/") if t else []):
        if not any(k == "" or top == k or top.startswith(k + "/") for k in kept):
            kept.append(top)
    return kept


def _through_link(fs: FileSystem, root: str, top: str) -> bool:
    path = root
    for part in top.split("/") if top else []:
        path = f"{path}/{part}"
        try:
            if stat.S_ISLNK(fs.lstat(path).st_mode):
                return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            if error.errno == errno.ELOOP:
                return True
            raise
    return False
