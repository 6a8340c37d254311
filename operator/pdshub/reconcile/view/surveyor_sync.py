"""What is said to a view's surveyor, and what its answer means for the decision. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pdshub import wellknown
from pdshub.api.generation import Travelling
from pdshub.api.report import ViewReport
from pdshub.api.survey import State, SurveyState, Travels
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.generation_id import is_name, named
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import gaps
from pdshub.reconcile.view.generations import Kept

REFRESH = wellknown.REFRESH
"""Annotation of a view: a new token asks for a survey now."""
ANSWER_GRACE_SECONDS = 30.0
"""Seconds for which a surveyor's last answer counts when it does not answer: a restart is no outage."""
NODE_REQUESTS_SECONDS = 60.0
"""Seconds between two surveys that nodes ask for."""
PHASE_SECONDS = 5.0
"""Seconds between two phases of a running survey in the status: each is a write, and an event for who watches."""
_NODES = re.compile(r"\+[0-9a-f]{8}$")
_LONGEST = 200


def asked_by_people(request: str) -> str:
    """The part of a request that a person wrote: all but the digest of what nodes ask for."""
    return _NODES.sub("", request)


def _node_views(view: str, reports: Mapping[str, NodeReport]) -> list[ViewReport]:
    """What each node reports of a view."""
    return [mine for answer in reports.values() if (mine := answer.parsed.view(view))]


def surveys_wanted(view: str, reports: Mapping[str, NodeReport]) -> frozenset[str]:
    """Requests for a survey by nodes that met a file which was replaced since the last one."""
    return frozenset(mine.survey_wanted[:_LONGEST] for mine in _node_views(view, reports) if mine.survey_wanted)


@dataclass(frozen=True)
class NodeRequests:
    """Requests of nodes that were passed on to the surveyor together."""

    passed_on: frozenset[str] = frozenset()
    digest: str = ""
    """Their digest, which stands in the request behind a plus; empty before the first."""
    at: float = 0.0
    """When that was (time.monotonic()); 0.0 when it was before this process."""

    def request(self, annotation: str) -> str:
        """The request to send: what a person asked for and, after a plus, the digest of what nodes ask for."""
        return annotation[:_LONGEST] + (f"+{self.digest}" if self.digest else "")


def _digest(values: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(sorted(values)).encode()).hexdigest()[:8]


def pass_on(before: NodeRequests, wanted: frozenset[str], answered: str, now: float) -> NodeRequests:
    """The requests to pass on now (``now``: time.monotonic()): a node's request that ends is no new one.

    ``answered`` is the request that the surveyor answered last: after a restart of the operator the same requests of
    nodes have the same digest, and so ask for no survey.
    """
    if not before.digest and (suffix := _NODES.search(answered)):
        digest = suffix[0][1:]
        before = replace(before, digest=digest, passed_on=wanted if digest == _digest(wanted) else before.passed_on)
    due = not before.at or now - before.at >= NODE_REQUESTS_SECONDS
    return NodeRequests(wanted, _digest(wanted), now) if wanted - before.passed_on and due else before


def generations_in_use(
    view: str, spec: ArchiveViewSpec, status: ArchiveViewStatus, reports: Mapping[str, NodeReport]
) -> list[str]:
    """Names of generations that must never be dropped: what users see, on whatever node, and what a person named."""
    names = {status.generation.name} if status.generation else set[str]()
    if status.candidate:
        names.add(status.candidate.name)
    for item in status.generations:
        if named(spec.pin, item.name) or named(spec.approved, item.name):
            names.add(item.name)
    for mine in _node_views(view, reports):
        # servers may be held at an older one until they end
        names.update((mine.shows, *mine.shown))
    return sorted(name for name in names if is_name(name))


def desired_view(
    view: str, metadata_generation: int, spec: ArchiveViewSpec, request: str, keep: list[str]
) -> dict[str, Any]:
    """The body of PUT /spec. ``keep``: names of generations that must not be dropped."""
    return {"name": view, "generation": metadata_generation, "spec": spec.wire(), "request": request, "keep": keep}


@dataclass(frozen=True)
class Told:
    """What the surveyor was told last."""

    desired: str = ""
    """Digest of the body of PUT /spec; empty before the first."""
    spec: str | None = None
    """What the surveyor calls that spec."""
    at: float | None = None
    """When (time.monotonic()); None when this process has told nothing yet."""


def desired_digest(desired: Mapping[str, Any]) -> str:
    """Digest of a body of PUT /spec."""
    text = json.dumps(desired, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Phase:
    """What the status says of a running survey, and since when (time.monotonic()); nothing while none runs."""

    text: str = ""
    at: float | None = None


def next_phase(before: Phase, state: State, now: float) -> Phase:
    """The phase to say: the surveyor's own changes by the second, the status follows more slowly."""
    survey = state.survey
    if survey.state != SurveyState.RUNNING:
        return Phase()
    if before.at is None or now - before.at >= PHASE_SECONDS:
        return Phase(survey.phase or survey.message, now)
    return before


def kept_generations(state: State) -> tuple[Kept, ...]:
    """The surveyor's generations, newest first, as the decision wants them."""
    return tuple(
        Kept(
            name=item.name,
            as_of=item.as_of,
            counts=item.counts.plain(),
            findings=item.findings,
            accepted=item.guard is None or item.guard.accepted,
            previous=item.previous or "",
            changes=item.changes.plain(),
            gaps=gaps.gaps(item.entries),
            content=_travelling(item.travels),
        )
        for item in state.generations
    )


def _travelling(said: Travels | None) -> Travelling | None:
    if said is None or not is_name(said.digest):
        return None
    return Travelling(
        digest=said.digest,
        files=said.files,
        bytes=said.bytes,
        wanted_files=said.wanted_files,
        wanted_bytes=said.wanted_bytes,
        complete=said.complete,
    )


@dataclass(frozen=True)
class LastAnswer:
    """The surveyor's last state in which it knew what is wanted of it, and when that was (time.monotonic())."""

    state: State
    at: float


def still_counts(last: LastAnswer | None, now: float) -> State | None:
    """The surveyor's last state while it is worth something; None when there is none."""
    return last.state if last and now - last.at < ANSWER_GRACE_SECONDS else None
