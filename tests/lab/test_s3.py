"""A bucket as a source on these kernels: what tests/unit/node/s3_scenarios.py shows on the machine's own, shown here.

A real service (versitygw), rclone behind the helper, and a relay that counts what is asked of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
APART = ("unshare", "--mount", "--net", "--propagation", "private", "--pid", "--fork", "--kill-child", "--mount-proc")
SECONDS = 1500
"""For one of them: the machine may be an emulated one with busy neighbours."""
NAMES = "names_cost_nothing"
OTHERS = (
    "nobody_writes_and_keys_are_nowhere",
    "it_comes_back",
    "what_is_wrong_is_said",
    "it_becomes_another_place",
)


def scenario(name: str) -> None:
    words = [*APART, sys.executable, "-m", "tests.unit.node.apart", "tests.unit.node.s3_scenarios", name]
    paths = {**os.environ, "PYTHONPATH": f"{ROOT / 'operator'}:{ROOT}"}
    done = subprocess.run(words, cwd=ROOT, env=paths, capture_output=True, text=True, timeout=SECONDS, check=False)
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]


def test_names_cost_nothing(kernel: tuple[int, int]) -> None:
    if kernel < (6, 5):
        pytest.skip("before Linux 6.5 there are no data-only layers: a stat asks the source")
    scenario(NAMES)


@pytest.mark.long
@pytest.mark.parametrize("name", OTHERS)
def test_bucket(name: str) -> None:
    scenario(name)
