"""One task for each object: reconcile, wait for the time or an enqueue, again. Never two at once for one object."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

log = logging.getLogger(__name__)

Key = TypeVar("Key", bound=Hashable)
_ERROR_DELAYS = (1.0, 2.0, 5.0, 10.0, 30.0)
_SETTLE = 0.05
"""Seconds in which what is enqueued is gathered into one look."""


class WorkQueue(Generic[Key]):
    """The tasks of one kind of object."""

    def __init__(self, reconcile: Callable[[Key], Awaitable[float | None]]) -> None:
        self._reconcile = reconcile
        self._due: dict[Key, asyncio.Event] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._busy: dict[Key, float] = {}
        self._closing = False

    def enqueue(self, key: Key) -> None:
        """Look at this object now, or as soon as the present look is over."""
        if self._closing:
            return
        self._due.setdefault(key, asyncio.Event()).set()
        if key not in self._tasks:
            self._tasks[key] = asyncio.create_task(self._run(key), name=f"reconcile {key}")

    def enqueue_all(self) -> None:
        """Look at everything that is known."""
        for key in list(self._tasks):
            self.enqueue(key)

    @property
    def keys(self) -> list[Key]:
        """What is being looked after."""
        return list(self._tasks)

    @property
    def idle(self) -> bool:
        """Whether no look is under way or due."""
        return not self._busy and not any(due.is_set() for due in self._due.values())

    def longest_busy(self) -> float:
        """Seconds that the longest present look has taken."""
        return max((time.monotonic() - at for at in self._busy.values()), default=0.0)

    async def _run(self, key: Key) -> None:
        errors = 0
        while not self._closing:
            self._due[key].clear()
            self._busy[key] = time.monotonic()
            delay: float | None
            try:
                delay, errors = await self._reconcile(key), 0
            except Exception as error:
                # any failure of one object must end neither its own loop nor another's
                delay = _ERROR_DELAYS[min(errors, len(_ERROR_DELAYS) - 1)]
                errors += 1
                log.warning("%s: %s: %s", key, type(error).__name__, error, exc_info=errors == 1)
            finally:
                self._busy.pop(key, None)
            if self._closing:
                return
            if delay is None:
                if self._due[key].is_set():
                    continue
                self._tasks.pop(key, None)
                self._due.pop(key, None)
                return
            try:
                await asyncio.wait_for(self._due[key].wait(), delay)
                await asyncio.sleep(_SETTLE)
            except TimeoutError:
                pass

    async def close(self, grace: float) -> None:
        """Start nothing new; let looks under way end (helm must not be killed), for ``grace`` seconds at most."""
        self._closing = True
        tasks = list(self._tasks.items())
        for key, task in tasks:
            if key not in self._busy:
                task.cancel()
        if tasks:
            _, late = await asyncio.wait([task for _, task in tasks], timeout=grace)
            for task in late:
                task.cancel()
        await asyncio.gather(*(task for _, task in tasks), return_exceptions=True)
