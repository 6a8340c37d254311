"""Runs one task in a process of its own (worker_main.py): starts it, hears what it says, kills it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

LINE = 64 << 20  # bytes of one answer: a diff may name thousands of files
STALLED = 3600.0
"""Seconds without a word after which a worker is taken for hanging: one directory may take minutes, not an hour."""


class WorkerError(Exception):
    """The task was not done; the text says why."""


class Worker:
    """One task. ``run`` may be called once; ``stop`` makes it fail at any time."""

    def __init__(self, kind: str, task: dict[str, Any], *, memory: int = 0, nice: int = 10) -> None:
        self._kind, self._task = kind, {**task, "memory": memory, "nice": nice}
        self._process: asyncio.subprocess.Process | None = None
        self._stopped = ""

    def stop(self, why: str) -> None:
        """Kills the process; ``run`` raises WorkerError with these words."""
        self._stopped = self._stopped or why
        if self._process:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def run(self, progress: Callable[[str], None] = lambda text: None, seconds: float = STALLED) -> Any:
        """The task's result. ``seconds``: how long the process may say nothing. Raises WorkerError."""
        if self._stopped:
            raise WorkerError(self._stopped)
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pdshub.surveyor.worker_main", self._kind,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LINE,
        )  # fmt: skip
        assert process.stdin and process.stdout  # noqa: S101 - asked for above
        try:
            if self._stopped:
                raise WorkerError(self._stopped)
            process.stdin.write(json.dumps(self._task).encode() + b"\n")
            while True:
                async with asyncio.timeout(seconds):
                    line = await process.stdout.readline()
                if not line:
                    raise WorkerError(self._stopped or f"the process ended {await _ending(process)}")
                said = json.loads(line)
                if "result" in said:
                    return said["result"]
                if "error" in said:
                    raise WorkerError(self._stopped or said["error"])
                progress(str(said.get("progress", "")))
        except TimeoutError:
            raise WorkerError(f"nothing was heard for {seconds:.0f} s: a source may be hanging") from None
        except (ValueError, ConnectionError) as error:
            raise WorkerError(self._stopped or f"the process can not be understood: {error}") from error
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            process.stdin.close()
            await _ending(process)


async def _ending(process: asyncio.subprocess.Process) -> str:
    """How it ended; a process that waits for a dead server can not be waited for."""
    try:
        async with asyncio.timeout(5):
            code = await process.wait()
    except TimeoutError:
        return "not, though killed"
    return f"by signal {-code} (9: perhaps out of memory)" if code < 0 else f"with code {code}"
