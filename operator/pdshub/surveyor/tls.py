"""Who may ask what, by the certificate that a client showed (mutual_tls.py)."""

from __future__ import annotations

from typing import Any

OPERATOR = "pdshub-operator"  # may do everything
NODE = "pdshub-node"  # may fetch generations and images


def common_name(certificate: Any) -> str:
    """Of a verified peer certificate (ssl.SSLSocket.getpeercert); "" where it has none, or more than one."""
    subject = (certificate or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return str(names[0]) if len(names) == 1 else ""
