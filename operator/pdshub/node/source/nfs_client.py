"""nfs-rs behind the few calls a read-only file system needs, each with an end in time.

Quirks of nfs-rs 0.8.7: an export's own root can't be opened, so the connection is to "/" and paths carry the
export; NFS 4.2 is refused, so 4.1 is spoken; AUTH_SYS only. A client that several threads use at once loses the
state of files, and one that is closed meanwhile answers an empty directory; so a client is lent to one call at a
time (docs/decisions/0009-one-client-one-call.md).
"""

from __future__ import annotations

import errno
import logging
import threading
import time
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import nfs_rs

log = logging.getLogger(__name__)
T = TypeVar("T")

CONNECT_SECONDS, CALL_SECONDS = 4.0, 8.0
#: A reader waits so long for a server that went away; then it gets EIO.
READER_SECONDS = 25.0
#: Once a reader has waited that long, others get EIO after this, until the server is back.
READER_SECONDS_WHILE_LOST = 2.0
RETRY_SECONDS = 0.5
#: Clients of one server at most, made when they are needed: as many as the file system has threads, so that no call
#: waits for another.
CLIENTS = 16


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
        errno.EINVAL, errno.ESTALE, errno.EOVERFLOW,
    )  # fmt: skip


class Ended(ConnectionError):
    """The client ended while it answered: what it said is no answer."""


class Session:
    """A client of the pool. Only who has been lent it may touch `client`."""

    def __init__(self, client: Any) -> None:
        """`client`: an nfs_rs.Client that is connected."""
        self.client = client
        self.ended = False
        self.finished: list[Any] = []  # open files that nobody needs any more, to be closed by who is lent it next


class Pool:
    """Lends each client to one thread at a time, so that none is closed, and no file opened or closed, under another.

    `connect` makes a client. Clients are used last in, first out: there are as many as calls at the same time.
    """

    def __init__(self, connect: Callable[[], Any], size: int = CLIENTS) -> None:
        """`size`: clients at most."""
        self._connect, self._size = connect, size
        self._idle: list[Session] = []
        self._count = 0  # clients that are idle, lent or being made
        self._changed = threading.Condition()

    def take(self, until: float, prefer: Collection[Session] = (), only: bool = False) -> Session:
        """A client; one of `prefer` where one is idle, and with `only` no other.

        Raises TimeoutError when none was free by `until` (monotonic), Ended when all that were asked for have ended,
        and what connecting raises.
        """
        with self._changed:
            while True:
                found = next((one for one in reversed(self._idle) if one in prefer), None)
                if found is None and not only and self._idle:
                    found = self._idle[-1]
                if found is not None:
                    self._idle.remove(found)
                    return found
                if only and all(one.ended for one in prefer):
                    raise Ended("the clients that had it open have ended")
                if not only and self._count < self._size:
                    self._count += 1
                    break
                if not self._changed.wait(until - time.monotonic()):
                    raise TimeoutError("no client of the server was free in time")
        try:
            return Session(self._connect())
        except BaseException:
            self._left()
            raise

    def give(self, session: Session) -> None:
        """Take it back from a call that was answered. Files that were finished meanwhile are closed first."""
        while True:
            with self._changed:
                if not session.finished:
                    self._idle.append(session)
                    self._changed.notify_all()
                    return
                files, session.finished = session.finished, []
            for file in files:
                try:
                    file.close()
                except Exception as error:
                    if not is_answer(error):
                        self.end(session)
                        return

    def end(self, session: Session) -> None:
        """Take it back from a call that failed: its user is its last. Raises nothing, waits for nothing."""
        with self._changed:
            session.ended, session.finished = True, []
        self._left()
        # Closing talks to the dead server: not in a reader's time.
        threading.Thread(target=_close, args=(session.client,), daemon=True).start()

    def finish(self, session: Session, file: Any) -> None:
        """Close a file of a client: now if it is idle, else when it is given back."""
        with self._changed:
            if session.ended:
                return  # closed with it
            session.finished.append(file)
            if session not in self._idle:
                return
            self._idle.remove(session)
        self.give(session)

    def _left(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()


def _close(client: Any) -> None:
    try:
        client.close()
    except Exception as error:
        log.debug("closing: %r", error)


class Server:
    """One server, asked through clients of its own."""

    def __init__(self, server: str, port: int, run_as: tuple[int, int] | None, size: int = CLIENTS) -> None:
        """`run_as`: uid and gid of the requests; without it the server sees this process'. `size`: clients at most.

        Nothing is connected before the first call.
        """
        host = f"[{server}]" if ":" in server else server
        options: dict[str, Any] = {
            "nfs_port": port, "connect_timeout": CONNECT_SECONDS, "operation_timeout": CALL_SECONDS,
        }  # fmt: skip
        if run_as:
            options["uid"], options["gid"] = run_as
        url = f"nfs://{host}/?version=4.1"
        self.pool = Pool(lambda: nfs_rs.Client.connect(url, **options), size)
        self._down_since: float | None = None

    @property
    def down(self) -> bool:
        """Whether the last call got no answer."""
        return self._down_since is not None

    def call(self, do: Callable[[Session], T], prefer: Collection[Session] = (), only: bool = False) -> T:
        """Run `do(session)` with a client that nobody else uses, again with another after a failure, within a bound.

        `prefer`, `only`: as in Pool.take. Raises OSError with the errno for the reader.
        """
        started = time.monotonic()
        since = self._down_since
        lost = since is not None and started - since > READER_SECONDS
        limit = READER_SECONDS_WHILE_LOST if lost else READER_SECONDS
        failed = 0
        while True:
            session: Session | None = None
            try:
                session = self.pool.take(started + limit, prefer, only)
                result = do(session)
                if session.client.closed:
                    raise Ended("the client ended while it answered")
            except Exception as error:
                if is_answer(error):
                    self._down_since = None
                    if session:
                        self.pool.give(session)
                    raise OSError(errno_of(error), str(error)) from None
                if session:
                    self.pool.end(session)
                if only and isinstance(error, Ended) and session is None:
                    raise OSError(errno.ESTALE, str(error)) from None
                if self._down_since is None:
                    self._down_since = time.monotonic()
                    log.warning("server lost: %r", error)
                if time.monotonic() - started > limit:
                    raise OSError(errno.EIO, str(error)) from None
                failed += 1
                if failed > 1:  # the first may have been the client's own trouble
                    time.sleep(RETRY_SECONDS)
            else:
                if self._down_since is not None:
                    log.info("server back")
                    self._down_since = None
                self.pool.give(session)
                return result
