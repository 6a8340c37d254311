"""Python environments in the cache: the project's, the one that builds the manual, Ansible's, and that of
package supply."""

from __future__ import annotations

import tomllib
from pathlib import Path

from .artefact import Artefact, digest
from .run import output, run
from .settings import ROOT

EXTRAS = "operator,node,surveyor,test"
PYPROJECT = ROOT / "pyproject.toml"


def key(pyproject: str, python: str, root: Path) -> str:
    """Digest of what decides the contents of the environment: dependencies, not the tools' settings."""
    project = tomllib.loads(pyproject)["project"]
    if extras := project.get("optional-dependencies"):
        wanted = EXTRAS.split(",")
        project["optional-dependencies"] = {name: pins for name, pins in extras.items() if name in wanted}
    return digest([repr(sorted(project.items(), key=lambda kv: kv[0])), python, str(root), EXTRAS])


def interpreter() -> str:
    """Path and version of the Python that environments are made with.

    Not ``sys.executable``: with an environment active (hack/test puts its own on PATH) that is the environment's.
    """
    return output(["python3", "-c", "import sys; print(f'{sys.base_prefix}/bin/python3', sys.version)"])


def venv() -> Artefact:
    """``bin/python`` with the project (editable, from this checkout) and all it needs to be tested."""

    def build(work: Path) -> None:
        _install(work, "--editable", f"{ROOT}[{EXTRAS}]")

    name = key(PYPROJECT.read_text(), interpreter(), ROOT)
    return Artefact("venv", name, build, in_place=True, keep=4)


def docs_pins(pyproject: str) -> list[str]:
    """What builds the manual, each at one version."""
    return _pins(pyproject, "docs")


def ansible_pins(pyproject: str) -> list[str]:
    """What plays ansible/ and looks at it, each at one version."""
    return _pins(pyproject, "ansible")


def _pins(pyproject: str, extra: str) -> list[str]:
    found: list[str] = tomllib.loads(pyproject)["project"]["optional-dependencies"][extra]
    return sorted(found)


def docs() -> Artefact:
    """``bin/mkdocs`` and its theme, apart from the project: neither's dependencies hold back the other's."""
    pins = docs_pins(PYPROJECT.read_text())

    def build(work: Path) -> None:
        _install(work, *pins)

    return Artefact("docs-venv", digest([*pins, interpreter()]), build, in_place=True)


def ansible() -> Artefact:
    """``bin/ansible-playbook`` and ``bin/ansible-lint``, apart from the project, which never loads them."""
    pins = ansible_pins(PYPROJECT.read_text())

    def build(work: Path) -> None:
        # some ten thousand modules, of which a play compiles those that it needs
        _install(work, "--no-compile", *pins)

    return Artefact("ansible-venv", digest([*pins, interpreter()]), build, in_place=True)


def supply() -> Artefact:
    """``bin/python`` with what hack/sbom, hack/audit and hack/release need, each the file whose digest is pinned."""
    pins = ROOT / "hack/lib/supply/requirements.txt"

    def build(work: Path) -> None:
        _install(work, "--only-binary", ":all:", "--require-hashes", "--no-deps", "--requirement", str(pins))

    return Artefact("supply-venv", digest([pins.read_text(), interpreter()]), build, in_place=True)


def _install(work: Path, *what: str) -> None:
    run(["python3", "-m", "venv", "--clear", work])
    run([work / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check", *what])


def requirements(work: Path, pins: Path) -> None:
    """A new environment with what a requirements file pins, each the file whose digest is in it."""
    # a hundred thousand classes of AWS' are compiled when they are needed
    _install(work, "--no-compile", "--require-hashes", "--no-deps", "--requirement", str(pins))
