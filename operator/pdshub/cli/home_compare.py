"""Compares a home with its copy, entry by entry, and is the program of pods that look and copy.

Both are read anew, the copy from its disk and not from memory. Each side has a SHA-256, over the same bytes where both
are equal: names, kinds, modes, times, owners, links between names, targets, attributes and contents.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import resource
import stat
import sys
from typing import Any

from pdshub.cli.home_copy import Copy, gone
from pdshub.cli.home_look import FILE, FOLDER, Tally, attributes, look, names

CHUNK = 1 << 20
SOFT = sys.getfilesystemencoding(), "surrogateescape"
KINDS = {stat.S_IFDIR: "dir", stat.S_IFREG: "file", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo"}


class Side:
    """One side of a comparison: its digest, and by inode its first name. ``fresh``: read from the disk."""

    def __init__(self, *, fresh: bool, owners: bool) -> None:
        self.fresh, self.owners, self.sum = fresh, owners, hashlib.sha256()
        self.linked: dict[tuple[int, int], str] = {}

    def print_of(self, folder: int, name: str, path: str) -> tuple[str, bytes]:
        """What is compared of an entry: its kind, and the rest as bytes. ("", b"") for nothing, and for sockets."""
        try:
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            return "", b""
        kind = KINDS.get(stat.S_IFMT(found.st_mode), "")
        if not kind:
            return "", b""
        said = [kind, f"{found.st_mode:o}", str(found.st_mtime_ns // 10**9)]  # not all storage keeps more than seconds
        said += [f"{found.st_uid}:{found.st_gid}"] if self.owners else []
        more = b""
        if kind != "dir" and found.st_nlink > 1:
            more += self.linked.setdefault((found.st_dev, found.st_ino), path).encode(*SOFT)
        if kind == "link":
            more += b"\0" + os.readlink(name, dir_fd=folder).encode(*SOFT)
        elif kind in ("file", "dir"):
            opened = os.open(name, FOLDER if kind == "dir" else FILE, dir_fd=folder)
            try:
                more += b"\0" + repr(attributes(opened)).encode() + (self._read(opened) if kind == "file" else b"")
            finally:
                os.close(opened)
        line = " ".join(said).encode() + b"\0" + more
        raw = path.encode(*SOFT)
        self.sum.update(f"{len(raw)} {len(line)}\n".encode() + raw + line)
        return kind, line

    def _read(self, opened: int) -> bytes:
        """SHA-256 of a file; of the copy as it lies on the disk, not in memory."""
        if self.fresh:
            os.posix_fadvise(opened, 0, 0, os.POSIX_FADV_DONTNEED)
        one, size = hashlib.sha256(), 0
        while data := os.read(opened, CHUNK):
            one.update(data)
            size += len(data)
        return f"{size} ".encode() + one.digest()


def compare(source: int, copy: int, path: str, sides: tuple[Side, Side], tally: Tally) -> None:
    """Compare what is below two folders. What differs in the copy is taken out of it: the next run makes it anew."""
    for name in sorted({*names(source, path), *names(copy, path)}):
        below = f"{path}/{name}" if path else name
        tally.say("comparing")
        try:
            one, other = (
                side.print_of(folder, name, below) for side, folder in zip(sides, (source, copy), strict=True)
            )
            if one[0] == other[0] == "dir":
                inside = os.open(name, FOLDER, dir_fd=source)
                try:
                    beside = os.open(name, FOLDER, dir_fd=copy)
                    try:
                        compare(inside, beside, below, sides, tally)
                    finally:
                        os.close(beside)
                finally:
                    os.close(inside)
            if one != other:
                tally.problem(below, "the copy is another")
                if one[0] != "dir" and other[0]:
                    gone(copy, name)
        except OSError as error:
            tally.problem(below, error.strerror)


def copied(source: int, copy: int, asked: dict[str, Any]) -> dict[str, Any]:
    """Copy, and compare. Raises OSError where nothing can be done, as where there is no room."""
    tally = Tally()
    room = os.statvfs(copy)
    if not names(copy, ""):
        if room.f_bavail * room.f_frsize < asked["used"]:
            raise OSError(errno.ENOSPC, f"there is room for {room.f_bavail * room.f_frsize} bytes in the new volume")
        if room.f_files > 0 and room.f_favail < asked["entries"]:
            raise OSError(errno.ENOSPC, f"there is room for {room.f_favail} files in the new volume")
    Copy(copy, tally).folder(source, copy, "")
    if ctypes.CDLL(None, use_errno=True).syncfs(copy):
        raise OSError(ctypes.get_errno(), "the copy could not be written to its disk")
    owners = not asked["takeOver"]
    sides = Side(fresh=False, owners=owners), Side(fresh=True, owners=owners)
    if not tally.counts["problems"]:
        compare(source, copy, "", sides, tally)
    before, after = (side.sum.hexdigest() for side in sides)
    equal = not tally.counts["problems"] and before == after
    return {**tally.answer(), "equal": equal, "digest": before, "copyDigest": after}


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Look at a home, or copy it where ``to`` is a folder. Raises OSError."""
    source = os.open(asked["from"], FOLDER)
    try:
        if not asked["to"]:
            tally = Tally()
            look(source, "", tally)
            return {**tally.answer()}
        copy = os.open(asked["to"], FOLDER)
        try:
            return copied(source, copy, asked)
        finally:
            os.close(copy)
    finally:
        os.close(source)


def main(asked: dict[str, Any]) -> int:
    """``asked``: ``from`` and ``to``, folders; ``used`` and ``entries`` of a look; ``takeOver``: owners may differ."""
    sys.setrecursionlimit(20_000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    try:
        answer = run(asked)
    except OSError as error:
        answer = {"error": error.strerror}
    except RecursionError:
        answer = {"error": "folders are nested too deeply"}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0
