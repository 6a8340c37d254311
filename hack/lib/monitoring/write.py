"""Writes what the tables say: rules of the chart and of Ansible, docs/alerts.md, Grafana's JSON."""

from __future__ import annotations

import json
from pathlib import Path

from . import alerts, dashboards

RULES = ("charts/pdshub/files/alerts.yaml", "ansible/roles/monitoring/files/pdshub.yaml")
BOARDS = "charts/pdshub/files/dashboards"
PAGE = "docs/alerts.md"
MARK = "<!-- from here on by hack/generate -->\n"


def rules() -> str:
    """The file of rules. Quoted by JSON, of which YAML takes every string."""
    lines = ["---", "# Made by hack/generate from hack/lib/monitoring/alerts.py.", "groups:"]
    for group, rows in alerts.GROUPS.items():
        lines += [f"  - name: {group}", "    rules:"]
        for row in rows:
            lines += [f"      - alert: {row.name}", f"        expr: {json.dumps(row.expr)}"]
            lines += [f"        for: {row.wait}"] if row.wait else []
            lines += [
                f"        labels: {{severity: {row.severity}}}",
                "        annotations:",
                f"          summary: {json.dumps(row.says)}",
                f"          runbook_url: docs/{row.page}",
            ]
    return "\n".join(lines) + "\n"


def table() -> str:
    """The part of docs/alerts.md that follows MARK."""
    lines = []
    for group, rows in alerts.GROUPS.items():
        lines += [
            "",
            f"## {group}",
            "",
            "| alert | severity | fires when | for | what to do |",
            "|---|---|---|---|---|",
        ]
        for row in rows:
            expr = row.expr.replace("|", "\\|")
            anchor = row.page.partition("#")[2].replace("-", " ")
            lines.append(f"| `{row.name}` | {row.severity} | `{expr}` | {row.wait} | [{anchor}]({row.page}) |")
    return "\n".join(lines)[1:] + "\n"


def files(root: Path) -> dict[str, str]:
    """Every generated file's text, by its path in the repository."""
    made = dict.fromkeys(RULES, rules())
    for board in dashboards.DASHBOARDS:
        made[f"{BOARDS}/{board.uid}.json"] = json.dumps(dashboards.grafana(board), indent=1) + "\n"
    made[PAGE] = (root / PAGE).read_text().partition(MARK)[0] + MARK + "\n" + table()
    return made


def write(root: Path) -> None:
    """Write them, and take dashboards away that no table has."""
    made = files(root)
    (root / BOARDS).mkdir(exist_ok=True)
    for old in (root / BOARDS).iterdir():
        if f"{BOARDS}/{old.name}" not in made:
            old.unlink()
    for path, text in made.items():
        (root / path).write_text(text)
