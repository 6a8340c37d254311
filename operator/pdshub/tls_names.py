"""Who is who in mutual TLS: the common name, which is also the only DNS name, in the certificate of each program.

Clients check the server's name, servers the client's: no address is in any certificate (pki.py makes them).
"""

from __future__ import annotations

from typing import Any

CA = "pdshub-ca"
OPERATOR = "pdshub-operator"
"""May do everything, and answers nobody."""
NODE = "pdshub-node"
"""Answers the operator with its report; may fetch generations and images from surveyors."""
SURVEYOR = "pdshub-surveyor"
"""Answers operator and nodes."""

CA_SECRET = "pdshub-ca"  # noqa: S105 - names of Secrets
NODE_SECRET = "pdshub-node-tls"  # noqa: S105
OPERATOR_SECRET = "pdshub-operator-tls"  # noqa: S105
SURVEYOR_SECRET = "pdshub-surveyor-tls"  # noqa: S105

CERTIFICATE, KEY, TRUST = "tls.crt", "tls.key", "ca.crt"
"""Keys of these Secrets, and files where they are mounted (Kubernetes, Secrets of type kubernetes.io/tls)."""


def common_name(certificate: Any) -> str:
    """The common name of a verified peer certificate; "" where it has none, or more than one.

    ``certificate``: what ssl.SSLSocket.getpeercert returns; None and {} are no certificate.
    """
    subject = (certificate or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return str(names[0]) if len(names) == 1 else ""
