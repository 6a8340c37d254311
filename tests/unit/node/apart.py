"""Scenarios with real mounts, each in a process and a mount namespace of its own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.unit.node.machine import ROOT


def run(module: str, name: str, seconds: float = 400) -> None:
    """Run scenario ``name`` of a module of this folder; fails with what it wrote when it fails."""
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-m", f"tests.unit.node.{module}", name],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
