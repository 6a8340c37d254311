"""Generations on a node with real mounts (generation_scenarios.py, crash_scenarios.py)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.unit.node import crash_scenarios, generation_scenarios, generations

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root"),
    pytest.mark.skipif(not generations.able(), reason="needs mkfs.erofs >= 1.8 (PATH or $PDSHUB_MKFS_EROFS)"),
]


#: Minutes long: a hundred switches, and a kill before every step.
LONG = ("a_hundred_switches", "every_way", *crash_scenarios.ALL)


def table(names: Iterable[str]) -> list[object]:
    return [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in names]


@pytest.mark.parametrize("name", table(generation_scenarios.ALL))
def test_scenario(name: str) -> None:
    run("generation_scenarios", name)


@pytest.mark.parametrize("name", table(crash_scenarios.ALL))
def test_killed(name: str) -> None:
    run("crash_scenarios", name)


def run(module: str, name: str) -> None:
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-m", f"tests.unit.node.{module}", name],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
