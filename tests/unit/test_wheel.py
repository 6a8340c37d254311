"""Programs and child processes from the built wheel alone, as the image has them: nothing is found beside it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]


def modules() -> Iterator[str]:
    """Modules that the source names in a text, to start them in a process of their own."""
    for path in sorted((ROOT / "operator/pdshub").rglob("*.py")):
        if "_proto" in path.parts:
            continue
        for found in ast.walk(ast.parse(path.read_text())):
            text = found.value if isinstance(found, ast.Constant) else None
            if not isinstance(text, str) or not re.fullmatch(r"pdshub(\.\w+)+", text):
                continue
            if (ROOT / "operator" / text.replace(".", "/")).with_suffix(".py").is_file():
                yield text


STARTED = sorted(set(modules()))
ANSWERING = [name for name in STARTED if name.startswith("pdshub.node.") and name.endswith("_main")]
"""Children of node/mount/worker.py."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel, unpacked."""
    pytest.importorskip("setuptools")
    made = tmp_path_factory.mktemp("wheel")
    source, unpacked = made / "source", made / "unpacked"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    shutil.copytree(ROOT / "operator", source / "operator", ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--disable-pip-version-check", "--no-index", "--no-deps"]
    command = [*pip, "--no-build-isolation", "--wheel-dir", str(made), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = made.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(unpacked)
        for member in archive.infolist():  # as pip does it, and extractall does not
            if member.external_attr >> 16 & 0o111 and not member.is_dir():
                (unpacked / member.filename).chmod(0o755)
    return unpacked


def run(wheel: Path, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Python with the wheel and the packages that it depends on."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(wheel), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=environment, cwd=wheel.parent, capture_output=True, text=True, timeout=120, check=False, **options
    )


def test_the_wheel_has_every_module(wheel: Path) -> None:
    """Generated stubs, too."""
    source = {path.relative_to(ROOT / "operator") for path in (ROOT / "operator/pdshub").rglob("*.py")}
    found = {path.relative_to(wheel) for path in (wheel / "pdshub").rglob("*.py")}
    assert found == source and Path("pdshub/node/_proto/csi_pb2_grpc.py") in found


def test_the_wheel_has_the_prices(wheel: Path) -> None:
    assert (wheel / "pdshub/aws_plan/prices.json").is_file()


def test_the_wheel_has_what_rclone_starts(wheel: Path) -> None:
    """In the place of fusermount3; a file that cannot be executed would mount no bucket on any node."""
    assert os.access(wheel / "pdshub/node/source/bin/fusermount3", os.X_OK)


def test_the_wheel_has_every_program(wheel: Path) -> None:
    parser = ConfigParser(delimiters=("=",))
    (file,) = wheel.glob("*.dist-info/entry_points.txt")
    parser.read(file)
    assert dict(parser["console_scripts"]) == SCRIPTS


@pytest.mark.parametrize("program", sorted(SCRIPTS))
def test_a_program_starts(wheel: Path, program: str) -> None:
    module, function = SCRIPTS[program].split(":")
    code = f"import sys; sys.argv[0] = {program!r}; from {module} import {function}; sys.exit({function}())"
    done = run(wheel, "-c", code, "--help")
    assert done.returncode == 0 and "usage" in done.stdout.lower(), done.stderr


def test_child_processes_are_named_somewhere() -> None:
    known = {
        "pdshub.node.main",
        "pdshub.node.mount.worker_main",
        "pdshub.node.source.identity_main",
        "pdshub.node.health.examiner_main",
        "pdshub.surveyor.worker_main",
    }
    assert known <= set(STARTED)


@pytest.mark.parametrize("module", STARTED)
def test_a_module_that_is_started_by_name_has_a_main(wheel: Path, module: str) -> None:
    code = f"import {module} as found; assert callable(found.main); print(found.__file__)"
    done = run(wheel, "-c", code)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(wheel)


@pytest.mark.parametrize("module", ANSWERING)
def test_a_child_process_answers(wheel: Path, module: str) -> None:
    """As worker.py starts it, without any package: Python's standard library is all that it may need."""
    code = f"import sys; sys.path.insert(0, {str(wheel)!r}); from {module} import main; main()"
    done = run(wheel, "-I", "-S", "-c", code, input='{"do": "ready"}\n')
    assert done.returncode == 0 and json.loads(done.stdout) == {"ok": True}, done.stderr


@pytest.mark.parametrize("command", [[], ["nfs-helper"], ["nfs-mount"]], ids=" ".join)
def test_the_node_plugin_starts_itself_as_a_module(wheel: Path, command: list[str]) -> None:
    done = run(wheel, "-m", "pdshub.node.main", *command, "--help")
    assert done.returncode == 0 and "usage" in done.stdout, done.stderr


def test_the_helper_stays_small(wheel: Path) -> None:
    """One process a source: the API's models and gRPC would be some 10 MiB in each."""
    code = "import sys; from pdshub.node.source import nfs_fuse, nfs_helper; print(sorted(sys.modules))"
    done = run(wheel, "-c", code)
    assert done.returncode == 0, done.stderr
    assert not {"pydantic", "grpc", "kubernetes", "aiohttp"} & set(ast.literal_eval(done.stdout))
