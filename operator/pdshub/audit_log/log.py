"""The audit log on its volume: appended to by one process, forced to the disk before anybody is told that it is.

What is killed in the middle leaves a line without an end: it is cut off at the next start, which is an entry itself.
What cannot be written (a full disk) is not written in part, and raises.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pdshub import rfc3339
from pdshub.audit_log import entry, log_files
from pdshub.audit_log.entry import Entry
from pdshub.files import sync

FILE_BYTES = 8 << 20
"""A file that would grow beyond is followed by the next."""
MOST_HUBS = 2000
"""Hubs of which is remembered how far they were read."""

Position = tuple[str, int]
"""Run of a hub, and the number of its entry that was written last."""


class LockedError(Exception):
    """Another process writes this log."""


@dataclass
class Memory:
    """What the log knows from its own lines."""

    number: int = 0
    """Of the last entry."""
    last: str = ""
    """Digest of the last line."""
    positions: dict[str, Position] = field(default_factory=dict)
    """By hub, ``NAMESPACE/NAME``."""
    lists: dict[str, str] = field(default_factory=dict)
    """By hub: the digest of the list of people whose change was written last."""

    def learn(self, line: bytes) -> None:
        """Take up a line that is in the log."""
        self.last = entry.digest(line)
        found: Mapping[str, Any] = entry.read(line) or {}
        self.number = _int(found.get("n")) or self.number + 1
        if found.get("event") == entry.OPENED:
            for name, at in _map(found.get("positions")).items():
                self._position(name, *(at if isinstance(at, list) and len(at) == 2 else ("", 0)))
            self.lists |= {name: str(digest) for name, digest in _map(found.get("lists")).items()}
        hub = found.get("hub")
        if isinstance(hub, str) and hub:
            self._position(hub, found.get("run"), found.get("seq"))
            if found.get("event") == entry.LIST_CHANGE and isinstance(found.get("digest"), str):
                self._keep(self.lists, hub, str(found["digest"]))

    def _position(self, hub: str, run: Any, seq: Any) -> None:
        if isinstance(run, str) and run and isinstance(seq, int):
            self._keep(self.positions, hub, (run, seq))

    @staticmethod
    def _keep(kept: dict[str, Any], hub: str, value: Any) -> None:
        kept.pop(hub, None)
        kept[hub] = value
        while len(kept) > MOST_HUBS:
            kept.pop(next(iter(kept)))


def _map(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _int(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


class AuditLog:
    """The log in a folder. ``retain``: bytes that all files may take; the oldest files go first."""

    def __init__(
        self, folder: Path, retain: int, file_bytes: int = FILE_BYTES, now: Callable[[], str] = rfc3339.now
    ) -> None:
        self.folder, self._retain, self._file_bytes, self._now = (
            folder,
            retain,
            min(file_bytes, max(1, retain // 2)),
            now,
        )
        self.memory = Memory()
        self._lock = self._file = -1
        self._current = self._size = 0
        self._torn = False

    def open(self) -> None:
        """Lock the log, mend it, and read where it stands. Raises LockedError, and OSError."""
        self.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        lock = os.open(self.folder / log_files.LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            os.close(lock)
            raise LockedError(f"another process writes {self.folder}") from None
        except OSError:
            os.close(lock)
            raise
        self._lock = lock
        try:
            self._begin()
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        for held in (self._file, self._lock):
            if held >= 0:
                os.close(held)
        self._file = self._lock = -1

    def append(self, entries: Iterable[Entry]) -> None:
        """Write entries; when this returns they are on the disk. Raises OSError, and then none of them is."""
        time = self._now()
        self._rotate(time)
        made = self._lines(entries, time)
        self._write(made)

    # --- within

    def _lines(self, entries: Iterable[Entry], time: str) -> list[bytes]:
        made: list[bytes] = []
        number, last = self.memory.number, self.memory.last
        for each in entries:
            number += 1
            made.append(entry.line(number, time, {"from": "operator", **each}, last))
            last = entry.digest(made[-1])
        return made

    def _write(self, made: list[bytes]) -> None:
        """All of it, or nothing. Raises OSError."""
        if self._torn:
            os.ftruncate(self._file, self._size)
            self._torn = False
        data = memoryview(b"".join(made))
        written = 0
        try:
            while written < len(data):
                written += os.pwrite(self._file, data[written:], self._size + written)
            os.fsync(self._file)
        except OSError:
            self._torn = True
            os.ftruncate(self._file, self._size)
            self._torn = False
            raise
        self._size += len(data)
        for line in made:
            self.memory.learn(line)

    def _begin(self) -> None:
        found = log_files.numbers(self.folder)
        while found and not _whole(log_files.path(self.folder, found[-1])):
            # its first line never was: nothing that anybody was told of is in it
            log_files.path(self.folder, found.pop()).unlink()
        if not found:
            self._next(1, self._now())
            return
        file = log_files.path(self.folder, found[-1])
        self._file = os.open(file, os.O_RDWR | os.O_CLOEXEC)
        self._current, torn = found[-1], b""
        for line in log_files.lines(file):
            if line.endswith(b"\n"):
                self._size += len(line)
                self.memory.learn(line)
            else:
                torn += line
        if rest := os.fstat(self._file).st_size - self._size:
            os.ftruncate(self._file, self._size)
            os.fsync(self._file)
            cut = {"event": entry.MENDED, "bytes": rest, "sha256": hashlib.sha256(torn).hexdigest()}
            self._write(self._lines([cut], self._now()))

    def _rotate(self, time: str) -> None:
        """Begin the next file where this one is full, and take old ones away. Raises OSError."""
        if self._size < self._file_bytes:
            return
        self._next(self._current + 1, time)
        kept = log_files.numbers(self.folder)
        sizes = {number: log_files.path(self.folder, number).stat().st_size for number in kept}
        while len(kept) > 1 and sum(sizes[number] for number in kept) + self._file_bytes > self._retain:
            oldest = log_files.path(self.folder, kept[0])
            last = deque(log_files.lines(oldest), 1).pop()
            through = (entry.read(last) or {}).get("n", 0)
            gone = {"event": entry.PRUNED, "file": kept.pop(0), "through": through, "sha256": entry.digest(last)}
            self._write(self._lines([gone], time))  # told before it goes
            oldest.unlink()

    def _next(self, number: int, time: str) -> None:
        """A new file with its first line. Raises OSError, and then there is none."""
        file = log_files.path(self.folder, number)
        made = entry.header(self.memory.number + 1, time, self.memory.positions, self.memory.lists, self.memory.last)
        opened = os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        before = self._file, self._size
        known = self.memory.number, self.memory.last
        self._file, self._size = opened, 0
        try:
            self._write([made])
            sync(self.folder)
        except OSError:
            self._file, self._size = before
            self.memory.number, self.memory.last = known
            os.close(opened)
            file.unlink()
            raise
        self._current = number
        if before[0] >= 0:
            os.close(before[0])


def _whole(file: Path) -> bool:
    """Whether a file has its first line."""
    return next(log_files.lines(file), b"").endswith(b"\n")
