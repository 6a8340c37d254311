"""The dashboards: one row for each panel; hack/generate makes Grafana's JSON of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NUMBER, LINES, ROWS = "stat", "timeseries", "table"
"""One big number; lines over time; one row for each series, as it is now."""
WIDTHS = {NUMBER: (4, 4), LINES: (12, 8), ROWS: (12, 8)}
"""Kind of panel -> its columns of 24, and its height."""
SOURCE = {"type": "prometheus", "uid": "${source}"}


@dataclass(frozen=True)
class Panel:
    """``expr``: what is asked, by the name that its lines get; ``unit`` is Grafana's word. ``worse``: values from
    which a number is yellow, and red; where less is worse, the first is the greater."""

    title: str
    kind: str
    expr: dict[str, str]
    unit: str = "short"
    worse: tuple[float, float] | None = None


@dataclass(frozen=True)
class Dashboard:
    """``label``: by which people choose, as a label of the metric ``of``; both empty: there is nothing to choose."""

    uid: str
    title: str
    panels: tuple[Panel, ...]
    label: str = ""
    of: str = ""


def _since(metric: str) -> str:
    return f"time() - ({metric} > 0)"


HUBS = Dashboard("pdshub-hubs", "PDSHub: hubs", (
    Panel("Hubs ready", NUMBER, {"": 'sum(pdshub_operator_hubs{condition="Ready",status="True"})'}),
    Panel("Hubs not ready", NUMBER, {"": 'sum(pdshub_operator_hubs{condition="Ready",status="False"}) or vector(0)'},
          worse=(1, 1)),
    Panel("Nodes that are silent", NUMBER, {"": 'sum(pdshub_operator_nodes{state="silent"})'}, worse=(1, 1)),
    Panel("API server answers", NUMBER, {"": "min(pdshub_operator_api_up)"}, worse=(1, 0.5)),
    Panel("Entries of the audit log", NUMBER, {"": "max(pdshub_operator_audit_number)"}),
    Panel("Attempts to write it that failed, a day", NUMBER,
          {"": "sum(increase(pdshub_operator_audit_failed_total[1d]))"}, worse=(1, 10)),
    Panel("Hubs by what is not well", LINES,
          {"{{condition}} {{status}}": 'sum by (condition, status) (pdshub_operator_hubs{status!="True"})'}),
    Panel("The operator's longest look", LINES, {"look": "max(pdshub_operator_busy_seconds)"}, "s"),
    Panel("Life left of certificates", LINES,
          {"{{hub}}": "pdshub_operator_certificate_remaining_ratio"}, "percentunit"),
    Panel("Certificates end in", ROWS,
          {"{{hub}}": "pdshub_operator_certificate_not_after_timestamp_seconds - time()"}, "s"),
    Panel("Since the last whole backup", LINES,
          {"{{hub}}": _since("pdshub_backup_last_success_timestamp_seconds")}, "s"),
    Panel("What it took", LINES, {"{{hub}}": "pdshub_backup_last_duration_seconds"}, "s"),
    Panel("Size of what was saved", LINES, {"{{hub}}": "pdshub_backup_size_bytes"}, "bytes"),
    Panel("Backups that lacked something, a day", LINES,
          {"{{hub}}": "increase(pdshub_backup_failures_total[1d])"}),
    Panel("Restores are verified", ROWS, {"{{hub}}": "pdshub_backup_restore_verified"}),
    Panel("Since a hub answered for the audit log", ROWS,
          {"{{hub}}": _since("pdshub_operator_audit_pulled_timestamp_seconds")}, "s"),
))  # fmt: skip
ARCHIVE = Dashboard("pdshub-archive", "PDSHub: archive", (
    Panel("Files", NUMBER, {"": 'sum(pdshub_operator_view_entries{kind="files",view=~"$view"})'}),
    Panel("Bytes", NUMBER, {"": 'sum(pdshub_operator_view_bytes{view=~"$view"})'}, "bytes"),
    Panel("Generations that wait", NUMBER,
          {"": 'sum(max by (view) (pdshub_operator_view_candidate{view=~"$view"}))'}, worse=(1, 1)),
    Panel("Sources that do not answer", NUMBER,
          {"": 'count(pdshub_node_source_up{view=~"$view"} == 0) or vector(0)'}, worse=(1, 1)),
    Panel("Nodes on which it is intact", NUMBER,
          {"": 'sum(pdshub_operator_view_proofs{result="intact",view=~"$view"})'}),
    Panel("Nodes on which it was violated", NUMBER,
          {"": 'sum(pdshub_operator_view_proofs{result="violated",view=~"$view"})'}, worse=(1, 1)),
    Panel("Sources: time of a look", LINES,
          {"{{node}} {{source}}": 'pdshub_node_source_latency_seconds{view=~"$view"}'}, "s"),
    Panel("Sources that answer", LINES, {"{{node}} {{source}}": 'pdshub_node_source_up{view=~"$view"}'}),
    Panel("Released generation", ROWS,
          {"{{view}} {{generation}}": 'pdshub_operator_view_generation_info{view=~"$view"}'}),
    Panel("What nodes show", ROWS,
          {"{{node}} {{view}} {{generation}}": 'pdshub_node_view_generation_info{view=~"$view"}'}),
    Panel("Age of the released generation", LINES,
          {"{{view}}": _since('pdshub_operator_view_generation_timestamp_seconds{view=~"$view"}')}, "s"),
    Panel("Since the last proof", LINES,
          {"{{node}} {{view}}": 'time() - pdshub_node_proof_timestamp_seconds{view=~"$view"}'}, "s"),
    Panel("Files of the sample that differ", LINES,
          {"{{node}} {{view}}": 'pdshub_node_canary_files_differing{view=~"$view"}'}),
    Panel("Pods with the view, and those held at old content", LINES,
          {"{{node}} {{view}}": 'pdshub_node_view_targets{view=~"$view"}',
           "{{node}} {{view}} held": 'pdshub_node_view_held{view=~"$view"}'}),
    Panel("Findings of the released generation", LINES,
          {"{{view}} {{severity}}": 'pdshub_operator_view_findings{severity!="info",view=~"$view"}'}),
    Panel("Disk that generations take", LINES,
          {"{{node}}": "pdshub_node_generations_bytes",
           "{{node}} at most": "pdshub_node_generations_max_bytes"}, "bytes"),
    Panel("Bytes fetched a second", LINES,
          {"{{node}}": "rate(pdshub_node_fetch_bytes_total[$__rate_interval])"}, "Bps"),
    Panel("Failures of the plugin", LINES,
          {"{{node}} {{view}}": "increase(pdshub_node_reconcile_failures_total[$__rate_interval])"}),
), "view", "pdshub_operator_view_condition")  # fmt: skip
SURVEYS = Dashboard("pdshub-surveys", "PDSHub: surveys", (
    Panel("Surveys that went well, a day", NUMBER,
          {"": 'sum(increase(pdshub_survey_completed_total{view=~"$view"}[1d]))'}),
    Panel("Failed in a row", NUMBER, {"": 'max(pdshub_survey_failures{view=~"$view"})'}, worse=(1, 3)),
    Panel("Generations in the stores", NUMBER, {"": 'sum(pdshub_generations_kept{view=~"$view"})'}),
    Panel("Datasets that settle", NUMBER, {"": 'sum(pdshub_survey_settling_datasets{view=~"$view"})'}),
    Panel("What surveyors do", LINES, {"{{view}} {{state}}": 'pdshub_survey_state{view=~"$view"} == 1'}),
    Panel("Since the last good survey", LINES,
          {"{{view}}": _since('pdshub_survey_last_success_timestamp_seconds{view=~"$view"}')}, "s"),
    Panel("What it took", LINES, {"{{view}}": 'pdshub_survey_last_duration_seconds{view=~"$view"}'}, "s"),
    Panel("What it cost the NAS", LINES, {
        "{{view}} directories looked at": 'pdshub_survey_last_directories_checked{view=~"$view"}',
        "{{view}} directories read": 'pdshub_survey_last_directories_read{view=~"$view"}',
        "{{view}} labels": 'pdshub_survey_last_labels_opened{view=~"$view"}'}),
    Panel("Room in the stores", LINES, {"{{view}} {{kind}}": 'pdshub_store_bytes{view=~"$view"}'}, "bytes"),
    Panel("Bytes sent a second", LINES,
          {"{{view}} {{kind}}": 'rate(pdshub_served_bytes_total{view=~"$view"}[$__rate_interval])'}, "Bps"),
    Panel("Findings of the newest generation", LINES,
          {"{{view}} {{severity}}": 'pdshub_generation_findings{severity!="info",view=~"$view"}'}),
    Panel("Findings of the audit", LINES, {"{{view}} {{severity}}": 'pdshub_audit_findings{view=~"$view"}'}),
), "view", "pdshub_survey_state")  # fmt: skip
HOMES = Dashboard("pdshub-homes", "PDSHub: homes on nodes' disks", (
    Panel("Fullest pool", NUMBER, {"": "max(pdshub_homes_pool_fill_ratio)"}, "percentunit", (0.85, 0.95)),
    Panel("Homes", NUMBER, {"": "sum(pdshub_homes_volumes)"}),
    Panel("Checkpoints", NUMBER, {"": "sum(pdshub_homes_checkpoints)"}),
    Panel("What the last looks could not do", NUMBER, {"": "sum(pdshub_homes_problems)"}, worse=(1, 1)),
    Panel("How full pools are", LINES, {"{{node}}": "pdshub_homes_pool_fill_ratio"}, "percentunit"),
    Panel("Pools", LINES, {"{{node}} {{kind}}": "pdshub_homes_pool_bytes"}, "bytes"),
    Panel("Metadata of thin pools", LINES, {"{{node}}": "pdshub_homes_pool_metadata_ratio"}, "percentunit"),
    Panel("Since the newest checkpoint", LINES,
          {"{{node}}": _since("pdshub_homes_newest_checkpoint_timestamp_seconds")}, "s"),
    Panel("Checkpoints that went, a day", LINES,
          {"{{node}} {{why}}": "increase(pdshub_homes_checkpoints_dropped_total[1d])"}),
))  # fmt: skip
DASHBOARDS = (HUBS, ARCHIVE, SURVEYS, HOMES)


def grafana(board: Dashboard) -> dict[str, Any]:
    """A dashboard as Grafana 9.4 and newer import it; panels from left to right, a new row where one is full."""
    panels: list[dict[str, Any]] = []
    x = y = height = 0
    for number, panel in enumerate(board.panels, 1):
        wide, high = WIDTHS[panel.kind]
        if x + wide > 24 or high != (height or high):
            x, y, height = 0, y + height, 0
        panels.append({"id": number, "gridPos": {"x": x, "y": y, "w": wide, "h": high}, **_panel(panel)})
        x, height = x + wide, high
    return {
        "uid": board.uid, "title": board.title, "tags": ["pdshub"], "schemaVersion": 38, "version": 1,
        "editable": True, "refresh": "1m", "time": {"from": "now-24h", "to": "now"}, "timezone": "",
        "templating": {"list": _choices(board)}, "panels": panels,
    }  # fmt: skip


def _choices(board: Dashboard) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": "source", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    ]
    if board.label:
        found.append({
            "name": board.label, "type": "query", "datasource": SOURCE, "refresh": 2, "sort": 1,
            "query": {"query": f"label_values({board.of}, {board.label})", "refId": "choices"},
            "multi": True, "includeAll": True, "allValue": ".+", "current": {"text": ["All"], "value": ["$__all"]},
        })  # fmt: skip
    return found


def _panel(panel: Panel) -> dict[str, Any]:
    now = panel.kind != LINES
    targets = [
        {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": expr, "legendFormat": legend or "__auto",
         "instant": now, "range": not now, **({"format": "table"} if panel.kind == ROWS else {})}
        for number, (legend, expr) in enumerate(panel.expr.items())
    ]  # fmt: skip
    return {
        "title": panel.title, "type": panel.kind, "datasource": SOURCE, "targets": targets, "options": {},
        "fieldConfig": {"defaults": {"unit": panel.unit, **_colours(panel.worse)}, "overrides": []},
    }  # fmt: skip


def _colours(worse: tuple[float, float] | None) -> dict[str, Any]:
    if worse is None:
        return {}
    first, second = worse
    if first > second:
        steps = [("red", None), ("yellow", second), ("green", first)]
    else:
        steps = [("green", None), *([("yellow", first)] if first < second else []), ("red", second)]
    return {"thresholds": {"mode": "absolute", "steps": [{"color": c, "value": v} for c, v in steps]}}
