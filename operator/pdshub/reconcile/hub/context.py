"""What the reconcile of hubs works with, and what it remembers of each."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from pdshub.hub_api import SignInAttempt
from pdshub.kube import Object
from pdshub.reconcile.common.context import Context
from pdshub.reconcile.hub.api_server import ApiServerFinder
from pdshub.reconcile.hub.certificate import CertificateMemory
from pdshub.reconcile.hub.drift import DriftMemory
from pdshub.reconcile.hub.guard import Guard
from pdshub.reconcile.hub.observation import Attempt
from pdshub.reconcile.hub.release import Release, UnreadableRelease
from pdshub.reconcile.hub.seal import SealKey


@dataclass
class HubMemory:
    """What is remembered of one hub between looks; losing it costs one more look, nothing else."""

    attempt: Attempt = field(default_factory=Attempt)
    resumed: bool = False
    """The hub was suspended, and helm has not run since."""
    retry_at: float = 0.0
    """time.monotonic() of the next try."""
    releases: dict[str, tuple[str, Release | UnreadableRelease]] = field(default_factory=dict)
    """By release Secret: its resourceVersion, and what it decoded to."""
    whole: dict[str, str] = field(default_factory=dict)
    """resourceVersion of each release Secret that Helm may read."""
    own: tuple[str, str] | None = None
    """Release Secret and digest of its content, as this process saw helm make it."""
    drift: DriftMemory = field(default_factory=DriftMemory)
    guard: tuple[str, Guard] | None = None
    """resourceVersion of the namespace, and whether it keeps privileged pods out."""
    sign_in_attempt: tuple[int, float, SignInAttempt] | None = None
    """Revision of the release, time.monotonic(), and how a name that nobody allowed fared at its sign-in."""
    sign_in: tuple[str, str, Object] | None = None
    """Secret of the sign-in method, its resourceVersion, and the Secret without its content (see without_content)."""
    certificate: CertificateMemory = field(default_factory=CertificateMemory)
    """The certificate that people were shown at the last look."""
    status: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by who writes the hub's status (see writing)."""
    keys: tuple[str, str, Object] | None = None
    """The same of the Secret with the hub's keys."""


@dataclass
class HubContext(Context):
    """The API server, Helm, the installation's settings, and the memory of hubs."""

    hubs: dict[tuple[str, str], HubMemory] = field(default_factory=dict)
    seals: SealKey = field(default_factory=SealKey)
    api_server: ApiServerFinder = field(default_factory=ApiServerFinder)

    async def seal_key(self) -> bytes:
        """The key of the seals of this installation's releases. Raises KubeError."""
        return await self.seals.get(self.kube, self.system)

    def memory(self, namespace: str, name: str) -> HubMemory:
        """What is remembered of a hub."""
        return self.hubs.setdefault((namespace, name), HubMemory())
