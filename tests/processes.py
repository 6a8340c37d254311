"""Programs that tests start, ended with everything that they began themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any


def end_group(process: subprocess.Popen[Any], within: float = 60.0) -> None:
    """End a process that leads a session of its own, and everything of its group: helpers outlive who began them, and
    go on to write. Within seconds; the group is killed when it does not end by itself. Does nothing the second time."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(within)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(within)
    until = time.monotonic() + within
    while time.monotonic() < until and _alive(process.pid):
        time.sleep(0.05)


def _alive(group: int) -> bool:
    """Whether a process of the group still runs; one that only waits to be reaped writes nothing."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, of = stat.read_text().rpartition(")")[2].split()[:3]
            if int(of) == group and state not in "ZX":
                return True
    return False
