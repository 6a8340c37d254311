"""The few calls by which a survey reads a source, as one interface: tests put another file system, or faults, in."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from pdshub.archive import synced_stat


class Entry(Protocol):
    """What os.scandir says of one name."""

    @property
    def name(self) -> str:
        """The name, without a directory."""

    @property
    def path(self) -> str:
        """The name behind the path that was asked for."""

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
    """The file systems that are mounted on this machine."""

    def lstat(self, path: str) -> os.stat_result:
        """Asks the server (statx, AT_STATX_FORCE_SYNC)."""
        return synced_stat.lstat(path)

    def scandir(self, path: str) -> AbstractContextManager[Iterator[Entry]]:
        """os.scandir."""
        return os.scandir(path)

    def listdir(self, path: str) -> list[str]:
        """os.listdir."""
        return os.listdir(path)  # noqa: PTH208 (hot)

    def readlink(self, path: str) -> str:
        """os.readlink."""
        return os.readlink(path)  # noqa: PTH115 (hot)

    def open(self, path: str) -> BinaryIO:
        """Opened with O_NOFOLLOW and O_NONBLOCK."""
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")

    def time_ns(self) -> int:
        """time.time_ns."""
        return time.time_ns()
