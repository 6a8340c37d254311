"""Changes of objects that others write too: none of their edits is lost, and who made ours is written down.

A change is made for the object as it was read, and the API server takes it for that version alone. Where somebody else
was faster it is made anew, for what they wrote.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pdshub import rfc3339
from pdshub.api.decision import plain
from pdshub.cli.kubectl import Kubectl, KubectlError

Json = dict[str, Any]
TRIES = 8
_LONGEST_USER, _LONGEST_COMMAND = 128, 300


def by(kubectl: Kubectl, words: Sequence[str]) -> str:
    """Who changes something now, and with which command; no user's name where the API server does not tell."""
    told = {
        "by": plain(kubectl.whoami(), _LONGEST_USER),
        "at": rfc3339.now(),
        "command": plain(shlex.join(words), _LONGEST_COMMAND),
    }
    return json.dumps(told, ensure_ascii=False)


def pointer(*parts: str) -> str:
    """A JSON pointer. Source: RFC 6901, section 3."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def noted(found: Mapping[str, Any], notes: Mapping[str, str], under: str = "annotations") -> list[Json]:
    """Operations that set annotations, or labels, of an object."""
    there = (found.get("metadata") or {}).get(under) is not None
    first = [] if there else [{"op": "add", "path": pointer("metadata", under), "value": {}}]
    return [*first, *({"op": "add", "path": pointer("metadata", under, k), "value": v} for k, v in notes.items())]


def apply(
    kubectl: Kubectl, where: Sequence[str], make: Callable[[Json], Sequence[Json]], *, dry_run: bool = False
) -> Json:
    """The object after a change; as it is where there is nothing to do.

    ``where``: kind, name and flags, as kubectl takes them. ``make``: the operations of a JSON patch for the object as
    it is now; it is asked again where somebody else wrote the object meanwhile. Raises KubectlError, and what ``make``
    raises.
    """
    found = kubectl.get(*where)
    for _ in range(TRIES):
        operations = list(make(found))
        if not operations:
            return found
        version = str(found["metadata"].get("resourceVersion") or "")
        same = {"op": "test", "path": pointer("metadata", "resourceVersion"), "value": version}
        try:
            return kubectl.change(where, [same, *operations], dry_run=dry_run)
        except KubectlError:
            found = kubectl.get(*where)
            if str(found["metadata"].get("resourceVersion") or "") == version:
                raise
    raise KubectlError(f"{' '.join(where[:2])} is written by others all the time: nothing was changed, try again")
