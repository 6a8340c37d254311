"""Certificates of an authority of the tests."""

from __future__ import annotations

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM


class Authority:
    """A key that signs certificates, and its own certificate."""

    def __init__(self, name: str = "Example CA") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._begun(self._name, self._key.public_key(), 3650).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.pem = made.sign(self._key, hashes.SHA256()).public_bytes(PEM)

    def _begun(self, subject: x509.Name, key: ec.EllipticCurvePublicKey, days: float) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def issue(self, names: tuple[str, ...], days: float = 90, address: str = "") -> tuple[bytes, bytes]:
        """A certificate for host names, and its private key, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        listed: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
        if address:
            listed.append(x509.IPAddress(ipaddress.ip_address(address)))
        made = self._begun(x509.Name([]), key.public_key(), days).add_extension(
            x509.SubjectAlternativeName(listed), critical=True
        )
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return made.sign(self._key, hashes.SHA256()).public_bytes(PEM), private
