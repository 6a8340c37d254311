"""The images' pins: whole, and in step with pyproject.toml and with each other."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"


def pins(name: str) -> dict[str, str]:
    """Versions by package of images/NAME/requirements.txt."""
    lines = (IMAGES / name / "requirements.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(package): version for package, version in pairs}


def wanted(name: str) -> list[Requirement]:
    """What the image asks for by itself."""
    if name == "operator":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = project["optional-dependencies"]
        lines = [*project["dependencies"], *(r for e in ("operator", "node", "surveyor") for r in extras[e])]
    else:
        lines = (IMAGES / name / "requirements.in").read_text().splitlines()
    return [Requirement(text) for line in lines if (text := line.partition("#")[0].strip())]


@pytest.mark.parametrize("name", ["operator", "hub", "user"])
def test_the_closure_holds_what_is_asked_for(name: str) -> None:
    found = pins(name)
    for requirement in wanted(name):
        version = found.get(canonicalize_name(requirement.name))
        assert version and version in requirement.specifier, f"{requirement}: run images/common/lock {name}"


#: Package -> module, where the two are called differently.
MODULES = {
    "PyYAML": "yaml",
    "prometheus-client": "prometheus_client",
    "grpcio": "grpc",
    "protobuf": "google.protobuf",
    "nfs-rs": "nfs_rs",
}


def imported() -> set[str]:
    """Every module that the product imports, with the packages that hold it."""
    found: set[str] = set()
    for file in (ROOT / "operator").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {".".join(name.split(".")[:n]) for name in found for n in range(1, name.count(".") + 2)}


def test_what_the_product_asks_for_it_imports() -> None:
    modules = imported()
    for requirement in wanted("operator"):
        assert MODULES.get(requirement.name, requirement.name) in modules, f"{requirement}: nothing imports it"


def test_a_range_of_versions_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs/decisions/0001-libraries.md").read_text()
    lines = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    for requirement in map(Requirement, lines):
        exact = [s for s in requirement.specifier if s.operator == "==" and "*" not in s.version]
        bounded = [s for s in requirement.specifier if s.operator == "<"]
        assert exact or (bounded and f"- `{requirement.name}` " in reasons), f"{requirement}: say why it is a range"


def test_hub_and_servers_speak_the_same_version() -> None:
    chart = (ROOT / "charts/jupyterhub-airgap/Chart.yaml").read_text()
    assert pins("hub")["jupyterhub"] == pins("user")["jupyterhub"]
    assert f'appVersion: "{pins("hub")["jupyterhub"]}"' in chart


@pytest.mark.parametrize("name", ["runtime", "operator", "hub", "proxy", "user"])
def test_settings_of_the_builder_reach_no_final_stage(name: str) -> None:
    final = (IMAGES / name / "Dockerfile").read_text().rpartition("\nFROM ${BASE}\n")[2]
    assert "ARG " not in final and "pip" not in final.replace("pip install`", "")
    assert "\nUSER " in final
