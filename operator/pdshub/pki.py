"""Certificates between operator, node plugins and surveyors: one small authority, kept in Secrets, renewed in time.

A report says what users have mounted, and no pod shall read or forge it: only the operator may ask for it. A surveyor
does what the operator says, and gives node plugins what they mount.
"""

from __future__ import annotations

import base64
import datetime
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pdshub import tls_names
from pdshub.kube import SECRET, Kube
from pdshub.wellknown import MANAGER

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

CA, NODE, OPERATOR, SURVEYOR = (
    tls_names.CA_SECRET,
    tls_names.NODE_SECRET,
    tls_names.OPERATOR_SECRET,
    tls_names.SURVEYOR_SECRET,
)
"""Names of the Secrets."""
CERTIFICATE, KEY, TRUST = tls_names.CERTIFICATE, tls_names.KEY, tls_names.TRUST
_DAYS = {CA: 3650, NODE: 365, OPERATOR: 365, SURVEYOR: 365}
_RENEW_DAYS = 60
"""A certificate with fewer days left is renewed."""


@dataclass(frozen=True)
class Leaf:
    """A certificate of one program and what it is good for."""

    secret: str
    common_name: str
    server: bool
    client: bool


LEAVES = (
    # nodes answer the operator, and ask surveyors
    Leaf(NODE, tls_names.NODE, server=True, client=True),
    Leaf(SURVEYOR, tls_names.SURVEYOR, server=True, client=False),
    Leaf(OPERATOR, tls_names.OPERATOR, server=False, client=True),
)


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

    def fresh(self, now: datetime.datetime) -> bool:
        """Whether it is valid for more than 60 days from ``now``."""
        return self.loaded.not_valid_after_utc - now > datetime.timedelta(days=_RENEW_DAYS)

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
    name: str,
    now: datetime.datetime,
    common_name: str,
    authority: Pair | None,
    *,
    server: bool = False,
    client: bool | None = None,
) -> Pair:
    """A new key (P-256) and its certificate, signed by ``authority`` or, without one, by itself as an authority.

    It is good for answering (``server``), for asking (``client``; without a word where it is not for answering).
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
        .not_valid_after(now + datetime.timedelta(days=_DAYS[name]))
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
            x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False
        )
    certificate = builder.sign(signer, hashes.SHA256())
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )


def _read(secret: dict[str, Any] | None) -> tuple[Pair, bytes] | None:
    data = (secret or {}).get("data") or {}
    try:
        parts = {k: base64.b64decode(data[k]) for k in (CERTIFICATE, KEY, TRUST)}
        return Pair(parts[CERTIFICATE], parts[KEY]), parts[TRUST]
    except (KeyError, ValueError):
        return None


def _secret(name: str, namespace: str, pair: Pair, trust: bytes) -> dict[str, Any]:
    content = {CERTIFICATE: pair.certificate, KEY: pair.key, TRUST: trust}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app.kubernetes.io/name": "pdshub"}},
        "type": "kubernetes.io/tls",
        "data": {k: base64.b64encode(v).decode() for k, v in content.items()},
    }


@dataclass(frozen=True)
class Credentials:
    """What the operator shows and trusts when it asks a node."""

    pair: Pair
    trust: bytes


async def ensure(kube: Kube, namespace: str, now: datetime.datetime) -> Credentials:
    """Make or renew what is missing or old; returns the operator's own credentials. Raises KubeError."""
    known = _read(await kube.get(SECRET, CA, namespace))
    if known is None or not known[0].fresh(now):
        authority = issue(CA, now, tls_names.CA, None)
        await kube.apply(SECRET, _secret(CA, namespace, authority, authority.certificate), MANAGER)
    else:
        authority = known[0]
    own = None
    for leaf in LEAVES:
        have = _read(await kube.get(SECRET, leaf.secret, namespace))
        known_good = (
            have is not None
            and have[1] == authority.certificate
            and have[0].fresh(now)
            and have[0].serves(server=leaf.server, client=leaf.client)
        )
        if have is not None and known_good:
            pair = have[0]
        else:
            pair = issue(leaf.secret, now, leaf.common_name, authority, server=leaf.server, client=leaf.client)
            await kube.apply(SECRET, _secret(leaf.secret, namespace, pair, authority.certificate), MANAGER)
        own = pair
    assert own is not None  # noqa: S101 - the loop above is not empty
    return Credentials(own, authority.certificate)
