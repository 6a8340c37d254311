"""The digest of what was saved, and the seal by which it is known to be of just that.

**The digest** is SHA-256 over the sorted relative names, types, sizes, targets of links and contents of all folders,
regular files and links. A drill restores a snapshot and computes it again. It is independent of restic: a fault of its
chunks, its packs, its index or its memory is a different digest.

**Honest.** The digest has to be of what restic saved, not of what lay there a moment before or after, and people work
in homes while these are saved. Reading the snapshot back would be the plain answer, but costs each run the whole home
through the network, when the run itself moves one per cent. So the home is read here just before restic reads it, and
beside the digest goes **the seal**: SHA-256 over the names, sizes, inodes and change times of the same files. restic
notes inode and change time of each file in the snapshot, as they were when it opened it. So from the snapshot alone
(`restic ls`, no content) the seal can be computed again: where it is the same, nothing was changed between the two
readings, since every change of a file moves its change time, which nobody can set; and the digest is of what was saved.
Where it is not, somebody wrote in between. Then the digest says nothing, the answer has none, and a drill has restic's
own checksums: SHA-256 of each piece as restic read it, which restic compares with each piece that it restores.

**Affordable.** If the seal is that of the last snapshot, nothing changed since: its digest holds, and no content is
read. On most days most homes cost one look at each inode. A home in which something changed is read once more from the
disk that it lies on; what restic then reads of it comes from memory.

The order is restic's: each folder's names as bytes, a folder before what is in it. What is neither folder, regular file
nor link (FIFOs, sockets, devices) has no content and is in neither sum.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pdshub.archive.beneath import open_below
from pdshub.backup.patterns import Chosen, everything

CHUNK = 1 << 20
Kind = Literal["dir", "file", "symlink"]


class Entry(NamedTuple):
    """Something below the top: what the seal is made of."""

    path: str
    kind: Kind
    size: int = 0
    changed_ns: int = 0
    inode: int = 0


@dataclass(frozen=True)
class Sums:
    """What one reading found."""

    seal: str
    digest: str = ""
    files: int = 0
    size: int = 0


def canonical(name: str) -> str:
    """A name as restic's JSON has it: each byte that is no UTF-8 is one U+FFFD."""
    return "".join("\ufffd" if "\udc80" <= c <= "\udcff" else c for c in name)


class Seal:
    """Computes a seal, entry by entry in restic's order."""

    def __init__(self) -> None:
        self._sum = hashlib.sha256()

    def add(self, entry: Entry) -> None:
        """The next entry. Of a folder the name alone counts: what is left out of it moves its times, too."""
        name = canonical(entry.path).encode("utf-8", "surrogatepass")
        rest = (
            ""
            if entry.kind == "dir"
            else f"{entry.size if entry.kind == 'file' else 0} {entry.changed_ns} {entry.inode}"
        )
        self._sum.update(f"{entry.kind} {len(name)} {rest}\n".encode() + name)

    def text(self) -> str:
        """The seal of all entries so far."""
        return self._sum.hexdigest()


def _kind(mode: int) -> Kind | None:
    return "dir" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "symlink" if stat.S_ISLNK(mode) else None


def walk(root: str, chosen: Chosen = everything, check: Callable[[], None] = lambda: None) -> Iterator[Entry]:
    """Everything below ``root`` that is chosen, in restic's order; no link is followed, no file system is entered that
    is mounted below. What cannot be read, or goes while it is looked at, is left out, as restic does it."""
    device = Path(root).stat().st_dev
    waiting: list[Iterator[tuple[str, os.stat_result]]] = [iter(_folder(root, "", chosen))]
    while waiting:
        check()
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        path, status = found
        kind = _kind(status.st_mode)
        if kind == "dir":
            try:
                listing = _folder(root, path, chosen) if status.st_dev == device else []
            except OSError:
                continue
            yield Entry(path, "dir")
            waiting.append(iter(listing))
        elif kind is not None and status.st_dev == device:
            yield Entry(path, kind, status.st_size, status.st_ctime_ns, status.st_ino)


def _folder(root: str, path: str, chosen: Chosen) -> list[tuple[str, os.stat_result]]:
    found: list[tuple[bytes, str, os.stat_result]] = []
    descriptor = open_below(root, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
    try:
        with os.scandir(descriptor) as entries:
            for entry in entries:
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                below = f"{path}/{entry.name}" if path else entry.name
                if stat.S_ISREG(status.st_mode) and not os.access(entry.name, os.R_OK, dir_fd=descriptor):
                    continue
                if chosen(below, None if stat.S_ISDIR(status.st_mode) else status.st_size):
                    found.append((os.fsencode(entry.name), below, status))
    finally:
        os.close(descriptor)
    return [(below, status) for _, below, status in sorted(found, key=lambda one: one[0])]


def sealed(root: str, chosen: Chosen = everything, check: Callable[[], None] = lambda: None) -> Sums:
    """The seal alone; no content is read."""
    seal, files, size = Seal(), 0, 0
    for entry in walk(root, chosen, check):
        seal.add(entry)
        files, size = files + (entry.kind == "file"), size + (entry.size if entry.kind == "file" else 0)
    return Sums(seal.text(), "", files, size)


def digested(root: str, chosen: Chosen = everything, check: Callable[[], None] = lambda: None) -> Sums:
    """Seal and digest of the same reading."""
    seal, total, files, size = Seal(), hashlib.sha256(), 0, 0
    for entry in walk(root, chosen, check):
        try:
            entry, content = _content(root, entry, check)
        except OSError:  # as restic: what cannot be opened is not saved
            continue
        seal.add(entry)
        name = os.fsencode(entry.path)
        total.update(f"{entry.kind} {len(name)} {len(content)}\n".encode() + name + content)
        if entry.kind == "file":
            files, size = files + 1, size + entry.size
    return Sums(seal.text(), total.hexdigest(), files, size)


def _content(root: str, entry: Entry, check: Callable[[], None]) -> tuple[Entry, bytes]:
    """What the digest holds of an entry beside its name, and the entry as it was when it was opened."""
    if entry.kind == "dir":
        return entry, b""
    flags = os.O_PATH if entry.kind == "symlink" else os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
    descriptor = open_below(root, entry.path, flags | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if _kind(status.st_mode) != entry.kind:
            raise OSError("it is something else now")
        now = entry._replace(size=status.st_size, changed_ns=status.st_ctime_ns, inode=status.st_ino)
        if entry.kind == "symlink":
            return now, os.fsencode(os.readlink("", dir_fd=descriptor))
        one = hashlib.sha256()
        while data := os.read(descriptor, CHUNK):
            one.update(data)
            check()
        return now, f"{now.size} ".encode() + one.digest()
    finally:
        os.close(descriptor)
