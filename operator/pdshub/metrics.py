"""Prometheus metrics of the operator: how hubs and archive views stand. docs/metrics.md explains each.

Labels are names of views and words of this program; hubs are only counted, but for how far each was read for the audit
log, and for their certificates. No label ever names a person.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from pdshub import rfc3339
from pdshub.api.status import CertificateStatus
from pdshub.audit_log.recorder import Figures as AuditFigures
from pdshub.generation_id import short
from pdshub.kube import ARCHIVE_VIEW, HUB_BACKUP, PDSHUB, Kube, KubeError
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.hub.backup.asked import by_age, runs_of
from pdshub.reconcile.hub.backup.progress import saved_all
from pdshub.shown_certificate import remaining

PREFIX = "pdshub_operator_"
SILENT = 30.0
"""Seconds after which a node's last word does not count."""
_STATES = ("True", "False", "Unknown")
_WAITS = {
    "Approve": "WaitsForApproval",
    "Shrink": "Shrunk",
    "EntryEmpty": "EntryEmpty",
    "LayerMissing": "LayerMissing",
}
"""Label -> reason of the candidate. The first two labels are older than the reasons, and are in people's alerts."""
_SURVEY = ("idle", "running", "failed", "waiting")


@dataclass(frozen=True)
class Facts:
    """What the metrics say, at one moment. ``views`` and ``hubs`` are objects as the API server has them."""

    version: str
    healthy: bool
    busy_seconds: float
    api_up: bool
    hubs: Sequence[Mapping[str, Any]] = ()
    views: Sequence[Mapping[str, Any]] = ()
    answering: int = 0
    silent: int = 0
    audit: AuditFigures = field(default_factory=AuditFigures)
    runs: Sequence[Mapping[str, Any]] = ()
    """HubBackups as the API server has them."""
    failures: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """By namespace and name of the hub, runs that lacked something since the start."""
    now: float = 0.0
    """Seconds since 1970."""


def program_version() -> str:
    """The version of the installed package; 0+source where it is not installed."""
    try:
        return version("pdshub")
    except PackageNotFoundError:
        return "0+source"


def _gauge(name: str, text: str, labels: Iterable[str] = ()) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, text, labels=list(labels))


def _one(name: str, text: str, value: float) -> GaugeMetricFamily:
    made = _gauge(name, text)
    made.add_metric([], value)
    return made


def _status(item: Mapping[str, Any]) -> Mapping[str, Any]:
    return item.get("status") or {}


def of_operator(facts: Facts) -> Iterator[Metric]:
    """The operator itself, nodes and hubs in numbers."""
    info = InfoMetricFamily("pdshub_operator", "The running operator.")
    info.add_metric([], {"version": facts.version})
    yield info
    yield _one("healthy", "1 while the operator's loops turn, as /healthz.", float(facts.healthy))
    yield _one("api_up", "1 if the API server answered this scrape; hubs and views are the last known otherwise.",
               float(facts.api_up))  # fmt: skip
    yield _one("busy_seconds", "Seconds that the longest look under way has taken.", facts.busy_seconds)
    nodes = _gauge("nodes", "Node plugins by whether they answer.", ("state",))
    nodes.add_metric(["answering"], facts.answering)
    nodes.add_metric(["silent"], facts.silent)
    yield nodes
    hubs = _gauge("hubs", "Hubs by condition and its status.", ("condition", "status"))
    counts = Counter((c["type"], c["status"]) for hub in facts.hubs for c in _status(hub).get("conditions") or [])
    for (condition, status), count in sorted(counts.items()):
        hubs.add_metric([condition, status], count)
    yield hubs


def of_certificates(hubs: Sequence[Mapping[str, Any]], now: float) -> Iterator[Metric]:
    """The certificates that people are shown, as they were seen last. ``now``: seconds since 1970."""
    end = _gauge("certificate_not_after_timestamp_seconds", "Unix time at which a hub's certificate ends.", ("hub",))
    left = _gauge("certificate_remaining_ratio", "What is left of the life of a hub's certificate; 1 is all of it.",
                  ("hub",))  # fmt: skip
    for hub in hubs:
        found = _status(hub).get("certificate")
        if not isinstance(found, Mapping):
            continue
        said = CertificateStatus.model_validate(found)
        name = f"{hub['metadata']['namespace']}/{hub['metadata']['name']}"
        end.add_metric([name], rfc3339.seconds(said.not_after))
        left.add_metric([name], remaining(said, now))
    yield from (end, left)


def of_backups(hubs: Sequence[Mapping[str, Any]], facts: Facts) -> Iterator[Metric]:
    """Backups of the hubs that have any: the last run that saved everything, and how many did not."""
    names = ("last_success_timestamp_seconds", "last_duration_seconds", "size_bytes")
    texts = (
        "Unix time at which the last run that saved everything began; 0: there is none.",
        "Seconds that it took.",
        "Size of what it saved.",
    )
    made = [GaugeMetricFamily(f"pdshub_backup_{n}", text, labels=["hub"]) for n, text in zip(names, texts, strict=True)]
    verified = GaugeMetricFamily(
        "pdshub_backup_restore_verified", "1 while a drill went well lately (RestoreVerified).", labels=["hub"]
    )
    failed = CounterMetricFamily(
        "pdshub_backup_failures", "Runs that lacked something since the start.", labels=["hub"]
    )
    for hub in hubs:
        key = str(hub["metadata"]["namespace"]), str(hub["metadata"]["name"])
        if not (hub.get("spec") or {}).get("backup"):
            continue
        runs = runs_of((dict(run) for run in facts.runs if run["metadata"]["namespace"] == key[0]), key[1])
        good = next((run.status for run in reversed(by_age(runs, facts.now)) if saved_all(run)), None)
        values = (rfc3339.seconds(good.started), good.seconds, good.size_bytes) if good else (0, 0, 0)
        for family, value in zip(made, values, strict=True):
            family.add_metric(["/".join(key)], value)
        failed.add_metric(["/".join(key)], facts.failures.get(key, 0))
        # before the first drill there is nothing to be alarmed at
        if (drilled := _condition(hub, "RestoreVerified")) in ("True", "False"):
            verified.add_metric(["/".join(key)], float(drilled == "True"))
    yield from (*made, failed, verified)


def _condition(hub: Mapping[str, Any], kind: str) -> str | None:
    """The status of a condition; None without one."""
    found = (hub.get("status") or {}).get("conditions") or []
    return next((str(one.get("status")) for one in found if one.get("type") == kind), None)


def of_audit(figures: AuditFigures) -> Iterator[Metric]:
    """The audit log."""
    yield _one("audit_enabled", "1 where the audit log has a volume of its own.", float(figures.enabled))
    yield _one("audit_number", "Number of the last entry of the audit log.", figures.number)
    for name, text, value in (
        ("audit_written", "Entries that were written to the audit log since the start.", figures.written),
        ("audit_failed", "Attempts to write to the audit log that failed since the start.", figures.failed),
        ("audit_lost", "Entries of the operator's own that could not be kept since the start.", figures.lost),
    ):
        counter = CounterMetricFamily(PREFIX + name, text)
        counter.add_metric([], value)
        yield counter
    pulled = _gauge("audit_pulled_timestamp_seconds", "Unix time at which a hub last answered for the audit log.",
                    ("hub",))  # fmt: skip
    for hub, at in sorted(figures.pulled.items()):
        pulled.add_metric([hub], at)
    yield pulled


def of_views(views: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """Every view by what its status says."""
    conditions = _gauge("view_condition", "1 for the status that a view's condition has.",
                        ("view", "condition", "status"))  # fmt: skip
    generation = InfoMetricFamily(PREFIX + "view_generation", "The released generation of a view.", labels=["view"])
    as_of = _gauge("view_generation_timestamp_seconds", "Unix time of the released generation's survey.", ("view",))
    entries = _gauge("view_entries", "Entries of the released generation by kind.", ("view", "kind"))
    size = _gauge("view_bytes", "Bytes of all files of the released generation.", ("view",))
    findings = _gauge("view_findings", "Findings of the released generation by severity.", ("view", "severity"))
    candidate = _gauge("view_candidate", "1 while a generation waits for a decision, by reason.", ("view", "reason"))
    survey = _gauge("view_survey", "1 for what a view's surveyor does.", ("view", "state"))
    surveyed = _gauge("view_survey_timestamp_seconds", "Unix time at which the last survey ended.", ("view",))
    nodes = _gauge("view_nodes", "Nodes by whether the view is ready there.", ("view", "ready"))
    proofs = _gauge("view_proofs", "Nodes by the result of their last proof.", ("view", "result"))
    oldest = _gauge("view_oldest_proof_timestamp_seconds", "Unix time of the oldest of the nodes' last proofs.",
                    ("view",))  # fmt: skip
    for item in views:
        name, status = str(item["metadata"]["name"]), _status(item)
        for row in status.get("conditions") or []:
            for state in _STATES:
                conditions.add_metric([name, row["type"], state], float(row["status"] == state))
        if released := status.get("generation"):
            generation.add_metric([name], {"generation": short(str(released.get("name", "")))})
            as_of.add_metric([name], rfc3339.seconds(released.get("asOf")))
            counts = released.get("counts") or {}
            for kind in ("files", "directories", "links"):
                entries.add_metric([name, kind], float(counts.get(kind, 0)))
            size.add_metric([name], float(counts.get("bytes", 0)))
            for severity in ("error", "warning", "info"):
                findings.add_metric([name, severity], float((released.get("findings") or {}).get(severity, 0)))
        waiting = (status.get("candidate") or {}).get("reason", "")
        for label, reason in _WAITS.items():
            candidate.add_metric([name, label], float(waiting in (reason, label)))
        if doing := (status.get("survey") or {}).get("state"):
            for word in _SURVEY:
                survey.add_metric([name, word], float(doing == word))
            surveyed.add_metric([name], rfc3339.seconds((status.get("survey") or {}).get("lastFinished")))
        rows = status.get("nodes") or []
        ready = sum(bool(row.get("ready")) for row in rows)
        nodes.add_metric([name, "true"], ready)
        nodes.add_metric([name, "false"], len(rows) - ready)
        found = [row["proof"] for row in rows if row.get("proof")]
        results = Counter(proof.get("result") or ("intact" if proof.get("ok") else "violated") for proof in found)
        for word in ("intact", "changing", "violated", "incomplete"):
            proofs.add_metric([name, word], results[word])
        if found:
            oldest.add_metric([name], min(rfc3339.seconds(proof.get("at")) for proof in found))
    yield from (conditions, generation, as_of, entries, size, findings, candidate, survey, surveyed, nodes, proofs)
    yield oldest


def families(facts: Facts) -> Iterator[Metric]:
    """All metric families of the operator."""
    yield from of_operator(facts)
    yield from of_certificates(facts.hubs, facts.now)
    yield from of_audit(facts.audit)
    yield from of_backups(facts.hubs, facts)
    yield from of_views(facts.views)


class _Now(Collector):
    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def collect(self) -> Iterable[Metric]:
        return families(self._facts)


def text(facts: Facts) -> bytes:
    """The metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Now(facts))
    return generate_latest(registry)


def _backs_up(hubs: Sequence[Mapping[str, Any]]) -> bool:
    return any((hub.get("spec") or {}).get("backup") for hub in hubs)


@dataclass
class Exporter:
    """Gathers the facts when it is asked."""

    kube: Kube
    version: str
    unhealthy_reason: Callable[[], str]
    busy: Callable[[], float]
    reports: Callable[[], Mapping[str, NodeReport]]
    audit: Callable[[], AuditFigures] = AuditFigures
    failures: Callable[[], Mapping[tuple[str, str], int]] = dict
    _hubs: Sequence[Mapping[str, Any]] = field(default=(), init=False)
    _views: Sequence[Mapping[str, Any]] = field(default=(), init=False)
    _runs: Sequence[Mapping[str, Any]] = field(default=(), init=False)

    async def __call__(self) -> bytes:
        """The answer to one scrape: hubs and views as they are watched, the rest is known."""
        up = True
        try:
            self._hubs = await self.kube.items(PDSHUB)
            self._views = await self.kube.items(ARCHIVE_VIEW)
            self._runs = await self.kube.items(HUB_BACKUP) if _backs_up(self._hubs) else ()
        except KubeError:
            up = False
        now, reports = time.monotonic(), self.reports().values()
        answering = sum(bool(answer.at) and now - answer.at < SILENT for answer in reports)
        return text(
            Facts(
                self.version, not self.unhealthy_reason(), self.busy(), up, self._hubs, self._views,
                answering, len(reports) - answering, self.audit(), self._runs, self.failures(), time.time(),
            )
        )  # fmt: skip
