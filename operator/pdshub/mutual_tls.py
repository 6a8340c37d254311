"""The server's side of mutual TLS from a folder of certificates: what node plugins and surveyors share.

The kubelet replaces the files when the operator has renewed a certificate or changed the authority. New connections get
what the files say then; those that are open go on, and nothing restarts.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

from aiohttp import web

from pdshub import tls_names

log = logging.getLogger(__name__)

FILES = (tls_names.TRUST, tls_names.CERTIFICATE, tls_names.KEY)
LOOK = 5.0
"""Seconds between two looks at the files."""
GOODBYE = 3.0
"""Seconds that requests under way get when the program ends."""


def context(directory: Path) -> ssl.SSLContext:
    """A server's context from tls.crt, tls.key and ca.crt: TLS 1.3, clients need a certificate of the same authority.

    Raises OSError, ssl.SSLError.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(directory / tls_names.CERTIFICATE, directory / tls_names.KEY)
    made.load_verify_locations(directory / tls_names.TRUST)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def stamp(directory: Path) -> tuple[int, ...] | None:
    """Times of modification of the three files, to compare with earlier ones; None while a file is missing."""
    try:
        return tuple((directory / name).stat().st_mtime_ns for name in FILES)
    except OSError:
        return None


class Server:
    """An application behind the certificates of a folder. ``port`` 0: one that is free."""

    def __init__(self, app: web.Application, directory: Path, port: int) -> None:
        self._directory, self._port = directory, port
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=GOODBYE)
        self._site: web.TCPSite | None = None
        self._seen: tuple[int, ...] | None = None

    @property
    def addresses(self) -> list[Any]:
        """Where it answers now; nowhere before the first certificates."""
        return self._runner.addresses

    async def run(self, every: float = LOOK) -> None:
        """Serve for ever, and look at the files again and again. Waits for them where they are missing."""
        await self.begin()
        try:
            while True:
                await self.look()
                await asyncio.sleep(every)
        finally:
            await self.end()

    async def begin(self) -> None:
        """Make ready to answer."""
        await self._runner.setup()

    async def end(self) -> None:
        """Answer nobody any more."""
        await self._runner.cleanup()

    async def look(self) -> None:
        """Take up the files if they have changed. What cannot be used is said in the log; the next look tries again."""
        found = stamp(self._directory)
        if found is None or found == self._seen:
            return
        try:
            made = context(self._directory)
            if self._site:
                await self._site.stop()
            self._site = web.TCPSite(self._runner, None, self._port, ssl_context=made, reuse_address=True)
            await self._site.start()
        except (OSError, ssl.SSLError) as error:
            log.warning("server on port %d: %s", self._port, error)
            return
        self._seen = found
        log.info("serving on port %d", self._port)
