"""What is said to a view's surveyor, and what its answer means. Pure, but for ``talk``."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from pdshub import wellknown
from pdshub.api.generation import LIVE
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.generation_id import is_name, named
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import gaps
from pdshub.reconcile.view.context import ViewContext, ViewMemory
from pdshub.reconcile.view.generations import Kept, Verdict
from pdshub.survey_api import State, SurveyError

REFRESH = wellknown.REFRESH
"""Annotation of a view: a new token asks for a survey now."""
PATIENCE = 30.0
"""Seconds for which a surveyor's last word counts when it does not answer: a restart is no outage."""
NODES_EVERY = 60.0
"""Seconds between two surveys that nodes ask for."""
PHASE_EVERY = 5.0
"""Seconds between two words of a survey that runs: each is a write, and an event for everybody who watches."""
BEING_COMPARED = "What it changes for users is being worked out"
CANNOT_COMPARE = "What it changes for users is not known: the surveyor no longer keeps what they see"
NOT_COMPARED = "What it changes for users could not be worked out"
_NODES = re.compile(r"\+[0-9a-f]{8}$")
_LONGEST = 200


def asked_by_people(request: str) -> str:
    """The part of a token that a person wrote."""
    return _NODES.sub("", request)


def _said(view: str, reports: Mapping[str, NodeReport]) -> Iterator[Mapping[str, Any]]:
    """What each node says of a view."""
    for answer in reports.values():
        views = answer.report.get("views") if isinstance(answer.report, Mapping) else None
        mine = views.get(view) if isinstance(views, Mapping) else None
        if isinstance(mine, Mapping):
            yield mine


def wishes(view: str, reports: Mapping[str, NodeReport]) -> frozenset[str]:
    """Requests of nodes that met a file that was replaced before its survey."""
    tokens = [mine.get("surveyWanted") for mine in _said(view, reports)]
    return frozenset(token[:_LONGEST] for token in tokens if isinstance(token, str) and token)


def _digest(values: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(sorted(values)).encode()).hexdigest()[:8]


def token(memory: ViewMemory, annotation: str, wanted: frozenset[str], known: str, now: float) -> str:
    """The request to send: what a person asked for and, after a plus, a digest of what nodes ask for.

    A node's request that ends is no new one. ``known`` is the request that the surveyor answered last: after a
    restart of the operator the same wishes make the same token, and so no survey.
    """
    if not memory.token and (suffix := _NODES.search(known)):
        memory.token = suffix[0][1:]
        if memory.token == _digest(wanted):
            memory.asked_by = wanted
    if wanted - memory.asked_by and (not memory.token_at or now - memory.token_at >= NODES_EVERY):
        memory.token, memory.token_at, memory.asked_by = _digest(wanted), now, wanted
    return annotation[:_LONGEST] + (f"+{memory.token}" if memory.token else "")


def keep(view: str, spec: ArchiveViewSpec, status: ArchiveViewStatus, reports: Mapping[str, NodeReport]) -> list[str]:
    """Generations that must never be dropped: what users see, on whatever node, and what a person named."""
    names = {status.generation.name} if status.generation else set[str]()
    if status.candidate:
        names.add(status.candidate.name)
    for item in status.generations:
        if named(spec.pin, item.name) or named(spec.approved, item.name):
            names.add(item.name)
    for mine in _said(view, reports):
        # servers may be held at an older one until they end
        shown = mine.get("shown")
        names.update(str(name) for name in (mine.get("shows"), *(shown if isinstance(shown, Mapping) else ())))
    return sorted(name for name in names if is_name(name))


def body(view: str, generation: int, spec: ArchiveViewSpec, request: str, names: list[str]) -> dict[str, Any]:
    """PUT /spec."""
    return {"name": view, "generation": generation, "spec": spec.wire(), "request": request, "keep": names}


def message(memory: ViewMemory, state: State, now: float) -> str:
    """What the survey does or says. While it runs the words change by the second: the status follows more slowly."""
    survey = state.survey
    if survey.state != "running":
        memory.phase = ("", 0.0)
        return survey.message
    if not memory.phase[1] or now - memory.phase[1] >= PHASE_EVERY:
        memory.phase = (survey.phase or survey.message or "", now)
    return memory.phase[0]


def kept(state: State) -> tuple[Kept, ...]:
    """The surveyor's generations as the decision wants them."""
    return tuple(
        Kept(
            name=item.name,
            as_of=item.as_of,
            counts=item.counts,
            findings=item.findings,
            accepted=item.guard.accepted,
            previous=item.previous,
            changes=item.changes,
            gaps=gaps.gaps(item.entries),
        )
        for item in state.generations
    )


def remembered(memory: ViewMemory) -> State | None:
    """The surveyor's last answer, while it is worth something."""
    fresh = memory.state is not None and time.monotonic() - memory.state_at < PATIENCE
    return memory.state if fresh else None


async def talk(
    context: ViewContext, memory: ViewMemory, address: str, wish: Callable[[str], dict[str, Any]]
) -> tuple[State | None, str]:
    """Ask for the state, and say what is wanted where the surveyor does not know it yet.

    ``wish`` makes the body from the request that the surveyor answered last. Returns the state and why there is no
    fresh one. Raises KubeError only, from the certificates.
    """
    tls = await context.tls.get()
    try:
        state = await context.surveys.state(tls, address)
        wanted = wish(state.survey.request)
        if state.view not in ("", wanted["name"]):
            # an address that was given to another Service meanwhile
            raise SurveyError(f"the surveyor of {state.view} answers at {address}")
        text = json.dumps(wanted, sort_keys=True, separators=(",", ":"))
        digest = hashlib.sha256(text.encode()).hexdigest()
        if state.spec is None or memory.told != (digest, state.spec):
            await context.surveys.put_spec(tls, address, wanted)
            state = await context.surveys.state(tls, address)
            memory.told, memory.told_at = (digest, state.spec), time.monotonic()
    except SurveyError as error:
        return remembered(memory), str(error)
    memory.state, memory.state_at = state, time.monotonic()
    return state, ""


async def compared(context: ViewContext, memory: ViewMemory, address: str, verdict: Verdict, state: State) -> Verdict:
    """The verdict with what a candidate changes for users, who see a generation or the sources live.

    The surveyor's own numbers compare with its last one, which users may never have seen.

    ``address``: "" while the surveyor does not answer. Where the numbers are not known yet the candidate has none,
    and says so: none would look like no change.
    """
    waits = verdict.candidate
    if waits is None:
        return verdict
    seen = verdict.released.name if verdict.released else LIVE
    if waits.against == seen:
        return verdict
    pair = (seen, waits.name)
    known = memory.changes.get(pair, BEING_COMPARED)
    # what users see live changes without a new generation: what was known stands until it is worked out again
    since = state.survey.last_finished if seen == LIVE else ""
    if isinstance(known, str) and seen not in [LIVE, *(item.name for item in state.generations)]:
        known = CANNOT_COMPARE
    elif (isinstance(known, str) or memory.compared_at != since) and address:
        try:
            found = await context.surveys.changes(await context.tls.get(), address, *pair)
            if found is not None:
                known, memory.compared_at = found, since
            elif isinstance(known, str):
                known = BEING_COMPARED
        except SurveyError as error:
            known = f"{NOT_COMPARED}: {error}" if isinstance(known, str) else known
    memory.changes = {pair: known}
    more: dict[str, Any] = {"changes": known, "against": seen}
    if isinstance(known, str):
        more = {"changes": None, "against": seen, "message": f"{waits.message}. {known}"}
    return replace(verdict, candidate=waits.model_copy(update=more))
