"""Whether a changed list is in effect: the operator made it known, the hub reads it, and nobody off it is left."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.cli.hub_choice import HUBS, key
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.words import condition
from pdshub.wellknown import PEOPLE_FILE

Json = Mapping[str, Any]
SUFFIX = "-people"
POLL_SECONDS = 1.0
GRACE_SECONDS = 15.0
"""How long a refusal may be of before the change, where a changed source leaves the hub's generation as it was."""
DONE, REFUSED, WAITING = "done", "refused", "waiting"
_DIGEST = re.compile(r"\b[0-9a-f]{12}\b")


@dataclass(frozen=True)
class State:
    """How far a change is: ``done``, ``refused`` or ``waiting``, and what the operator says of it."""

    kind: str
    words: str
    digest: str = ""


@dataclass
class Waited:
    """What came of waiting. ``steps``: what the operator said on the way, in its order."""

    state: State
    steps: list[str] = field(default_factory=list)

    def wire(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "enforced": self.state.kind == DONE,
            "digest": self.state.digest,
            "message": self.state.words,
            "steps": self.steps,
        }


def digests(message: str) -> list[str]:
    """The digests of lists that a condition names: words of twelve hexadecimal digits."""
    return list(dict.fromkeys(_DIGEST.findall(message)))


def people(kubectl: Kubectl, hub: Json) -> Json | None:
    """The list that the operator made for the hub; None where it can not be read."""
    namespace, name = key(dict(hub))
    try:
        found = kubectl.get("configmap", f"{name}{SUFFIX}", "-n", namespace)
        listed = json.loads((found.get("data") or {}).get(PEOPLE_FILE) or "null")
    except (KubectlError, ValueError, TypeError, RecursionError):
        return None
    return listed if isinstance(listed, dict) else None


def _fresh(found: Json, generation: int) -> bool:
    seen = found.get("observedGeneration")
    return isinstance(seen, int) and seen >= generation


def _said(found: Json) -> str:
    return str(found.get("message") or found.get("reason") or "")


def state(hub: Json, listed: Json | None, shown: Callable[[Json], bool], generation: int) -> State:
    """How far a change is.

    ``listed``: the list that the hub is given, None where it can not be read; ``shown``: whether it has the change;
    ``generation``: of the hub when it was changed.
    """
    known, enforced = condition(hub, "UsersKnown"), condition(hub, "UsersEnforced")
    digest = str((listed or {}).get("digest") or "")
    there = listed is None or shown(listed)
    if known.get("status") == "False" and _fresh(known, generation) and not (there and listed is not None):
        return State(REFUSED, f"the list is not taken up: {_said(known)}")
    if not there:
        return State(WAITING, "the operator has not made the list yet")
    if not enforced:
        return State(WAITING, "the hub's status has no condition UsersEnforced yet", digest)
    named = digests(str(enforced.get("message") or ""))
    this = not digest or not named or digest in named
    if enforced.get("status") == "True" and this and _fresh(enforced, generation):
        return State(DONE, _said(enforced), digest)
    return State(WAITING, _said(enforced), digest)


def wait(
    kubectl: Kubectl,
    hub: Json,
    shown: Callable[[Json], bool],
    seconds: float,
    told: Callable[[str], None],
    *,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    grace: float = GRACE_SECONDS,
) -> Waited:
    """Waits until a change is in effect, or refused, or the time is over. ``told`` hears what is new.

    ``hub``: as it was after the change. ``grace``: seconds for which a refusal does not count. Raises KubectlError.
    """
    namespace, name = key(dict(hub))
    generation = int(hub["metadata"].get("generation") or 0)
    began, waited = clock(), Waited(State(WAITING, ""))
    while True:
        now = kubectl.get(HUBS, name, "-n", namespace)
        waited.state = state(now, people(kubectl, now), shown, generation)
        if waited.state.words and waited.state.words not in waited.steps:
            waited.steps.append(waited.state.words)
            if waited.state.kind == WAITING:
                told(waited.state.words)
        spent = clock() - began
        over = waited.state.kind == DONE or (waited.state.kind == REFUSED and spent >= grace)
        if over or spent >= seconds:
            return waited
        sleep(POLL_SECONDS)
