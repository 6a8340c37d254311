"""What one look at the world found: everything that ``decide`` may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.api.hub import PDSHubSpec, PDSHubStatus
from pdshub.reconcile.common.objects import Step, Workload
from pdshub.reconcile.hub.release import Release
from pdshub.render.archive import ViewRef
from pdshub.render.chart import ChartRef
from pdshub.render.homes import Enforcement
from pdshub.render.names import Names


@dataclass(frozen=True)
class Attempt:
    """Failed runs of helm at one digest. ``key`` names generation, chart and values; another key starts anew."""

    key: str = ""
    failures: int = 0
    reason: str = ""
    message: str = ""
    wait: float = 0.0
    """Seconds until the next try is due."""


@dataclass(frozen=True)
class ArchiveState:
    """The view's health, mirrored. ``ready`` None: nobody knows yet."""

    ready: bool | None = None
    reason: str = ""
    message: str = ""


@dataclass(frozen=True)
class Facts:
    """One observation of a PDSHub."""

    names: Names
    generation: int
    status: PDSHubStatus
    deleting: bool = False
    finalizer: bool = True
    spec: PDSHubSpec | None = None
    invalid: str = ""
    """Why the spec is refused, field by field."""
    conflicting_hub: str = ""
    """An older PDSHub of the same namespace."""
    refused: tuple[str, str] = ("", "")
    """Why the installation can't have this hub: a word, and a sentence that says what to do."""
    terminating: bool = False
    """The namespace is being deleted, and takes no new objects."""
    development: bool = False
    """The namespace is labelled for development."""
    missing_secret: str = ""
    """What the sign-in method lacks."""
    release: Release | None = None
    chart: ChartRef | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    in_sync: bool = False
    resumed: bool = False
    """The hub was suspended, and helm has not run since: what changed meanwhile is repaired by one run."""
    key: str = ""
    """Generation, chart and values of the present spec."""
    attempt: Attempt = field(default_factory=Attempt)
    steps: tuple[Step, ...] = ()
    """Objects that are missing or differ."""
    settling: str = ""
    """An object that must vanish before the next step, in words."""
    stale: tuple[tuple[str, str], ...] = ()
    """Claims and volumes of views that this hub no longer shows, and its own view among these: (kind, name)."""
    unprotected: tuple[str, ...] = ()
    """Volumes that a deletion would take along, though they hold the database."""
    hub: Workload = field(default_factory=Workload)
    proxy: Workload = field(default_factory=Workload)
    unhealthy: str = "its pods are starting"
    """What the hub answered when asked for its health; empty: it is well."""
    address: str = ""
    view: ViewRef | None = None
    archive: ArchiveState = field(default_factory=ArchiveState)
    homes: Enforcement | None = None
    dependents: tuple[tuple[str, str], ...] = ()
    """While deleting: what is still there, (kind, name)."""
    notice_pod: str = ""
    """A hub pod that has not been told of the present notice."""
    notice: str = ""
    """What its pages and spawners are to read; empty when that is nothing."""

    @property
    def serving(self) -> bool:
        """People can sign in."""
        return self.hub.available and self.proxy.available and not self.unhealthy
