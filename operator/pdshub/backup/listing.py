"""What lies in a snapshot, as `restic ls` says it, entry by entry: never the whole of it in memory.

restic's JSON has U+FFFD for each byte of a name that is no UTF-8, so such a name cannot be asked for. Folders that hold
it can.
"""

from __future__ import annotations

import posixpath
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from pdshub.backup.digest import Entry, Seal
from pdshub.backup.restic import LONGEST, Record, Restic, record
from pdshub.backup.snapshots import Snapshot
from pdshub.backup.verdict import Failed

TOP = "/data"
"""Below which snapshots hold what they hold."""
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_ESCAPED = re.compile("[\udc80-\udcff]")
"""A byte of a name that is no UTF-8, as Python reads it (surrogateescape)."""
_AHEAD = 1000
"""Entries that a stream may leave out at a time and that are looked over."""
LINKS = 200_000
"""Inodes that are remembered to find files with several names; of more files such are restored as copies."""


class Node(NamedTuple):
    """An entry of a listing."""

    path: str
    """Below what was listed; without a slash in front."""
    kind: str
    """file, dir, symlink, or another of restic's words."""
    size: int
    mode: int
    """Permissions, as of stat(2)."""
    modified_ns: int
    changed_ns: int
    inode: int


def nanoseconds(text: object) -> int:
    """Nanoseconds since 1970 of a time as Go writes it; 0 for what is none."""
    match = _TIME.fullmatch(str(text))
    if not match:
        return 0
    try:
        whole = datetime.fromisoformat(match[1] + match[3])
    except ValueError:
        return 0
    since = whole - datetime.fromisoformat("1970-01-01T00:00:00+00:00")
    return (since.days * 86400 + since.seconds) * 10**9 + int((match[2] or "").ljust(9, "0"))


def node(found: Record) -> Node | None:
    """An entry from its record; None for another record."""
    path, kind = found.get("path"), found.get("type")
    if found.get("message_type") != "node" or not isinstance(path, str) or not isinstance(kind, str):
        return None
    numbers = [v if isinstance(v := found.get(k), int) and v >= 0 else 0 for k in ("size", "mode", "inode")]
    return Node(
        path.lstrip("/"),
        kind,
        numbers[0],
        numbers[1] & 0o777,
        nanoseconds(found.get("mtime")),
        nanoseconds(found.get("ctime")),
        numbers[2],
    )


def inside(source: str, path: str = ".") -> str:
    """Where something of an item lies in its snapshots."""
    return posixpath.normpath(f"{TOP}/{source}/{path}")


def nodes(restic: Restic, snapshot: Snapshot, folder: str, *, deep: bool) -> Iterator[Node]:
    """Entries of a folder of a snapshot (as ``inside`` names it), all below it or its own only, in restic's order.
    Raises Failed; NotFound when there is no such folder."""
    where = [f"{snapshot.id}:{folder}", *([] if deep else ["/"])]
    with restic.stream("ls", *where) as stream:
        while line := stream.out.readline(LONGEST):
            found = record(line)
            if found and (one := node(found)):
                yield one
    restic.judged(stream)


def find(restic: Restic, snapshot: Snapshot, source: str, path: str) -> Node:
    """The entry at a path of an item. Raises Failed(NotFound)."""
    whole = inside(source, path)
    if whole == inside(source):
        return Node("", "dir", 0, 0o700, 0, 0, 0)
    folder, name = posixpath.split(whole)
    found = [one for one in nodes(restic, snapshot, folder, deep=False) if one.path == name]
    if not found:
        raise Failed("NotFound", f"there is no {path} in snapshot {snapshot.id[:8]} of {snapshot.time}")
    return found[0]


class Times:
    """When entries were modified, in the order of the listing. The archive of `restic dump` has that order as well, and
    whole seconds only. Sixteen bytes for each, as a home may have millions.

    Source: Go, archive/tar, Writer.WriteHeader (without a format it rounds); restic, internal/dump/tar.go (names none).
    """

    def __init__(self) -> None:
        self._names, self._times, self._next = array("q"), array("q"), 0

    def add(self, one: Node) -> None:
        """The next entry of the listing."""
        self._names.append(hash(one.path))
        self._times.append(one.modified_ns if abs(one.modified_ns) < 1 << 63 else 0)

    def of(self, path: str) -> int:
        """Nanoseconds of the next entry of the archive; 0 where the listing does not say it. ``path``: with what is no
        UTF-8 as Python has it."""
        name = hash(_ESCAPED.sub("\ufffd", path))
        for at in range(self._next, min(self._next + _AHEAD, len(self._names))):
            if self._names[at] == name:
                self._next = at + 1
                return self._times[at]
        return 0


@dataclass
class Contents:
    """What a folder of a snapshot holds."""

    files: int = 0
    size: int = 0
    """Bytes of all files; those with several names count once for each name."""
    seal: str = ""
    special: set[str] = field(default_factory=set)
    """Entries that are neither files, folders nor links."""
    links: dict[str, str] = field(default_factory=dict)
    """File -> a name of the same file that comes before."""
    times: Times = field(default_factory=Times)


def contents(restic: Restic, snapshot: Snapshot, folder: str) -> Contents:
    """Read a folder's whole listing once. Raises Failed."""
    found, seal = Contents(), Seal()
    known: dict[tuple[int, int, int, int], str] = {}
    for one in nodes(restic, snapshot, folder, deep=True):
        if one.kind not in ("file", "dir", "symlink"):
            found.special.add(one.path)
            continue
        found.times.add(one)
        seal.add(Entry(one.path, one.kind, one.size, one.changed_ns, one.inode))  # type: ignore[arg-type]
        if one.kind != "file":
            continue
        found.files, found.size = found.files + 1, found.size + one.size
        # an inode may have been used again while the snapshot was made, but not with the same times
        same = (one.inode, one.changed_ns, one.modified_ns, one.size)
        if one.inode and one.size and "\ufffd" not in one.path:
            if same in known:
                found.links[one.path] = known[same]
            elif len(known) < LINKS:
                known[same] = one.path
    found.seal = seal.text()
    return found
