"""The project's Python environment, in the cache."""

from __future__ import annotations

import tomllib
from pathlib import Path

from .artefact import Artefact, digest
from .run import output, run
from .settings import ROOT

EXTRAS = "operator,node,archive,surveyor,test"


def key(pyproject: str, python: str, root: Path) -> str:
    """Digest of what decides the contents of the environment: dependencies, not the tools' settings."""
    project = tomllib.loads(pyproject)["project"]
    return digest([repr(sorted(project.items(), key=lambda kv: kv[0])), python, str(root), EXTRAS])


def venv() -> Artefact:
    """``bin/python`` with the project (editable, from this checkout) and all it needs to be tested."""
    python = output(["python3", "-c", "import sys; print(sys.executable, sys.version)"])

    def build(work: Path) -> None:
        run(["python3", "-m", "venv", "--clear", work])
        pip: list[str | Path] = [work / "bin" / "python", "-m", "pip", "install", "--disable-pip-version-check"]
        run([*pip, "--editable", f"{ROOT}[{EXTRAS}]"])

    return Artefact("venv", key((ROOT / "pyproject.toml").read_text(), python, ROOT), build, in_place=True, keep=4)
