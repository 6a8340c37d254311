"""The node's report, from what the reconciler, the proofs and the CSI service know now."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from pdshub import generation_id, rfc3339
from pdshub.api.generation import LIVE
from pdshub.api.report import (
    CONNECTING,
    CanaryReport,
    ContentReport,
    CsiReport,
    HeldReport,
    ProofReport,
    Report,
    SourceReport,
    ViewReport,
)
from pdshub.node.csi.services import Node
from pdshub.node.csi.sockets import program_version
from pdshub.node.health.monitor import Findings
from pdshub.node.reconcile.reconciler import Reconciler
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.reconcile.view_health import report as showing
from pdshub.node.spec import View, pod_of


def document(name: str, node: Node, reconciler: Reconciler, findings: Findings) -> Report:
    """The report of the node `name`; answers from memory, whatever hangs."""
    views = {view.name: _view(view, reconciler, findings) for view in reconciler.known.values()}
    for view_name, problem in reconciler.informer.problems.items():
        views[view_name] = ViewReport(
            spec_generation=0, form="live", ready=False, state="failed",
            targets=reconciler.target_count.get(view_name, 0), message=problem,
        )  # fmt: skip
    return Report(
        node=name,
        kernel=os.uname().release,
        version=program_version(),
        csi=CsiReport(publishes=node.publishes, last_publish_seconds=round(node.last_publish_seconds, 4)),
        views=views,
        sources={view.name: _sources(view, reconciler) for view in reconciler.known.values()},
        failures=dict(reconciler.failing.counts),
    )


def totals(node: Node, reconciler: Reconciler) -> dict[str, float]:
    """Counters of the whole node, as metrics.TOTALS names them."""
    cache, contents = reconciler.cache, reconciler.contents
    return {
        "switches": reconciler.actions.switches,
        "fetches": cache.fetches,
        "fetch_bytes": cache.fetched_bytes,
        "fetch_seconds": cache.fetch_seconds,
        "fetches_failing": len(cache.failures),
        "generations_bytes": cache.room.used,
        "generations_max_bytes": cache.room.most,
        "content_fetches": contents.fetches,
        "content_fetch_bytes": contents.fetched_bytes,
        "contents_failing": len(contents.failures),
        "packs_bytes": contents.used,
        "packs_max_bytes": contents.most,
        "publishes": node.publishes,
    }


def _state(ready: bool, connecting: bool) -> str:
    return "ready" if ready else CONNECTING if connecting else "failed"


def _view(view: View, reconciler: Reconciler, findings: Findings) -> ViewReport:
    story = reconciler.stories.get(view.name)
    ready = bool(story and story.ready)
    said = ViewReport(
        spec_generation=view.spec_generation,
        **showing(reconciler.showing.get(view.name, Showing())),
        ready=ready,
        state=_state(ready, reconciler.arriving(view)),
        targets=reconciler.target_count.get(view.name, 0),
        message=story.message if story else "not looked at yet",
    )
    found = findings.of(view.name)
    more: dict[str, object] = {}
    if kept := held(view, reconciler):
        more["held_servers"] = kept
    if "proof" in found:
        more["proof"] = ProofReport.model_validate(found["proof"])
    if "canary" in found:
        more["canary"] = CanaryReport.model_validate(found["canary"])
    failed = reconciler.cache.failures.get(said.fetching) if said.fetching else None
    if failed and failed.reason:
        more |= {"fetch_reason": failed.reason, "fetch_message": reconciler.cache.progress(said.fetching)}
    if view.released and view.released.content:
        more["content"] = _content(view.released.name, reconciler.travels.get(view.name) or {}, reconciler)
    if wanted := _survey_wanted(view, reconciler, findings):
        more["survey_wanted"] = wanted
    return said.model_copy(update=more)


def _content(generation: str, here: Mapping[str, Any], reconciler: Reconciler) -> ContentReport:
    return ContentReport(
        digest=here.get("digest", ""),
        files=here.get("files", 0),
        bytes=here.get("bytes", 0),
        message=reconciler.contents.why(generation),
    )


def held(view: View, reconciler: Reconciler) -> list[HeldReport]:
    """The servers of a view that show something else than its others, by their pods."""
    return [
        HeldReport(
            pod=pod,
            generation=one.generation,
            since=rfc3339.text(one.since),
            until="" if one.until is None else rfc3339.text(one.until),
        )
        for one in reconciler.holds.servers(view, reconciler.showing.get(view.name, Showing()))
        if (pod := pod_of(one.target)) and (one.generation == LIVE or generation_id.is_name(one.generation))
    ]


def _survey_wanted(view: View, reconciler: Reconciler, findings: Findings) -> str:
    """Tokens of surveys that are asked for: by a watch of the view's sample, and for each source in whose place there
    is another file system than the one that was surveyed."""
    watch = findings.watcher.watches.get(view.name)
    wanted = [watch.survey_wanted] if watch and watch.survey_wanted else []
    for source in view.sources:
        mount = reconciler.sources.mounts.get(source.digest)
        if mount and view.released and mount.identity_check.changed > view.released.as_of:
            wanted.append(f"{source.name}-{mount.identity_check.changed}")
    return " ".join(wanted)


def _sources(view: View, reconciler: Reconciler) -> dict[str, SourceReport]:
    connecting, found = reconciler.sources.connecting(view), {}
    for source in view.sources:
        mount = reconciler.sources.mounts.get(source.digest)
        if mount is None:
            continue
        state, identity = mount.state, mount.identity_check
        found[source.name] = SourceReport(
            ready=state.ready,
            state=_state(state.ready, source.name in connecting),
            mode=state.mode,
            message=state.message,
            latency_seconds=round(state.latency, 4),
            round_trip_seconds=round(state.round_trip, 5),
            read_ahead=state.read_ahead,
            connections=state.connections,
            identity_changed=identity.changed,
            identity_changes=identity.changes,
        )
    return found
