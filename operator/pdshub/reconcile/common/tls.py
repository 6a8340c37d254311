"""The operator's side of mutual TLS towards node plugins and surveyors: made once, renewed in time."""

from __future__ import annotations

import asyncio
import datetime
import ssl
import tempfile
import time
from pathlib import Path

from pdshub import pki
from pdshub.kube import Kube, Object

RENEWAL = 900.0
"""Seconds after which the certificates are looked at again."""


def context(credentials: pki.Credentials) -> ssl.SSLContext:
    """TLS that trusts the project's authority alone and shows the operator's certificate."""
    made = ssl.create_default_context(cadata=credentials.trust.decode())
    # ssl reads keys from files only; they live for a moment, in a directory of our own
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "crt"), Path(folder, "key")
        certificate.write_bytes(credentials.pair.certificate)
        key.touch(mode=0o600)
        key.write_bytes(credentials.pair.key)
        made.load_cert_chain(certificate, key)
    return made


class Tls:
    """The certificates of the moment: the operator's own, and those that it makes for surveyors."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._known: tuple[pki.Credentials, ssl.SSLContext] | None = None
        self._renew_at = 0.0
        self._alone = asyncio.Lock()

    async def get(self) -> ssl.SSLContext:
        """What the operator shows and trusts. Makes what is missing, renews what is old. Raises KubeError."""
        return (await self._current())[1]

    async def due(self) -> pki.Due:
        """By which a surveyor's certificate is judged now. Raises KubeError."""
        return pki.Due((await self._current())[0].authority.mark, _now())

    async def surveyor_secret(self, body: Object, dns: str) -> Object:
        """A Secret with a new certificate of the name ``dns``; the rest is as in ``body``. Raises KubeError."""
        authority = (await self._current())[0].authority
        return pki.surveyor_secret(body["metadata"], dns, authority, _now())

    async def _current(self) -> tuple[pki.Credentials, ssl.SSLContext]:
        async with self._alone:  # two who begin at once would make two authorities
            if self._known is None or time.monotonic() > self._renew_at:
                credentials = await pki.ensure(self._kube, self._namespace, _now())
                self._known = credentials, context(credentials)
                self._renew_at = time.monotonic() + RENEWAL
            return self._known


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
