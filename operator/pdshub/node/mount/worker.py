"""The parent's side of worker_main.py: calls with a time limit, kept by killing the child."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pdshub

START_SECONDS = 30.0
"""For the start of a process that looks at something: what a busy machine takes is no word on a NAS."""

_LINE = 8 << 20  # bytes of one answer: a proof's names every file of a sample that differs
_WHERE = str(Path(next(iter(pdshub.__path__))).parent)


async def _start(module: str = "pdshub.node.mount.worker_main", group: bool = False) -> asyncio.subprocess.Process:
    """`group`: at the head of a process group of its own, to be ended with the processes that it starts."""
    code = f"import sys; sys.path.insert(0, {_WHERE!r}); from {module} import main; main()"
    return await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-c", code,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=group, limit=_LINE,
    )  # fmt: skip


async def _ask(process: asyncio.subprocess.Process, request: dict[str, Any], seconds: float) -> Any:
    if process.stdin is None or process.stdout is None:
        raise OSError(errno.EPIPE, "the worker has no pipes")
    try:
        process.stdin.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(seconds):
            line = await process.stdout.readline()
    except (TimeoutError, asyncio.CancelledError) as reason:
        with suppress(ProcessLookupError):
            process.kill()
        if isinstance(reason, asyncio.CancelledError):
            raise
        raise TimeoutError(errno.ETIMEDOUT, f"no answer within {seconds:g} s") from None
    if not line:
        raise OSError(errno.EPIPE, "the worker ended")
    answer = json.loads(line)
    if "error" in answer:
        raise OSError(answer["errno"], answer["error"])
    return answer["ok"]


async def once(do: str, seconds: float, **arguments: Any) -> Any:
    """One operation in a process of its own. Raises OSError, TimeoutError after `seconds`."""
    return await _once(await _start(), do, seconds, arguments)


async def _once(process: asyncio.subprocess.Process, do: str, seconds: float, arguments: dict[str, Any]) -> Any:
    try:
        return await _ask(process, {"do": do, **arguments}, seconds)
    finally:
        if process.stdin:
            process.stdin.close()
        # A process in an uninterruptible wait is left to the event loop's child watcher.
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await process.wait()


class Busy(TimeoutError):
    """This machine did not even start a process in time: nothing is known of who was to be asked."""


class SingleFlight:
    """`once`, but no new process while the one before is still there.

    A process in an uninterruptible wait outlives its SIGKILL: looking again every few seconds at a source that
    hangs would gather as many of them.
    """

    def __init__(self, module: str = "pdshub.node.mount.worker_main") -> None:
        """`module`: what the child process runs; its `main` speaks worker_main's protocol."""
        self._module = module
        self._process: asyncio.subprocess.Process | None = None

    async def once(self, do: str, seconds: float, **arguments: Any) -> Any:
        """Raises OSError, TimeoutError after `seconds` of work or at once while the last process can't be ended, and
        Busy."""
        if self._hangs():
            raise TimeoutError(errno.ETIMEDOUT, "the last look at it hangs still")
        self._process = process = await _start(self._module, group=True)
        try:
            try:
                await _ask(process, {"do": "ready"}, START_SECONDS)
            except TimeoutError:
                raise Busy(errno.ETIMEDOUT, f"no process was started within {START_SECONDS:g} s") from None
            return await _once(process, do, seconds, arguments)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def _hangs(self) -> bool:
        """Whether the last process, or one that it started, can't be ended."""
        if self._process is not None and self._process.returncode is not None:
            try:
                os.killpg(self._process.pid, 0)
            except ProcessLookupError:
                self._process = None
        return self._process is not None


class PersistentWorker:
    """One long-living worker for the quick operations on targets, replaced when it hangs."""

    def __init__(self, seconds: float = 10) -> None:
        """`seconds`: for one call; a worker that takes longer is killed."""
        self._seconds = seconds
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()

    async def call(self, do: str, **arguments: Any) -> Any:
        """One operation of worker_main.OPERATIONS, after those that were asked for before.

        Returns its answer. Raises OSError of the operation, TimeoutError after the limit, BrokenPipeError where the
        worker has died.
        """
        async with self._turn:
            if self._process is None or self._process.returncode is not None:
                self._process = await _start()
            try:
                return await _ask(self._process, {"do": do, **arguments}, self._seconds)
            except (TimeoutError, BrokenPipeError):
                self._process = None
                raise

    async def close(self) -> None:
        """Let the worker end, and wait for it."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            await self._process.wait()
