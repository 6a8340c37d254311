"""What a look at a recovery found: everything that ``decide`` may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pdshub.api.hub_bootstrap import Recovery, RecoveryStatus
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.facts import Facts as Backups
from pdshub.reconcile.hub.backup.facts import modes
from pdshub.reconcile.hub.recovering import is_empty
from pdshub.reconcile.hub.recovery.record import Record
from pdshub.render.names import DATABASE_CLAIM, HUB_LABEL, Names

Keys = Literal["Absent", "Others", "Homes", "Completed"]
"""The Secret of the hub's keys: it came from a backup, whose homes come, or have come; or it did not."""


@dataclass(frozen=True)
class Facts:
    """One look. Of a hub that begins otherwise only the first field is filled."""

    backups: Backups
    """The repository, what opens it, the Jobs of this recovery and their pods, claims and who uses them."""
    recovery: Recovery | None = None
    saved: Names | None = None
    """Names of the hub that was saved."""
    status: RecoveryStatus | None = None
    """As it was written last."""
    record: Record | None = None
    ready: bool = False
    """Whether the hub is prepared as far as it can be without its data, and waits for it."""
    keys: Keys = "Absent"
    release: bool = False
    """Whether a Helm release of this name is there; looked at before anything is begun."""
    has_database: bool = True
    """Whether the hub keeps its database in a claim."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What Helm gets."""
    again: str = ""
    """The wish to try again."""
    held: str = ""
    """Who has the repository for itself, so that the next Job waits; in words."""
    openable: frozenset[str] = frozenset()
    """Jobs whose sealed answer this process can open."""

    @property
    def names(self) -> Names:
        """Every name of the hub."""
        return self.backups.names

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.backups.now

    @property
    def claims(self) -> Mapping[str, Object]:
        """Claims of the namespace by name."""
        return self.backups.claims

    def claim(self, name: str) -> Literal["Absent", "Empty", "Filled", "Others"]:
        """What a claim is to this recovery. Empty: made by it, and its content is still to come."""
        found = self.claims.get(name)
        if found is None:
            return "Absent"
        if (found["metadata"].get("labels") or {}).get(HUB_LABEL) != self.names.name:
            return "Others"
        return "Empty" if is_empty(found) else "Filled"

    @property
    def side_by_side(self) -> int:
        """Homes that are restored at the same time: they only read the repository, each into a claim of its own. One,
        where the repository is a claim that only one node can mount."""
        place = self.backups.place
        if place is None or not place.claim:
            return AT_ONCE
        claim = self.claims.get(place.claim)
        return AT_ONCE if claim is not None and "ReadWriteMany" in modes(claim) else 1

    @property
    def data(self) -> str:
        """What of a hub is here already, in words; empty where nothing is."""
        found = [f"Secret {self.names.keys}"] if self.keys in ("Others", "Completed") else []
        found += [f"claim {DATABASE_CLAIM}"] if self.claim(DATABASE_CLAIM) in ("Filled", "Others") else []
        found += [f"Helm release {self.names.name}"] if self.release else []
        return " and ".join(found)


AT_ONCE = 3
