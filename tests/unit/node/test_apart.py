"""Scenarios disturb neither each other nor a cluster that runs on the same machine."""

from __future__ import annotations

import os
import socket

import pytest

from tests.unit.node import apart, apart_scenarios

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.mark.parametrize("name", apart_scenarios.ALL)
def test_scenario(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104
        monkeypatch.setenv("PDSHUB_TEST_PORT", str(taken.getsockname()[1]))
        apart.run("apart_scenarios", name)
