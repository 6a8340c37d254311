"""The list of who may sign in: a mounted file that the operator keeps current, read anew as soon as it changes.

Reading fails closed: of a file that is missing, unreadable or not what was written nothing is believed. Then nobody new
gets in, and nobody is cut off who is in (see ``listed``).
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pdshub_hub.names import normal

PATH = Path("/usr/local/etc/pdshub/people/people.json")
"""Where the operator has its ConfigMap mounted. A folder is mounted, not the file: the kubelet never refreshes the
latter."""
VERSION = 1
"""Of the file's format; another one is not believed."""
LARGEST = 4 * 1024 * 1024
"""Bytes of the largest file that is read: a ConfigMap holds a fourth of it."""
_SECONDS = 1.0
"""The file is looked at at most that often."""


class Why(StrEnum):
    """Why somebody may sign in, or may not. The values are an interface: audit log and API answers hold them."""

    LISTED = "listed"
    DOMAIN = "domain"
    """By the domain of a verified e-mail address."""
    GROUP = "group"
    SUSPENDED = "suspended"
    NOT_LISTED = "not-listed"
    LIST_UNREADABLE = "list-unreadable"
    UNVERIFIED_EMAIL = "unverified-email"
    WRONG_DOMAIN = "wrong-domain"
    """The account is of none of the hosted domains."""
    NAME_REFUSED = "name-refused"

    @property
    def admits(self) -> bool:
        """Whether it opens the door."""
        return self in (Why.LISTED, Why.DOMAIN, Why.GROUP)


class Unreadable(ValueError):
    """The file is not a list; says why."""


@dataclass(frozen=True)
class People:
    """One list, as the operator wrote it. Names are in their normal form."""

    digest: str
    """Names this list: twelve hexadecimal digits of the SHA-256 of its content."""
    allowed: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()
    """They are allowed as well."""
    suspended: frozenset[str] = frozenset()
    """They are kept out, whatever else names them."""
    domains: frozenset[str] = frozenset()
    """Everybody with a verified e-mail address of these is allowed."""
    allowed_groups: frozenset[str] = frozenset()
    admin_groups: frozenset[str] = frozenset()

    def judge(self, name: str, groups: Collection[str] = (), *, is_email: bool = False) -> Why:
        """Why ``name`` may sign in or not. ``is_email``: the name is an e-mail address that was verified."""
        if name in self.suspended:
            return Why.SUSPENDED
        if name in self.allowed or name in self.admins:
            return Why.LISTED
        mailbox, _, domain = name.rpartition("@")
        if is_email and mailbox and "@" not in mailbox and domain in self.domains:
            return Why.DOMAIN
        return Why.GROUP if (self.allowed_groups | self.admin_groups) & set(groups) else Why.NOT_LISTED

    def is_admin(self, name: str, groups: Collection[str] = ()) -> bool:
        """Whether ``name`` is one of the admins."""
        return name not in self.suspended and (name in self.admins or bool(self.admin_groups & set(groups)))


def digest(document: dict[str, Any]) -> str:
    """The digest of a document without its ``digest``, as the operator computes it."""
    rest = {key: value for key, value in document.items() if key != "digest"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:12]


def _texts(where: str, value: Any, each: Callable[[str], str]) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Unreadable(f"{where} is no list of texts")
    for item in value:
        try:
            wrong = each(item) != item
        except ValueError as error:
            raise Unreadable(f"{where}: {error}") from error
        if wrong:
            raise Unreadable(f"{where}: {item!r} is not written in its normal form")
    return frozenset(value)


def parse(content: bytes) -> People:
    """The list that a file holds. Raises Unreadable."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON: {error}") from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        raise Unreadable(f"it is no list of version {VERSION}")
    if document.get("digest") != digest(document):
        raise Unreadable("its digest is not that of its content")
    groups = document.get("groups", {})
    if not isinstance(groups, dict):
        raise Unreadable("groups is no map")
    names = {key: _texts(key, document.get(key), normal) for key in ("allowed", "admins", "suspended")}
    return People(
        digest=document["digest"],
        **names,
        domains=_texts("domains", document.get("domains", []), str.lower),
        allowed_groups=_texts("groups.allowed", groups.get("allowed", []), str),
        admin_groups=_texts("groups.admins", groups.get("admins", []), str),
    )


@dataclass(frozen=True)
class Reading:
    """What the file says now."""

    people: People | None = None
    """The list; where the file can't be read, the one that could be read last in this run of the hub."""
    trouble: str = ""
    """Why the file can't be read; empty when it can."""


@dataclass
class PeopleFile:
    """The file, and the list that was read from it."""

    path: Path = PATH
    clock: Callable[[], float] = time.monotonic
    _looked: float | None = None
    _seen: object = None
    _reading: Reading = field(default_factory=Reading)

    def read(self) -> Reading:
        """What the file says, at most a second late."""
        now = self.clock()
        if self._looked is not None and now - self._looked < _SECONDS:
            return self._reading
        self._looked = now
        try:
            found = self.path.stat()
            seen: object = (found.st_ino, found.st_mtime_ns, found.st_size)
        except OSError as error:
            seen = str(error)
        if seen != self._seen or self._reading.trouble:
            self._seen = seen
            self._reading = self._load()
        return self._reading

    def _load(self) -> Reading:
        try:
            with self.path.open("rb") as file:
                content = file.read(LARGEST + 1)
            if len(content) > LARGEST:
                raise Unreadable(f"it is larger than {LARGEST} bytes")
            return Reading(parse(content))
        except (OSError, Unreadable) as error:
            return Reading(self._reading.people, f"{self.path.name}: {error}")


FILE = PeopleFile()
"""Of this process."""
