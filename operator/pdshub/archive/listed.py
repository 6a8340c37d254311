"""A source that is listed instead of walked: objects in the order of their keys become the directories of a scan.

There are no directories, and so no times of any. A directory's time is the newest of its files, and the digits below
its second are a digest of names, sizes, times and ETags: it changes when anything in it does, also where an object was
replaced by one of the same size within the same second. So the rest of a survey goes on as if it had been walked.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from pdshub.archive import directory, keys
from pdshub.archive.directory import Attr, DirRecord
from pdshub.archive.walk import Scan

FILE_ATTR: Attr = (0o444, 0, 0)
DIRECTORY_ATTR: Attr = (0o555, 0, 0)
SECOND = 10**9
EXAMPLES = 10
STEP = 10_000  # objects between two words of progress


class Listed(Protocol):
    """An object of a listing (pdshub.s3.page.Object)."""

    @property
    def key(self) -> bytes:
        """Its key."""

    @property
    def etag(self) -> str:
        """Another one for another content."""

    @property
    def size(self) -> int:
        """Bytes."""

    @property
    def mtime(self) -> int:
        """Nanoseconds since 1970."""

    @property
    def stored(self) -> str:
        """Its storage class."""


@dataclass(slots=True)
class Oddities:
    """Keys that are not shown, by the reason, with a few examples."""

    count: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, key: str) -> None:
        """One more."""
        self.count[reason] += 1
        kept = self.examples.setdefault(reason, [])
        if len(kept) < EXAMPLES:
            kept.append("".join(c if c.isprintable() else repr(c)[1:-1] for c in key))


@dataclass(slots=True)
class Listing:
    """What a listing held, and which ETag each file of it had."""

    scan: Scan
    odd: Oddities
    etags: dict[str, str]
    """By directory, in the order of its files with NUL between them; only of directories that changed: of the others
    nothing is asked."""


@dataclass(slots=True)
class _Open:
    """A directory that keys still come of."""

    path: str
    names: list[str] = field(default_factory=list)
    etags: list[str] = field(default_factory=list)
    sizes: array[int] = field(default_factory=lambda: array("q"))
    mtimes: array[int] = field(default_factory=lambda: array("q"))
    dirs: list[str] = field(default_factory=list)
    excluded: int = 0
    full: bool = False

    def add(self, name: str, item: Listed) -> None:
        if len(self.names) + len(self.dirs) >= directory.MAX_ENTRIES:
            self.full = True
            return
        self.names.append(name)
        self.etags.append(item.etag)
        self.sizes.append(item.size)
        self.mtimes.append(item.mtime)

    def drop(self, name: str) -> None:
        at = self.names.index(name)
        for column in (self.names, self.etags, self.sizes, self.mtimes):
            del column[at]

    def record(self, now: int) -> DirRecord:
        if self.full:
            return directory.unread(self.path, None, f"it has more than {directory.MAX_ENTRIES} entries")
        rows = zip(self.names, self.etags, self.sizes, self.mtimes, strict=True)
        digest = hashlib.sha256("\0".join(f"{n}\0{e}\0{s}\0{m}" for n, e, s, m in rows).encode())
        digest.update("\0\0".join(("", *self.dirs)).encode())
        number = int.from_bytes(digest.digest()[:8], "big") >> 1
        newest = max(self.mtimes, default=0)
        time = newest // SECOND * SECOND + (number % SECOND if self.names else 0)
        return DirRecord(
            self.path, time, time, DIRECTORY_ATTR, "/".join(self.names), self.sizes, self.mtimes,
            array("H", bytes(2 * len(self.names))), tuple(sorted(self.dirs)), youngest=newest, ino=number,
            nlink=2 + len(self.dirs) + self.excluded, subdirs=len(self.dirs) + self.excluded, seen=now,
        )  # fmt: skip


@dataclass(slots=True)
class _Builder:
    """Makes directories of objects as they come."""

    scan: Scan
    former: Scan | None
    exclude: Collection[str]
    now: int
    tops: tuple[str, ...] = ("",)
    odd: Oddities = field(default_factory=Oddities)
    etags: dict[str, str] = field(default_factory=dict)
    open: list[_Open] = field(default_factory=list)
    hidden: str = ""
    """The excluded directory whose keys come now, with a slash behind it."""

    def take(self, item: Listed, top: str) -> None:
        try:
            path, is_directory = keys.path(item.key, top)
            if not is_directory and item.stored in keys.COLD:
                raise keys.Odd(keys.ARCHIVED)
        except keys.Odd as odd:
            self.odd.add(str(odd), item.key.decode("utf-8", "backslashreplace"))
            return
        if is_directory and item.size:
            self.odd.add(keys.MARKER, path + "/")
        folder, _, name = (f"{path}/" if is_directory and path else path).rpartition("/")
        self.scan.counters.entries_read += 1
        if self.hidden and f"{folder}/".startswith(self.hidden):
            return
        if self._enter(folder) and name:
            self.open[-1].add(name, item)

    def _enter(self, folder: str) -> bool:
        """Make ``folder`` the innermost open directory; False where it, or one above it, is excluded."""
        while self.open[-1].path and not f"{folder}/".startswith(f"{self.open[-1].path}/"):
            self.close()
        while (above := self.open[-1].path) != folder:
            name = folder[len(above) + 1 if above else 0 :].partition("/")[0]
            path = f"{above}/{name}" if above else name
            if name in self.exclude:
                self.open[-1].excluded += 1
                self.hidden = f"{path}/"
                return False
            self.open[-1].dirs.append(name)
            self.open.append(_Open(path))
        return True

    def close(self) -> None:
        done = self.open.pop()
        for name in set(done.names).intersection(done.dirs):
            self.odd.add(keys.CLASH, f"{done.path}/{name}" if done.path else name)
            done.drop(name)
        if not any(not top or _below(done.path, top) for top in self.tops):
            return  # only on the way to what was asked for
        record = done.record(self.now)
        before = self.former.dirs.get(done.path) if self.former else None
        counters = self.scan.counters
        counters.directories_checked += 1
        if before is not None and _same(before, record):
            self.scan.dirs[done.path] = before  # the same arrays: labels in it are not read again
            return
        counters.directories_read += 1
        self.scan.dirs[done.path] = record
        self.etags[done.path] = "\0".join(done.etags)


def _same(before: DirRecord, record: DirRecord) -> bool:
    return (
        (before.ino, before.mtime, before.nlink) == (record.ino, record.mtime, record.nlink)
        and not (before.doubt or before.unread or before.denied or record.unread)
        and before.same_names(record)
        and before.sizes == record.sizes
        and before.mtimes == record.mtimes
    )


def listed(
    source: str,
    objects: Iterable[Listed],
    top: str,
    *,
    tops: Iterable[str] = ("",),
    previous: Scan | None = None,
    exclude: Collection[str] = (),
    now_ns: int = 0,
    progress: Callable[[int], None] = lambda n: None,
) -> Listing:
    """The directories of a source from its objects, in the order of their keys, all of which begin with ``top``.

    ``tops``: directories that are wanted, each with all below it.
    ``previous``: what another survey read there; a directory that is the same is taken from it.
    """
    scan = Scan(source, "", attrs=[FILE_ATTR])
    builder = _Builder(scan, _of_listing(previous), frozenset(exclude), now_ns, tuple(shared(tops)), open=[_Open("")])
    for number, item in enumerate(objects, 1):
        builder.take(item, top)
        if number % STEP == 0:
            progress(number)
    while builder.open:
        builder.close()
    scan.order()
    return Listing(scan, builder.odd, builder.etags)


def _of_listing(previous: Scan | None) -> Scan | None:
    """A former scan, unless that source was walked then: its files had owners."""
    return previous if previous is not None and previous.attrs == [FILE_ATTR] else None


def _below(path: str, top: str) -> bool:
    return path == top or path.startswith(f"{top}/")


def shared(tops: Iterable[str]) -> Iterator[str]:
    """The outermost of some directories, in order: each is listed for itself."""
    kept: list[str] = []
    for top in sorted({"" if top == "." else top.strip("/") for top in tops}):
        if not any(k == "" or _below(top, k) for k in kept):
            kept.append(top)
            yield top
