"""What the operator counted: people and homes of a hub, from ConfigMap ``<hub>-census``. Nothing in it is trusted.

The hub itself is not asked: no token of it has to lie on anybody's desk.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.wellknown import CENSUS_FILE

Json = Mapping[str, Any]
SUFFIX, VERSION = "-census", 1
PACKED, UNPACKED, ENTRIES = 2 << 20, 16 << 20, 100_000
"""Bytes of a census as it is kept and as it is read, and how many people and homes it may have."""
_GZIP = 31
"""zlib: a gzip header, and the largest window."""
_ABSURD = 1 << 80
"""Bytes that no storage has."""


class CensusError(Exception):
    """There is no census, or it is none; the text says what to do."""


@dataclass(frozen=True)
class User:
    """Somebody whom the hub or the list knows."""

    name: str
    admin: bool = False
    suspended: bool = False
    listed: bool = False
    last_activity: str = ""
    server: str = "stopped"
    home: str = ""


@dataclass(frozen=True)
class Home:
    """The claim of a user's home. ``orphan``: nobody on the list or in the hub has it."""

    claim: str
    user: str = ""
    size: str = ""
    storage_class: str = ""
    volume: str = ""
    created: str = ""
    last_used: str = ""
    orphan: bool = False
    offboarded: bool = False

    @property
    def bytes(self) -> int:
        """The size in bytes; 0 where it is none."""
        return quantity(self.size)


@dataclass(frozen=True)
class Census:
    """People and homes at a time. ``odd``: how many entries are none and were left out."""

    time: str = ""
    users: list[User] = field(default_factory=list)
    homes: list[Home] = field(default_factory=list)
    odd: int = 0


def quantity(text: str) -> int:
    """Bytes of a Kubernetes quantity; 0 for what is none."""
    try:
        number = parse_quantity(text[:33])
        return int(number) if 0 <= number < _ABSURD else 0
    except (ValueError, ArithmeticError):
        return 0


def unpacked(config_map: Json) -> Json:
    """The JSON object of a census. Raises CensusError."""
    text = (config_map.get("binaryData") or {}).get(CENSUS_FILE)
    if not isinstance(text, str) or len(text) > PACKED:
        raise CensusError(f"the census has no {CENSUS_FILE}, or one that is too large")
    try:
        packed = base64.b64decode(text, validate=True)
        reader = zlib.decompressobj(_GZIP)
        plain = reader.decompress(packed, UNPACKED)
        if not reader.eof or reader.unused_data:
            raise CensusError(f"the census is cut off, or more than {UNPACKED >> 20} MB")
        found = json.loads(plain, parse_constant=_no_number)
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise CensusError(f"the census is no packed JSON: {error}") from None
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise CensusError("the census is of another version than this plugin reads: install the plugin of that version")
    return found


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def read(config_map: Json) -> Census:
    """The census that a ConfigMap holds. Raises CensusError."""
    found = unpacked(config_map)
    users, homes = _objects(found, "users"), _objects(found, "homes")
    people = [_user(item) for item in users if _text(item, "name")]
    claims = [_home(item) for item in homes if _text(item, "claim")]
    listed = sum(len(found.get(key) or []) for key in ("users", "homes"))
    return Census(_text(found, "time"), people, claims, listed - len(people) - len(claims))


def _objects(found: Json, key: str) -> list[Json]:
    listed = found.get(key) or []
    if not isinstance(listed, list) or len(listed) > ENTRIES:
        raise CensusError(f"the census' {key} are no list of at most {ENTRIES}")
    return [item for item in listed if isinstance(item, dict)]


def _user(item: Json) -> User:
    return User(
        name=_text(item, "name"),
        admin=item.get("admin") is True,
        suspended=item.get("suspended") is True,
        listed=item.get("listed") is True,
        last_activity=_text(item, "lastActivity"),
        server=_text(item, "server") or "stopped",
        home=_text(item, "home"),
    )


def _home(item: Json) -> Home:
    return Home(
        claim=_text(item, "claim"),
        user=_text(item, "user"),
        size=_text(item, "size"),
        storage_class=_text(item, "storageClass"),
        volume=_text(item, "volume"),
        created=_text(item, "created"),
        last_used=_text(item, "lastUsed"),
        orphan=item.get("orphan") is True,
        offboarded=item.get("offboarded") is True,
    )


def _text(item: Json, key: str) -> str:
    found = item.get(key)
    return found[:512] if isinstance(found, str) else ""
