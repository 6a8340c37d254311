"""The loop of drills beside that of backups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pdshub.kube import Object
from pdshub.reconcile.common.triggers import HubKey, asked_of
from pdshub.reconcile.common.workqueue import WorkQueue
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.drill import read
from pdshub.reconcile.hub.drill.context import DrillContext

LookAtDrills = Callable[[DrillContext, str, str], Awaitable[float | None]]


NOBODY: HubKey = ("", "")
"""Instead of a hub: what lies in the drills' namespace and is of no hub that is followed."""
STRAYS_EVERY = 600.0
"""Seconds between two looks for that."""


class DrillLoop:
    """The work queue of drills. A hub without backups costs nothing."""

    def __init__(self, hubs: HubContext, look: LookAtDrills, namespace: str) -> None:
        """``namespace``: of drills; empty where the installation has none."""
        self.context = DrillContext(hubs, BackupContext(hubs), namespace)
        self.queue: WorkQueue[HubKey] = WorkQueue(self._look)
        self._reconcile = look
        self._hubs: set[HubKey] = set()

    async def _look(self, key: HubKey) -> float | None:
        if key != NOBODY:
            return await self._reconcile(self.context, *key)
        for stray in await read.strays(self.context) - self._hubs:
            self.queue.enqueue(stray)
        return STRAYS_EVERY

    def put(self, key: HubKey, old: Object | None, new: Object | None) -> None:
        """Take up a hub as it is now, or that there is none."""
        saves = [bool(((hub or {}).get("spec") or {}).get("backup")) for hub in (old, new)]
        if saves[1]:
            self._hubs.add(key)
        else:
            self._hubs.discard(key)
        if any(saves) and asked_of(old) != asked_of(new):
            self.queue.enqueue(key)

    def all(self) -> None:
        """Look at every hub that has backups, and once in a while for what a hub that is gone has left."""
        for key in self._hubs:
            self.queue.enqueue(key)
        if self.context.namespace and NOBODY not in self.queue.keys:
            self.queue.enqueue(NOBODY)

    async def close(self, grace: float) -> None:
        """Start nothing new, and end what is under way: it is found again."""
        await self.queue.close(grace)
