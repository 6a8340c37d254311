"""What the loop of drills works with, and what it remembers; losing that costs one more look."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pdshub.kube import Kube
from pdshub.reconcile.common.triggers import HubKey
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.context import HubContext


@dataclass
class DrillMemory:
    """What is remembered of one hub's drills between looks."""

    swept: bool = False
    """Whether nothing of this hub is left in the drills' namespace."""


@dataclass
class DrillContext:
    """The doors and the memory. ``backups``: with its own memory, by which the repository of a hub is found."""

    hubs: HubContext
    backups: BackupContext
    namespace: str = ""
    """Of drills; empty where the installation has none."""
    memories: dict[HubKey, DrillMemory] = field(default_factory=dict)

    @property
    def kube(self) -> Kube:
        """The API server."""
        return self.hubs.kube

    def live(self) -> DrillContext:
        """The same, whose reads all ask the API server: what is begun or ended is decided from them."""
        return replace(self, hubs=self.hubs.live(), backups=self.backups.live())

    def memory(self, key: HubKey) -> DrillMemory:
        """What is remembered of a hub."""
        return self.memories.setdefault(key, DrillMemory())

    def forget(self, key: HubKey) -> None:
        """A hub is gone."""
        self.memories.pop(key, None)
        self.backups.forget(key)
