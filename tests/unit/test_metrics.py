"""Metrics of the operator, read back by Prometheus' own parser."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pdshub import metrics
from pdshub.audit_log.recorder import Figures
from pdshub.kube import ARCHIVE_VIEW, KubeError
from pdshub.metrics import Exporter, Facts
from pdshub.reconcile.common.healthz import serve
from pdshub.reconcile.common.node_reports import NodeReport

HUB = {
    "metadata": {"namespace": "team-of-alice", "name": "alices-hub"},
    "status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Stalled", "status": "False"}]},
}
VIEW = {
    "metadata": {"name": "sbn"},
    "status": {
        "conditions": [{"type": "Ready", "status": "True"}, {"type": "Intact", "status": "Unknown"}],
        "generation": {
            "name": "sha256:" + "ab" * 32, "asOf": "1970-01-01T00:01:00Z",
            "counts": {"files": 5, "directories": 2, "links": 1, "bytes": 1000}, "findings": {"error": 3},
        },
        "candidate": {"name": "sha256:" + "cd" * 32, "reason": "Shrink"},
        "survey": {"state": "waiting", "lastFinished": "1970-01-01T00:02:00Z"},
        "nodes": [
            {"name": "n1", "ready": True, "proof": {"ok": True, "result": "intact", "at": "1970-01-01T00:03:00Z"}},
            {"name": "n2", "ready": False, "proof": {"ok": False, "at": "1970-01-01T00:04:00Z"}},
            {"name": "n3", "ready": False},
        ],
    },
}  # fmt: skip
AUDIT = Figures(enabled=True, written=7, failed=2, lost=1, number=40, pulled={"ns/sbn": 1.5e9})
FACTS = Facts("0.1.0", True, 0.5, True, [HUB, HUB], [VIEW, {"metadata": {"name": "new"}}], 2, 1, AUDIT)


def parsed(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("info", {"version": "0.1.0"}, 1),
        ("healthy", {}, 1),
        ("api_up", {}, 1),
        ("busy_seconds", {}, 0.5),
        ("nodes", {"state": "answering"}, 2),
        ("nodes", {"state": "silent"}, 1),
        ("hubs", {"condition": "Ready", "status": "True"}, 2),
        ("view_condition", {"view": "sbn", "condition": "Intact", "status": "Unknown"}, 1),
        ("view_condition", {"view": "sbn", "condition": "Intact", "status": "True"}, 0),
        ("view_generation_info", {"view": "sbn", "generation": "abababababab"}, 1),
        ("view_generation_timestamp_seconds", {"view": "sbn"}, 60),
        ("view_entries", {"view": "sbn", "kind": "directories"}, 2),
        ("view_bytes", {"view": "sbn"}, 1000),
        ("view_findings", {"view": "sbn", "severity": "error"}, 3),
        ("view_candidate", {"view": "sbn", "reason": "Shrink"}, 1),
        ("view_candidate", {"view": "sbn", "reason": "Approve"}, 0),
        ("view_candidate", {"view": "new", "reason": "Approve"}, 0),
        ("view_survey", {"view": "sbn", "state": "waiting"}, 1),
        ("view_survey_timestamp_seconds", {"view": "sbn"}, 120),
        ("view_nodes", {"view": "sbn", "ready": "true"}, 1),
        ("view_nodes", {"view": "sbn", "ready": "false"}, 2),
        ("view_proofs", {"view": "sbn", "result": "intact"}, 1),
        ("view_proofs", {"view": "sbn", "result": "violated"}, 1),
        ("view_proofs", {"view": "sbn", "result": "changing"}, 0),
        ("view_oldest_proof_timestamp_seconds", {"view": "sbn"}, 180),
    ],
)
def test_values(name: str, labels: dict[str, str], value: float) -> None:
    assert parsed(metrics.text(FACTS))[f"pdshub_operator_{name}", tuple(sorted(labels.items()))] == value


def test_nothing_of_users() -> None:
    text = metrics.text(FACTS)
    assert b"alice" not in text and b"n1" not in text


class FakeKube:
    """Answers with one hub and one view, or not at all."""

    up = True

    async def items(self, resource: Any, *_: Any, **__: Any) -> list[Any]:
        if not self.up:
            raise KubeError(503, "away")
        return [VIEW if resource is ARCHIVE_VIEW else HUB]


def test_api_server_away() -> None:
    """Then the last known state is told, and that it is old."""
    kube = FakeKube()
    now = time.monotonic()
    reports = {"n1": NodeReport("n1", {}, now), "n2": NodeReport("n2", {}, now - 60), "n3": NodeReport("n3")}
    export = Exporter(kube, "0.1.0", lambda: "stuck", lambda: 1.0, lambda: reports)  # type: ignore[arg-type]
    before = parsed(asyncio.run(export()))
    kube.up = False
    after = parsed(asyncio.run(export()))
    up = ("pdshub_operator_api_up", ())
    assert (before.pop(up), after.pop(up)) == (1, 0)
    assert before == after
    assert before["pdshub_operator_healthy", ()] == 0
    assert before["pdshub_operator_nodes", (("state", "silent"),)] == 2


@pytest.mark.parametrize(
    ("path", "unhealthy_reason", "head", "body"),
    [
        ("/metrics", "", "200 OK", b"metrics"),
        ("/metrics", "stuck", "200 OK", b"metrics"),
        ("/healthz", "", "200 OK", b"ok"),
        ("/healthz", "stuck", "503 Service Unavailable", b"stuck"),
        ("/metricsx", "", "200 OK", b"ok"),
    ],
)
def test_served_beside_healthz(path: str, unhealthy_reason: str, head: str, body: bytes) -> None:
    async def metrics_() -> bytes:
        return b"metrics"

    async def ask() -> bytes:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        task = asyncio.create_task(serve(port, lambda: unhealthy_reason, metrics_))
        try:
            for _ in range(100):
                try:
                    reader, writer = await asyncio.open_connection("127.0.0.1", port)
                    break
                except OSError:
                    await asyncio.sleep(0.02)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            return answer
        finally:
            task.cancel()

    answer = asyncio.run(ask())
    assert answer.startswith(f"HTTP/1.1 {head}\r\n".encode()) and answer.endswith(b"\r\n\r\n" + body)


def test_the_audit_log_in_numbers() -> None:
    found = parsed(metrics.text(FACTS))
    wanted = {
        ("audit_enabled", ()): 1,
        ("audit_number", ()): 40,
        ("audit_written_total", ()): 7,
        ("audit_failed_total", ()): 2,
        ("audit_lost_total", ()): 1,
        ("audit_pulled_timestamp_seconds", (("hub", "ns/sbn"),)): 1.5e9,
    }
    assert {key: found["pdshub_operator_" + key[0], key[1]] for key in wanted} == wanted


def test_documented() -> None:
    """docs/metrics.md names every metric, and no other."""
    text = (Path(__file__).resolve().parents[2] / "docs/metrics.md").read_text()
    shown = {
        "metadata": {"namespace": "ns", "name": "demo"},
        "status": {"certificate": {}, "conditions": [{"type": "RestoreVerified", "status": "True"}]},
        "spec": {"backup": {"x": 1}},
    }
    found = parsed(metrics.text(replace(FACTS, hubs=[HUB, shown])))
    assert set(re.findall(r"`(pdshub_(?:operator|backup)_\w+)`", text)) == {name for name, _ in found}


def test_backups_in_numbers() -> None:
    """Of the last run that saved everything; one of single homes, or of another hub, tells nothing of it."""

    def run(name: str, phase: str, created: str, hub: str = "demo", **more: Any) -> dict[str, Any]:
        status = {"phase": phase, "started": created, "seconds": 60, "sizeBytes": 7, **more.pop("status", {})}
        return {
            "metadata": {"namespace": "ns", "name": name, "creationTimestamp": created},
            "spec": {"hub": hub, **more},
            "status": status,
        }

    hubs = [
        {"metadata": {"namespace": "ns", "name": "demo"}, "spec": {"backup": {"x": 1}}},
        {"metadata": {"namespace": "other", "name": "demo"}, "spec": {"backup": {"x": 1}}},
        {"metadata": {"namespace": "none", "name": "demo"}, "spec": {}},
    ]
    runs = [
        run("a", "Completed", "1970-01-01T00:01:00Z"),
        run("b", "Completed", "1970-01-01T00:02:00Z", status={"sizeBytes": 9}),
        run("c", "Failed", "1970-01-01T00:03:00Z"),
        run("d", "Completed", "1970-01-01T00:04:00Z", users=["ada"]),
        run("e", "Completed", "1970-01-01T00:05:00Z", hub="another"),
    ]
    found = parsed(metrics.text(replace(FACTS, hubs=hubs, runs=runs, failures={("ns", "demo"): 3})))
    wanted = {
        ("last_success_timestamp_seconds", "ns/demo"): 120,
        ("last_duration_seconds", "ns/demo"): 60,
        ("size_bytes", "ns/demo"): 9,
        ("failures_total", "ns/demo"): 3,
        ("last_success_timestamp_seconds", "other/demo"): 0,
        ("failures_total", "other/demo"): 0,
    }
    assert {key: found["pdshub_backup_" + key[0], (("hub", key[1]),)] for key in wanted} == wanted
    assert not [key for key in found if key[0].startswith("pdshub_backup_") and ("hub", "none/demo") in key[1]]


@pytest.mark.parametrize(("status", "value"), [("True", 1.0), ("False", 0.0), ("Unknown", None), ("", None)])
def test_a_drill_that_went_well_in_numbers_and_no_alarm_before_the_first(status: str, value: float | None) -> None:
    rows = [
        {"type": "BackedUp", "status": "True"},
        *([{"type": "RestoreVerified", "status": status}] if status else []),
    ]
    meta = {"namespace": "ns", "name": "demo"}
    hub = {"metadata": meta, "spec": {"backup": {"x": 1}}, "status": {"conditions": rows}}
    found = parsed(metrics.text(replace(FACTS, hubs=[hub])))
    assert found.get(("pdshub_backup_restore_verified", (("hub", "ns/demo"),))) == value
