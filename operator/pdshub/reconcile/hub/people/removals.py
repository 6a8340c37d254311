"""The removals that are under way at one hub: each in a task of its own, so that a slow one holds up no other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from collections.abc import Set as AbstractSet
from functools import partial

from pdshub.hub_api import HubError
from pdshub.kube import KubeError
from pdshub.reconcile.hub.people.removal import Step, Told

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Removals that call the hub at the same time."""
_SHOWN = 5


class Removals:
    """Tasks by user, the step that each is at, and what the last try of one failed with."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(AT_ONCE)
        self.steps: dict[str, Step] = {}
        self.troubles: dict[str, str] = {}
        self.finished: set[str] = set()
        """Who has been taken out since the hub's users were listed last."""
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def under_way(self) -> AbstractSet[str]:
        """Users who are being removed."""
        return self._tasks.keys()

    def keep_to(self, names: AbstractSet[str]) -> None:
        """End the removal of everybody else: they may come in again."""
        for name in self._tasks.keys() - names:
            self._tasks[name].cancel()
        self.troubles = {name: why for name, why in self.troubles.items() if name in names}

    def begin(
        self,
        names: Iterable[str],
        work: Callable[[str, Told], Awaitable[None]],
        over: Callable[[], None],
    ) -> None:
        """Begin to remove these, but whose removal is under way. ``over`` is called when one has ended."""
        for name in names:
            if name not in self._tasks:
                self.steps[name] = Step.WAITING
                task = asyncio.create_task(self._run(name, work), name=f"removal of {name}")
                self._tasks[name] = task
                # not at the end of the task itself: one that is cancelled before it began has none
                task.add_done_callback(partial(self._ended, name, over))

    def _ended(self, name: str, over: Callable[[], None], task: asyncio.Task[None]) -> None:
        self._tasks.pop(name, None)
        self.steps.pop(name, None)
        over()

    async def _run(self, name: str, work: Callable[[str, Told], Awaitable[None]]) -> None:
        def told(step: Step) -> None:
            self.steps[name] = step

        try:
            await work(name, told)
            self.troubles.pop(name, None)
            self.finished.add(name)
        except (HubError, KubeError, TimeoutError) as error:
            self.troubles[name] = str(error) or "it takes long"
            log.info("the removal of %s is tried again: %s", name, self.troubles[name])
        except Exception as error:
            self.troubles[name] = type(error).__name__
            log.exception("the removal of %s", name)

    def words(self) -> str:
        """Who is being removed, and at which step; empty when nobody is."""
        lines = {name: f"it is tried again: {why}" for name, why in self.troubles.items()}
        lines |= {name: step.words for name, step in self.steps.items()}
        shown = [f"{name}: {step}" for name, step in sorted(lines.items())[:_SHOWN]]
        return "; ".join(shown) + (f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")

    async def close(self) -> None:
        """End all, as the operator does when it ends: they are found again."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
