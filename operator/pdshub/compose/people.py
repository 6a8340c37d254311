"""Who may sign in: files that a person edits, and the list that the hub reads. Pure.

The list is that of the operator (pdshub_hub.people): one JSON document with a digest of itself.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence

from pdshub.api import name_file, user_name
from pdshub.api.hub import PDSHubSpec
from pdshub.compose.text import ExportError, line

ROLES = ("allowed", "admins", "suspended", "domains")
_HEADS = {
    "allowed": "may sign in",
    "admins": "may sign in, and administer the hub",
    "suspended": "are kept out, whatever else lists them",
    "domains": "everybody with a verified address of these domains may sign in",
}
LIST = "people/list/people.json"
VERSION = 1
Lists = Mapping[str, Sequence[str]]


def of_spec(spec: PDSHubSpec, more: Mapping[str, Iterable[str]] | None = None) -> dict[str, list[str]]:
    """The names of a spec by what they are, and ``more`` from objects that it names. Raises ExportError."""
    users = spec.users
    found = {
        "allowed": list(users.allowed), "admins": list(users.admins), "suspended": list(users.suspended),
        "domains": list(users.domains),
    }  # fmt: skip
    for role, names in (more or {}).items():
        found[role] += names
    return {role: _unique(role, names) for role, names in found.items()}


def _unique(role: str, names: Iterable[str]) -> list[str]:
    made: dict[str, None] = {}
    for name in names:
        if name.startswith("#"):
            raise ExportError(f"users.{role}: {line(name)} would be a comment in a list")
        try:
            made.setdefault(name.strip().lower() if role == "domains" else user_name.normal(name))
        except ValueError as error:
            raise ExportError(f"users.{role}: {line(str(error))}") from None
    return list(made)


def files(lists: Lists) -> dict[str, str]:
    """The lists as files, a name a line, and the document for the hub."""
    made = {f"people/{role}.txt": _lines(role, lists.get(role, ())) for role in ROLES}
    return {**made, LIST: document(lists)}


def _lines(role: str, names: Iterable[str]) -> str:
    return "\n".join([f"# {_HEADS[role]}; then: pdshub-compose people DIR", *names, ""])


def read(texts: Mapping[str, str]) -> dict[str, list[str]]:
    """The lists of the files. Raises ExportError, which names the file."""
    return {role: _unique(role, name_file.names(texts.get(role, ""))) for role in ROLES}


def document(lists: Lists) -> str:
    """The list as the hub reads it: admins are allowed, and who is suspended is neither."""
    out = set(lists.get("suspended", ()))
    admins = set(lists.get("admins", ())) - out
    body = {
        "version": VERSION,
        "allowed": sorted((set(lists.get("allowed", ())) | admins) - out),
        "admins": sorted(admins),
        "suspended": sorted(out),
        "domains": sorted(lists.get("domains", ())),
        "groups": {"allowed": [], "admins": []},
    }
    bare = json.dumps(body, sort_keys=True, separators=(",", ":"))
    stamp = hashlib.sha256(bare.encode()).hexdigest()[:12]
    return json.dumps({**body, "digest": stamp}, separators=(",", ":")) + "\n"
