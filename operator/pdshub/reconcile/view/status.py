"""Reports of the nodes to the status of an ArchiveView: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import ValidationError

from pdshub import ports
from pdshub.api.generation import Gap, Proof
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus, NodeStatus, Source, SourceStatus, observed_tree
from pdshub.generation_id import short
from pdshub.installation import Allowed, refusal
from pdshub.reconcile.common import conditions
from pdshub.reconcile.common.conditions import ConditionDraft, merge_conditions, truth
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import gaps
from pdshub.reconcile.view.conditions import intact
from pdshub.reconcile.view.update_policy import UpdatePolicy

PATIENCE = 30.0
"""Seconds for which a node's last word counts when it does not answer: a plugin that restarts is no outage."""
CONNECTING = "connecting"
"""A node's word for what is being mounted for the first time: neither there nor failed."""
_AT_ONCE = UpdatePolicy()


class Verdict(NamedTuple):
    """The Ready condition."""

    ready: bool | None
    reason: str
    message: str


def where(source: Source) -> str:
    """The source in an admin's words."""
    if source.nfs:
        port = "" if source.nfs.port == ports.NFS else f" port {source.nfs.port}"
        return f"{source.nfs.server}:{source.nfs.export}{port}"
    return source.local.path if source.local else ""


def _part(report: Mapping[str, Any], *path: str) -> dict[str, Any]:
    found: Any = report
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _said(name: str, source: Source, reports: Mapping[str, NodeReport], now: float) -> dict[str, dict[str, Any]]:
    """What each node that answers says of a source."""
    said = {
        node: _part(answer.report, "sources", name, source.name)
        for node, answer in reports.items()
        if answer.at and now - answer.at < PATIENCE
    }
    return {node: words for node, words in said.items() if words}


def _failed(said: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Nodes that do not reach a source, and why; those that are connecting have not failed."""
    return {
        node: str(words.get("message") or "not ready")
        for node, words in said.items()
        if not words.get("ready") and words.get("state") != CONNECTING
    }


def _on(nodes: Collection[str], of: int) -> str:
    """Nodes in words, of so many that speak."""
    if len(nodes) == of and of > 1:
        return "every node"
    return f"node{'s' if len(nodes) > 1 else ''} {', '.join(sorted(nodes))}"


def sources(
    name: str, spec: ArchiveViewSpec, reports: Mapping[str, NodeReport], allowed: Allowed, now: float
) -> list[SourceStatus]:
    """Every source over all nodes that speak of it: ready where all of them reach it."""
    rows = []
    for source in spec.sources:
        said = _said(name, source, reports, now)
        missing = [node for node, words in said.items() if not words.get("ready")]
        bad = _failed(said)
        message = refusal(source, allowed)
        refused = bool(message)
        if bad and not refused:
            message = f"source {source.name} ({where(source)}) is not reached on {_on(bad, len(said))}: {bad[min(bad)]}"
        elif missing and not refused:
            message = f"source {source.name} ({where(source)}) is being connected on {_on(missing, len(said))}"
        rows.append(
            SourceStatus(
                name=source.name,
                ready=bool(said) and not missing and not refused,
                mode=", ".join(sorted({str(words.get("mode", "")) for words in said.values()} - {""})),
                message=message,
            )
        )
    return rows


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _generations(view: Mapping[str, Any]) -> tuple[int, str]:
    """The generation of the spec that a node has taken up (metadata.generation), and the one of content it shows."""
    values = [view.get(key) for key in ("specGeneration", "observedGeneration", "generation", "shows")]
    spec = next((v for v in values if isinstance(v, int)), 0)
    return spec, next((v for v in values if isinstance(v, str) and v.startswith("sha256:")), "")


def _proof(view: Mapping[str, Any]) -> Proof | None:
    try:
        return Proof.model_validate(view["proof"])
    except (KeyError, ValidationError):
        return None


def nodes(
    name: str, generation: int, reports: Mapping[str, NodeReport], now: float, behind: UpdatePolicy = _AT_ONCE
) -> list[NodeStatus]:
    """The view on every node."""
    rows = []
    for node in sorted(reports):
        answer = reports[node]
        view = _part(answer.report, "views", name)
        modes = {
            str(s.get("mode", "")) for s in _part(answer.report, "sources", name).values() if isinstance(s, Mapping)
        }
        stale = not answer.at or now - answer.at >= PATIENCE
        taken_up, shown = _generations(view)
        current = taken_up == generation or taken_up in behind.same
        message = str(view.get("message", ""))
        if stale:
            message = answer.error or "has not reported"
        elif not view:
            message = "has not taken up the view yet"
        elif not current:
            message = f"still has generation {taken_up} of the view's spec"
        elif view.get("state") == CONNECTING:
            message = "is connecting to the sources"
        elif view.get("fetching") and (not message or behind.coming(node)):
            message = f"is fetching generation {short(str(view['fetching']))}"
        elif (held := _number(view.get("held"))) and not message:
            message = f"servers that still use what was shown before: {held}"
        rows.append(
            NodeStatus(
                name=node,
                ready=bool(view.get("ready")) and current and not stale,
                form=str(view.get("form", "")),
                mode=", ".join(sorted(modes - {""})),
                targets=_number(view.get("targets")),
                generation=shown,
                proof=_proof(view),
                message=message,
            )
        )
    return rows


def verdict(
    name: str,
    spec: ArchiveViewSpec,
    generation: int,
    source_rows: list[SourceStatus],
    node_rows: list[NodeStatus],
    reports: Mapping[str, NodeReport],
    now: float,
    behind: UpdatePolicy = _AT_ONCE,
) -> Verdict:
    """Whether users see the whole archive."""
    refused = [row.message for row in source_rows if "is not allowed by this installation" in row.message]
    if refused:
        return Verdict(False, "NotAllowed", "; ".join(refused))
    if not node_rows:
        return Verdict(
            None,
            "NoNodePlugin",
            "no node plugin runs: look at DaemonSet pdshub-node of the installation (kubectl get daemonsets -A)",
        )
    failed = {s.name for s in spec.sources if _failed(_said(name, s, reports, now))}
    broken = [row.message for row in source_rows if row.name in failed]
    if broken:
        return Verdict(False, "SourceUnreachable", "; ".join(broken))
    silent = [row for row in node_rows if not reports[row.name].at]
    gone = [row for row in node_rows if reports[row.name].at and now - reports[row.name].at >= PATIENCE]
    if gone:
        words = "; ".join(f"node {row.name}: {row.message}" for row in gone)
        return Verdict(False, "NodeSilent", words)
    if silent:
        words = "; ".join(f"node {row.name}: {row.message}" for row in silent)
        return Verdict(None, "NoReport", f"no report yet: {words}")
    waiting = [row for row in node_rows if not row.ready]
    unknown = [row for row in waiting if _behind(name, generation, reports[row.name], behind)]
    if unknown:
        words = "; ".join(f"node {row.name} {row.message}" for row in unknown)
        return Verdict(None, "Progressing", words)
    waiting = [row for row in waiting if not behind.excused(row.name)]
    words_of = {row.name: f"node {row.name} {row.message}" for row in node_rows if behind.coming(row.name)}
    unwell = [
        row
        for row in waiting
        if _part(reports[row.name].report, "views", name).get("state") != CONNECTING and row.name not in words_of
    ]
    if unwell:
        words = "; ".join(f"node {row.name}: {row.message or 'the view is not ready'}" for row in unwell)
        return Verdict(False, "ViewNotReady", words)
    if coming := [words_of[row.name] for row in waiting if row.name in words_of]:
        return Verdict(None, "Fetching", "; ".join(coming))
    connecting = [row.message for row in source_rows if row.message]
    if connecting or waiting:
        words = "; ".join(connecting or [f"node {row.name} {row.message}" for row in waiting])
        return Verdict(None, conditions.CONNECTING, words)
    modes = sorted({row.mode for row in source_rows if row.mode})
    by = f" by {', '.join(modes)}" if modes else ""
    count = len(node_rows)
    more = f"; {'; '.join(words_of.values())}" if words_of else ""
    return Verdict(True, "Complete", f"every source is reached{by} on {count} node{'s' if count > 1 else ''}{more}")


def _behind(name: str, generation: int, answer: NodeReport, behind: UpdatePolicy) -> bool:
    view = _part(answer.report, "views", name)
    return not view or _generations(view)[0] not in {generation, *behind.same}


def status(
    name: str,
    spec: ArchiveViewSpec,
    generation: int,
    before: ArchiveViewStatus,
    reports: Mapping[str, NodeReport],
    allowed: Allowed,
    now: float,
    stamp: str,
    rows: Sequence[ConditionDraft] = (),
    fields: Mapping[str, Any] = MappingProxyType({}),
    lacks: Sequence[Gap] = (),
    behind: UpdatePolicy = _AT_ONCE,
) -> ArchiveViewStatus:
    """The whole status. ``now`` is time.monotonic(), ``stamp`` the same moment as RFC 3339 text.

    ``rows`` and ``fields`` are what there is to say of generations: whether users see the whole archive does not
    depend on them, as a view without a generation is shown live. It does on the layers of the tree
    that they lack in whichever form. ``behind``: what nodes have not taken up and need not have.
    """
    source_rows = sources(name, spec, reports, allowed, now)
    node_rows = nodes(name, generation, reports, now, behind)
    ready, reason, message = verdict(name, spec, generation, source_rows, node_rows, reports, now, behind)
    if ready and lacks:
        ready, reason, message = False, gaps.reason(lacks), gaps.words(spec, lacks)
    every: list[ConditionDraft] = [("Ready", truth(ready), reason, message), *rows, *intact(node_rows)]
    return ArchiveViewStatus(
        observed_generation=generation,
        observed_tree=observed_tree(spec),
        form=", ".join(sorted({row.form for row in node_rows} - {""})),
        sources=source_rows,
        nodes=node_rows,
        conditions=merge_conditions(every, before.conditions, generation, stamp),
        **fields,
    )
