"""Whose turn it is at a repository, among all hubs of the installation: pure.

* One Job that writes at a time. ``init`` and ``forget`` have the repository for themselves; a restore only reads, and
  runs beside the Job that saves an item: whoever waits for a file does not wait for a backup of hours.
* Recoveries and drills only read as well, beside who saves and who reads. They wait for who has the repository for
  itself, and ``forget`` waits for their Jobs (at_work.py). ``init`` does not: what it takes away are locks of the
  host name of the hub's own Jobs, and theirs have other ones. Looks make no lock, and have no turn.
* Job by Job, and each hub in turn: next is the hub whose last Job was made longest ago, among those that had none yet
  the run that has done fewest of its items, the older one first. So a hub with a thousand homes holds up nobody, and a
  hub with a thousand runs neither.
* What nobody goes on with (its PDSHub is gone, going or refused, its namespace is closed) holds up nothing, nor does a
  hub that has another key (strangers.py).

Source: restic, Design, Locks (backup and restore share, prune and init do not).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass

from pdshub.api.hub import PDSHubSpec
from pdshub.kube import Object
from pdshub.reconcile.common.triggers import HubKey, hub_key
from pdshub.reconcile.hub.backup import progress
from pdshub.reconcile.hub.backup.asked import UNFINISHED, Asked, Restore, Run
from pdshub.reconcile.hub.backup.progress import Stage
from pdshub.reconcile.hub.judge import conflicting_hub
from pdshub.render import backup_repository
from pdshub.render.names import Names


@dataclass(frozen=True)
class Claimant:
    """A run or a restore that is still to be done, and the repository that it wants."""

    about: Asked
    repository: str
    served: int = 0
    """The number of its hub's last Job among all that this operator made; 0 without one."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from all others."""
        return self.about.resource.kind, self.about.namespace, self.about.name

    @property
    def words(self) -> str:
        """Who it is, for whoever waits for it."""
        return f"{self.about.title} of {self.about.namespace}/{self.about.hub}"

    @property
    def is_restore(self) -> bool:
        """Whether it only reads."""
        return isinstance(self.about, Restore)

    @property
    def job(self) -> str:
        """Its Job; empty while it waits."""
        about = self.about
        return about.status.job if isinstance(about, Run | Restore) else ""

    @property
    def holds_alone(self) -> bool:
        """Whether its Job wants the repository for itself."""
        try:
            return bool(self.job) and progress.at(self.job)[0].exclusive
        except ValueError:
            return True

    @property
    def rank(self) -> tuple[int, int, float, str, str]:
        """The smallest is next."""
        items = self.about.status.items if isinstance(self.about, Run) else []
        done = sum(1 for item in items if item.phase not in UNFINISHED)
        return self.served, done, self.about.created, self.about.namespace, self.about.name


def repositories(hubs: Iterable[Object], open_namespaces: Collection[str]) -> dict[HubKey, str]:
    """The repository of each hub that goes on with its backups."""
    found: dict[HubKey, str] = {}
    for key, spec in going_on(hubs, open_namespaces, "backup"):
        with suppress(ValueError):
            if spec.backup is not None:
                found[key] = backup_repository.place(spec.backup.repository, Names(*key)).identity
    return found


def going_on(
    hubs: Iterable[Object], open_namespaces: Collection[str], about: str
) -> Iterator[tuple[HubKey, PDSHubSpec]]:
    """Hubs that the operator goes on with, as far as their spec says something ``about`` this field."""
    listed = list(hubs)
    for hub in listed:
        namespace, _ = key = hub_key(hub)
        if namespace not in open_namespaces or hub["metadata"].get("deletionTimestamp"):
            continue
        others = tuple(h for h in listed if h is not hub and h["metadata"]["namespace"] == namespace)
        if not (hub.get("spec") or {}).get(about) or conflicting_hub(hub, others):
            continue
        try:
            spec = PDSHubSpec.model_validate(hub["spec"])
        except ValueError:  # pydantic's too: a hub that is refused goes on with nothing
            continue
        yield key, spec


def alone(repository: str, all_of_them: Iterable[Claimant]) -> Claimant | None:
    """Who has a repository for itself now: who reads it waits for that one, and for nobody else."""
    return next((c for c in all_of_them if c.repository == repository and c.holds_alone), None)


def claimants(
    runs: Iterable[Run],
    restores: Iterable[Restore],
    repository_of: Mapping[HubKey, str],
    served: Mapping[HubKey, int] | None = None,
) -> list[Claimant]:
    """Everything that is still to be done; of the runs of one hub those that have a Job, and the one that is next."""
    found: list[Claimant] = []
    first: dict[HubKey, Run] = {}
    for run in sorted(runs, key=lambda r: (r.status.phase != "Running", r.created, r.name)):
        key = run.namespace, run.hub
        if not run.unfinished or key not in repository_of:
            continue
        if first.setdefault(key, run) is run or run.status.job:
            found.append(Claimant(run, repository_of[key], (served or {}).get(key, 0)))
    for restore in restores:
        if restore.unfinished and (restore.namespace, restore.hub) in repository_of:
            found.append(Claimant(restore, repository_of[restore.namespace, restore.hub]))
    return found


def in_the_way(mine: Claimant, stage: Stage, all_of_them: Iterable[Claimant]) -> Claimant | None:
    """Who has to be waited for before the Job of a stage may start; None where it is this one's turn."""
    others = [c for c in all_of_them if c.repository == mine.repository and c.key != mine.key]
    for other in others:
        if not other.job:
            continue
        if other.holds_alone or stage.exclusive or not (mine.is_restore or other.is_restore):
            return other
    if mine.is_restore or mine.job:  # what has a Job already goes on with it
        return None
    waiting = [c for c in others if not c.job and not c.is_restore]
    before = min(waiting, key=lambda c: c.rank, default=None)
    return before if before is not None and before.rank < mine.rank else None
