"""The loop of backups beside that of hubs: what it is told of, and what it looks at because of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pdshub.kube import Object
from pdshub.reconcile.common.triggers import HubKey, asked_of
from pdshub.reconcile.common.workqueue import WorkQueue
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext

LookAtBackups = Callable[[BackupContext, str, str], Awaitable[float | None]]


def about(item: Object) -> HubKey:
    """The hub that a HubBackup or HubRestore is about."""
    spec = item.get("spec")
    return str(item["metadata"]["namespace"]), str(spec.get("hub", "")) if isinstance(spec, dict) else ""


def job_of(item: Object | None) -> str:
    """The Job that runs for a HubBackup or HubRestore."""
    status = (item or {}).get("status")
    return str(status.get("job") or "") if isinstance(status, dict) else ""


class BackupLoop:
    """The work queue of hubs' backups. A hub that says nothing of backups costs nothing."""

    def __init__(self, hubs: HubContext, look: LookAtBackups) -> None:
        self.context = BackupContext(hubs, lambda key: self.queue.enqueue(key))
        self.queue: WorkQueue[HubKey] = WorkQueue(lambda key: look(self.context, *key))
        self._hubs: set[HubKey] = set()
        self._asked: dict[tuple[str, str, str], HubKey] = {}
        """Kind, namespace and name of each HubBackup and HubRestore that is not done, and its hub."""

    def put(self, key: HubKey, old: Object | None, new: Object | None) -> None:
        """Take up a hub as it is now, or that there is none."""
        saved = [((hub or {}).get("spec") or {}).get("backup") for hub in (old, new)]
        if saved[1]:
            self._hubs.add(key)
        else:
            self._hubs.discard(key)
        if (any(saved) and asked_of(old) != asked_of(new)) or (new is None and key in self._asked.values()):
            self.queue.enqueue(key)

    def on_asked(self, old: Object | None, new: Object | None, own: bool) -> None:
        """A HubBackup or HubRestore changed. Where a Job has ended, whoever waits for the repository looks at once."""
        item = new or old or {}
        key = str(item.get("kind")), str(item["metadata"]["namespace"]), str(item["metadata"]["name"])
        phase = str(((new or {}).get("status") or {}).get("phase") or "Pending")
        if new is not None and phase in ("Pending", "Running"):
            self._asked[key] = about(item)
        else:
            self._asked.pop(key, None)
        if not own:
            self.queue.enqueue(about(item))
        if job_of(old) and not job_of(new):
            for waiting in set(self._asked.values()) - {about(item)}:
                self.queue.enqueue(waiting)

    def all(self) -> None:
        """Look at every hub that has backups, or something that waits for one."""
        for key in self._hubs | set(self._asked.values()):
            self.queue.enqueue(key)

    def on_opened(self, key: HubKey) -> None:
        """The namespace of a hub was opened, or closed."""
        if key in self._hubs:
            self.queue.enqueue(key)

    async def close(self, grace: float) -> None:
        """Start nothing new, and end what is under way: it is found again."""
        await self.queue.close(grace)
