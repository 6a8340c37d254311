"""Who is who in mutual TLS: the common name in a certificate says which program it is of, the DNS name which one.

Operator and node plugin have the same in both. Of surveyors there is one for each view, and whoever asks says of which
view it wants the surveyor: the certificate of one does not open the door for another. Clients check the server's name,
servers the client's: no address is in any certificate (pki makes them).
"""

from __future__ import annotations

import hashlib
from typing import Any

CA = "pdshub-ca"
OPERATOR = "pdshub-operator"
"""May do everything, and answers nobody."""
NODE = "pdshub-node"
"""Answers the operator with its report; may fetch generations and images from surveyors."""
SURVEYOR = "pdshub-surveyor"
"""Answers operator and nodes, by the name that ``surveyor`` gives."""

CA_SECRET = "pdshub-ca"  # noqa: S105 - names of Secrets
NODE_SECRET = "pdshub-node-tls"  # noqa: S105
OPERATOR_SECRET = "pdshub-operator-tls"  # noqa: S105

CERTIFICATE, KEY, TRUST = "tls.crt", "tls.key", "ca.crt"
"""Keys of these Secrets, and files where they are mounted (Kubernetes, Secrets of type kubernetes.io/tls)."""


def surveyor(view: str) -> str:
    """The DNS name in the certificate of a view's surveyor, different for each view.

    Names of views are DNS names, of which TLS takes labels of 63 and names of 255 characters (RFC 1035, section 2.3.4;
    RFC 6066, section 3); longer ones are replaced by their digest, under a suffix of their own.
    """
    if len(view) <= 200 and all(len(label) <= 63 for label in view.split(".")):
        return f"{view}.surveyor.pdshub"
    return f"{hashlib.sha256(view.encode()).hexdigest()[:40]}.digest-surveyor.pdshub"


def common_name(certificate: Any) -> str:
    """The common name of a verified peer certificate; "" where it has none, or more than one.

    ``certificate``: what ssl.SSLSocket.getpeercert returns; None and {} are no certificate.
    """
    subject = (certificate or {}).get("subject", ())
    names = [value for part in subject for key, value in part if key == "commonName"]
    return str(names[0]) if len(names) == 1 else ""
