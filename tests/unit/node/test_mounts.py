"""Real mounts of the node plugin (…scenarios.py); root is needed, a cluster is not."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.unit.node import apart, scenarios, volume_root_scenarios

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.mark.parametrize("name", scenarios.ALL)
def test_scenario(name: str) -> None:
    if name.startswith("nfs_") and not shutil.which("ganesha.nfsd"):
        pytest.skip("needs nfs-ganesha and nfs-ganesha-vfs")
    apart.run("scenarios", name, seconds=120)


@pytest.mark.parametrize("name", volume_root_scenarios.ALL)
def test_front(name: str) -> None:
    apart.run("volume_root_scenarios", name, seconds=120)
