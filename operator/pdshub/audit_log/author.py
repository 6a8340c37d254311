"""Who changed a part of an object, as far as the object itself says. Pure.

Kubernetes keeps which program wrote a field, and when (metadata.managedFields), and not who ran it. ``kubectl pdshub``
asks the API server who somebody is (SelfSubjectReview) and writes that beside its change. It is what the person's own
program said, so it counts only for a change that this program made, and at that time.
Source: Kubernetes, Server-Side Apply (Field management).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub import rfc3339
from pdshub.audit_log.entry import ELSEWHERE, text
from pdshub.wellknown import CHANGED_BY, PLUGIN

APART = 120.0
"""Seconds by which the clocks of a desk and of the API server may differ."""


@dataclass(frozen=True, order=True)
class Write:
    """The last write of a part of an object."""

    time: float = 0.0
    """Unix time; 0 where nobody knows."""
    manager: str = ""
    """The program: its field manager."""
    by: str = ""
    """The person, where ``kubectl pdshub`` wrote it and says who."""

    @property
    def fields(self) -> dict[str, str]:
        """Fields of an entry: ``by`` or, where the person is not known, ``person``: where else to look; ``manager``."""
        who = {"by": self.by} if self.by else {"person": ELSEWHERE}
        return {**who, **({"manager": self.manager} if self.manager else {})}


def _held(fields: Any, path: tuple[str, ...]) -> bool:
    for part in path:
        if not isinstance(fields, Mapping) or f"f:{part}" not in fields:
            return False
        fields = fields[f"f:{part}"]
    return True


def _note(item: Mapping[str, Any]) -> tuple[str, float]:
    """Who the annotation names, and when they wrote it; nobody where it is none."""
    words = ((item.get("metadata") or {}).get("annotations") or {}).get(CHANGED_BY)
    try:
        found = json.loads(words) if isinstance(words, str) and len(words) < 4096 else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("by"), str):
        return "", 0.0
    return found["by"], rfc3339.seconds(found.get("at"))


def last_write(item: Mapping[str, Any] | None, *path: str) -> Write:
    """The last write below a path of an object, like ``spec``, ``users``."""
    rows = [
        row
        for row in ((item or {}).get("metadata") or {}).get("managedFields") or []
        if isinstance(row, Mapping) and not row.get("subresource") and _held(row.get("fieldsV1"), path)
    ]
    if item is None or not rows:
        return Write()
    newest = max(rows, key=lambda row: rfc3339.seconds(row.get("time")))
    time, manager = rfc3339.seconds(newest.get("time")), text(str(newest.get("manager") or ""))
    by, at = _note(item)
    known = manager == PLUGIN and by and abs(at - time) <= APART
    return Write(time, manager, text(by) if known else "")
