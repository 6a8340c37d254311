"""`pdshub-node metrics`: serves the plugin's metrics and nothing else, in a container without rights.

The plugin writes them into a file (metrics.write). Whoever reaches the port talks to this process, which has no
privileges, no account, no mounts and one file to read. Standard library only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

log = logging.getLogger(__name__)

FILE = "metrics.prom"
"""Below the plugin's --run-dir."""
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format, as the plugin writes it."""
AGE = "pdshub_node_metrics_age_seconds"
STALE_SECONDS = 60.0
"""A file that is older was left by a plugin that hangs or is gone: 503, so that Prometheus' `up` is 0."""
LIMIT = 16 << 20  # bytes of the file
CONNECTIONS, SECONDS, HEAD = 8, 5.0, 8 << 10
"""At the same time; for one from its first byte to its last; bytes of a request. More is not listened to."""


class Stale(Exception):
    """There are no metrics of now; the text says why."""


def read(path: Path, now: float, age_name: str = AGE) -> bytes:
    """The metrics in the file, with their age as `age_name`. `now`: Unix time. Raises Stale."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Stale(f"the plugin has written no metrics yet: {error.strerror}") from None
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LIMIT:
            raise Stale("the plugin's metrics are no file of an allowed size")
        age = max(0.0, now - found.st_mtime)
        if age > STALE_SECONDS:
            raise Stale(f"the plugin wrote its metrics {age:.0f} s ago and hangs, or is gone")
        text = os.pread(file, LIMIT, 0)
    finally:
        os.close(file)
    told = f"# HELP {age_name} Seconds since the plugin wrote these metrics.\n# TYPE {age_name} gauge\n"
    own = f"{told}{age_name} {age:.3f}\n"
    return text + own.encode()


def answer(head: bytes, make: Callable[[], bytes]) -> bytes:
    """The response to a request's first line. `make`: the metrics of now, or Stale."""
    method, _, rest = head.partition(b"\r\n")[0].partition(b" ")
    path, _, version = rest.partition(b" ")
    if not version.startswith(b"HTTP/1."):
        return _response(HTTPStatus.BAD_REQUEST, b"")
    if method not in (b"GET", b"HEAD"):
        return _response(HTTPStatus.METHOD_NOT_ALLOWED, b"")
    if path.partition(b"?")[0] != b"/metrics":
        return _response(HTTPStatus.NOT_FOUND, b"")
    try:
        status, body = HTTPStatus.OK, make()
    except Stale as error:
        status, body = HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n".encode()
    return _response(status, body, head=method == b"HEAD")


def _response(status: HTTPStatus, body: bytes, *, head: bool = False) -> bytes:
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}",
        "Connection: close", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + (b"" if head else body)


class Exposition:
    """The server. Each connection is one request, within a time, and there are few at once."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        """`make`: the metrics of now, or Stale."""
        self._make = make
        self._open = 0

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= CONNECTIONS:
            writer.transport.abort()
            return
        self._open += 1
        try:
            async with asyncio.timeout(SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(answer(head, self._make))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            self._open -= 1
            writer.transport.abort()

    async def serve(self, port: int) -> None:
        """For ever. A port that is taken is the node's: it is tried again each minute."""
        while True:
            try:
                server = await asyncio.start_server(self._connected, None, port, limit=HEAD)
                break
            except OSError as error:
                log.warning("metrics: %s", error)
                await asyncio.sleep(60)
        async with server:
            await server.serve_forever()


def run(path: Path, port: int, age_name: str = AGE) -> None:
    """Serve the metrics in a file, until the process ends; `age_name`: the metric that says how old they are."""
    with suppress(KeyboardInterrupt):
        asyncio.run(Exposition(lambda: read(path, time.time(), age_name)).serve(port))
