"""Generations on a node with real mounts (generation_, switch_, kernel_ and crash_scenarios.py)."""

from __future__ import annotations

import os
from collections.abc import Iterable

import pytest

from tests.unit.node import (
    apart,
    crash_scenarios,
    generation_scenarios,
    generations,
    kernel_scenarios,
    switch_scenarios,
)

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
    apart.run("generation_scenarios", name)


@pytest.mark.parametrize("name", table(switch_scenarios.ALL))
def test_switches(name: str) -> None:
    apart.run("switch_scenarios", name)


@pytest.mark.parametrize("name", table(kernel_scenarios.ALL))
def test_kernels(name: str) -> None:
    apart.run("kernel_scenarios", name)


@pytest.mark.parametrize("name", table(crash_scenarios.ALL))
def test_killed(name: str) -> None:
    apart.run("crash_scenarios", name)
