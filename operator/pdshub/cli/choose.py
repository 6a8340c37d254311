"""Which generation a person means. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdshub.api.generation import LIVE
from pdshub.generation_id import SHORT, digits, named, short

_HEX = re.compile(r"[0-9a-f]+")


class ChoiceError(Exception):
    """No generation, or more than one, is meant; the text says what there is."""

    code = 1


class PathError(ChoiceError):
    """A path is written with what does not belong to it; the text says what to write."""

    code = 2


@dataclass(frozen=True)
class Subject:
    """The generation that an answer is about. ``name`` "": the newest of the surveyor's, whichever that is."""

    name: str
    state: str
    """``waiting``, ``shown``, ``kept``, or ``newest`` where the view's status names none."""
    seen: str
    """What users see: a generation's name, or "" for the sources live."""

    def line(self, name: str) -> str:
        """The first line of an answer. ``name``: the generation that the surveyor answered of."""
        this = f"generation {short(name)}"
        if self.state == "shown":
            return f"{this}, which users see"
        seen = short(self.seen) if self.seen else "the sources live"
        return f"{this}, which {'waits' if self.state == 'waiting' else 'is kept'}; users see {seen}"


def kept(view: Mapping[str, Any]) -> list[str]:
    """The generations that a view's status names, newest first."""
    status = view.get("status") or {}
    found = [str(g["name"]) for g in status.get("generations") or []]
    extra = [str((status.get(key) or {}).get("name") or "") for key in ("candidate", "generation")]
    return found + [name for name in dict.fromkeys(extra) if name and name not in found]


def generation(view: Mapping[str, Any], reference: str) -> str:
    """The full name of a kept generation from the beginning of it. Raises ChoiceError."""
    known = kept(view)
    listed = ", ".join(short(name) for name in known) or "none yet"
    if not _HEX.fullmatch(digits(reference)) or len(digits(reference)) < SHORT:
        raise ChoiceError(f"{reference!r} names no generation: write at least its first {SHORT} digits ({listed})")
    found = [name for name in known if named(reference, name)]
    if len(found) != 1:
        raise ChoiceError(f"{reference} is {'several generations' if found else 'not kept'}; there are: {listed}")
    return found[0]


def before(view: Mapping[str, Any], accepted: Sequence[str]) -> str:
    """The generation that users saw before the present one. ``accepted``: names, newest first, of those that were
    not refused for shrinking. Raises ChoiceError."""
    shown, known = released(view), kept(view)
    after = known[known.index(shown) + 1 :] if shown in known else []
    found = next((name for name in after if name in accepted), None)
    if found is None:
        raise ChoiceError(f"no generation before {short(shown)} is kept")
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


def subject(view: Mapping[str, Any], reference: str) -> Subject:
    """What an answer is about: the generation that waits, else what users see; or the one that is named.

    ``waiting``, ``released`` and ``newest`` are names too. Raises ChoiceError.
    """
    status = view.get("status") or {}
    shown = str((status.get("generation") or {}).get("name") or "")
    waits = str((status.get("candidate") or {}).get("name") or "")
    if reference == "live":
        raise ChoiceError("live: what is shown straight from the sources is in no generation: ls it in a notebook")
    if reference == "waiting":
        name = str(candidate(view)["name"])
    elif reference == "released":
        name = released(view)
    elif reference == "newest":
        name = next(iter(kept(view)), "")
    else:
        name = generation(view, reference) if reference else waits or shown
    state = {waits: "waiting", shown: "shown"}.get(name, "kept") if name else "newest"
    return Subject(name, state, shown)


def folder(view: Mapping[str, Any]) -> str:
    """The folder below the mount path that shows the view."""
    return str((view.get("spec") or {}).get("folder") or view["metadata"]["name"])


def path(view: Mapping[str, Any], written: str) -> str:
    """A path in the view from what a person wrote: also one as notebooks show it, /archive/<folder>/….

    Raises PathError for another absolute path.
    """
    if not written.startswith("/"):
        return written
    if (found := f"{written}/".find(f"/{folder(view)}/")) >= 0:
        return written[found + len(folder(view)) + 2 :]
    raise PathError(_remedy(view, written))


def misplaced(view: Mapping[str, Any], written: str) -> str:
    """What to write instead of a path that leads nowhere since it begins with the name of the view, or of its
    folder; "" for other paths."""
    head, slash, _ = written.partition("/")
    return _remedy(view, written) if slash and head in (folder(view), view["metadata"]["name"], "archive") else ""


def _remedy(view: Mapping[str, Any], written: str) -> str:
    parts = [part for part in written.split("/") if part not in ("", ".")]
    for name in ("archive", view["metadata"]["name"], folder(view)):
        if parts[:1] == [name]:
            parts = parts[1:]
    rest = "/".join(parts)
    whole = "/".join(["/archive", folder(view), *parts])
    return f"{written}: paths of this view begin with its folder, {folder(view)}: write {whole}" + (
        f" or {rest}" if rest else ""
    )
