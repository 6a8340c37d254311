"""nfs-rs behind the few calls a read-only file system needs, each with an end in time.

Quirks of nfs-rs 0.8.7: an export's own root can't be opened, so the connection is to "/" and paths carry the
export; NFS 4.2 is refused, so 4.1 is spoken; AUTH_SYS only. Connections are a small pool: a call that waits
holds up only its own.
"""

from __future__ import annotations

import errno
import itertools
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import nfs_rs

log = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_SECONDS, CALL_SECONDS = 4.0, 8.0
#: A reader waits so long for a server that went away; then it gets EIO.
PATIENCE_SECONDS = 25.0
#: Once a call has waited that long, others fail after this, until the server is back.
IMPATIENCE_SECONDS = 2.0


def errno_of(error: BaseException) -> int:
    """The errno for a reader. nfs-rs' errors belong to Python's families, with or without a number."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    families: tuple[tuple[type[BaseException], int], ...] = (
        (FileNotFoundError, errno.ENOENT),
        (PermissionError, errno.EACCES),
        (IsADirectoryError, errno.EISDIR),
        (NotADirectoryError, errno.ENOTDIR),
        (NotImplementedError, errno.EOPNOTSUPP),
    )
    return next((number for family, number in families if isinstance(error, family)), errno.EIO)


def is_answer(error: BaseException) -> bool:
    """Whether the server itself said this about the file, so that asking again is pointless."""
    if isinstance(error, (TimeoutError, ConnectionError)):
        return False
    return errno_of(error) in (
        errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.EOPNOTSUPP, errno.ENAMETOOLONG,
        errno.EINVAL, errno.ESTALE,
    )  # fmt: skip


class Connection:
    """One connection, made anew after an error. `epoch` tells open files that theirs is gone."""

    def __init__(self, url: str, options: dict[str, Any]) -> None:
        self._url, self._options = url, options
        self._client: Any = None
        self._lock = threading.Lock()
        self.epoch = 0

    def client(self) -> tuple[Any, int]:
        with self._lock:
            if self._client is None:
                self._client = nfs_rs.Client.connect(self._url, **self._options)
                self.epoch += 1
            return self._client, self.epoch

    def broken(self, epoch: int) -> None:
        with self._lock:
            if epoch != self.epoch or self._client is None:
                return
            old, self._client = self._client, None
        # Closing talks to the dead server: not in a reader's time.
        threading.Thread(target=_close, args=(old,), daemon=True).start()


def _close(client: Any) -> None:
    try:
        client.close()
    except Exception as error:
        log.debug("closing: %r", error)


class Server:
    """A pool of connections to one server."""

    def __init__(self, server: str, port: int, run_as: tuple[int, int] | None, size: int = 4) -> None:
        host = f"[{server}]" if ":" in server else server
        options: dict[str, Any] = {
            "nfs_port": port, "connect_timeout": CONNECT_SECONDS, "operation_timeout": CALL_SECONDS,
        }  # fmt: skip
        if run_as:
            options["uid"], options["gid"] = run_as
        url = f"nfs://{host}/?version=4.1"
        self._connections = [Connection(url, options) for _ in range(size)]
        self._next = itertools.count()
        self._down_since: float | None = None

    @property
    def down(self) -> bool:
        return self._down_since is not None

    def pick(self) -> Connection:
        return self._connections[next(self._next) % len(self._connections)]

    def call(self, do: Callable[[Connection, Any, int], T]) -> T:
        """Run `do(connection, client, epoch)`, again on a new connection after a failure, within a bound.

        Raises OSError with the errno for the reader.
        """
        started = time.monotonic()
        since = self._down_since
        patience = IMPATIENCE_SECONDS if since and started - since > PATIENCE_SECONDS else PATIENCE_SECONDS
        while True:
            connection, epoch = self.pick(), 0
            try:
                client, epoch = connection.client()
                result = do(connection, client, epoch)
            except Exception as error:
                if is_answer(error):
                    self._down_since = None
                    raise OSError(errno_of(error), str(error)) from None
                if epoch:
                    connection.broken(epoch)
                if self._down_since is None:
                    self._down_since = time.monotonic()
                    log.warning("server lost: %r", error)
                if time.monotonic() - started > patience:
                    raise OSError(errno.EIO, str(error)) from None
                time.sleep(0.5)
            else:
                if self._down_since is not None:
                    log.info("server back")
                    self._down_since = None
                return result
