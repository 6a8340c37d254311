"""What the loop of backups works with, and what it remembers of each hub; losing that costs one more look."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from pdshub.kube import Kube, Object
from pdshub.reconcile.common.triggers import HubKey
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.people.context import PeopleMemory


@dataclass
class BackupMemory:
    """What is remembered of one hub's backups between looks."""

    swept: bool = False
    """Whether nothing is left of Jobs that ran before this process began, or of the last one."""
    made: set[str] = field(default_factory=set)
    """Jobs that this process made and has not taken away. One of them that is missing was taken away by somebody else;
    of another that a status names nobody knows, and mostly it was never made: who wrote the status ended before."""
    snapshots: set[str] = field(default_factory=set)
    """The same of VolumeSnapshots, by the Job that each is for."""
    servers: tuple[float, list[Object]] | None = None
    """time.monotonic(), and pods of servers and hub as they were listed then."""
    token: PeopleMemory = field(default_factory=PeopleMemory)
    """Of which only the operator's token at the hub is used."""


@dataclass
class BackupContext:
    """The doors and the memory. ``due`` asks for another look at a hub."""

    hubs: HubContext
    due: Callable[[HubKey], None] = lambda key: None
    clock: Callable[[], float] = time.time
    memories: dict[HubKey, BackupMemory] = field(default_factory=dict)
    failures: Counter[HubKey] = field(default_factory=Counter)
    """Runs that ended in phase Failed or PartiallyCompleted since the operator's start."""
    readers: tuple[Reads, ...] = ()
    """Who may read a repository beside runs and restores: recoveries and drills."""
    served: dict[HubKey, int] = field(default_factory=dict)
    """By hub the number of the last Job of a run: whose turn it is next."""
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by who looks whether it is its turn, until it has said so: one at a time for all repositories, of runs and
    restores as of recoveries and drills."""

    @property
    def kube(self) -> Kube:
        """The API server."""
        return self.hubs.kube

    def live(self) -> BackupContext:
        """The same, whose reads all ask the API server: what is begun or ended is decided from them."""
        return replace(self, hubs=self.hubs.live())

    def memory(self, key: HubKey) -> BackupMemory:
        """What is remembered of a hub."""
        return self.memories.setdefault(key, BackupMemory())

    def forget(self, key: HubKey) -> None:
        """A hub is gone."""
        self.memories.pop(key, None)


Reads = Callable[[BackupContext, Facts, Sequence[Object], Collection[str]], Awaitable[str]]
"""Whose Jobs read the repository of a hub now, in words, among all hubs and in namespaces that are open to them; empty
where nobody's do. Raises KubeError."""
