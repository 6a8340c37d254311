"""What the loop of earlier versions works with, and what it remembers; losing that costs one more look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pdshub.audit_log.spools import Budget
from pdshub.kube import Kube
from pdshub.reconcile.common.triggers import HubKey
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.people.context import PeopleMemory


@dataclass
class EarlierMemory:
    """What is remembered of one hub's questions."""

    run: str = ""
    last: int = 0
    """The run of the hub, and the number of its newest question, as it was asked last."""
    open: bool = False
    """Whether a question is open that is being done."""
    spent: float = 0.0
    """Seconds that the last answers took."""
    swept: bool = False
    """Whether nothing is left of looks."""
    errors: int = 0
    why: str = ""
    told: dict[str, tuple[str, float]] = field(default_factory=dict)
    """By question: what was last said, and time.monotonic() of that."""
    looks: Budget = field(default_factory=lambda: Budget(burst=60, each_minute=10))
    restores: Budget = field(default_factory=lambda: Budget(burst=30, each_minute=1))
    """What a hub may have done for its people: one that was taken over must not fill the cluster with Jobs."""
    token: PeopleMemory = field(default_factory=PeopleMemory)
    """Of which only the operator's token at the hub is used."""


@dataclass
class EarlierContext:
    """The doors and the memory. ``backups``: with its own memory, by which the repository of a hub is found."""

    hubs: HubContext
    backups: BackupContext
    begun: Callable[[HubKey], None] = lambda key: None
    """Told of a hub for which a HubRestore was made: the loop of backups looks at it at once."""
    memories: dict[HubKey, EarlierMemory] = field(default_factory=dict)

    @classmethod
    def of(cls, hubs: HubContext, begun: Callable[[HubKey], None]) -> EarlierContext:
        """A context with nothing to remember."""
        return cls(hubs, BackupContext(hubs), begun)

    @property
    def kube(self) -> Kube:
        """The API server."""
        return self.hubs.kube

    def live(self) -> EarlierContext:
        """The same, whose reads all ask the API server: what is made is decided from them."""
        return replace(self, hubs=self.hubs.live(), backups=self.backups.live())

    def memory(self, key: HubKey) -> EarlierMemory:
        """What is remembered of a hub."""
        return self.memories.setdefault(key, EarlierMemory())

    def forget(self, key: HubKey) -> None:
        """A hub is gone, or has no backups any more."""
        self.memories.pop(key, None)
        self.backups.forget(key)
