"""Scenarios disturb neither each other nor a cluster that runs on the same machine."""

from __future__ import annotations

import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.unit.node import apart, apart_scenarios
from tests.unit.node.machine import eventually

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")


@pytest.mark.parametrize("name", apart_scenarios.ALL)
def test_scenario(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104
        monkeypatch.setenv("PDSHUB_TEST_PORT", str(taken.getsockname()[1]))
        apart.run("apart_scenarios", name)


def test_nothing_outlives_a_run_that_was_killed() -> None:
    """As the suite is when a session ends: readers of a scenario went on for ever."""
    mark = f"86400.{os.getpid()}"
    script = ["sh", "-c", f"setsid sleep {mark} & setsid sleep {mark} & echo started; wait"]
    with subprocess.Popen([*apart.APART, *script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "started\n"
        process.kill()

    def left() -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                found.append(path.read_bytes().decode(errors="replace"))
        return [line for line in found if mark in line]

    eventually(lambda: not left(), text="they end with it")
