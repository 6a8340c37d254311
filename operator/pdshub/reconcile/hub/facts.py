"""What an observation means for a PDSHub: everything that ``decide`` may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.api.hub import PDSHubSpec, PDSHubStatus
from pdshub.hub_api import SignInAttempt
from pdshub.reconcile.common.objects import Step, Workload
from pdshub.reconcile.hub.certificate import CertificateSeen
from pdshub.reconcile.hub.drift import Drift
from pdshub.reconcile.hub.front_door import FrontDoor
from pdshub.reconcile.hub.guard import Guard
from pdshub.reconcile.hub.network_state import NetworkState
from pdshub.reconcile.hub.observation import Attempt
from pdshub.reconcile.hub.release import Release, UnreadableRelease
from pdshub.reconcile.hub.trust import Trust
from pdshub.reconcile.hub.upgrade_state import Upgrade
from pdshub.render.archive import ViewRef
from pdshub.render.chart import ChartRef
from pdshub.render.homes import Enforcement
from pdshub.render.isolation import Isolation
from pdshub.render.names import Names
from pdshub.render.signin_rules import Verdict

__all__ = ["ArchiveState", "Attempt", "Facts"]


@dataclass(frozen=True)
class ArchiveState:
    """The view's health, mirrored. ``ready`` is None while it is not known."""

    ready: bool | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Facts:
    """The judgement of one observation of a PDSHub."""

    names: Names
    generation: int
    """metadata.generation of the PDSHub."""
    status: PDSHubStatus
    """The status as it was written last."""
    deleting: bool = False
    finalizer: bool = True
    spec: PDSHubSpec | None = None
    invalid: str = ""
    """Why the spec is refused, field by field."""
    conflicting_hub: str = ""
    """An older PDSHub of the same namespace."""
    refused: tuple[str, str] = ("", "")
    """Why this hub cannot be installed: the condition's reason, and a message that says what to do."""
    terminating: bool = False
    """Whether the namespace is being deleted, and takes no new objects."""
    barred: str = ""
    """Why the namespace may not hold hubs, and what to do; empty when it may."""
    granted: bool = True
    """Whether the namespace's account may act in it: before that nothing in the namespace is known."""
    development: bool = False
    """Whether the namespace is labelled for development."""
    guard: Guard = field(default_factory=Guard)
    """Whether the namespace keeps privileged pods out."""
    sign_in: Verdict = field(default_factory=Verdict)
    """What the values make of sign-in."""
    sign_in_attempt: SignInAttempt | None = None
    """How a name that nobody allowed fared at the sign-in of the present revision; None: it was not tried."""
    missing_secret: str = ""
    """What the sign-in method lacks."""
    release: Release | None = None
    unreadable_release: UnreadableRelease | None = None
    """The newest revision, when its Secret holds no release."""
    trust: Trust = Trust.NONE
    """Whose work ``release`` is."""
    seal_key: str = ""
    """Name of the key with which releases are sealed."""
    drift: Drift | None = None
    """How the release's objects differ from what was installed; None where that is not known."""
    chart: ChartRef | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    in_sync: bool = False
    """Whether the release was installed with exactly these values."""
    resumed: bool = False
    """The hub was suspended, and helm has not run since: what changed meanwhile is repaired by one run."""
    key: str = ""
    """Generation, chart and values of the present spec."""
    attempt: Attempt = field(default_factory=Attempt)
    new_secrets: tuple[str, ...] = ()
    """Names of Secrets with random content that have to be made."""
    steps: tuple[Step, ...] = ()
    """Objects that are missing or differ."""
    recovering: str = ""
    """Why the hub is not installed before its data is back (spec.bootstrap); empty where nothing has to come back."""
    settling: str = ""
    """An object that must vanish before the next step, in words."""
    stale: tuple[tuple[str, str], ...] = ()
    """Claims and volumes of views that this hub no longer shows, and its own view among these: (kind, name)."""
    database_conflict: str = ""
    """Why the chart cannot have the database's claim that is there, and what to do."""
    unprotected: tuple[str, ...] = ()
    """Volumes of the database that a deletion would take along, or that lack the hub's marks."""
    hub: Workload = field(default_factory=Workload)
    proxy: Workload = field(default_factory=Workload)
    unhealthy: str = "its pods are starting"
    """What the hub answered when asked for its health; empty when it is well."""
    address: str = ""
    view: ViewRef | None = None
    archive: ArchiveState = field(default_factory=ArchiveState)
    homes: Enforcement | None = None
    network: NetworkState | None = None
    isolation: Isolation | None = None
    front_door: FrontDoor = field(default_factory=FrontDoor)
    certificate: CertificateSeen = field(default_factory=CertificateSeen)
    upgrade: Upgrade | None = None
    """What is known of the way back; None where nothing about it is to be done."""
    dependents: tuple[tuple[str, str], ...] = ()
    """While deleting: what is still there, (kind, name)."""
    broken_revisions: tuple[str, ...] = ()
    """While deleting: Secrets that Helm would stumble over when it removes the release."""
    notice_pod: str = ""
    """A hub pod that does not have the present notice yet."""
    notice: str = ""
    """What the hub's pages and spawners are to read; empty when that is nothing."""

    @property
    def serving(self) -> bool:
        """Whether people can sign in."""
        return self.hub.available and self.proxy.available and not self.unhealthy

    @property
    def preparations(self) -> tuple[str, ...]:
        """What has to be written before the release, in words, in the order in which it is done."""
        return (*(f"Secret {name} is made" for name in self.new_secrets), *(step.what for step in self.steps))
