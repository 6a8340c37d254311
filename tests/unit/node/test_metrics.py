"""Metrics of a node, read back by Prometheus' own parser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pdshub.api.report import Report
from pdshub.node.report import exposition, metrics

PROOF = {
    "ok": False, "result": "violated", "unwritable": True, "at": "2026-11-23T15:00:00Z",
    "message": "secret/path differs",
    "files": {"sampled": 9, "digested": 7, "differing": 1, "changing": 0, "private": 1, "unread": 0,
              "differ": {"secret/path": "size"}},
}  # fmt: skip
REPORT: dict[str, Any] = {
    "node": "worker-1",
    "kernel": "6.12.0",
    "version": "0.1.0",
    "csi": {"publishes": 3, "lastPublishSeconds": 0.25},
    "views": {
        "sbn": {
            "ready": True, "form": "catalog", "shows": "sha256:" + "ab" * 32, "targets": 2, "message": "",
            "fetching": "", "held": 1,
            "proof": PROOF, "canary": {"differing": 4, "renewals": 3, "differ": {"secret/path": "size"}},
        },
        "new": {"ready": False, "form": "live", "shows": "live", "fetching": "sha256:cd", "targets": 0,
                "message": "user=alice"},
    },
    "sources": {
        "sbn": {
            "main": {"ready": True, "latencySeconds": 0.002, "message": "", "identityChanges": 1},
            "mission": {"ready": False, "latencySeconds": 0, "message": "no answer"},
        },
        "new": {},
    },
    "failures": {"new": 7, "": 1},
}  # fmt: skip
SAID = Report.model_validate(REPORT)


def parsed(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def made(totals: dict[str, float] | None = None) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return parsed(metrics.text(lambda: metrics.families(SAID, totals or {})))


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("source_up", {"view": "sbn", "source": "main"}, 1),
        ("source_up", {"view": "sbn", "source": "mission"}, 0),
        ("source_latency_seconds", {"view": "sbn", "source": "main"}, 0.002),
        ("source_identity_changes_total", {"view": "sbn", "source": "main"}, 1),
        ("view_ready", {"view": "sbn"}, 1),
        ("view_ready", {"view": "new"}, 0),
        ("view_targets", {"view": "sbn"}, 2),
        ("view_generation_info", {"view": "sbn", "generation": "abababababab", "form": "catalog"}, 1),
        ("view_generation_info", {"view": "new", "generation": "", "form": "live"}, 1),
        ("proof_ok", {"view": "sbn"}, 0),
        ("proof_unwritable", {"view": "sbn"}, 1),
        ("proof_result", {"view": "sbn", "result": "violated"}, 1),
        ("proof_result", {"view": "sbn", "result": "intact"}, 0),
        ("proof_timestamp_seconds", {"view": "sbn"}, 1795446000),
        ("proof_result", {"view": "sbn", "result": "changing"}, 0),
        ("proof_files", {"view": "sbn", "found": "digested"}, 7),
        ("proof_files", {"view": "sbn", "found": "changing"}, 0),
        ("canary_files_differing", {"view": "sbn"}, 4),
        ("renewals_total", {"view": "sbn"}, 3),
        ("view_fetching", {"view": "sbn"}, 0),
        ("view_fetching", {"view": "new"}, 1),
        ("view_held", {"view": "sbn"}, 1),
        ("switches_total", {}, 5),
        ("fetches_total", {}, 2),
        ("fetch_bytes_total", {}, 1e6),
        ("fetch_seconds_total", {}, 0.5),
        ("fetches_failing", {}, 1),
        ("publishes_total", {}, 3),
        ("last_publish_seconds", {}, 0.25),
        ("generations_bytes", {}, 700),
        ("generations_max_bytes", {}, 4e9),
        ("reconcile_failures_total", {"view": "new"}, 7),
        ("reconcile_failures_total", {"view": ""}, 1),
        ("plugin_info", {"version": "0.1.0", "kernel": "6.12.0"}, 1),
    ],
)
def test_values(name: str, labels: dict[str, str], value: float) -> None:
    totals = {
        "switches": 5,
        "fetches": 2,
        "fetch_bytes": 1e6,
        "fetch_seconds": 0.5,
        "publishes": 3,
        "fetches_failing": 1,
        "generations_bytes": 700,
        "generations_max_bytes": 4e9,
    }
    assert made(totals)[f"pdshub_node_{name}", tuple(sorted(labels.items()))] == value


def test_labels_are_bounded() -> None:
    """Names that views declare and words of this program; nothing of users, no paths, no messages."""
    allowed = {
        "view": {"sbn", "new", ""}, "source": {"main", "mission"},
        "result": {"intact", "changing", "violated", "incomplete"},
        "found": {"digested", "differing", "changing", "private", "unread"}, "form": {"catalog", "live"},
        "generation": {"", "abababababab"}, "version": {"0.1.0"}, "kernel": {"6.12.0"},
    }  # fmt: skip
    for (_, labels), _ in made().items():
        for label, value in labels:
            assert value in allowed[label], label
    text = metrics.text(lambda: metrics.families(SAID, {}))
    for private in (b"secret", b"alice", b"worker-1"):
        assert private not in text


def test_names_cannot_break_the_format() -> None:
    report = {**REPORT, "sources": {'a"} 1\nevil{': {'b\\"': {"ready": True, "latencySeconds": 0}}}, "views": {}}
    found = parsed(metrics.text(lambda: metrics.families(Report.model_validate(report), {})))
    assert not [name for name, _ in found if "evil" in name]
    assert ("pdshub_node_source_up", (("source", 'b\\"'), ("view", 'a"} 1\nevil{'))) in found


def test_documented() -> None:
    """docs/metrics.md names every metric, and no other."""
    text = (Path(__file__).resolve().parents[3] / "docs/metrics.md").read_text()
    said = set(re.findall(r"`(pdshub_node_\w+)`", text))
    assert said == {name for name, _ in made()} | {exposition.AGE}
