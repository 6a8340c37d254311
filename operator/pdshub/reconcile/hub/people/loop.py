"""The loop of people beside that of hubs: what it is told of, and what it looks at because of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Literal

from pdshub.kube import Object
from pdshub.object_cache import Changed
from pdshub.reconcile.common.triggers import HubKey, lists_of
from pdshub.reconcile.common.workqueue import WorkQueue
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.people.context import PeopleContext

LookAtPeople = Callable[[PeopleContext, str, str], Awaitable[float | None]]


class PeopleLoop:
    """The work queue of hubs' people, and which objects each list is made of."""

    def __init__(self, hubs: HubContext, look: LookAtPeople) -> None:
        self.context = PeopleContext(hubs, lambda key: self.queue.enqueue(key))
        self.queue: WorkQueue[HubKey] = WorkQueue(lambda key: look(self.context, *key))
        self._lists: dict[HubKey, frozenset[tuple[str, str]]] = {}

    def put(self, key: HubKey, hub: Object | None) -> None:
        """Take up what a hub's list comes from, as the hub is now, or that there is none."""
        if hub is None:
            self._lists.pop(key, None)
        else:
            self._lists[key] = lists_of(hub)

    def on_object(self, kind: Literal["ConfigMap", "Secret"]) -> Changed:
        """What is to be told of changed ConfigMaps or Secrets: who has one among their sources looks at once."""

        def changed(old: Object | None, new: Object | None, own: bool) -> None:
            meta = (new or old or {})["metadata"]
            for key, objects in self._lists.items() if not own else ():
                if key[0] == meta["namespace"] and (kind, meta["name"]) in objects:
                    self.queue.enqueue(key)

        return changed

    def all(self) -> None:
        """Look at every hub."""
        for key in self._lists:
            self.queue.enqueue(key)

    async def close(self, grace: float) -> None:
        """Start nothing new, and end what is under way: it is found again."""
        await self.queue.close(grace)
        await self.context.close()
