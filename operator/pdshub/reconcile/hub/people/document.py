"""The list as the hub reads it: one JSON document with a digest of itself, in a ConfigMap. Pure.

The hub believes no document whose digest is not its own; the operator goes by the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.kube import Object
from pdshub.render.names import Names
from pdshub.wellknown import API_VERSION, PEOPLE_FILE

VERSION = 1
LIMIT = (1 << 20) - 4096
"""Bytes of the longest document. Source: Kubernetes, ConfigMaps (1 MiB of data), less the rest of the object."""


@dataclass(frozen=True)
class People:
    """Who may sign in. All names are in normal form."""

    allowed: frozenset[str] = frozenset()
    """With the admins, without those who are suspended."""
    admins: frozenset[str] = frozenset()
    suspended: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    allowed_groups: frozenset[str] = frozenset()
    admin_groups: frozenset[str] = frozenset()

    @property
    def has_groups(self) -> bool:
        """Whether somebody may come by a group, which only the hub can judge."""
        return bool(self.allowed_groups or self.admin_groups)

    @property
    def listed(self) -> frozenset[str]:
        """Everybody whose name is written down, the suspended too."""
        return self.allowed | self.suspended

    def lets_in(self, name: str) -> bool:
        """Whether somebody may sign in by their name or its domain. Names in the hub's database are as they are."""
        if name in self.suspended:
            return False
        mailbox, _, domain = name.rpartition("@")
        return name in self.allowed or (bool(mailbox) and "@" not in mailbox and domain in self.domains)

    def body(self) -> dict[str, Any]:
        """The document without its digest."""
        return {
            "version": VERSION,
            "allowed": sorted(self.allowed),
            "admins": sorted(self.admins),
            "suspended": sorted(self.suspended),
            "domains": sorted(self.domains),
            "groups": {"allowed": sorted(self.allowed_groups), "admins": sorted(self.admin_groups)},
        }


def digest(body: Mapping[str, Any]) -> str:
    """12 hexadecimal digits of SHA-256 of the canonical JSON (sorted keys, no blanks, ASCII) without the digest."""
    bare = {key: value for key, value in body.items() if key != "digest"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True)
class Document:
    """A list and its text."""

    people: People = field(default_factory=People)
    text: str = ""
    digest: str = ""

    @classmethod
    def of(cls, people: People) -> Document:
        """The document of a list."""
        body = people.body()
        stamp = digest(body)
        return cls(people, json.dumps({**body, "digest": stamp}, separators=(",", ":")), stamp)


def _texts(body: Mapping[str, Any], key: str) -> frozenset[str]:
    found = body.get(key, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise ValueError(f"{key} is no list of names")
    return frozenset(found)


def read(config_map: Object | None) -> Document | None:
    """The list that a ConfigMap carries; None where it carries none that the hub would believe."""
    text = ((config_map or {}).get("data") or {}).get(PEOPLE_FILE)
    try:
        body = json.loads(text) if isinstance(text, str) else None
        if not isinstance(body, dict) or body.get("version") != VERSION or body.get("digest") != digest(body):
            return None
        groups = body.get("groups", {})
        people = People(
            _texts(body, "allowed"),
            _texts(body, "admins"),
            _texts(body, "suspended"),
            _texts(body, "domains"),
            _texts(groups, "allowed"),
            _texts(groups, "admins"),
        )
    except (AttributeError, ValueError, RecursionError):
        return None
    return Document(people, str(text), str(body["digest"]))


def config_map(names: Names, uid: str, name: str, annotations: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A ConfigMap of a hub's people without its data. ``uid`` is the PDSHub's: Kubernetes removes it with that."""
    owner = {"apiVersion": API_VERSION, "kind": "PDSHub", "name": names.name, "uid": uid}
    meta: dict[str, Any] = {"name": name, "namespace": names.namespace, "labels": names.labels}
    meta |= {"annotations": dict(annotations or {}), "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}


def people_map(names: Names, uid: str, document: Document) -> dict[str, Any]:
    """The ConfigMap of a list."""
    return {**config_map(names, uid, names.people), "data": {PEOPLE_FILE: document.text}}
