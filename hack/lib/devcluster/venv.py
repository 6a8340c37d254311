"""The project's Python environment, in the cache."""

from __future__ import annotations

import tomllib
from pathlib import Path

from .artefact import Artefact, digest
from .run import output, run
from .settings import ROOT

EXTRAS = "operator,node,archive,test"


def key(pyproject: str, python: str, root: Path) -> str:
    """Digest of what decides the contents of the environment: dependencies, not the tools' settings."""
    project = tomllib.loads(pyproject)["project"]
    return digest([repr(sorted(project.items(), key=lambda kv: kv[0])), python, str(root), EXTRAS])


def interpreter() -> str:
    """Path and version of the Python that environments are made with.

    Not ``sys.executable``: with an environment active (hack/test puts its own on PATH) that is the environment's.
    """
    return output(["python3", "-c", "import sys; print(f'{sys.base_prefix}/bin/python3', sys.version)"])


def venv() -> Artefact:
    """``bin/python`` with the project (editable, from this checkout) and all it needs to be tested."""

    def build(work: Path) -> None:
        run(["python3", "-m", "venv", "--clear", work])
        pip: list[str | Path] = [work / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
        run([*pip, "--editable", f"{ROOT}[{EXTRAS}]"])

    name = key((ROOT / "pyproject.toml").read_text(), interpreter(), ROOT)
    return Artefact("venv", name, build, in_place=True, keep=4)
