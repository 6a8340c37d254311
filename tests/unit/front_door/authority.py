"""A certificate authority for tests, and the certificates that it signs."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return key.private_bytes(*form)


@dataclass
class Authority:
    """Signs what it is asked to, and counts."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    serial: int = 1

    def __post_init__(self) -> None:
        self.certificate = self._signed("a test's authority", self.key, (), days=30, ca=True)

    def _signed(
        self, subject: str, key: ec.EllipticCurvePrivateKey, names: tuple[str, ...], days: float, ca: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        self.serial += 1
        made = (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name("a test's authority"))
            .public_key(key.public_key())
            .serial_number(self.serial)
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if names:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        if ca:
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            made = made.add_extension(usage, critical=True)
        return made.sign(self.key, hashes.SHA256())

    def pem(self) -> str:
        """The authority's own certificate."""
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def write(self, folder: Path, *names: str, days: float = 20) -> int:
        """A new certificate and its key into a folder as certbot calls them; returns the serial number."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self._signed(names[0].removeprefix("*."), key, names, days, ca=False)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "fullchain.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (folder / "privkey.pem").write_bytes(_pem(key))
        return made.serial_number
