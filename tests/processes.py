"""Programs that tests start, ended with everything that they began themselves."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
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


def fields(pid: int) -> list[str]:
    """State, parent, group and what follows of a process (proc_pid_stat(5), behind its name); X alone: it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X"]


def everybody() -> Iterator[tuple[int, list[str]]]:
    """Every process with its fields."""
    for folder in Path("/proc").glob("[0-9]*"):
        yield int(folder.name), fields(int(folder.name))


def _alive(group: int) -> bool:
    """Whether a process of the group still runs; one that only waits to be reaped writes nothing."""
    return any(one[0] not in "ZX" and int(one[2]) == group for _, one in everybody())
