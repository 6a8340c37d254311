"""Alerts: each fires and keeps quiet, asks for metrics that exist, and leads to a heading of the manual."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from monitoring import write
from monitoring.alerts import ALERTS, CRITICAL, INFO, WARNING

from tests.programs import built
from tests.unit.chart import ROOT, SURVEYORS, SYSTEM, rendered, run
from tests.unit.monitoring.cases import CASES
from tests.unit.monitoring.known import PLACED, everything
from tests.unit.surveyor.support import needs_mkfs
from tests.unit.test_readme import anchors

OURS = ROOT / "charts/pdshub/files/alerts.yaml"
MACHINE = ROOT / "deploy/machine/alerts.yaml"
RULES = [
    rule for file in (OURS, MACHINE) for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]
]
BY_NAME = {rule["alert"]: rule for rule in RULES}
names = pytest.mark.parametrize("name", sorted(BY_NAME))
LABEL = re.compile(r"\{\{ \$labels\.(\w+) \}\}")


def written(text: str, labels: dict[str, str]) -> str:
    return LABEL.sub(lambda found: labels.get(found[1], ""), text)


def story(name: str, title: str, series: dict[str, str], fires: bool) -> dict[str, Any]:
    """A test of promtool."""
    case, rule = CASES[name], BY_NAME[name]
    labels = {**case.labels, **rule["labels"]}
    said = {key: written(text, labels) for key, text in rule["annotations"].items()}
    return {
        "name": f"{name} {title}",
        "interval": "1m",
        "input_series": [{"series": key, "values": values} for key, values in series.items()],
        "alert_rule_test": [
            {
                "eval_time": case.at,
                "alertname": name,
                "exp_alerts": [{"exp_labels": labels, "exp_annotations": said}] if fires else [],
            }
        ],
    }


def judged(folder: Path, stories: list[dict[str, Any]]) -> str:
    """ "" or what promtool says against them."""
    (folder / "tests.yaml").write_text(yaml.safe_dump({"rule_files": [str(OURS), str(MACHINE)], "tests": stories}))
    done = subprocess.run(
        [built("promtool"), "test", "rules", folder / "tests.yaml"], capture_output=True, text=True, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def test_every_alert_has_a_case_and_every_case_an_alert() -> None:
    assert set(CASES) == set(BY_NAME)
    assert len(RULES) == len(BY_NAME)
    for case in CASES.values():
        assert case.fires != case.quiet


def test_each_fires_and_each_keeps_quiet(tmp_path: Path) -> None:
    stories = [story(name, "fires", case.fires, True) for name, case in CASES.items()]
    stories += [story(name, "is quiet", case.quiet, False) for name, case in CASES.items()]
    assert judged(tmp_path, stories) == ""


def test_a_case_that_is_wrong_is_seen(tmp_path: Path) -> None:
    case = CASES["ArchiveWritable"]
    assert "ArchiveWritable" in judged(tmp_path, [story("ArchiveWritable", "swapped", case.quiet, True)])
    assert "ArchiveWritable" in judged(tmp_path, [story("ArchiveWritable", "swapped", case.fires, False)])


@names
def test_each_leads_to_a_heading_of_the_manual(name: str) -> None:
    file, _, anchor = BY_NAME[name]["annotations"]["runbook_url"].partition("#")
    assert (ROOT / file).is_file() and file.startswith("docs/") and file.endswith(".md")
    assert anchor in anchors(ROOT / file)


@names
def test_each_says_how_bad_it_is_and_what(name: str) -> None:
    rule = BY_NAME[name]
    assert rule["labels"]["severity"] in (CRITICAL, WARNING, INFO)
    assert set(rule["annotations"]) >= {"summary", "runbook_url"}
    # what a sentence names is a label of what fires
    assert set(LABEL.findall(rule["annotations"]["summary"])) <= set(CASES[name].labels)


@needs_mkfs
def test_each_asks_for_metrics_and_labels_that_exist(tmp_path: Path) -> None:
    known = everything(tmp_path)
    for alert in ALERTS:
        asked = re.findall(r"\b(pdshub_\w+)(?:\{([^}]*)\})?", alert.expr)
        assert asked or alert.expr.startswith("up{"), alert.name
        for name, matchers in asked:
            assert name in known, f"{alert.name}: nothing writes {name}"
            assert set(re.findall(r"(\w+)[=!]", matchers)) <= known[name], alert.name
        for what in (*CASES[alert.name].fires, *CASES[alert.name].quiet):
            name, _, labels = what.partition("{")
            if name != "up":
                assert set(re.findall(r"(\w+)=", labels)) <= known[name] | PLACED | {"pod"}, what


@pytest.mark.parametrize("path", sorted(write.files(ROOT)))
def test_files_are_the_generated_ones(path: str) -> None:
    assert (ROOT / path).read_text() == write.files(ROOT)[path], "run ./hack/generate and commit what it writes"


ALL = {"podMonitors": True, "rules": True, "dashboards": True, "labels": {"release": "prometheus"}}


def ours(values: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    kinds = ("PodMonitor", "PrometheusRule")
    return {
        key: one for key, one in rendered(values).items() if key[0] in kinds or key[1].endswith("-dashboard")
    }  # fmt: skip


def test_the_chart_has_none_of_it_unless_it_is_asked_to() -> None:
    assert ours({}) == {}
    found = ours({"monitoring": ALL, "homes": {"enabled": True}})
    assert {kind for kind, _ in found} == {"PodMonitor", "PrometheusRule", "ConfigMap"}
    assert all(one["metadata"]["labels"]["release"] == "prometheus" for one in found.values())
    boards = {name for kind, name in found if kind == "ConfigMap"}
    assert boards == {f"{Path(path).stem}-dashboard" for path in write.files(ROOT) if path.endswith(".json")}
    for kind, name in found:
        if kind == "ConfigMap":
            (text,) = found[kind, name]["data"].values()
            assert found[kind, name]["metadata"]["labels"]["grafana_dashboard"] == "1"
            assert text == (ROOT / write.BOARDS / f"{name.removesuffix('-dashboard')}.json").read_text()


@pytest.mark.parametrize(
    ("manual", "leads"),
    [
        ("", "docs/troubleshooting.md#the-nas-is-down"),
        ("https://m.example.org/manual", "https://m.example.org/manual/troubleshooting/#the-nas-is-down"),
        ("https://m.example.org/manual/", "https://m.example.org/manual/troubleshooting/#the-nas-is-down"),
    ],
)
def test_the_chart_has_the_same_rules(manual: str, leads: str) -> None:
    found = ours({"monitoring": {"rules": True, "manual": manual}})["PrometheusRule", "pdshub"]["spec"]
    rules = {rule["alert"]: rule for group in found["groups"] for rule in group["rules"]}
    assert rules["ArchiveSourceDown"]["annotations"]["runbook_url"] == leads
    for name, rule in rules.items():
        assert {**rule, "annotations": ""} == {**BY_NAME[name], "annotations": ""}
        assert rule["annotations"]["summary"] == BY_NAME[name]["annotations"]["summary"]
    assert set(rules) == {alert.name for alert in ALERTS}


def test_each_program_is_read_under_the_name_that_alerts_know() -> None:
    found = ours({"monitoring": ALL, "homes": {"enabled": True}})
    pods = {name: one["spec"] for (kind, name), one in found.items() if kind == "PodMonitor"}
    assert set(pods) == {"pdshub-operator", "pdshub-node", "pdshub-surveyor", "pdshub-homes"}
    for name, spec in pods.items():
        assert spec["podMetricsEndpoints"][0]["relabelings"][0] == {"targetLabel": "job", "replacement": name}
        assert spec["namespaceSelector"]["matchNames"] == [SURVEYORS if name == "pdshub-surveyor" else SYSTEM]
    without = ours({"monitoring": ALL, "nodePlugin": {"metricsPort": 0}})
    assert {n for kind, n in without if kind == "PodMonitor"} == {"pdshub-operator", "pdshub-surveyor"}


@pytest.mark.parametrize("manual", ["javascript:x", "https://a b", 'https://x"\n'])
def test_no_other_address_of_the_manual(manual: str) -> None:
    assert run("template", "pdshub", values={"monitoring": {"rules": True, "manual": manual}}).returncode
