"""What a look at a hub's drills found: everything that ``decide`` may know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pdshub.api.hub_backup import Drill
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.asked import by_age
from pdshub.reconcile.hub.backup.decide import refusal
from pdshub.reconcile.hub.backup.facts import Facts as Backups
from pdshub.reconcile.hub.drill import saved
from pdshub.reconcile.hub.drill.record import Drills
from pdshub.reconcile.hub.drill.saved import Saved

CLAIM_REPOSITORY = (
    "spec.backup.repository is a claim of the hub's namespace, which no pod of the drills' namespace can mount, and it "
    "would be lost with the hub: keep backups at s3, rest, sftp or nfs, or set spec.backup.drill.suspend"
)


@dataclass(frozen=True)
class Facts:
    """One look."""

    backups: Backups
    drills: Drills
    namespace: str = ""
    """Of the drills; empty where the installation has none."""
    image: str = ""
    """Of the hub as it runs; empty where it does not."""
    jobs: Mapping[str, Object] = field(default_factory=dict)
    """Of this hub in the drills' namespace, by name; read only while a drill runs."""
    pods: tuple[Object, ...] = ()
    left: bool = False
    """Whether something of this hub is in the drills' namespace."""
    busy: bool = False
    """Whether somebody works with the repository who has it alone, or a run of a backup goes on at it."""

    @property
    def settings(self) -> Drill | None:
        """spec.backup.drill."""
        return self.backups.backup.drill if self.backups.backup else None

    @property
    def now(self) -> float:
        """Seconds since 1970."""
        return self.backups.now

    @property
    def saved(self) -> dict[str, Saved]:
        """The newest snapshots."""
        return saved.newest(by_age(self.backups.runs, self.now))

    @property
    def refused(self) -> str:
        """Why no drill can be made; empty where one can."""
        reason, words = refusal(self.backups)
        if reason:
            return f"{reason}: {words}"
        if not self.namespace:
            return "the installation has no namespace for drills: drill.createNamespace of the pdshub chart"
        if self.backups.place is not None and self.backups.place.kind == "claim":
            return CLAIM_REPOSITORY
        return ""
