"""Reads the names, sizes and times of a source: in parallel, without following links, re-using a former survey.

A million entries must fit in little memory: a directory is one record of packed columns, never an object a file.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import SimpleQueue

from pdshub.archive import fresh

# A directory that changed this shortly before it was read may change again within the same clock tick of the
# server; its record is not trusted by the next survey. NFS servers store times of 1 s at worst; FAT-like ones 2 s.
RACY_NS = 2_000_000_000

Attr = tuple[int, int, int]
"""Permission bits, uid, gid."""


class SourceError(Exception):
    """A source could not be read as a whole; a survey without it would show an archive that shrank."""


@dataclass(slots=True)
class DirRecord:
    """One directory of a source. Times in nanoseconds since 1970; columns are parallel to ``names``."""

    path: str  # below the source's root; "" is the root
    mtime: int
    ctime: int
    attr: Attr
    names: str = ""  # regular files, sorted, joined with "/" (the one byte that no name holds)
    sizes: array[int] = field(default_factory=lambda: array("q"))
    mtimes: array[int] = field(default_factory=lambda: array("q"))
    attrs: array[int] = field(default_factory=lambda: array("H"))  # index into the scan's table
    dirs: tuple[str, ...] = ()
    links: tuple[tuple[str, str, int], ...] = ()  # name, target, mtime
    others: tuple[str, ...] = ()  # devices, sockets, FIFOs, directories of other file systems
    youngest: int = 0  # latest ctime of the directory and its files
    trusted: bool = True  # False: re-read next time whatever its times say
    denied: bool = False  # permission denied

    def files(self) -> list[str]:
        """The file names, sorted."""
        return self.names.split("/") if self.names else []


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


class _AttrTable:
    """Interns (mode, uid, gid): archives have a handful."""

    def __init__(self, known: Iterable[Attr] = ()) -> None:
        self.rows: list[Attr] = list(known)
        self._index: dict[Attr, int] = {row: n for n, row in enumerate(self.rows)}
        self._lock = threading.Lock()

    def index(self, attr: Attr) -> int:
        number = self._index.get(attr)
        if number is None:
            with self._lock:
                number = self._index.setdefault(attr, len(self.rows))
                if number == len(self.rows):
                    self.rows.append(attr)
                    if number > 0xFFFF:
                        raise SourceError("more than 65536 combinations of mode, uid and gid in one source")
        return number


def _read(
    root: str,
    path: str,
    st: os.stat_result,
    device: int,
    table: _AttrTable,
    now_ns: int,
    exclude: frozenset[str],
    racy_ns: int,
) -> DirRecord:
    rows: list[tuple[str, int, int, int]] = []
    dirs: list[str] = []
    links: list[tuple[str, str, int]] = []
    others: list[str] = []
    youngest = st.st_ctime_ns
    index = table.index
    with os.scandir(f"{root}/{path}" if path else root) as entries:
        for entry in entries:
            try:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name in exclude:
                        continue
                    dirs.append(entry.name)
                    continue
                est = entry.stat(follow_symlinks=False)
                if est.st_ctime_ns > youngest:
                    youngest = est.st_ctime_ns
                if stat.S_ISREG(est.st_mode):
                    attr = index((est.st_mode & 0o777, est.st_uid, est.st_gid))
                    rows.append((entry.name, est.st_size, est.st_mtime_ns, attr))
                elif stat.S_ISLNK(est.st_mode):
                    links.append((entry.name, os.readlink(entry.path), est.st_mtime_ns))  # noqa: PTH115 (hot)
                else:
                    others.append(entry.name)
            except FileNotFoundError:
                continue  # went away between listing and stat
    rows.sort()
    return DirRecord(
        path=path,
        mtime=st.st_mtime_ns,
        ctime=st.st_ctime_ns,
        attr=(st.st_mode & 0o777, st.st_uid, st.st_gid),
        names="/".join([row[0] for row in rows]),
        sizes=array("q", [row[1] for row in rows]),
        mtimes=array("q", [row[2] for row in rows]),
        attrs=array("H", [row[3] for row in rows]),
        dirs=tuple(sorted(dirs)),
        links=tuple(sorted(links)),
        others=tuple(sorted(others)),
        youngest=youngest,
        trusted=abs(now_ns - max(st.st_mtime_ns, st.st_ctime_ns)) > racy_ns,
    )


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
) -> Scan:
    """Walks the directories ``tops`` of the source at ``root``; ``workers`` hide the latency of NFS.

    A directory whose times are those in ``previous`` is taken from there without listing it, except where
    ``restat(path)`` asks (directory times miss writes in place: a rolling slice is read again), and where the
    directory had changed within ``racy_ns`` nanoseconds before it was read.
    Raises SourceError where a directory fails otherwise than by permission or by having gone away.
    """
    table = _AttrTable(previous.attrs if previous else ())
    old: Mapping[str, DirRecord] = previous.dirs if previous else {}
    excluded = frozenset(exclude)
    counters = Counters()
    result = Scan(source, root, attrs=table.rows, counters=counters)
    try:
        device = Path(root).stat().st_dev
    except OSError as error:
        raise SourceError(f"source {source}: {root}: {error.strerror}") from error

    def visit(path: str) -> tuple[DirRecord | None, bool]:
        full = f"{root}/{path}" if path else root
        st = fresh.lstat(full) if path else fresh.lstat(f"{full}/.")  # the root itself may be a link
        if not stat.S_ISDIR(st.st_mode):
            return None, False  # a link or a file took its place meanwhile
        if st.st_dev != device:  # overlayfs reads a source without what is mounted inside it
            return DirRecord(path, 0, 0, (0, 0, 0), others=(".",)), False
        former = old.get(path)
        if (
            former is not None
            and former.trusted
            and not former.denied
            and former.mtime == st.st_mtime_ns
            and former.ctime == st.st_ctime_ns
            and not restat(path)
        ):
            return former, False
        try:
            return _read(root, path, st, device, table, time.time_ns(), excluded, racy_ns), True
        except PermissionError:
            return DirRecord(path, st.st_mtime_ns, st.st_ctime_ns, (0o555, st.st_uid, st.st_gid), denied=True), True

    todo: SimpleQueue[str | None] = SimpleQueue()
    done: SimpleQueue[tuple[str, DirRecord | None, bool, Exception | None]] = SimpleQueue()

    def work() -> None:
        while (path := todo.get()) is not None:
            try:
                record, read = fresh.settled(partial(visit, path))
                done.put((path, record, read, None))
            except Exception as error:
                done.put((path, None, False, error))

    threads = [threading.Thread(target=work, name=f"walk-{source}-{n}", daemon=True) for n in range(max(1, workers))]
    for thread in threads:
        thread.start()
    failure: Exception | None = None
    outstanding = 0
    for top in _outermost(tops):
        if _through_link(root, top):  # the kernel follows no link when it looks for the bytes
            continue
        todo.put(top)
        outstanding += 1
    while outstanding:
        path, record, read, problem = done.get()
        outstanding -= 1
        if isinstance(problem, OSError) and problem.errno in (errno.ENOENT, errno.ENOTDIR):
            continue
        if problem is not None:
            failure = failure or problem
            continue
        counters.directories_checked += 1
        if record is None:
            continue
        if read:
            counters.directories_read += 1
            counters.entries_read += len(record.sizes) + len(record.dirs) + len(record.links) + len(record.others)
            if counters.directories_read % 1000 == 0:
                progress(counters.entries_read)
        result.dirs[path] = record
        if failure is None:
            for name in record.dirs:
                todo.put(f"{path}/{name}" if path else name)
                outstanding += 1
    for _ in threads:
        todo.put(None)
    for thread in threads:
        thread.join()
    if failure is not None:
        raise SourceError(f"source {source}: {failure}") from failure
    result.dirs = dict(sorted(result.dirs.items(), key=lambda item: item[0].split("/")))
    return result


def _outermost(tops: Iterable[str]) -> list[str]:
    """The given directories without those inside another: each is walked once."""
    kept: list[str] = []
    for top in sorted({"" if t == "." else t.strip("/") for t in tops}, key=lambda t: t.split("/") if t else []):
        if not any(k == "" or top == k or top.startswith(k + "/") for k in kept):
            kept.append(top)
    return kept


def _through_link(root: str, top: str) -> bool:
    parts = top.split("/") if top else []
    return any(Path(root, *parts[: n + 1]).is_symlink() for n in range(len(parts)))
