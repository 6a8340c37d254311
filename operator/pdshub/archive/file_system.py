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
    def name(self) -> str: ...

    @property
    def path(self) -> str: ...

    def is_dir(self, *, follow_symlinks: bool = True) -> bool: ...

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result: ...


class FileSystem(Protocol):
    """A read-only file system. Paths are absolute; each call raises OSError as the function of its name in os."""

    def lstat(self, path: str) -> os.stat_result:
        """What the server says now, not what is remembered of it."""

    def scandir(self, path: str) -> AbstractContextManager[Iterator[Entry]]: ...

    def listdir(self, path: str) -> list[str]: ...

    def readlink(self, path: str) -> str: ...

    def open(self, path: str) -> BinaryIO:
        """To read a regular file; links are not followed, and a FIFO holds nobody up."""

    def time_ns(self) -> int:
        """This machine's clock, nanoseconds since 1970."""


class LocalFileSystem:
    """The file systems that are mounted on this machine."""

    def lstat(self, path: str) -> os.stat_result:
        return synced_stat.lstat(path)

    def scandir(self, path: str) -> AbstractContextManager[Iterator[Entry]]:
        return os.scandir(path)

    def listdir(self, path: str) -> list[str]:
        return os.listdir(path)  # noqa: PTH208 (hot)

    def readlink(self, path: str) -> str:
        return os.readlink(path)  # noqa: PTH115 (hot)

    def open(self, path: str) -> BinaryIO:
        return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb")

    def time_ns(self) -> int:
        return time.time_ns()
