"""Words for one reader: what only who made the key pair can read, though anybody may carry it.

A Job without rights answers in its pod's status, which is kept and shown. What it says of keys is sealed there: an
ephemeral X25519 key, HKDF-SHA256, ChaCha20-Poly1305, each message under a key of its own.
Source: RFC 7748 (X25519), RFC 5869 (HKDF), RFC 8439 (ChaCha20-Poly1305); the scheme is ECIES, as RFC 9180 has it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

_INFO = b"pdshub sealed answer 1"
_KEY = 32
_NONCE = bytes(12)
"""The key is used once."""


@dataclass(frozen=True)
class Pair:
    """A key pair, raw. It is kept nowhere."""

    private: bytes
    public: str
    """In base64."""


def pair() -> Pair:
    """A new key pair."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    made = X25519PrivateKey.generate()
    return Pair(made.private_bytes_raw(), base64.b64encode(made.public_key().public_bytes_raw()).decode())


def _key(shared: bytes, ephemeral: bytes, public: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), _KEY, salt=ephemeral + public, info=_INFO).derive(shared)


def seal(text: str, public: str) -> str:
    """A text that only the holder of the private key reads, in base64. Raises ValueError for a key that is none."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    reader = _raw(public)
    own = X25519PrivateKey.generate()
    ephemeral = own.public_key().public_bytes_raw()
    key = _key(own.exchange(X25519PublicKey.from_public_bytes(reader)), ephemeral, reader)
    return base64.b64encode(ephemeral + ChaCha20Poly1305(key).encrypt(_NONCE, text.encode(), None)).decode()


def opened(sealed: str, reader: Pair) -> str:
    """The text. Raises ValueError for one that is not whole, or for somebody else."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        data = base64.b64decode(sealed, validate=True)
        ephemeral, body = data[:_KEY], data[_KEY:]
        own = X25519PrivateKey.from_private_bytes(reader.private)
        key = _key(own.exchange(X25519PublicKey.from_public_bytes(ephemeral)), ephemeral, _raw(reader.public))
        return ChaCha20Poly1305(key).decrypt(_NONCE, body, None).decode()
    except (binascii.Error, InvalidTag, ValueError) as error:
        raise ValueError("the answer cannot be opened") from error


def _raw(public: str) -> bytes:
    found = base64.b64decode(public, validate=True)
    if len(found) != _KEY:
        raise ValueError("a public key has 32 bytes")
    return found
