"""Real mounts of the node plugin (scenarios.py); root is needed, a cluster is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.node import scenarios

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.mark.parametrize("name", scenarios.ALL)
def test_scenario(name: str) -> None:
    if name.startswith("nfs_") and not shutil.which("ganesha.nfsd"):
        pytest.skip("needs nfs-ganesha and nfs-ganesha-vfs")
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", sys.executable, "-m", "tests.unit.node.scenarios", name],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]
