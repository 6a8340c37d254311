"""The user-space NFS client against servers that answer what no server may: a reader gets an error in time, and the
process that serves a source takes no more memory than it has."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.unit.node.hostile_nfs import ANSWERS

MIB = 400
HANGS = 120
"""Seconds after which a client hangs; it takes some."""


def test_malformed_replies_are_errors_in_time() -> None:
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{root / 'operator'}"}
    command = [sys.executable, "-m", "tests.unit.node.hostile_nfs"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=root, timeout=HANGS)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-3000:]}"
    found = json.loads(done.stdout)
    assert set(found["said"]) == set(ANSWERS)
    assert "answered" not in found["said"].values(), found["said"]
    assert found["mib"] < MIB
