"""Views that are being brought as far as they can be, each in a task of its own: one whose NAS hangs while it is
mounted keeps no other waiting."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress


class Settling:
    """The tasks, by view. A view whose task has not ended gets no second one."""

    def __init__(self, settle: Callable[[str], Awaitable[None]], ended: Callable[[], None]) -> None:
        """`settle` does it for one view, and tells of its errors itself; `ended`: one has ended that a turn did not
        wait for."""
        self._settle, self._ended = settle, ended
        self._under_way: dict[str, tuple[asyncio.Future[None], float]] = {}

    async def together(self, names: Iterable[str], seconds: float) -> set[str]:
        """Begin with those that are not under way, and wait so long for all; answers which are still under way."""
        self._forget()
        for name in names:
            if name not in self._under_way:
                self._under_way[name] = (asyncio.ensure_future(self._settle(name)), time.monotonic())
        tasks = [task for task, _ in self._under_way.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        self._forget()
        for task, _ in self._under_way.values():
            task.remove_done_callback(self._done)
            task.add_done_callback(self._done)
        return set(self._under_way)

    def _forget(self) -> None:
        for name, (task, _) in list(self._under_way.items()):
            if task.done():
                del self._under_way[name]
                with suppress(Exception, asyncio.CancelledError):
                    task.result()

    def _done(self, _: asyncio.Future[None]) -> None:
        self._ended()

    @property
    def oldest(self) -> float:
        """Seconds for which the longest is under way."""
        return max((time.monotonic() - since for _, since in self._under_way.values()), default=0.0)

    async def close(self) -> None:
        """Everything that it does has an end in time: it is waited for."""
        await asyncio.gather(*(task for task, _ in self._under_way.values()), return_exceptions=True)
