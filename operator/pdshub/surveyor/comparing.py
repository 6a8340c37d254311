"""Comparisons of two generations: each is worked out once, however many ask and whether or not they wait for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from pdshub.surveyor.store import Entry
from pdshub.surveyor.worker import WorkerError

Json = dict[str, Any]
Say = Callable[[str], None]
Pair = tuple[str, str]
Work = Callable[[Entry, Entry, Say], Awaitable[Json]]
"""Compares two generations and says how far it is. Raises WorkerError."""
KEPT = 16
"""Answers that are kept; the oldest goes first."""
RETRY_SECONDS = 60.0
"""For so long a failure is the answer: who asks again and again must not start it again and again."""


class Comparisons:
    """Tasks by the pair that they compare; one that ended is its answer."""

    def __init__(self, work: Work, clock: Callable[[], float] = time.monotonic) -> None:
        self._work, self._clock = work, clock
        self._tasks: dict[Pair, asyncio.Task[Json | WorkerError]] = {}
        self._phase: dict[Pair, str] = {}
        self._failed: dict[Pair, float] = {}  # when

    async def ask(self, old: Entry, new: Entry, wait: float) -> Json | str:
        """The answer, or after ``wait`` seconds how far it is. It goes on without who asked. Raises WorkerError."""
        pair = (old.name, new.name)
        failed = self._failed.get(pair)
        if pair not in self._tasks or (failed is not None and self._clock() - failed >= RETRY_SECONDS):
            self._start(pair, old, new)
        task = self._tasks[pair]
        await asyncio.wait({task}, timeout=wait)
        if not task.done():
            return self._phase[pair]
        answer = task.result()
        if isinstance(answer, WorkerError):
            raise WorkerError(str(answer))
        return answer

    def _start(self, pair: Pair, old: Entry, new: Entry) -> None:
        self._drop(pair)
        ended = [other for other, task in self._tasks.items() if task.done()]
        for other in ended[: max(0, len(ended) - KEPT + 1)]:
            self._drop(other)
        self._phase[pair] = "waits for another question"
        self._tasks[pair] = asyncio.get_running_loop().create_task(self._run(pair, old, new))

    def _drop(self, pair: Pair) -> None:
        self._tasks.pop(pair, None)
        self._failed.pop(pair, None)

    async def _run(self, pair: Pair, old: Entry, new: Entry) -> Json | WorkerError:
        def say(text: str) -> None:
            self._phase[pair] = text

        try:
            return await self._work(old, new, say)
        except (WorkerError, OSError) as error:  # returned: perhaps nobody is there to hear it raised
            self._failed[pair] = self._clock()
            return WorkerError(str(error))
        finally:
            del self._phase[pair]

    async def close(self) -> None:
        """Waits for what runs; its workers are stopped by their owner."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
