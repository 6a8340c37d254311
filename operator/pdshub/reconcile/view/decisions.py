"""Who approved, pinned or rejected a generation: from the field managers of a view and its annotations. Pure.

Source: Kubernetes, "Server-Side Apply", Field management: fieldsV1 names fields as f:name, each entry has the manager
and the time of its last change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pdshub.api.decision import FIELDS, LONGEST_NAME, Decision, annotation, plain, read_note, words
from pdshub.api.view import ArchiveViewSpec
from pdshub.generation_id import short
from pdshub.kube import Object
from pdshub.reconcile.common.events import EventRecord


def decisions(view: Object, spec: ArchiveViewSpec) -> list[Decision]:
    """The decisions that a view's spec holds."""
    meta = view.get("metadata") or {}
    notes = meta.get("annotations") or {}
    found = []
    for field, kind in FIELDS.items():
        reference: str | None = getattr(spec, field)
        if not reference:
            continue
        manager, at = _written(meta.get("managedFields") or [], field)
        note = read_note(notes.get(annotation(field)), reference)
        found.append(
            Decision(
                kind=kind,
                generation=reference,
                by=note.by if note else "",
                manager=plain(manager, LONGEST_NAME),
                at=plain(at, LONGEST_NAME),
                reason=note.reason if note else "",
            )
        )
    return found


def _written(entries: Iterable[Any], field: str) -> tuple[str, str]:
    """Manager and time of the last entry that has a field of the spec."""
    found = [
        (str(entry.get("time") or ""), str(entry.get("manager") or ""))
        for entry in entries
        if isinstance(entry, Mapping) and f"f:{field}" in _inside(entry, "fieldsV1", "f:spec")
    ]
    at, manager = max(found, default=("", ""))
    return manager, at


def _inside(entry: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    found: Any = entry
    for key in keys:
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def attribution(found: Iterable[Decision], kind: str) -> str:
    """By whom, when and why a decision of this kind was made, in parentheses; empty where that is not known."""
    text = next((words(decision) for decision in found if decision.kind == kind), "")
    return f" ({text})" if text else ""


def decision_events(before: Sequence[Decision], after: Iterable[Decision]) -> list[EventRecord]:
    """An event for each decision that was not there before."""
    known = {(decision.kind, decision.generation) for decision in before}
    return [
        EventRecord(
            False, decision.kind, f"generation {short(decision.generation)} is {decision.kind.lower()}{_by(decision)}"
        )
        for decision in after
        if (decision.kind, decision.generation) not in known
    ]


def _by(decision: Decision) -> str:
    text = words(decision)
    return f" {text}" if text else ""
