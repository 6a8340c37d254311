"""Changes of who may sign in, read off the ConfigMap in which a hub's list is kept. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.audit_log import entry
from pdshub.wellknown import PEOPLE_FILE

_KINDS = ("allowed", "admins", "suspended", "domains")


@dataclass(frozen=True)
class People:
    """A list: its digest, and who is on it, as ``KIND:NAME``."""

    digest: str = ""
    names: frozenset[str] = field(default_factory=frozenset)


def read(config_map: Mapping[str, Any] | None) -> People | None:
    """The list in a ConfigMap; None where it holds none."""
    try:
        found = json.loads(((config_map or {}).get("data") or {}).get(PEOPLE_FILE) or "null")
    except (ValueError, RecursionError, TypeError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("digest"), str):
        return None
    groups = found.get("groups") if isinstance(found.get("groups"), dict) else {}
    parts = {kind: found.get(kind) for kind in _KINDS} | {f"groups.{kind}": of for kind, of in (groups or {}).items()}
    return People(
        found["digest"],
        frozenset(f"{kind}:{name}" for kind, names in parts.items() if isinstance(names, list) for name in names),
    )


def changed(before: People | None, now: People) -> dict[str, Any]:
    """The fields of the entry about a new list. ``before``: None where the former one is not known."""
    made: dict[str, Any] = {"event": entry.LIST_CHANGE, "digest": now.digest, "names": len(now.names)}
    if before is None:
        return made
    added, removed = sorted(now.names - before.names), sorted(before.names - now.names)
    return {**made, "was": before.digest, "added": added, "removed": removed}
