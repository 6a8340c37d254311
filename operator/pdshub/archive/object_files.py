"""Files of a source that was listed: what the listing says of them, and their bytes, one request each."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import BinaryIO

from pdshub.archive.file_system import Entry, FileSystem
from pdshub.archive.listed import SECOND, Listing

Open = Callable[[str, str, int], BinaryIO]
"""Path, ETag and size of a file -> its bytes. Raises OSError."""


class ObjectFiles:
    """The file system of one source below ``root``, for labels alone: it was listed whole, and is not listed again."""

    def __init__(self, root: str, open_object: Open) -> None:
        self._root, self._open = root.rstrip("/"), open_object
        self._listing: Listing | None = None
        self._last: tuple[str, dict[str, tuple[str, int, int]]] = ("\0", {})

    def take(self, listing: Listing) -> None:
        """Answer from this one from now on."""
        self._listing, self._last = listing, ("\0", {})

    def _known(self, path: str) -> tuple[str, int, int]:
        """ETag, size and time of a file. Raises FileNotFoundError."""
        folder, _, name = path[len(self._root) :].strip("/").rpartition("/")
        if self._last[0] != folder:
            self._last = (folder, self._columns(folder))
        try:
            return self._last[1][name]
        except KeyError:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None

    def _columns(self, folder: str) -> dict[str, tuple[str, int, int]]:
        record = self._listing.scan.dirs.get(folder) if self._listing else None
        etags = self._listing.etags.get(folder) if self._listing else None
        if record is None:
            return {}
        names = record.files()
        of = etags.split("\0") if etags else [""] * len(names)
        if len(of) != len(names):  # its former state was put back: the ETags are of another one
            return {}
        return {n: (e, s, m) for n, e, s, m in zip(names, of, record.sizes, record.mtimes, strict=True)}

    def lstat(self, path: str) -> os.stat_result:
        """What the listing said. The time of change differs where the ETag does."""
        etag, size, mtime = self._known(path)
        below = int.from_bytes(hashlib.sha256(etag.encode()).digest()[:4], "big") % SECOND if etag else 0
        changed = mtime // SECOND * SECOND + below
        seconds = mtime // SECOND
        return os.stat_result(
            (stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, size, seconds, seconds, seconds),
            {"st_atime_ns": mtime, "st_mtime_ns": mtime, "st_ctime_ns": changed},
        )

    def open(self, path: str) -> BinaryIO:
        """The object that was listed; ENOENT where another one has its name by now."""
        etag, size, _ = self._known(path)
        return self._open(path[len(self._root) :].strip("/"), etag, size)

    def scandir(self, path: str) -> AbstractContextManager[Iterator[Entry]]:
        """Not done."""
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), path)

    def listdir(self, path: str) -> list[str]:
        """Not done."""
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP), path)

    def readlink(self, path: str) -> str:
        """There are no links."""
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)

    def time_ns(self) -> int:
        """This machine's clock."""
        return time.time_ns()


class Routed:
    """Several file systems as one: each for what lies below its root, and ``rest`` for all else."""

    def __init__(self, roots: Mapping[str, FileSystem], rest: FileSystem) -> None:
        self._roots = {root.rstrip("/"): found for root, found in roots.items()}
        self._rest = rest

    def _of(self, path: str) -> FileSystem:
        for root, found in self._roots.items():
            if path == root or path.startswith(f"{root}/"):
                return found
        return self._rest

    def lstat(self, path: str) -> os.stat_result:
        """Of the file system that has the path."""
        return self._of(path).lstat(path)

    def scandir(self, path: str) -> AbstractContextManager[Iterator[Entry]]:
        """Of the file system that has the path."""
        return self._of(path).scandir(path)

    def listdir(self, path: str) -> list[str]:
        """Of the file system that has the path."""
        return self._of(path).listdir(path)

    def readlink(self, path: str) -> str:
        """Of the file system that has the path."""
        return self._of(path).readlink(path)

    def open(self, path: str) -> BinaryIO:
        """Of the file system that has the path."""
        return self._of(path).open(path)

    def time_ns(self) -> int:
        """This machine's clock."""
        return self._rest.time_ns()
