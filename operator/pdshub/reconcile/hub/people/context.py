"""What the loop of people works with, and what it remembers of each hub; losing that costs one more look."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from pdshub.hub_api import HubUser
from pdshub.kube import Kube
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.people.document import Document
from pdshub.reconcile.hub.people.removals import Removals
from pdshub.reconcile.hub.people.sources import Refused

HubKey = tuple[str, str]


@dataclass(frozen=True)
class Listing:
    """The hub's users as they were listed last."""

    digest: str
    """The list that the hub went by then."""
    at: float
    """time.monotonic()."""
    took: float
    """Seconds."""
    users: tuple[HubUser, ...] = ()
    kept: AbstractSet[str] = frozenset()
    """Who may sign in by a group, as the hub says."""


@dataclass
class PeopleMemory:
    """What is remembered of one hub's people between looks."""

    wanted: tuple[object, Document | Refused] | None = None
    """What names the sources at their versions, and the list that they make."""
    token: tuple[str, str] | None = field(default=None, repr=False)
    """resourceVersion of the Secret of keys, and the operator's token at the hub."""
    listing: Listing | None = None
    verified: str = ""
    """Digest of the list for which no pod and no record was left."""
    census: tuple[float, str, str] = (0.0, "", "")
    """time.monotonic() of the last census, and its digests without and with activity."""
    removals: Removals = field(default_factory=Removals)


@dataclass
class PeopleContext:
    """The doors and the memory. ``due`` asks for another look at a hub."""

    hubs: HubContext
    due: Callable[[HubKey], None] = lambda key: None
    memories: dict[HubKey, PeopleMemory] = field(default_factory=dict)

    @property
    def kube(self) -> Kube:
        """The API server."""
        return self.hubs.kube

    def live(self) -> PeopleContext:
        """The same, whose reads all ask the API server: what changes the list is decided from them."""
        return replace(self, hubs=self.hubs.live())

    def memory(self, key: HubKey) -> PeopleMemory:
        """What is remembered of a hub."""
        return self.memories.setdefault(key, PeopleMemory())

    async def forget(self, key: HubKey) -> None:
        """A hub is gone, or is no hub of ours any more."""
        memory = self.memories.pop(key, None)
        if memory is not None:
            await memory.removals.close()

    async def close(self) -> None:
        """End what is under way."""
        for key in list(self.memories):
            await self.forget(key)
