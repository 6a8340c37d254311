"""The few calls by which a survey reads a source, as one interface: tests put another file system, or faults, in."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from pdshub.archive import beneath, synced_stat

MAX_NAMES = 2_000_000
"""Names of a directory that are listed at most."""


class Entry(Protocol):
    """What os.scandir says of one name."""

    @property
    def name(self) -> str:
        """The name, without a directory."""

    def is_dir(self, *, follow_symlinks: bool = True) -> bool:
        """Whether it is a directory, or a link to one where links are followed. Raises OSError."""

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Of what has the name. Raises OSError."""


class FileSystem(Protocol):
    """A read-only file system. Paths are absolute; each call raises OSError as the function of its name in os."""

    def lstat(self, path: str) -> os.stat_result:
        """Status of a file, link or directory as the server has it now, not as this machine remembers it."""

    def scandir(self, path: str) -> AbstractContextManager[Iterator[Entry]]:
        """The names in a directory with what is known of each, in any order."""

    def listdir(self, path: str) -> list[str]:
        """The names in a directory, in any order."""

    def readlink(self, path: str) -> str:
        """The target of a link, as it is written."""

    def open(self, path: str) -> BinaryIO:
        """A regular file, to be read. Links are not followed, and opening a FIFO does not wait for its writer."""

    def time_ns(self) -> int:
        """This machine's clock, nanoseconds since 1970."""


class LocalFileSystem:
    """The file systems that are mounted on this machine, each opened from its root: ``roots`` are their directories.

    Nothing that a link inside of a root leads to is looked at, listed or opened, also where the link takes a
    directory's place meanwhile. Links are looked at as links.
    """

    def __init__(self, roots: Iterable[str]) -> None:
        self._roots = sorted({root.rstrip("/") or "/" for root in roots}, key=len, reverse=True)

    def _split(self, path: str) -> tuple[str, str]:
        for root in self._roots:
            if path == root:
                return root, "."
            if path.startswith(root if root == "/" else f"{root}/"):
                return root, path[len(root) :].lstrip("/") or "."
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)

    def lstat(self, path: str) -> os.stat_result:
        """Asks the server (statx, AT_STATX_FORCE_SYNC)."""
        return beneath.stat_below(*self._split(path), synced_stat.fstat)

    def scandir(self, path: str) -> AbstractContextManager[Iterator[Entry]]:
        """os.scandir; the entries' paths are their names alone."""
        return beneath.scan_below(*self._split(path))

    def listdir(self, path: str) -> list[str]:
        """os.listdir, of at most MAX_NAMES names: a server could name others for ever."""
        return beneath.list_below(*self._split(path), MAX_NAMES)

    def readlink(self, path: str) -> str:
        """os.readlink."""
        return beneath.readlink_below(*self._split(path))

    def open(self, path: str) -> BinaryIO:
        """A regular file; ENXIO for anything else."""
        return beneath.open_regular(*self._split(path))

    def time_ns(self) -> int:
        """time.time_ns."""
        return time.time_ns()
