"""The loop of drills beside that of backups."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pdshub.kube import Object
from pdshub.reconcile.common.triggers import HubKey, asked_of
from pdshub.reconcile.common.workqueue import WorkQueue
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.drill.context import DrillContext

LookAtDrills = Callable[[DrillContext, str, str], Awaitable[float | None]]


class DrillLoop:
    """The work queue of drills. A hub without backups costs nothing."""

    def __init__(self, hubs: HubContext, look: LookAtDrills, namespace: str) -> None:
        """``namespace``: of drills; empty where the installation has none."""
        self.context = DrillContext(hubs, BackupContext(hubs), namespace)
        self.queue: WorkQueue[HubKey] = WorkQueue(lambda key: look(self.context, *key))
        self._hubs: set[HubKey] = set()

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
        """Look at every hub that has backups."""
        for key in self._hubs:
            self.queue.enqueue(key)

    async def close(self, grace: float) -> None:
        """Start nothing new, and end what is under way: it is found again."""
        await self.queue.close(grace)
