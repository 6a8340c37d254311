"""Runs of the helm program: what they are given, and that one which needs too much memory ends alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
import yaml

from pdshub.helm import Helm, HelmError
from pdshub.helm_memory import MEMORY_MIB, LimitedCommand
from pdshub.reconcile.hub.manifest.rules import judge_rendered
from pdshub.render.chart import ChartRef
from pdshub.render.merge import merge
from pdshub.render.names import Names
from pdshub.render.network import chart_values
from tests.unit.test_airgap_chart import CHART, LEAST, helm

ROOT = Path(__file__).parents[2]
AIRGAP = ChartRef("Airgap", str(CHART), None, "0.1.0", "airgap/0.1.0/abc")
PUBLIC = ChartRef("Repository", "jupyterhub", "https://charts.example.org/", "4.4.0", "x")


def program(folder: Path, script: str) -> str:
    """A helm that only does what it is told here."""
    path = folder / "helm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def door_of(executable: str) -> Helm:
    """Runs of a program, as the account of whatever namespace."""
    return Helm(lambda namespace: Path("/kube config"), executable)


def told(folder: Path) -> str:
    """One that writes down its arguments and limits, and prints an empty release."""
    return program(
        folder,
        f'echo "$@" >> {folder}/args; ulimit -d > {folder}/limit; echo "$GOMEMLIMIT" > {folder}/go; cat > {folder}/in; '
        'echo \'{"version": 3, "manifest": "m", "hooks": null, "config": {"a": 1}}\'',
    )


def test_what_helm_is_told(tmp_path: Path) -> None:
    door = door_of(told(tmp_path))
    release = asyncio.run(door.install_or_upgrade("demo", "ns", PUBLIC, {"a": 1}))
    planned = asyncio.run(door.preview("demo", "ns", PUBLIC, {"a": 1}))
    asyncio.run(door.uninstall("demo", "ns"))
    assert (release.revision, release.manifest, release.hooks, release.values) == (3, "m", (), {"a": 1})
    assert planned == release and door.runs == 3
    install, preview, uninstall = (tmp_path / "args").read_text().splitlines()
    assert all(line.endswith("--kubeconfig /kube config") for line in (install, preview, uninstall))
    assert "--dry-run=server" in preview and "--dry-run" not in install
    for line in (install, preview):
        assert "--skip-crds" in line and "--version 4.4.0" in line and "--namespace ns" in line
    assert "--no-hooks" in uninstall
    assert int((tmp_path / "limit").read_text()) == MEMORY_MIB * 1024
    assert (tmp_path / "go").read_text().strip().endswith("MiB")


def test_the_operators_container_has_room_for_it() -> None:
    limit = yaml.safe_load((ROOT / "charts/pdshub/values.yaml").read_text())["operator"]["resources"]["limits"]
    assert int(limit["memory"].removesuffix("Mi")) > MEMORY_MIB + 120


def test_a_run_that_needs_too_much_ends_with_a_reason(tmp_path: Path) -> None:
    said = "fatal error: runtime: cannot allocate memory"
    door = door_of(program(tmp_path, f"echo '{said}' >&2; exit 2"))
    with pytest.raises(HelmError) as refused:
        asyncio.run(door.preview("demo", "ns", AIRGAP, {}))
    assert refused.value.reason == "OutOfMemory" and refused.value.permanent
    assert str(MEMORY_MIB) in str(refused.value) and "helm.sh/release.v1" in str(refused.value)


def test_what_is_no_release_is_said(tmp_path: Path) -> None:
    for printed in ("words", "[1]", '{"hooks": 7}', '{"config": [1]}'):
        door = door_of(program(tmp_path, f"echo '{printed}'"))
        with pytest.raises(HelmError, match="printed no release"):
            asyncio.run(door.preview("demo", "ns", AIRGAP, {}))


def test_the_charts_fit_below_the_limit() -> None:
    values = merge(LEAST, chart_values(is_public=False))
    text = asyncio.run(door_of(helm()).render("demo", "ns", AIRGAP, values))
    assert "kind: Deployment" in text and judge_rendered(text, Names("ns", "demo"), values) is None


def test_the_limit_holds(tmp_path: Path) -> None:
    """A program that takes a gigabyte is refused it."""
    script = "exec python3 -c \"x = bytearray(1 << 30); print('{}')\""
    command = LimitedCommand(executable=program(tmp_path, script))
    with pytest.raises(Exception) as refused:
        asyncio.run(command.run(["template"]))
    assert b"MemoryError" in getattr(refused.value, "stderr", b"")
    assert json.loads(asyncio.run(LimitedCommand(executable=program(tmp_path, "echo '{}'")).run([]))) == {}
