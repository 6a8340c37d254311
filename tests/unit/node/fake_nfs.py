"""A client and a server as nfs-rs 0.8.7 and ganesha are, with what goes wrong in them.

A client that is closed answers an empty listing where one was under way, and an error elsewhere. Two calls at once on
one client, and a close under a call, are noted: the former loses the state of files there.
"""

from __future__ import annotations

import errno
import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import nfs_rs


@dataclass
class Server:
    """Directories as names of files, files as bytes; each path has a file id."""

    directories: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    ids: dict[str, int] = field(default_factory=dict)
    links: dict[str, int] = field(default_factory=dict)
    moved: int = 0  # all directories' time
    trouble: Callable[[str], None] = lambda what: None  # called before each answer; may raise or wait
    page: int = 2  # names in one page
    clients: list[Client] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)  # of the last client
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(100))

    def put(self, path: str, content: bytes) -> None:
        """A new file under this name."""
        self.files[path], self.ids[path] = content, next(self._ids)
        above, _, name = path.rpartition("/")
        names = self.directories.setdefault(above, [])
        if name not in names:
            names.append(name)

    def connect(self, url: str = "", **options: Any) -> Client:
        self.trouble("connect")
        self.options = options
        client = Client(self)
        self.clients.append(client)
        return client

    def info(self, path: str) -> nfs_rs.FileInfo:
        directory = path in self.directories
        if not directory and path not in self.files:
            raise nfs_rs.NfsNotFoundError(message="no such file", errno=errno.ENOENT)
        kind = nfs_rs.FileType.DIRECTORY if directory else nfs_rs.FileType.FILE
        size, links = (4096, self.links.get(path, 2)) if directory else (len(self.files[path]), 1)
        moved = self.moved if directory else 0
        number = self.ids.setdefault(path, next(self._ids))
        return nfs_rs.FileInfo(path, kind, 0o644, links, 0, 0, size, size, 1, number, 0, moved, moved, "0", "0")


class Client:
    def __init__(self, server: Server) -> None:
        self.server = server
        self.closed = False
        self.users = 0
        self.open_files = 0
        self._lock = threading.Lock()

    @contextmanager
    def _used(self, what: str) -> Iterator[None]:
        with self._lock:
            self.users += 1
            if self.users > 1:
                self.server.wrong.append(f"{what} beside another call")
        try:
            if self.closed:
                raise nfs_rs.NfsClientClosedError(message="connected client is closing or closed")
            self.server.trouble(what)
            yield
        finally:
            with self._lock:
                self.users -= 1

    def close(self) -> None:
        with self._lock:
            if self.users:
                self.server.wrong.append("closed while in use")
            if self.closed:
                self.server.wrong.append("closed twice")
            self.closed = True

    def stat(self, path: str) -> nfs_rs.FileInfo:
        with self._used("stat"):
            return self.server.info(path)

    def _entry(self, path: str, name: str) -> nfs_rs.DirEntry:
        full = f"{path}/{name}"
        return nfs_rs.DirEntry(name, full, self.server.info(full))

    def scandir(self, path: str) -> Iterator[nfs_rs.DirEntry]:
        with self._used("scandir"):
            entries = [self._entry(path, name) for name in self.server.directories[path]]
            yield from () if self.closed else entries

    def scandir_page(self, path: str, position: nfs_rs.DirectoryCookie) -> nfs_rs.DirectoryPage:
        with self._used("scandir_page"):
            names, at = self.server.directories[path], position.cookie
            entries = tuple(self._entry(path, name) for name in names[at : at + self.server.page])
            end = at + self.server.page
            return nfs_rs.DirectoryPage(entries, nfs_rs.DirectoryCookie(end), end >= len(names))

    def open(self, path: str, mode: str) -> File:
        with self._used("open"):
            self.server.info(path)
            self.open_files += 1
            return File(self, self.server.files[path])


class File:
    """What was opened, whatever has its name later."""

    def __init__(self, client: Client, content: bytes) -> None:
        self._client, self._content = client, content

    def read_at(self, offset: int, size: int) -> bytes:
        with self._client._used("read_at"):
            return self._content[offset : offset + size]

    def close(self) -> None:
        with self._client._used("close of a file"):
            self._client.open_files -= 1


def losing(share: float, seed: int = 1) -> Callable[[str], None]:
    """Trouble: that share of calls fails as a server that lost its state, or its network, makes them fail."""
    dice, lock = random.Random(seed), threading.Lock()
    errors: list[Callable[[], Exception]] = [
        lambda: nfs_rs.NfsStateLostError(message="NFS4 error: old state ID"),
        lambda: nfs_rs.NfsRetryableError(message="SafeToRetry"),
        lambda: nfs_rs.NfsTimeoutError(message="deadline exceeded"),
        lambda: ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET)),
    ]

    def trouble(what: str) -> None:
        with lock:
            fails = what != "connect" and dice.random() < share
            error = dice.choice(errors)
        if fails:
            raise error()

    return trouble
