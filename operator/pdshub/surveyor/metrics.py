"""What Prometheus reads of a surveyor, and the kubelet's probe: plain HTTP without anything secret."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from pdshub.api.survey import SurveyState
from pdshub.surveyor import answers
from pdshub.surveyor.server import Handlers

STUCK_SECONDS = 120.0
"""A loop that has not turned for so long, and does not survey, is stuck: it turns every 30 s."""
_COUNTERS = {
    "directories_checked": "Directories that the last survey looked at.",
    "directories_read": "Directories that the last survey listed because they changed or it was their turn.",
    "entries_read": "Entries that the last survey read.",
    "labels_opened": "Labels that the last survey opened.",
}


class Surveys(Collector):
    """Reads the surveyor when Prometheus asks."""

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers

    def collect(self) -> Iterable[Metric]:
        """The families; every sample carries the view's name."""
        s = self._handlers.surveyor
        p = s.progress
        view = s.desired.view if s.desired else ""
        now = answers.survey_state(s)

        def gauge(name: str, text: str, value: float) -> Metric:
            family = GaugeMetricFamily(f"pdshub_survey_{name}", text, labels=["view"])
            family.add_metric([view], value)
            return family

        states = GaugeMetricFamily("pdshub_survey_state", "1 for what the surveyor does now.", labels=["view", "state"])
        for each in SurveyState:
            states.add_metric([view, each.value], float(each is now))
        yield states
        yield gauge("last_success_timestamp_seconds", "End of the last survey that went well.", p.finished or 0)
        yield gauge("last_duration_seconds", "Time that the last survey took.", p.seconds)
        yield gauge("failures", "Surveys that failed in a row.", p.failures)
        yield gauge("settling_datasets", "Datasets that are being copied, or in doubt.", p.settling)
        for name, text in _COUNTERS.items():
            yield gauge(f"last_{name}", text, float(p.counters.get(name, 0)))
        total = CounterMetricFamily("pdshub_survey_completed", "Surveys that went well.", labels=["view"])
        total.add_metric([view], p.surveys)
        yield total
        yield from self._generations(view)
        yield from self._checks(view)

    def _generations(self, view: str) -> Iterable[Metric]:
        s = self._handlers.surveyor
        kept = GaugeMetricFamily("pdshub_generations_kept", "Generations in the store.", labels=["view"])
        kept.add_metric([view], len(s.entries))
        yield kept
        space = GaugeMetricFamily("pdshub_store_bytes", "Space of the store.", labels=["view", "kind"])
        disk = os.statvfs(s.store.path)
        space.add_metric([view, "free"], float(disk.f_bavail * disk.f_frsize))
        space.add_metric([view, "size"], float(disk.f_blocks * disk.f_frsize))
        yield space
        sent = CounterMetricFamily("pdshub_served_bytes", "Bytes sent to operator and nodes.", labels=["view", "kind"])
        for kind, number in self._handlers.sent.items():
            sent.add_metric([view, kind], number)
        yield sent
        if not s.entries:
            return
        newest = s.entries[0]
        info = InfoMetricFamily("pdshub_newest_generation", "The newest generation.", labels=["view"])
        info.add_metric([view], {"generation": newest.name, "as_of": newest.as_of})
        yield info
        counts = GaugeMetricFamily("pdshub_generation_entries", "What the newest shows.", labels=["view", "kind"])
        for kind in ("files", "directories", "links", "bytes"):
            counts.add_metric([view, kind], newest.manifest["counts"].get(kind, 0))
        yield counts
        found = GaugeMetricFamily("pdshub_generation_findings", "Findings of it.", labels=["view", "severity"])
        for severity in ("error", "warning", "info"):
            found.add_metric([view, severity], newest.findings.get(severity, 0))
        yield found
        refused = GaugeMetricFamily("pdshub_generation_refused", "1 where it lost too many files.", labels=["view"])
        refused.add_metric([view], float(not newest.accepted))
        yield refused

    def _checks(self, view: str) -> Iterable[Metric]:
        p = self._handlers.surveyor.progress
        audit = GaugeMetricFamily("pdshub_audit_findings", "Findings of the audit.", labels=["view", "severity"])
        for severity, number in (p.audit.get("findings") or {}).items():
            audit.add_metric([view, severity], number)
        yield audit
        labels = GaugeMetricFamily("pdshub_audit_labels", "Labels that the last audit opened.", labels=["view"])
        labels.add_metric([view], float(p.audit.get("labels") or 0))
        yield labels
        if "drifted" in p.verify:
            drift = GaugeMetricFamily(
                "pdshub_verify_drifted_files", "Files that are no longer what a generation says.", labels=["view"]
            )
            drift.add_metric([view], p.verify["drifted"])
            yield drift


async def serve(handlers: Handlers, port: int) -> web.AppRunner:
    """GET /metrics and /healthz until the runner is cleaned up."""
    registry = CollectorRegistry()
    registry.register(Surveys(handlers))

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    async def healthz(_: web.Request) -> web.Response:
        idle = time.monotonic() - handlers.surveyor.last_turn
        if idle > STUCK_SECONDS and not handlers.surveyor.surveying:
            raise web.HTTPServiceUnavailable(text=f"no turn for {idle:.0f} s")
        return web.Response(text="ok")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, None, port, reuse_address=True).start()
    return runner
