"""Who may ask what: TLS 1.3 with certificates of the project's own authority on both sides."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

OPERATOR = "pdshub-operator"  # may do everything
NODE = "pdshub-node"  # may fetch generations and images
FILES = ("ca.crt", "tls.crt", "tls.key")


def context(directory: Path) -> ssl.SSLContext:
    """A server's context from tls.crt, tls.key and ca.crt. Raises OSError, ssl.SSLError."""
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


def common_name(certificate: Any) -> str:
    """Of a verified peer certificate (ssl.SSLSocket.getpeercert); "" where it has none, or more than one."""
    subject = (certificate or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return str(names[0]) if len(names) == 1 else ""
