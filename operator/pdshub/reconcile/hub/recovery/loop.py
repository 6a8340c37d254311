"""The loop of recoveries beside that of hubs. A hub that begins otherwise costs nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from pdshub.kube import Object
from pdshub.reconcile.common.triggers import HubKey, asked_of
from pdshub.reconcile.common.workqueue import WorkQueue
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.recovering import RECOVERING
from pdshub.reconcile.hub.recovery.context import RecoveryContext

LookAtRecovery = Callable[[RecoveryContext, str, str], Awaitable[float | None]]


def _begins(hub: Object | None) -> bool:
    return bool(((hub or {}).get("spec") or {}).get("bootstrap"))


def _waits(hub: Object | None) -> bool:
    """Whether a hub says that it waits for its recovery."""
    conditions: Any = ((hub or {}).get("status") or {}).get("conditions") or []
    return any(c.get("reason") == RECOVERING for c in conditions)


class RecoveryLoop:
    """The work queue of recoveries. ``told`` is to look at a hub whose recovery has come to another phase."""

    def __init__(self, hubs: HubContext, look: LookAtRecovery, told: Callable[[HubKey], None]) -> None:
        self.context = RecoveryContext(hubs, BackupContext(hubs), told)
        self.queue: WorkQueue[HubKey] = WorkQueue(lambda key: look(self.context, *key))
        self._hubs: set[HubKey] = set()

    def put(self, key: HubKey, old: Object | None, new: Object | None) -> None:
        """Take up a hub as it is now, or that there is none."""
        if _begins(new):
            self._hubs.add(key)
        else:
            self._hubs.discard(key)
        if (_begins(old) or _begins(new)) and (asked_of(old) != asked_of(new) or _waits(old) != _waits(new)):
            self.queue.enqueue(key)

    def all(self) -> None:
        """Look at every hub that began from a backup."""
        for key in self._hubs:
            self.queue.enqueue(key)

    async def close(self, grace: float) -> None:
        """Start nothing new, and end what is under way: it is found again."""
        await self.queue.close(grace)
