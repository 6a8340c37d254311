"""Edits of a list of people, as operations of a JSON patch (RFC 6902). Pure.

Operations name single entries, and what is there is compared before it is taken away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.cli import name_file
from pdshub.cli.change import pointer
from pdshub.cli.roll import ADMINS, ALLOWED, SUSPENDED, users

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Edit:
    """What shall be different in ``spec.users``: field -> names."""

    add: Mapping[str, Collection[str]] = field(default_factory=dict)
    remove: Mapping[str, Collection[str]] = field(default_factory=dict)

    def operations(self, hub: Json) -> list[dict[str, Any]]:
        """What makes the hub so; empty where it is so. Names are compared in their normal form."""
        spec = users(hub)
        made: list[dict[str, Any]] = []
        for role in (ALLOWED, ADMINS, SUSPENDED):
            made += _changed(role, spec.get(role), self.add.get(role, ()), set(self.remove.get(role, ())))
        whole = hub.get("spec") or {}
        return [{"op": "add", "path": "/spec/users", "value": {}}, *made] if made and "users" not in whole else made

    def missing(self, hub: Json) -> list[str]:
        """Fields that lack what was added: a cluster whose PDSHubs have no such field drops it without a word."""
        spec = users(hub)
        return [
            f"spec.users.{role}"
            for role, names in self.add.items()
            if set(names) - {name_file.lenient(str(name)) for name in spec.get(role) or []}
        ]


def _changed(role: str, there: Any, add: Collection[str], remove: Collection[str]) -> list[dict[str, Any]]:
    listed = there if isinstance(there, list) else []
    known = [name_file.lenient(str(name)) for name in listed]
    made: list[dict[str, Any]] = []
    for number in reversed(range(len(listed))):  # from the end, so that numbers stay right
        if known[number] in remove:
            path = pointer("spec", "users", role, str(number))
            made += [{"op": "test", "path": path, "value": listed[number]}, {"op": "remove", "path": path}]
    new = [name for name in dict.fromkeys(add) if name not in known or name in remove]
    if new and not isinstance(there, list):
        return [{"op": "add", "path": pointer("spec", "users", role), "value": new}]
    return made + [{"op": "add", "path": pointer("spec", "users", role, "-"), "value": name} for name in new]


def taken_out(config_map: Json, key: str, gone: Collection[str]) -> list[dict[str, Any]]:
    """What takes names out of a ConfigMap's key and leaves the rest as it is; empty where none is in it."""
    text = (config_map.get("data") or {}).get(key)
    if not isinstance(text, str) or (kept := name_file.without(text, gone)) == text:
        return []
    return [{"op": "replace", "path": pointer("data", key), "value": kept}]
