"""The certificate that people are shown: what it says of itself, read from PEM or from a TLS handshake.

The only door through which the operator looks at a hub's TLS. A handshake sends a host name and nothing else, ends
after some seconds, and proves nothing of who answers: the certificate is read, and not believed.
Source: RFC 5280; RFC 8446; RFC 6066, section 3.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

from pdshub import rfc3339
from pdshub.api.status import CertificateStatus

if TYPE_CHECKING:
    from cryptography import x509

SECONDS = 5.0
"""For one handshake, name service and connection included."""
_NAMES, _LONGEST = 20, 253
"""Names of a certificate that are kept, and their characters; whoever made it chose both."""


class NotShownError(Exception):
    """No certificate was shown. ``reached``: whether somebody answered at all."""

    def __init__(self, message: str, reached: bool = False) -> None:
        super().__init__(message)
        self.reached = reached


async def _address(host: str, port: int, closed: Callable[[str], str]) -> str:
    """An address of the host that is not closed. Raises NotShownError, OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    opened = [address for address in addresses if not closed(address)]
    if opened:
        return opened[0]
    ranges = ", ".join(dict.fromkeys(closed(address) for address in addresses))
    raise NotShownError(f"{host} leads to a closed address ({ranges}): network.allowedRanges of the chart can open it")


async def shown(host: str, port: int, name: str, closed: Callable[[str], str] = lambda _: "") -> CertificateStatus:
    """The certificate that a server shows for a host name. Raises NotShownError.

    ``closed`` names the range by which an address is closed, if one is. Whoever writes a hub chooses the name: without
    this they would have the operator ask each address that they can't reach themselves whether it is there.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        async with asyncio.timeout(SECONDS):
            address = await _address(host, port, closed)
            _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
            try:
                found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            finally:
                writer.close()
                with contextlib.suppress(OSError, ssl.SSLError):
                    await writer.wait_closed()
    except TimeoutError:
        raise NotShownError(f"{host}:{port} did not answer within {SECONDS:.0f} s") from None
    except (ssl.SSLError, ConnectionResetError) as error:
        said = getattr(error, "reason", None) or type(error).__name__
        raise NotShownError(f"{host}:{port} shows no certificate for {name}: {said}", reached=True) from None
    except (OSError, ValueError) as error:
        raise NotShownError(f"{host}:{port} is not reached: {error}") from None
    if not found:
        raise NotShownError(f"{host}:{port} shows no certificate for {name}", reached=True)
    try:
        return of_der(found)
    except ValueError as error:
        raise NotShownError(f"{host}:{port} shows a certificate that cannot be read: {error}", reached=True) from None


def of_der(data: bytes) -> CertificateStatus:
    """What a certificate in DER says of itself. Raises ValueError where it is none."""
    from cryptography import x509

    return _status(x509.load_der_x509_certificate(data))


def of_pair(certificate: bytes, key: bytes) -> CertificateStatus:
    """What the first certificate of a PEM chain says of itself.

    Raises ValueError, in words, where it is none or where the private key is not its own.
    """
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

    try:
        first = x509.load_pem_x509_certificates(certificate)[0]
    except (ValueError, IndexError):
        raise ValueError("tls.crt holds no certificate (PEM)") from None
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # what is in it is nobody's to read
        raise ValueError("tls.key holds no private key (PEM, without a passphrase)") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != first.public_key().public_bytes(*form):
        raise ValueError("tls.key is not the key of the certificate in tls.crt")
    return _status(first)


def _status(certificate: x509.Certificate) -> CertificateStatus:
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        listed = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = [name[:_LONGEST] for name in listed.get_values_for_type(x509.DNSName)][:_NAMES]
    except x509.ExtensionNotFound:
        names = []
    return CertificateStatus(
        issuer=_issuer(certificate.issuer),
        names=names,
        not_before=rfc3339.for_people(certificate.not_valid_before_utc.timestamp()),
        not_after=rfc3339.for_people(certificate.not_valid_after_utc.timestamp()),
        fingerprint=certificate.fingerprint(SHA256()).hex(),
    )


def _issuer(name: x509.Name) -> str:
    """The issuer in a few words: organization and common name, else whatever it is called."""
    from cryptography.x509.oid import NameOID

    said = [
        str(found[0].value)
        for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
        if (found := name.get_attributes_for_oid(oid))
    ]
    return (" ".join(said) or name.rfc4514_string())[:_LONGEST]


def remaining(certificate: CertificateStatus, now: float) -> float:
    """What is left of a certificate's life, of 1.0: negative when it is over. ``now``: seconds since 1970.

    Lifetimes differ (90 days, 45, 6), so that a number of days says little.
    """
    begin, end = rfc3339.seconds(certificate.not_before), rfc3339.seconds(certificate.not_after)
    return (end - now) / (end - begin) if end > begin else -1.0
