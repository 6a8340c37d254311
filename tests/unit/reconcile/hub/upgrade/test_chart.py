"""A chart out of a record of its release: Helm makes the same of it as of the chart, and no file leads out of it."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub.helm import KUBERNETES
from pdshub.reconcile.hub.upgrade.chart import MOST_FILES, NoChart, files, unpacked
from tests.programs import built

CHART = Path(__file__).resolve().parents[5] / "charts" / "jupyterhub-airgap"
VALUES = {
    "hub": {
        "image": {"name": "registry.example.org/hub", "tag": "1"},
        "config": {"JupyterHub": {"admin_access": False}},
    },
    "proxy": {"chp": {"image": {"name": "registry.example.org/proxy", "tag": "1"}}, "secretToken": "0" * 64},
    "singleuser": {"image": {"name": "registry.example.org/user", "tag": "1"}},
}


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def document(folder: Path) -> dict[str, Any]:
    """As Helm keeps a chart in a release. Source: Helm 3, pkg/chart/chart.go, loader/load.go (LoadFiles)."""
    chart: dict[str, Any] = {"templates": [], "files": [], "lock": None, "schema": None}
    chart["metadata"] = yaml.safe_load((folder / "Chart.yaml").read_text())
    chart["values"] = yaml.safe_load((folder / "values.yaml").read_text())
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = str(path.relative_to(folder))
        if name in ("Chart.yaml", "values.yaml"):
            continue
        if name == "values.schema.json":
            chart["schema"] = encoded(path.read_bytes())
            continue
        kind = "templates" if name.startswith("templates/") else "files"
        chart[kind].append({"name": name, "data": encoded(path.read_bytes())})
    return {"chart": json.loads(json.dumps(chart)), "config": VALUES}


def rendered(helm: Path, chart: Path) -> str:
    line = [str(helm), "template", "demo", str(chart), "--namespace", "hub", "--values", "-"]
    line += ["--kube-version", KUBERNETES]
    done = subprocess.run(line, input=json.dumps(VALUES), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_helm_makes_the_same_of_it(tmp_path: Path) -> None:
    helm = built("helm")
    # a template that needs a file, the schema and a NOTES.txt are all in this chart
    with unpacked(document(CHART), "airgap/1/x") as ref:
        again = rendered(helm, Path(ref.ref))
        assert ref.source == "Airgap" and ref.repository is None and "record of its release" in ref.title
    assert not Path(ref.ref).exists()
    first, second, found = (text.splitlines() for text in (rendered(helm, CHART), rendered(helm, CHART), again))
    # keys that the chart makes where the API server has none yet
    fixed = [index for index, pair in enumerate(zip(first, second, strict=True)) if pair[0] == pair[1]]
    assert len(first) - len(fixed) <= 4 and len(found) == len(first)
    assert [found[index] for index in fixed] == [first[index] for index in fixed]


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/cron.d/evil", "templates/../../evil", "", None, 7, "a\0b", "..\\evil", "x" * 501]
)
@pytest.mark.parametrize("part", ["templates", "files"])
def test_a_file_that_leads_out_of_the_folder_is_no_chart(part: str, name: Any) -> None:
    broken = document(CHART)
    broken["chart"][part].append({"name": name, "data": encoded(b"evil")})
    with pytest.raises(NoChart), unpacked(broken, "x"):
        pass


@pytest.mark.parametrize(
    "chart",
    [
        None,
        "chart",
        {},
        {"metadata": {}},
        {"metadata": {"name": "../../x", "version": "1"}},
        {"metadata": {"name": "jupyterhub", "version": "1"}, "templates": "x"},
        {"metadata": {"name": "jupyterhub", "version": "1"}, "templates": [7]},
        {"metadata": {"name": "jupyterhub", "version": "1"}, "templates": [{"name": "a", "data": "%%%"}]},
        {"metadata": {"name": "jupyterhub", "version": "1"}, "schema": 7},
        {
            "metadata": {"name": "j", "version": "1"},
            "files": [{"name": f"f{n}", "data": ""} for n in range(MOST_FILES + 1)],
        },
    ],
)
def test_what_is_no_chart(chart: Any) -> None:
    with pytest.raises(NoChart), unpacked({"chart": chart}, "x"):
        pass


def test_the_parts_that_have_a_place_of_their_own_are_not_taken_from_the_files() -> None:
    made = document(CHART)
    made["chart"]["files"].append({"name": "Chart.yaml", "data": encoded(b"name: evil\nversion: 1.0.0")})
    assert b"evil" not in next(data for path, data in files(made).items() if str(path) == "Chart.yaml")


def test_the_folder_goes_also_where_helm_fails(tmp_path: Path) -> None:
    where = ""
    with pytest.raises(RuntimeError), unpacked(document(CHART), "x") as ref:
        where = ref.ref
        raise RuntimeError
    assert where and not Path(where).exists()
