"""What came of a survey that somebody asked for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.cli import words
from pdshub.cli.choose import kept

Json = Mapping[str, Any]


def _shown(view: Json) -> str:
    return str(((view.get("status") or {}).get("generation") or {}).get("name") or "")


def seen(view: Json) -> str:
    """What users see: the generation's first digits, or that they see the sources live."""
    return words.short(name) if (name := _shown(view)) else "the sources live"


def of(before: Json, after: Json) -> tuple[str, list[str]]:
    """(``released``, ``unchanged``, ``waits``, ``pinned`` or ``none``, lines that say it) of a survey that ended well.

    ``before``, ``after``: the view when the survey was asked for, and when it had ended.
    """
    status = after.get("status") or {}
    candidate, shown = status.get("candidate") or {}, _shown(after)
    newest = next(iter(kept(after)), "")
    same = bool(newest) and newest == next(iter(kept(before)), "")
    lines = [
        "surveyed: nothing has changed since the last survey" if same else f"surveyed: {words.short(newest)} is new"
    ]
    pin = (after.get("spec") or {}).get("pin")
    if pin:
        kind = "pinned"
        lines.append(f"the view is pinned: users see {seen(after)}")
    elif candidate:
        kind = "waits"
        lines.append(f"users see {seen(after)}; {candidate.get('message')}")
        lines.append(f"  it brings: {words.brings(candidate)}")
    elif not newest:
        kind, lines = "none", ["surveyed; users see the sources live: there is no generation yet"]
    else:
        kind = "unchanged" if same and shown == _shown(before) else "released"
        former = _shown(before)
        instead = f" instead of {words.short(former)}" if former and former != shown else ""
        lines.append(f"users see {seen(after)}{instead}")
    survey = status.get("survey") or {}
    if survey.get("state") == "waiting" and survey.get("message"):
        lines.append(f"settling: {survey['message']}")
    return kind, lines
