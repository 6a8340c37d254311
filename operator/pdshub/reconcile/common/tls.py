"""The operator's side of mutual TLS towards node plugins and surveyors: made once, renewed in time."""

from __future__ import annotations

import datetime
import ssl
import tempfile
import time
from pathlib import Path

from pdshub import pki
from pdshub.kube import Kube

RENEWAL = 6 * 3600.0
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
    """The context of the moment."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace = kube, namespace
        self._made: ssl.SSLContext | None = None
        self._renew_at = 0.0

    async def get(self) -> ssl.SSLContext:
        """Make what is missing, renew what is old. Raises KubeError."""
        if self._made is None or time.monotonic() > self._renew_at:
            now = datetime.datetime.now(datetime.UTC)
            self._made = context(await pki.ensure(self._kube, self._namespace, now))
            self._renew_at = time.monotonic() + RENEWAL
        return self._made
