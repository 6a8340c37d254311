"""A token for Google's directory, from the key of a service account: without another library, and without blocking.

OAuthenticator asks the directory for somebody's groups; for the token it wants ``google-auth``, which asks while the
hub waits. Source: Google, "Using OAuth 2.0 for Server to Server Applications" (RFC 7523, section 2.1).
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jwt

SCOPE = "https://www.googleapis.com/auth/admin.directory.group.readonly"
"""What the token may: read groups."""
_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SECONDS = 3600
"""For how long a token is asked. Google gives none for longer."""
_EARLY = 300
"""Seconds before its end at which a token is replaced."""
Fetch = Callable[..., Awaitable[Any]]
"""``OAuthenticator.httpfetch``."""


class DirectoryError(Exception):
    """The directory can't be asked; says why, without any secret."""


def _account(key_file: str) -> dict[str, Any]:
    """The service account of a key file. Raises DirectoryError."""
    try:
        found = json.loads(Path(key_file).read_text())
    except (OSError, ValueError) as error:
        raise DirectoryError(f"{key_file}: {type(error).__name__}") from None
    return found if isinstance(found, dict) else {}


def assertion(account: Mapping[str, Any], administrator: str, now: float) -> str:
    """What the service account signs: that it asks as ``administrator``, an e-mail address. Raises DirectoryError."""
    try:
        where, who, key = (account[name] for name in ("token_uri", "client_email", "private_key"))
        claims = {"iss": who, "sub": administrator, "scope": SCOPE, "aud": where, "iat": int(now)}
        signed: str = jwt.encode({**claims, "exp": int(now) + _SECONDS}, key, algorithm="RS256")
    except (KeyError, TypeError, ValueError, jwt.PyJWTError) as error:
        raise DirectoryError(f"the service account's key is none: {type(error).__name__}") from None
    return signed


@dataclass
class Directory:
    """Tokens by domain."""

    clock: Callable[[], float] = time.time
    _known: dict[str, tuple[str, float]] = field(default_factory=dict)

    async def token(self, fetch: Fetch, domain: str, key_file: str, administrator: str) -> str:
        """A token that is good for five minutes at least. Raises DirectoryError, and what ``fetch`` raises."""
        known, until = self._known.get(domain, ("", 0.0))
        now = self.clock()
        if now < until - _EARLY:
            return known
        account = _account(key_file)
        signed = assertion(account, administrator, now)
        url = str(account["token_uri"])
        if not url.startswith("https://"):
            raise DirectoryError(f"{key_file}: token_uri has to begin with https://")
        body = urlencode({"grant_type": _GRANT, "assertion": signed})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        found = await fetch(url, label="asking for the directory", method="POST", headers=headers, body=body)
        token = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(token, str):
            raise DirectoryError("Google gave no token for the directory")
        self._known[domain] = token, now + _SECONDS
        return token
