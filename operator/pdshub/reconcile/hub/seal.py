"""The operator's seal on what it installed: which release Secrets of a hub are its own work.

Helm keeps releases in Secrets of the hub's namespace, and does what they say: deletes what they list, runs their hooks.
Whoever may write Secrets there can write one. So the newest revision carries a seal, an HMAC with a key that lies in
the installation's namespace; Helm itself takes it off when it writes the Secret again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from typing import Any

from pdshub.kube import SECRET, Kube
from pdshub.reconcile.hub.release import content_digest
from pdshub.wellknown import GROUP, MANAGER

ANNOTATION = f"{GROUP}/seal"
KEY_SECRET = "pdshub-release-seal"  # noqa: S105 - its name
_KEY = "key"
_BYTES = 32


def seal(key: bytes, secret: Mapping[str, Any]) -> str:
    """The seal of a release Secret: of its namespace, its name (release and revision are in it) and its content."""
    meta = secret["metadata"]
    text = json.dumps(["release", meta.get("namespace"), meta["name"], content_digest(secret)])
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def is_sealed(key: bytes, secret: Mapping[str, Any]) -> bool:
    """Whether a release Secret carries the seal of this very content."""
    found = (secret["metadata"].get("annotations") or {}).get(ANNOTATION)
    return isinstance(found, str) and hmac.compare_digest(found.encode(), seal(key, secret).encode())


def key_name(key: bytes) -> str:
    """A name of a key that tells nothing of it; another key has another one."""
    return hashlib.sha256(b"name of a seal's key\0" + key).hexdigest()[:12]


class SealKey:
    """The key of this installation: made once, read once by each process, and never shown."""

    def __init__(self) -> None:
        self._known = b""
        self._asking = asyncio.Lock()

    async def get(self, kube: Kube, system: str) -> bytes:
        """The key, from Secret KEY_SECRET of namespace ``system``; made where there is none. Raises KubeError."""
        async with self._asking:  # the first looks at two hubs must not make two keys
            if not self._known:
                self._known = await self._read(kube, system) or await self._make(kube, system)
        return self._known

    async def _read(self, kube: Kube, system: str) -> bytes:
        found = await kube.get(SECRET, KEY_SECRET, system)
        try:
            key = base64.b64decode(((found or {}).get("data") or {}).get(_KEY) or "", validate=True)
        except ValueError:
            key = b""
        return key if len(key) == _BYTES else b""

    async def _make(self, kube: Kube, system: str) -> bytes:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": KEY_SECRET, "namespace": system, "labels": {"app.kubernetes.io/name": "pdshub"}},
            "type": "Opaque",
            "data": {_KEY: base64.b64encode(secrets.token_bytes(_BYTES)).decode()},
        }
        # by server-side apply, whose right to create is bound to the name; what is there holds no key and seals nothing
        await kube.apply(SECRET, body, MANAGER)
        return await self._read(kube, system)
