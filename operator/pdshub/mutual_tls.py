"""The server's side of mutual TLS from a folder of certificates: what node plugins and surveyors share."""

from __future__ import annotations

import ssl
from pathlib import Path

FILES = ("ca.crt", "tls.crt", "tls.key")


def context(directory: Path) -> ssl.SSLContext:
    """A server's context from tls.crt, tls.key and ca.crt: TLS 1.3, clients need a certificate of the same authority.

    Raises OSError, ssl.SSLError.
    """
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.load_cert_chain(directory / "tls.crt", directory / "tls.key")
    made.load_verify_locations(directory / "ca.crt")
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def stamp(directory: Path) -> tuple[int, ...] | None:
    """Changes when the files do; None while one is missing."""
    try:
        return tuple((directory / name).stat().st_mtime_ns for name in FILES)
    except OSError:
        return None
