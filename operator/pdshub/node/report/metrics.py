"""Prometheus metrics of a node: the report's other face. docs/metrics.md explains each.

Labels are names of views and their sources, words of this program and digests of mounted generations: nothing that
users choose, and only as many as the views declare.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from pdshub import generation_id, rfc3339
from pdshub.api.report import Report, SourceReport, ViewReport
from pdshub.files import write_text
from pdshub.node.health.integrity import RESULTS

log = logging.getLogger(__name__)

PREFIX = "pdshub_node_"
EVERY = 5.0
"""Seconds between two writings."""
#: Totals of the whole node (document.totals).
TOTALS = {
    "switches": "Mounts of published volumes that were switched to other content.",
    "fetches": "Generations fetched.",
    "fetch_bytes": "Bytes of generations fetched.",
    "fetch_seconds": "Seconds that fetching them took.",
    "content_fetches": "Contents fetched: what travels with generations.",
    "content_fetch_bytes": "Bytes of contents fetched.",
    "publishes": "Volumes published since the plugin started.",
}


def gauge(name: str, text: str, labels: Iterable[str] = ()) -> GaugeMetricFamily:
    """A gauge of a node without values yet; `text` is its help."""
    return GaugeMetricFamily(PREFIX + name, text, labels=list(labels))


def of_sources(sources: Mapping[str, Mapping[str, SourceReport]]) -> Iterator[Metric]:
    """`sources`: view -> source -> its part of the report."""
    labels = ("view", "source")
    up = gauge("source_up", "1 if the source answers and is the right export.", labels)
    latency = gauge("source_latency_seconds", "Seconds that the last look at the source took.", labels)
    changes = CounterMetricFamily(
        PREFIX + "source_identity_changes", "Times that another file system appeared in the source's place.",
        labels=labels,
    )  # fmt: skip
    for view, rows in sorted(sources.items()):
        for source, row in sorted(rows.items()):
            up.add_metric([view, source], float(row.ready))
            if row.ready:
                latency.add_metric([view, source], row.latency_seconds)
            changes.add_metric([view, source], float(row.identity_changes))
    yield from (up, latency, changes)


def of_views(views: Mapping[str, ViewReport]) -> Iterator[Metric]:
    """`views`: name -> its part of the report."""
    ready = gauge("view_ready", "1 if the whole view is mounted and its sources answer.", ("view",))
    targets = gauge("view_targets", "Pods of this node that have the view.", ("view",))
    generation = InfoMetricFamily(PREFIX + "view_generation", "The generation that is mounted, and its form.",
                                  labels=["view"])  # fmt: skip
    fetching = gauge("view_fetching", "1 while the released generation is not here yet.", ("view",))
    held = gauge("view_held", "Pods whose former content is in use and waited for.", ("view",))
    local = gauge("view_local_files", "Files of the view that are read on the node, without its sources.", ("view",))
    local_bytes = gauge("view_local_bytes", "Bytes of these.", ("view",))
    for name, view in sorted(views.items()):
        ready.add_metric([name], float(view.ready))
        targets.add_metric([name], float(view.targets))
        generation.add_metric([name], {"generation": short(view.shows), "form": view.form})
        fetching.add_metric([name], float(bool(view.fetching)))
        held.add_metric([name], float(view.held))
        if view.content:
            local.add_metric([name], float(view.content.files))
            local_bytes.add_metric([name], float(view.content.bytes))
    yield from (ready, targets, generation, fetching, held, local, local_bytes)


def short(generation: str) -> str:
    """The first 12 digits, as people write it; empty for what is no generation."""
    return generation_id.short(generation) if generation.startswith(generation_id.PREFIX) else ""


def of_proofs(views: Mapping[str, ViewReport]) -> Iterator[Metric]:
    """Proofs and samples of the views that have been looked at."""
    ok = gauge("proof_ok", "1 if the last proof found the view unwritable and intact, 0 if it was violated "
               "or could not be finished, or while files are being delivered.", ("view",))  # fmt: skip
    unwritable = gauge("proof_unwritable", "1 if the last proof could change nothing, 0 if it could.", ("view",))
    result = gauge("proof_result", "1 for the result of the last proof.", ("view", "result"))
    at = gauge("proof_timestamp_seconds", "Unix time of the last proof.", ("view",))
    files = gauge("proof_files", "Files of the sample by what the last proof found.", ("view", "found"))
    differing = gauge("canary_files_differing", "Files of the sample known to differ from the survey.", ("view",))
    renewals = CounterMetricFamily(
        PREFIX + "renewals", "Times that a view's mount was renewed because a file had been replaced.", labels=["view"]
    )
    for name, view in sorted(views.items()):
        if proof := view.proof:
            ok.add_metric([name], float(proof.ok))
            if proof.unwritable is not None:
                unwritable.add_metric([name], float(proof.unwritable))
            for word in RESULTS:
                result.add_metric([name, word], float(proof.result == word))
            at.add_metric([name], rfc3339.seconds(proof.at))
            for word in ("digested", "differing", "changing", "private", "unread"):
                files.add_metric([name, word], float(proof.files.get(word, 0)))
        if canary := view.canary:
            differing.add_metric([name], float(canary.differing))
            renewals.add_metric([name], float(canary.renewals))
    yield from (ok, unwritable, result, at, files, differing, renewals)


def families(report: Report, totals: Mapping[str, float]) -> Iterator[Metric]:
    """All metrics of one report (document.document); `totals` as TOTALS names them."""
    about = InfoMetricFamily(PREFIX + "plugin", "The node plugin and the kernel that it runs on.")
    about.add_metric([], {"version": report.version, "kernel": report.kernel})
    yield about
    yield from of_sources(report.sources)
    yield from of_views(report.views)
    yield from of_proofs(report.views)
    for name, text in TOTALS.items():
        counter = CounterMetricFamily(PREFIX + name, text)
        counter.add_metric([], totals.get(name, 0.0))
        yield counter
    errors = CounterMetricFamily(
        PREFIX + "reconcile_failures", "Turns in which the plugin failed at a view (empty: at work of no single view).",
        labels=["view"],
    )  # fmt: skip
    for view, count in sorted(report.failures.items()):
        errors.add_metric([view], float(count))
    yield errors
    for name, text in (
        ("fetches_failing", "Generations whose last attempt to be fetched failed."),
        ("contents_failing", "Generations of which what travels with them could not be fetched."),
        ("packs_bytes", "Bytes that what travels with generations takes on the node's disk."),
        ("packs_max_bytes", "Bytes that it may take (nodePlugin.packs.maxBytes)."),
        ("generations_bytes", "Bytes that generations take on the node's disk."),
        ("generations_max_bytes", "Bytes that they may take (nodePlugin.generations.maxBytes)."),
    ):
        size = gauge(name, text)
        size.add_metric([], totals.get(name, 0.0))
        yield size
    last = gauge("last_publish_seconds", "Seconds that the last publish took.")
    last.add_metric([], report.csi.last_publish_seconds)
    yield last


def of_node(report: Callable[[], Report], totals: Callable[[], Mapping[str, float]]) -> Iterator[Metric]:
    """`families` of this moment."""
    return families(report(), totals())


class _Now(Collector):
    def __init__(self, make: Callable[[], Iterable[Metric]]) -> None:
        self._make = make

    def collect(self) -> Iterable[Metric]:
        return self._make()


def text(make: Callable[[], Iterable[Metric]]) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(make))
    return generate_latest(registry)


async def write(path: Path, make: Callable[[], Iterable[Metric]]) -> None:
    """Write the metrics into a file for ever: from memory, whatever hangs. Who serves them is exposition.py."""
    while True:
        try:
            write_text(path, text(make).decode(), durable=False, mode=0o644)
        except OSError as error:
            # pods matter more than numbers about them
            log.warning("%s: %s", path, error)
        await asyncio.sleep(EVERY)
