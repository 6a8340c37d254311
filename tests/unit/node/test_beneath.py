"""Nothing that an image or a view names leads out of it (beneath_scenarios.py)."""

from __future__ import annotations

import os

import pytest

from tests.unit.node import apart, beneath_scenarios

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.mark.parametrize("name", beneath_scenarios.ALL)
def test_scenario(name: str) -> None:
    apart.run("beneath_scenarios", name, seconds=200)
