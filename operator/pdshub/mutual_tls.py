"""The server's side of mutual TLS from a folder of certificates: what node plugins and surveyors share."""

from __future__ import annotations

import ssl
from pathlib import Path

from pdshub import tls_names

FILES = (tls_names.TRUST, tls_names.CERTIFICATE, tls_names.KEY)


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
