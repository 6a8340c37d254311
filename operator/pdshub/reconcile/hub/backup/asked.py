"""HubBackups and HubRestores as they are read: what was asked for, and how far it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

from pydantic import ValidationError

from pdshub import rfc3339
from pdshub.api.backup import HubBackupSpec, HubBackupStatus, HubRestoreSpec, HubRestoreStatus
from pdshub.api.base import Model
from pdshub.kube import HUB_BACKUP, HUB_RESTORE, Object, Resource
from pdshub.reconcile.hub.backup import schedule

UNFINISHED = ("Pending", "Running")
"""Phases of what is still to be done."""
_Model = TypeVar("_Model", bound=Model)


@dataclass(frozen=True)
class Asked:
    """What a HubBackup and a HubRestore have in common."""

    item: Object
    hub: str
    """The PDSHub that it is about, in the same namespace."""

    @property
    def resource(self) -> Resource:
        """Its kind."""
        return HUB_BACKUP if isinstance(self, Run) else HUB_RESTORE

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str(self.item["metadata"]["namespace"])

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.item["metadata"]["name"])

    @property
    def uid(self) -> str:
        """Its uid."""
        return str(self.item["metadata"].get("uid", ""))

    @property
    def created(self) -> float:
        """When it was made, in seconds since 1970."""
        return rfc3339.seconds(self.item["metadata"].get("creationTimestamp"))

    @property
    def title(self) -> str:
        """The same in words."""
        return f"{self.resource.kind} {self.name}"

    @property
    def going(self) -> bool:
        """Whether it is being deleted."""
        return bool(self.item["metadata"].get("deletionTimestamp"))


@dataclass(frozen=True)
class Run(Asked):
    """A HubBackup. ``spec`` is None for one that is none."""

    spec: HubBackupSpec | None
    status: HubBackupStatus

    @property
    def unfinished(self) -> bool:
        """Whether it is still to be done."""
        return self.status.phase in UNFINISHED and not self.going

    @property
    def whole(self) -> bool:
        """Whether it is about everything that spec.backup names."""
        return self.spec is not None and not self.spec.users and self.spec.trigger != "PreUpgrade"


@dataclass(frozen=True)
class Restore(Asked):
    """A HubRestore. ``spec`` is None for one that is none."""

    spec: HubRestoreSpec | None
    status: HubRestoreStatus

    @property
    def unfinished(self) -> bool:
        """Whether it is still to be done."""
        return self.status.phase in UNFINISHED and not self.going


def _read(model: type[_Model], value: object) -> _Model | None:
    try:
        return model.model_validate(value or {})
    except ValidationError:
        return None


def _hub_of(item: Object) -> str:
    spec = item.get("spec")
    return str(spec.get("hub", "")) if isinstance(spec, dict) else ""


def belongs(item: Object, about: Asked) -> bool:
    """Whether an object was made for a HubBackup or HubRestore: that owns it."""
    owners = item["metadata"].get("ownerReferences") or []
    return bool(about.uid) and any(owner.get("uid") == about.uid for owner in owners)


def is_user(name: str) -> bool:
    """Whether a name can be that of an item (api/backup.py, Item): what was never a user's is nobody's home."""
    return 0 < len(name) <= 254 and name.isprintable()


def run_of(item: Object) -> Run:
    """A HubBackup. A status that cannot be read counts as none."""
    status = _read(HubBackupStatus, item.get("status")) or HubBackupStatus()
    spec = _read(HubBackupSpec, item.get("spec"))
    return Run(item, _hub_of(item), spec if spec and all(map(is_user, spec.users)) else None, status)


def restore_of(item: Object) -> Restore:
    """A HubRestore. A status that cannot be read counts as none."""
    status = _read(HubRestoreStatus, item.get("status")) or HubRestoreStatus()
    spec = _read(HubRestoreSpec, item.get("spec"))
    return Restore(item, _hub_of(item), spec if spec and is_user(spec.user) else None, status)


def runs_of(items: Iterable[Object], hub: str = "") -> tuple[Run, ...]:
    """HubBackups, the oldest first; of one hub, or of all."""
    found = [run_of(item) for item in items]
    return tuple(sorted((r for r in found if hub in ("", r.hub)), key=lambda r: (r.created, r.name)))


def restores_of(items: Iterable[Object], hub: str = "") -> tuple[Restore, ...]:
    """HubRestores, the oldest first; of one hub, or of all."""
    found = [restore_of(item) for item in items]
    return tuple(sorted((r for r in found if hub in ("", r.hub)), key=lambda r: (r.created, r.name)))


def by_age(runs: Iterable[Run], now: float) -> list[Run]:
    """Runs, the oldest first; before them those that a clock which was wrong has dated ahead."""
    return sorted(runs, key=lambda run: schedule.known(run.created, now) and 1.0)
