"""One directory of a source: read until it holds still, and compared with what a former survey read there.

A listing may be wrong without an error: a client that lost its server answers an empty one, a server an older one.
So a listing is believed when two say the same while the directory's times stand still; when it says something else
than a former survey was told under the same times, it is in doubt until a later survey is told the same.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from array import array
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from pdshub.archive.file_system import FileSystem

_AWAY = (errno.ENOENT, errno.ESTALE)
"""What looking at a name of an open directory answers that was removed or replaced since it was listed."""
TRIES = 4
"""Readings of a directory that does not hold still."""
TICK_NS = 2_000_000_000
"""Servers store times of 1 s at worst; FAT-like ones 2 s."""
INCOMPLETE = "incomplete"
"""A doubt: the listing has less than the directory's link count or its own names say."""
CHANGED = "changed"
"""No doubt: a newer state was read than the one that is kept; it is read again."""

MAX_ENTRIES = 1_000_000
"""Entries of one directory; of a larger one nothing is read. A link counts as one more for each 64 bytes of target."""
LARGE = 50_000
"""Directories with more entries are listed one at a time, whatever the number of threads: listing takes memory."""
MAX_PATH = 3072
"""Bytes of a directory's path below its source; what lies deeper is not read. The kernel opens no path of 4096 bytes,
and users have this one below another directory."""

Attr = tuple[int, int, int]
"""Permission bits, uid, gid."""


class Unreadable(Exception):
    """A directory that is beyond a bound; the text says which. Everything else is read as ever."""


class SourceError(Exception):
    """A source could not be read as a whole; a survey without it would show an archive that shrank."""


def hollow(nlink: int, subdirs: int, others: int) -> bool:
    """Whether a directory's link count tells of sub-directories where none is listed.

    File systems that count every entry, or none, as a link are no sign. ``others``: entries that are no directories.
    """
    return nlink >= 3 and not subdirs and nlink != 2 + others


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
    trusted: bool = True  # False: it may have changed within the tick of its times; read again whatever these say
    denied: bool = False  # permission denied
    ino: int = 0
    nlink: int = 0
    subdirs: int = 0  # listed ones, also those that the view excludes
    seen: int = 0  # when these times were met first, by this machine's clock
    doubt: str = ""  # "", CHANGED, INCOMPLETE, or the digest of a listing that contradicts this one
    since: int = 0  # when that listing, or one that was believed only after a doubt, was met first
    unread: str = ""  # why nothing in it was read; "" where it was

    def files(self) -> list[str]:
        """The file names, sorted."""
        return self.names.split("/") if self.names else []

    @property
    def empty(self) -> bool:
        """Whether nothing is in it. To list it again is cheap, so that it is always done."""
        return not (self.names or self.dirs or self.links or self.others)

    @property
    def doubted(self) -> bool:
        """Whether what was read may differ from what is there."""
        return self.doubt not in ("", CHANGED)

    @property
    def hollow(self) -> bool:
        """Whether its link count tells of sub-directories where none is listed (see the function of this name)."""
        entries = len(self.sizes) + len(self.links) + len(self.others)
        return not self.denied and hollow(self.nlink, self.subdirs, entries)

    def same_times(self, other: DirRecord) -> bool:
        """Whether times of modification and of change are equal: the same directory was not written to between."""
        return (self.mtime, self.ctime) == (other.mtime, other.ctime)

    def same_names(self, other: DirRecord) -> bool:
        """The same files, directories, links and others; what these hold may differ."""
        return self._listing() == other._listing()

    def digest(self) -> str:
        """SHA-256 of what the directory lists, hexadecimal; sizes and times of files do not count."""
        return hashlib.sha256(repr(self._listing()).encode("utf-8", "surrogateescape")).hexdigest()

    def _listing(self) -> tuple[str, tuple[str, ...], list[str], tuple[str, ...]]:
        return self.names, self.dirs, [name for name, _, _ in self.links], self.others


class AttrTable:
    """Interns (mode, uid, gid): archives have a handful."""

    def __init__(self, known: Iterable[Attr] = ()) -> None:
        self.rows: list[Attr] = list(known)
        self._index: dict[Attr, int] = {row: n for n, row in enumerate(self.rows)}
        self._lock = threading.Lock()

    def index(self, attr: Attr) -> int:
        """The attribute's row, which is made where it is new. Raises SourceError beyond 65536 rows."""
        number = self._index.get(attr)
        if number is None:
            with self._lock:
                number = self._index.setdefault(attr, len(self.rows))
                if number == len(self.rows):
                    self.rows.append(attr)
                    if number > 0xFFFF:
                        raise SourceError("more than 65536 combinations of mode, uid and gid in one source")
        return number


@dataclass(slots=True)
class Reader:
    """Reads directories of one source."""

    fs: FileSystem
    root: str
    exclude: frozenset[str]
    table: AttrTable
    racy_ns: int
    newest: int = 0
    """The latest time that the source showed: its clock was that far at least, whatever this machine's says."""
    newest_at: int = 0  # when it was met, by this machine's clock
    _listed: dict[str, int] = field(default_factory=dict)  # when what only the clocks make trusted was listed
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _large: threading.Lock = field(default_factory=threading.Lock)

    def read(self, path: str, st: os.stat_result, former: DirRecord | None) -> DirRecord:
        """The directory as it is. ``st``: what it was just before. Raises OSError, also where it became something else,
        and Unreadable.

        ``former``: what another survey read there. The record's ``doubt`` says whether to believe it.
        """
        full = f"{self.root}/{path}" if path else self.root
        doubt, steady = "", False
        for _ in range(TRIES):
            now = self.fs.time_ns()
            record, whole, every = self._list(path, full, st)
            after = self.fs.lstat(full if path else f"{full}/.")
            if not stat.S_ISDIR(after.st_mode):
                raise FileNotFoundError(errno.ENOENT, "another thing took its place", full)
            if _state(after) != _state(st):
                st, doubt = after, ""
                continue
            known = former is not None and former.same_times(record) and former.same_names(record)
            doubt = "" if whole and (known or every == set(self.fs.listdir(full))) else INCOMPLETE
            if not doubt:
                steady = True
                break
        return self._judged(record, former, now, doubt, steady)

    def _judged(self, record: DirRecord, former: DirRecord | None, now: int, doubt: str, steady: bool) -> DirRecord:
        changed = max(record.mtime, record.ctime)
        same = former is not None and former.same_times(record)
        record.seen = former.seen if same and former and former.seen else now
        waited = abs(now - record.seen) > self.racy_ns
        record.trusted = steady and (waited or abs(now - changed) > self.racy_ns)
        with self._lock:
            if record.youngest > self.newest:
                self.newest, self.newest_at = record.youngest, now
            if record.trusted and not waited:
                self._listed[record.path] = now
        listed = former is not None and former.trusted and not former.denied and not former.unread
        if not doubt and same and listed and former and not former.same_names(record):
            doubt = record.digest()
        if doubt:
            again = former is not None and former.doubt == doubt
            record.doubt, record.since = doubt, former.since if again and former else now
            if again and doubt != INCOMPLETE and abs(now - record.since) > self.racy_ns:
                record.doubt = ""  # a later survey was told the same: it is so
        return record

    def compare_clocks(self, records: Mapping[str, DirRecord]) -> None:
        """When all was read: do not trust what had changed, by the source's own clock, just before it was listed.

        The clocks of source and machine may differ by anything. What is met here once more under the same times is
        trusted then.
        """
        for path, listed in self._listed.items():
            record = records.get(path)
            clock = self.newest - max(0, self.newest_at - listed)  # the source's at least, when it was listed
            if record is not None and max(record.mtime, record.ctime) > clock - TICK_NS:
                record.trusted = False

    def _list(self, path: str, full: str, st: os.stat_result) -> tuple[DirRecord, bool, set[str]]:
        """What the directory holds, whether each name was there to be looked at, and all names."""
        rows: list[tuple[str, int, int, int]] = []
        dirs: list[str] = []
        links: list[tuple[str, str, int]] = []
        others: list[str] = []
        every: set[str] = set()
        whole, excluded = True, 0
        youngest = st.st_ctime_ns
        index = self.table.index
        weight = 0
        with ExitStack() as held:
            for entry in held.enter_context(self.fs.scandir(full)):
                every.add(entry.name)
                weight += 1
                if weight == LARGE:
                    held.enter_context(self._large)
                if weight > MAX_ENTRIES:
                    raise Unreadable(f"it has more than {MAX_ENTRIES} entries")
                try:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name in self.exclude:
                            excluded += 1
                        else:
                            dirs.append(entry.name)
                        continue
                    est = entry.stat(follow_symlinks=False)
                    if est.st_ctime_ns > youngest:
                        youngest = est.st_ctime_ns
                    if stat.S_ISREG(est.st_mode):
                        attr = index((est.st_mode & 0o777, est.st_uid, est.st_gid))
                        rows.append((entry.name, est.st_size, est.st_mtime_ns, attr))
                    elif stat.S_ISLNK(est.st_mode):
                        target = self.fs.readlink(f"{full}/{entry.name}")
                        links.append((entry.name, target, est.st_mtime_ns))
                        weight += len(target) // 64
                    else:
                        others.append(entry.name)
                except OSError as error:
                    if error.errno not in _AWAY:
                        raise
                    whole = False  # it went away or was replaced; if so, the directory's times tell of it
        rows.sort()
        record = DirRecord(
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
            ino=st.st_ino,
            nlink=st.st_nlink,
            subdirs=len(dirs) + excluded,
        )
        return record, whole, every


def unread(path: str, st: os.stat_result | None, why: str) -> DirRecord:
    """The record of a directory of which nothing was read, for a reason. ``st``: its status, where it was looked at."""
    if st is None:
        return DirRecord(path, 0, 0, (0o555, 0, 0), unread=why)
    return DirRecord(path, st.st_mtime_ns, st.st_ctime_ns, (0o555, st.st_uid, st.st_gid), unread=why)


def _state(st: os.stat_result) -> tuple[int, int, int, int]:
    return st.st_ino, st.st_mtime_ns, st.st_ctime_ns, st.st_nlink


def links_mean(records: Iterable[DirRecord]) -> bool:
    """Whether the source's file system counts a link for each sub-directory, by the directories that have some."""
    agree = disagree = 0
    for record in records:
        if record.subdirs:
            if record.nlink == 2 + record.subdirs:
                agree += 1
            elif record.nlink > 2:
                disagree += 1
    return agree > disagree
