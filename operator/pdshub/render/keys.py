"""Secrets that the operator makes for a hub. Made once and kept: the random part is not derived from anything."""

from __future__ import annotations

import hashlib
import secrets
from typing import Any

from pdshub.render.names import Names
from pdshub.render.signin import PASSWORD_KEY


def _secret(names: Names, name: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": names.namespace, "labels": names.labels},
        "type": "Opaque",
        "stringData": data,
    }


def hub_keys(names: Names) -> dict[str, Any]:
    """Cookie secret and CryptKeeper key (32 random bytes each): the chart would make new ones after a deletion,
    and with the old database nobody's encrypted state could be read."""
    data = {
        "hub.config.JupyterHub.cookie_secret": secrets.token_hex(32),
        "hub.config.CryptKeeper.keys": secrets.token_hex(32),
    }
    return _secret(names, names.keys, data)


def password(names: Names) -> dict[str, Any]:
    """The Secret with a new development password, 16 random characters."""
    return _secret(names, names.sign_in, {PASSWORD_KEY: secrets.token_urlsafe(12)})


def digest(text: str) -> str:
    """A short digest, for annotations."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]
