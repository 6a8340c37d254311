"""Secrets that the operator makes for a hub. Made once and kept: the random part is not derived from anything."""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import Any

from pdshub.render.backup_repository import KEY as REPOSITORY_KEY
from pdshub.render.names import Names
from pdshub.render.signin import PASSWORD_KEY, SERVICE
from pdshub.render.trust import DOOR_TOKEN_KEY

TOKEN_KEY = f"hub.services.{SERVICE}.apiToken"
"""Where hub charts look for the token of a service (hub.existingSecret)."""
COOKIE_KEY, CRYPT_KEY = "hub.config.JupyterHub.cookie_secret", "hub.config.CryptKeeper.keys"
"""Where they look for the keys of cookies, and of what is encrypted in the database."""


def _secret(names: Names, name: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": names.namespace, "labels": names.labels},
        "type": "Opaque",
        "stringData": data,
    }


def operator_token() -> dict[str, str]:
    """The token by which the operator asks the hub: 32 random bytes."""
    return {TOKEN_KEY: secrets.token_hex(32)}


def hub_keys(names: Names) -> dict[str, Any]:
    """Cookie secret, CryptKeeper key (32 random bytes each) and the operator's token: the chart would make new ones
    after a deletion, and with the old database nobody's encrypted state could be read."""
    data = {
        COOKIE_KEY: secrets.token_hex(32),
        CRYPT_KEY: secrets.token_hex(32),
        **operator_token(),
    }
    return _secret(names, names.keys, data)


def password(names: Names) -> dict[str, Any]:
    """The Secret with a new development password, 16 random characters."""
    return _secret(names, names.sign_in, {PASSWORD_KEY: secrets.token_urlsafe(12)})


def door_token(names: Names) -> dict[str, Any]:
    """The Secret with what the hub's door shows its proxy, so that this believes it: 32 random bytes."""
    return _secret(names, names.door, {DOOR_TOKEN_KEY: secrets.token_hex(32)})


def backup_key(names: Names) -> dict[str, Any]:
    """The Secret with what encrypts the hub's backups: 32 random bytes in base64, a line that people can keep."""
    return _secret(names, names.backup_key, {REPOSITORY_KEY: base64.b64encode(secrets.token_bytes(32)).decode()})


def digest(text: str) -> str:
    """A short digest, for annotations."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
