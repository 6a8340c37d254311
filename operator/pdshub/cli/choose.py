"""Which generation a person means. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pdshub.api.generation import LIVE, SHORT, digits, named

_HEX = re.compile(r"[0-9a-f]+")


class ChoiceError(Exception):
    """No generation, or more than one, is meant; the text says what there is."""


def _kept(view: Mapping[str, Any]) -> list[str]:
    status = view.get("status") or {}
    found = [str(g["name"]) for g in status.get("generations") or []]
    extra = [str((status.get(key) or {}).get("name") or "") for key in ("candidate", "generation")]
    return found + [name for name in dict.fromkeys(extra) if name and name not in found]


def generation(view: Mapping[str, Any], reference: str) -> str:
    """The full name of a kept generation from the beginning of it. Raises ChoiceError."""
    kept = _kept(view)
    listed = ", ".join(digits(name)[:SHORT] for name in kept) or "none yet"
    if not _HEX.fullmatch(digits(reference)) or len(digits(reference)) < SHORT:
        raise ChoiceError(f"{reference!r} names no generation: write at least its first {SHORT} digits ({listed})")
    found = [name for name in kept if named(reference, name)]
    if len(found) != 1:
        raise ChoiceError(f"{reference} is {'several generations' if found else 'not kept'}; there are: {listed}")
    return found[0]


def before(view: Mapping[str, Any], accepted: Sequence[str]) -> str:
    """The generation that users saw before the present one. ``accepted``: names, newest first, of those that were
    not refused for shrinking. Raises ChoiceError."""
    shown, kept = released(view), _kept(view)
    after = kept[kept.index(shown) + 1 :] if shown in kept else []
    found = next((name for name in after if name in accepted), None)
    if found is None:
        raise ChoiceError(f"no generation before {digits(shown)[:SHORT]} is kept")
    return found


def released(view: Mapping[str, Any]) -> str:
    """The generation that users see. Raises ChoiceError."""
    name = ((view.get("status") or {}).get("generation") or {}).get("name")
    if not name:
        raise ChoiceError("users see no generation yet: kubectl pdshub archive status says why")
    return str(name)


def older(view: Mapping[str, Any], reference: str) -> str:
    """The side that is compared with: what users see unless another is named. Raises ChoiceError."""
    if reference:
        return LIVE if reference == LIVE else generation(view, reference)
    return str(((view.get("status") or {}).get("generation") or {}).get("name") or LIVE)


def waiting(view: Mapping[str, Any]) -> list[str]:
    """The name of the generation that waits for a decision, if one does."""
    name = ((view.get("status") or {}).get("candidate") or {}).get("name")
    return [str(name)] if name else []


def candidate(view: Mapping[str, Any]) -> Mapping[str, Any]:
    """The generation that waits for a decision. Raises ChoiceError."""
    found = (view.get("status") or {}).get("candidate")
    if not found:
        raise ChoiceError("no generation waits for a decision")
    return dict(found)


def path(view: Mapping[str, Any], written: str) -> str:
    """A path in the view from what a person wrote: also one as notebooks show it, /archive/<folder>/…."""
    folder = str((view.get("spec") or {}).get("folder") or view["metadata"]["name"])
    if written.startswith("/") and (found := f"{written}/".find(f"/{folder}/")) >= 0:
        return written[found + len(folder) + 2 :]
    return written
