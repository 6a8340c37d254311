"""Dashboards: Prometheus understands each question, what is asked for exists, and no panel hides another."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring import dashboards
from monitoring.dashboards import DASHBOARDS, LINES, Dashboard

from tests.programs import built
from tests.unit.chart import ROOT
from tests.unit.monitoring.known import PLACED, everything
from tests.unit.surveyor.support import needs_mkfs

BOARDS = sorted((ROOT / "charts/pdshub/files/dashboards").glob("*.json"))
boards = pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)


def asked(text: str) -> str:
    """A question as Grafana asks it when something was chosen."""
    return text.replace("$view", "sbn").replace("$__rate_interval", "2m")


def panels(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(file.read_text())["panels"]
    return found


def test_prometheus_understands_every_question(tmp_path: Path) -> None:
    exprs = [asked(target["expr"]) for file in BOARDS for panel in panels(file) for target in panel["targets"]]
    assert len(BOARDS) == len(DASHBOARDS) and len(exprs) >= sum(len(board.panels) for board in DASHBOARDS)
    rules = [{"record": f"asked:{number}", "expr": expr} for number, expr in enumerate(exprs)]
    file = tmp_path / "rules.yaml"
    command = [built("promtool"), "check", "rules", file]
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": rules}]}))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": [*rules, {"record": "x", "expr": "sum("}]}]}))
    assert subprocess.run(command, capture_output=True, check=False).returncode


@needs_mkfs
def test_each_asks_for_metrics_and_labels_that_exist(tmp_path: Path) -> None:
    known = everything(tmp_path)
    for board in DASHBOARDS:
        if board.label:
            assert board.label in known[board.of]
        for panel in board.panels:
            for legend, expr in panel.expr.items():
                found = re.findall(r"\b(pdshub_\w+)(?:\{([^}]*)\})?", expr)
                assert found, panel.title
                for name, matchers in found:
                    assert name in known, f"{panel.title}: nothing writes {name}"
                    assert set(re.findall(r"(\w+)(?:=~|!=|=)", matchers)) <= known[name], panel.title
                    assert set(re.findall(r"\{\{(\w+)\}\}", legend)) <= known[name] | PLACED, panel.title
                assert ("$view" in expr) <= (board.label == "view"), panel.title


@boards
def test_no_panel_lies_on_another_or_goes_over_the_edge(board: Dashboard) -> None:
    taken: set[tuple[int, int]] = set()
    found = dashboards.grafana(board)["panels"]
    for panel in found:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
    assert [panel["id"] for panel in found] == list(range(1, len(found) + 1))
    assert len({panel["title"] for panel in found}) == len(found)
    # what is one number is asked once, a line over the whole time
    assert all(target["range"] is (panel["type"] == LINES) for panel in found for target in panel["targets"])


@pytest.mark.parametrize(
    ("worse", "steps"),
    [
        ((1, 3), [("green", None), ("yellow", 1), ("red", 3)]),
        ((1, 1), [("green", None), ("red", 1)]),
        ((1, 0.5), [("red", None), ("yellow", 0.5), ("green", 1)]),
    ],
)
def test_colours(worse: tuple[float, float], steps: list[tuple[str, float | None]]) -> None:
    panel = dashboards.Panel("x", dashboards.NUMBER, {"": "1"}, worse=worse)
    made = dashboards.grafana(Dashboard("u", "t", (panel,)))["panels"][0]["fieldConfig"]["defaults"]["thresholds"]
    assert [(step["color"], step["value"]) for step in made["steps"]] == steps
