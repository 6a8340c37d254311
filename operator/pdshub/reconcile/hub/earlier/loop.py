"""The loop of earlier versions beside that of backups: one task for each hub with backups, which waits at the hub."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pdshub.kube import Object
from pdshub.reconcile.common.triggers import HubKey
from pdshub.reconcile.common.workqueue import WorkQueue
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.earlier.context import EarlierContext
from pdshub.reconcile.hub.earlier.reconcile import has_backups

LookAtEarlier = Callable[[EarlierContext, str, str], Awaitable[float | None]]


class EarlierLoop:
    """The work queue of questions. A hub without backups costs nothing."""

    def __init__(self, hubs: HubContext, look: LookAtEarlier, begun: Callable[[HubKey], None]) -> None:
        """``begun``: told of a hub for which a restore was made."""
        self.context = EarlierContext.of(hubs, begun)
        self.queue: WorkQueue[HubKey] = WorkQueue(lambda key: look(self.context, *key))
        self._hubs: set[HubKey] = set()

    def put(self, key: HubKey, old: Object | None, new: Object | None) -> None:
        """Take up a hub as it is now, or that there is none."""
        if has_backups(new):
            self._hubs.add(key)
        else:
            self._hubs.discard(key)
        # one that is followed looks by itself
        if has_backups(old) != has_backups(new) or (has_backups(new) and key not in self.queue.keys):
            self.queue.enqueue(key)

    def all(self) -> None:
        """Follow every hub that has backups."""
        for key in self._hubs - set(self.queue.keys):
            self.queue.enqueue(key)

    async def close(self, grace: float) -> None:
        """Ask nobody any more: what is under way is found again."""
        await self.queue.close(grace)
