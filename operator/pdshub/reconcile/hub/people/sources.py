"""Names from a hub's sources: which objects they are, and what their text says. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pdshub.api.hub_users import Users
from pdshub.api.user_name import normal

MISSING = "SourceMissing"
"""Reason: a ConfigMap, a Secret or a key that spec.users.from names is not there."""
UNREADABLE = "SourceUnreadable"
"""Reason: what is there is no text, or may not be read."""
NAME_REFUSED = "NameRefused"
"""Reason: a name holds what no name may hold."""

_SHOWN = 3
"""Refused names that a message quotes."""


@dataclass(frozen=True)
class Source:
    """An object of the hub's namespace whose key holds names."""

    kind: Literal["ConfigMap", "Secret"]
    name: str
    key: str
    role: Literal["allowed", "admins"] = "allowed"

    @property
    def title(self) -> str:
        """The object in words."""
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Refused:
    """Why the names cannot be known: the condition's reason, and a message that says what to do."""

    reason: str
    message: str


def sources_of(users: Users) -> tuple[Source, ...]:
    """The objects that ``spec.users.from`` names."""
    return tuple(Source(item.kind, item.where.name, item.where.key, item.as_) for item in users.from_)


def text_of(source: Source, item: dict[str, Any] | None) -> str | Refused:
    """What an object says under the source's key; ``item`` is None where there is none."""
    if item is None:
        return Refused(MISSING, f"{source.title} of spec.users.from does not exist: create it with key {source.key}")
    plain, packed = (item.get("data") or {}), (item.get("binaryData") or {})
    if source.kind == "Secret":
        plain, packed = {}, plain
    if source.key in plain:
        return str(plain[source.key])
    if source.key not in packed:
        return Refused(MISSING, f"{source.title} of spec.users.from has no key {source.key}: add it")
    try:
        return base64.b64decode(packed[source.key], validate=True).decode("utf-8-sig")
    except (binascii.Error, TypeError, ValueError):
        return Refused(UNREADABLE, f"{source.title}, key {source.key}, is no UTF-8 text: write a name a line")


def all_normal(names: Sequence[str], where: str) -> frozenset[str] | Refused:
    """All names in their normal form; refused where one has none, as nobody can tell whom it means."""
    found, wrong = set(), []
    for name in names:
        try:
            found.add(normal(name))
        except ValueError as error:
            wrong.append(str(error))
    if wrong:
        more = f" (and {len(wrong) - _SHOWN} more)" if len(wrong) > _SHOWN else ""
        return Refused(NAME_REFUSED, f"{where}: {'; '.join(wrong[:_SHOWN])}{more}: correct it, no change is taken over")
    return frozenset(found)
