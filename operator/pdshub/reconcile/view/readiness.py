"""Whether users see the whole archive: reports of the nodes to sources, nodes and condition Ready. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from pdshub import ports
from pdshub.api.generation import Gap
from pdshub.api.report import CONNECTING, FetchReason, SourceReport, ViewReport
from pdshub.api.view import ArchiveViewSpec, NodeStatus, Source, SourceStatus
from pdshub.generation_id import PREFIX, short
from pdshub.installation import Allowed, refusal
from pdshub.reconcile.common import conditions
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import gaps
from pdshub.reconcile.view.update_policy import UpdatePolicy

REPORT_GRACE_SECONDS = 30.0
"""Seconds for which a node's last report counts when it does not answer: a plugin that restarts is no outage."""
NOT_FETCHED = {FetchReason.NO_ROOM: "GenerationNoRoom", FetchReason.REFUSED: "GenerationRefused"}
"""Why a node does not take up a generation, by what it reports: reasons of Ready."""
MOST_HELD = 500
"""Held servers that a status names, over all nodes: an object of the API server has an end."""
AT_ONCE = UpdatePolicy()
"""Nodes may be behind with nothing."""


class Ready(NamedTuple):
    """The Ready condition; ``ready`` None: not known."""

    ready: bool | None
    reason: str
    message: str


class Reach(Enum):
    """How a source is reached, over all nodes."""

    READY = "ready"
    """Every node that speaks of it reaches it."""
    UNKNOWN = "unknown"
    """No node that answers speaks of it."""
    CONNECTING = "connecting"
    """Some nodes are mounting it for the first time, and none has failed."""
    FAILED = "failed"
    """Some nodes do not reach it."""


@dataclass(frozen=True)
class SourceState:
    """One source over all nodes."""

    name: str
    reach: Reach
    mode: str = ""
    refused: str = ""
    """Why the installation does not allow it; empty when it does."""
    trouble: str = ""
    """What is wrong, and on which nodes; empty while it is ready or unknown."""

    @property
    def status(self) -> SourceStatus:
        """The source as the status has it."""
        ready = self.reach is Reach.READY and not self.refused
        return SourceStatus(name=self.name, ready=ready, mode=self.mode, message=self.refused or self.trouble)


def where(source: Source) -> str:
    """The source in an admin's words: server, export and port, or the path on the node."""
    if source.nfs:
        port = "" if source.nfs.port == ports.NFS else f" port {source.nfs.port}"
        return f"{source.nfs.server}:{source.nfs.export}{port}"
    if source.s3:
        return f"{source.s3.place} of {source.s3.url}"
    return source.local.path if source.local else ""


def _reported(name: str, source: Source, reports: Mapping[str, NodeReport], now: float) -> dict[str, SourceReport]:
    """What each node that answers reports of a source."""
    return {
        node: report
        for node, answer in reports.items()
        if answer.at and now - answer.at < REPORT_GRACE_SECONDS
        if (report := answer.parsed.source(name, source.name))
    }


def _on(nodes: Collection[str], of: int) -> str:
    """Nodes in words, of so many that speak."""
    if len(nodes) == of and of > 1:
        return "every node"
    return f"node{'s' if len(nodes) > 1 else ''} {', '.join(sorted(nodes))}"


def source_states(
    name: str, spec: ArchiveViewSpec, reports: Mapping[str, NodeReport], allowed: Allowed, now: float
) -> list[SourceState]:
    """Every source over all nodes that speak of it. ``now``: time.monotonic()."""
    return [_source_state(source, _reported(name, source, reports, now), allowed) for source in spec.sources]


def _source_state(source: Source, reported: Mapping[str, SourceReport], allowed: Allowed) -> SourceState:
    what = f"source {source.name} ({where(source)})"
    missing = {node: report for node, report in reported.items() if not report.ready}
    failed = {node: report.message or "not ready" for node, report in missing.items() if report.state != CONNECTING}
    reach, trouble = Reach.READY if reported else Reach.UNKNOWN, ""
    if failed:
        reach = Reach.FAILED
        trouble = f"{what} is not reached on {_on(failed, len(reported))}: {failed[min(failed)]}"
    elif missing:
        reach, trouble = Reach.CONNECTING, f"{what} is being connected on {_on(missing, len(reported))}"
    modes = ", ".join(sorted({report.mode for report in reported.values()} - {""}))
    return SourceState(source.name, reach, modes, refusal(source, allowed), trouble)


def node_states(
    name: str, metadata_generation: int, reports: Mapping[str, NodeReport], now: float, behind: UpdatePolicy = AT_ONCE
) -> list[NodeStatus]:
    """The view on every node. ``now``: time.monotonic(); ``behind``: what nodes may not have taken up yet."""
    rows, room = [], MOST_HELD
    for node in sorted(reports):
        answer = reports[node]
        said = answer.parsed.view(name)
        view = said or ViewReport()
        modes = {source.mode for source in answer.parsed.sources.get(name, {}).values()}
        stale = not answer.at or now - answer.at >= REPORT_GRACE_SECONDS
        current = view.spec_generation == metadata_generation or view.spec_generation in behind.same
        message = view.message
        if stale:
            message = answer.error or "has not reported"
        elif not said:
            message = "has not taken up the view yet"
        elif not current:
            message = f"still has generation {view.spec_generation} of the view's spec"
        elif view.state == CONNECTING:
            message = "is connecting to the sources"
        elif view.fetching and view.fetch_reason:
            message = view.fetch_message or f"does not take up generation {short(view.fetching)}"
        elif view.fetching and (not message or behind.coming(node)):
            message = f"is fetching generation {short(view.fetching)}"
        elif view.held and not message:
            message = f"servers that still use what was shown before: {view.held}"
        named = view.held_servers[:room]
        room -= len(named)
        rows.append(
            NodeStatus(
                name=node,
                ready=view.ready and current and not stale,
                form=view.form,
                mode=", ".join(sorted(modes - {""})),
                targets=view.targets,
                generation=view.shows if view.shows.startswith(PREFIX) else "",
                held=len(view.held_servers),
                held_servers=[server.status() for server in named],
                proof=view.proof.status() if view.proof else None,
                content=view.content.status() if view.content else None,
                message=message,
            )
        )
    return rows


def readiness(
    name: str,
    spec: ArchiveViewSpec,
    metadata_generation: int,
    sources: Sequence[SourceState],
    nodes: Sequence[NodeStatus],
    reports: Mapping[str, NodeReport],
    now: float,
    behind: UpdatePolicy = AT_ONCE,
    lacks: Sequence[Gap] = (),
) -> Ready:
    """Whether users see the whole archive: every source is reached everywhere, and no layer is lacking."""
    reached = _reached(name, metadata_generation, sources, nodes, reports, now, behind)
    return Ready(False, gaps.reason(lacks), gaps.describe(spec, lacks)) if reached.ready and lacks else reached


def _reached(
    name: str,
    metadata_generation: int,
    sources: Sequence[SourceState],
    nodes: Sequence[NodeStatus],
    reports: Mapping[str, NodeReport],
    now: float,
    behind: UpdatePolicy,
) -> Ready:
    if refused := [source.refused for source in sources if source.refused]:
        return Ready(False, "NotAllowed", "; ".join(refused))
    if not nodes:
        return Ready(
            None,
            "NoNodePlugin",
            "no node plugin runs: look at DaemonSet pdshub-node of the installation (kubectl get daemonsets -A)",
        )
    if failed := [source.trouble for source in sources if source.reach is Reach.FAILED]:
        return Ready(False, "SourceUnreachable", "; ".join(failed))
    silent = [row for row in nodes if not reports[row.name].at]
    gone = [row for row in nodes if reports[row.name].at and now - reports[row.name].at >= REPORT_GRACE_SECONDS]
    if gone:
        return Ready(False, "NodeSilent", "; ".join(f"node {row.name}: {row.message}" for row in gone))
    if silent:
        words = "; ".join(f"node {row.name}: {row.message}" for row in silent)
        return Ready(None, "NoReport", f"no report yet: {words}")
    waiting = [row for row in nodes if not row.ready]
    unknown = [row for row in waiting if _is_behind(name, metadata_generation, reports[row.name], behind)]
    if unknown:
        return Ready(None, "Progressing", "; ".join(f"node {row.name} {row.message}" for row in unknown))
    if stuck := _not_fetched(name, nodes, reports):
        return stuck
    waiting = [row for row in waiting if not behind.excused(row.name)]
    coming = {row.name: f"node {row.name} {row.message}" for row in nodes if behind.coming(row.name)}
    unhealthy = [row for row in waiting if not _connects(name, reports[row.name]) and row.name not in coming]
    if unhealthy:
        words = "; ".join(f"node {row.name}: {row.message or 'the view is not ready'}" for row in unhealthy)
        return Ready(False, "ViewNotReady", words)
    if fetching := [coming[row.name] for row in waiting if row.name in coming]:
        return Ready(None, "Fetching", "; ".join(fetching))
    connecting = [source.trouble for source in sources if source.trouble]
    if connecting or waiting:
        words = "; ".join(connecting or [f"node {row.name} {row.message}" for row in waiting])
        return Ready(None, conditions.CONNECTING, words)
    modes = sorted({source.mode for source in sources if source.mode})
    by = f" by {', '.join(modes)}" if modes else ""
    more = f"; {'; '.join(coming.values())}" if coming else ""
    count = f"{len(nodes)} node{'s' if len(nodes) > 1 else ''}"
    return Ready(True, "Complete", f"every source is reached{by} on {count}{more}")


def _not_fetched(name: str, nodes: Sequence[NodeStatus], reports: Mapping[str, NodeReport]) -> Ready | None:
    """Nodes that will not take up the released generation by themselves; what they show stays."""
    found: dict[FetchReason, list[str]] = {}
    for row in nodes:
        view = reports[row.name].parsed.view(name)
        if view and view.fetching and view.fetch_reason:
            found.setdefault(view.fetch_reason, []).append(f"node {row.name}: {row.message}")
    if not found:
        return None
    first = min(found, key=list(NOT_FETCHED).index)
    return Ready(False, NOT_FETCHED[first], "; ".join(words for said in found.values() for words in said))


def _is_behind(name: str, metadata_generation: int, answer: NodeReport, behind: UpdatePolicy) -> bool:
    view = answer.parsed.view(name)
    return not view or view.spec_generation not in {metadata_generation, *behind.same}


def _connects(name: str, answer: NodeReport) -> bool:
    view = answer.parsed.view(name)
    return bool(view and view.state == CONNECTING)
