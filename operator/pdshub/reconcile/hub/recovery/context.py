"""What the loop of recoveries works with, and what it remembers; losing that costs one more Job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pdshub.kube import Kube, Object
from pdshub.reconcile.common.triggers import HubKey
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext
from pdshub.sealed import Pair


@dataclass
class RecoveryMemory:
    """What is remembered of one hub's recovery between looks."""

    swept: bool = False
    """Whether nothing is left of its Jobs."""
    others: tuple[float, list[Object]] | None = None
    """time.monotonic(), and pods of servers, hub and backups as they were listed then."""
    held: str = ""
    """Who has the repository for itself, so that no Job of this recovery is made; in words."""
    readers: dict[str, Pair] = field(default_factory=dict)
    """By Job the key pair that its answer is sealed for: kept nowhere else."""


@dataclass
class RecoveryContext:
    """The doors and the memory. ``told``: whoever waits for a recovery is to look at its hub."""

    hubs: HubContext
    backups: BackupContext
    """With a memory of its own, by which the repository of a hub is found."""
    told: Callable[[HubKey], None] = lambda key: None
    memories: dict[HubKey, RecoveryMemory] = field(default_factory=dict)

    @property
    def kube(self) -> Kube:
        """The API server."""
        return self.hubs.kube

    def live(self) -> RecoveryContext:
        """The same, whose reads all ask the API server: what is begun or ended is decided from them."""
        return replace(self, hubs=self.hubs.live(), backups=self.backups.live())

    def memory(self, key: HubKey) -> RecoveryMemory:
        """What is remembered of a hub."""
        return self.memories.setdefault(key, RecoveryMemory())

    def forget(self, key: HubKey) -> None:
        """A hub is gone, or is back."""
        self.memories.pop(key, None)
        self.backups.forget(key)
