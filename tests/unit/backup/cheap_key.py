"""A repository's key that costs no time: tests open repositories thousands of times.

restic stretches its password by scrypt until that takes half a second. What it chose stands in the key file, so the
same master key can be closed with numbers that cost nothing. Source: restic, doc/design.rst (Keys, Encryption and MAC).
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

CHEAP = {"N": 2, "r": 1, "p": 1}
NONCE, TAG = 16, 16


def cheapen(repository: Path, password: str) -> None:
    """Replace the keys of a repository in a local folder. Raises ValueError, InvalidSignature."""
    for file in list((repository / "keys").iterdir()):
        known = json.loads(file.read_bytes())
        sealed = base64.b64decode(known["data"])
        nonce, closed, tag = sealed[:NONCE], sealed[NONCE:-TAG], sealed[-TAG:]
        opener = _derived(password, known)
        Poly1305.verify_tag(_one_time(opener, nonce), closed, tag)
        master = _stream(opener, nonce, closed)
        known |= CHEAP
        closer, nonce = _derived(password, known), secrets.token_bytes(NONCE)
        closed = _stream(closer, nonce, master)
        tag = Poly1305.generate_tag(_one_time(closer, nonce), closed)
        known["data"] = base64.b64encode(nonce + closed + tag).decode()
        data = json.dumps(known).encode()
        new = file.with_name(hashlib.sha256(data).hexdigest())
        new.write_bytes(data)
        os.chmod(new, 0o400)
        file.unlink()


def _derived(password: str, known: dict[str, object]) -> bytes:
    """32 bytes to encrypt with, 16 of AES and 16 of Poly1305 to sign with."""
    salt = base64.b64decode(str(known["salt"]))
    n, r, p = (int(str(known[name])) for name in ("N", "r", "p"))
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, dklen=64, maxmem=1 << 30)


def _stream(key: bytes, nonce: bytes, data: bytes) -> bytes:
    made = Cipher(algorithms.AES(key[:32]), modes.CTR(nonce)).encryptor()
    return made.update(data) + made.finalize()


def _one_time(key: bytes, nonce: bytes) -> bytes:
    """Poly1305-AES: r, and the nonce encrypted."""
    made = Cipher(algorithms.AES(key[32:48]), modes.ECB()).encryptor()  # noqa: S305 - one block
    return key[48:64] + made.update(nonce) + made.finalize()
