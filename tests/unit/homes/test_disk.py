"""Homes on a real disk: images of XFS on loop devices (scenarios.py); root is needed, a cluster is not."""

from __future__ import annotations

import pytest

from tests import programs
from tests.unit.homes import disk, scenarios

pytestmark = pytest.mark.skipif(bool(disk.why_not()), reason=disk.why_not() or "it can be tried")


LONG = {"killed_at_any_step-plain"}
"""The same goes on with reflink in every run."""


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in LONG else []) for name in scenarios.ALL]
)
def test_scenario(name: str) -> None:
    if name.startswith("sanity"):
        programs.built("csi-sanity")
    disk.run(name, seconds=900 if name.startswith(("sanity", "killed")) else 240)
