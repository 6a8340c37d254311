"""A key and its certificate: how long one is good, what for, and how it is made."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

AUTHORITY_DAYS, LEAF_DAYS = 3650, 365
"""Days for which a certificate of an authority, and one of a program, is valid."""
RENEW_DAYS = 60
"""A program's certificate with fewer days left is renewed."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, PEM."""

    certificate: bytes
    key: bytes

    @property
    def loaded(self) -> x509.Certificate:
        """The certificate, parsed. Raises ValueError where it is none."""
        from cryptography import x509

        return x509.load_pem_x509_certificate(self.certificate)

    @property
    def expires(self) -> datetime.datetime:
        """The end of its validity (UTC)."""
        return self.loaded.not_valid_after_utc

    def fresh(self, now: datetime.datetime) -> bool:
        """Whether it is valid for more than 60 days from ``now``."""
        return self.expires - now > datetime.timedelta(days=RENEW_DAYS)

    def issued_by(self, authority: Pair) -> bool:
        """Whether ``authority`` signed it: another of the same name did not."""
        from cryptography.exceptions import InvalidSignature

        try:
            self.loaded.verify_directly_issued_by(authority.loaded)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True

    def serves(self, *, server: bool, client: bool) -> bool:
        """Whether it was made for these purposes: an earlier version of the program made it for fewer."""
        from cryptography import x509

        try:
            purposes = self.loaded.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            return False
        return set(purposes) == set(_purposes(server=server, client=client))


def _purposes(*, server: bool, client: bool) -> list[x509.ObjectIdentifier]:
    from cryptography.x509.oid import ExtendedKeyUsageOID

    chosen = ((server, ExtendedKeyUsageOID.SERVER_AUTH), (client, ExtendedKeyUsageOID.CLIENT_AUTH))
    return [purpose for wanted, purpose in chosen if wanted]


def issue(
    now: datetime.datetime,
    common_name: str,
    authority: Pair | None,
    *,
    server: bool = False,
    client: bool | None = None,
    dns: str = "",
) -> Pair:
    """A new key (P-256) and its certificate, signed by ``authority`` or, without one, by itself as an authority.

    It is good for answering (``server``), for asking (``client``; without a word where it is not for answering).
    ``dns``: the name by which clients know it, which is its common name where none is given.
    """
    # imported when needed: the library costs megabytes that the operator needs once a year
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer: EllipticCurvePrivateKey = key
    issuer = subject
    if authority:
        loaded = serialization.load_pem_private_key(authority.key, None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)  # noqa: S101 - this module made it
        signer, issuer = loaded, authority.loaded.subject
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=LEAF_DAYS if authority else AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=authority is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only"), False
    )
    builder = builder.add_extension(
        x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=authority is None,
            crl_sign=authority is None,
            decipher_only=False,
            **usage,
        ),
        critical=True,
    )
    if authority:
        purposes = _purposes(server=server, client=not server if client is None else client)
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False).add_extension(
            x509.SubjectAlternativeName([x509.DNSName(dns or common_name)]), critical=False
        )
    certificate = builder.sign(signer, hashes.SHA256())
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
