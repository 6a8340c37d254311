"""Whose recovery reads a repository now: each hub's record says which Jobs it has."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pdshub.api.hub_backup import Backup
from pdshub.kube import CONFIG_MAP, KubeError, Object
from pdshub.reconcile.common.triggers import HubKey
from pdshub.reconcile.hub.backup import strangers, turns
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.recovery import record
from pdshub.render import backup_repository
from pdshub.render.names import Names
from pdshub.render.recovery import as_backup


def coming_back(hubs: Iterable[Object], opened: Collection[str], repository: str) -> dict[HubKey, Backup]:
    """Hubs that begin from this repository, or began: what is asked of it. A hub that is suspended waits."""
    found: dict[HubKey, Backup] = {}
    for key, spec in turns.going_on(hubs, opened, "bootstrap"):
        names = Names(*key)
        if spec.bootstrap is None or spec.suspend:
            continue
        backup = as_backup(spec.bootstrap.recovery, names, spec.backup)
        try:
            if backup_repository.place(backup.repository, names).identity == repository:
                found[key] = backup
        except ValueError:  # a port that is none
            continue
    return found


async def reads(context: BackupContext, facts: Facts, hubs: Sequence[Object], opened: Collection[str]) -> str:
    """A recovery that reads the repository of a hub, in words (backup/context.py, Reads). Raises KubeError."""
    known = coming_back(hubs, opened, facts.place.identity if facts.place else "")
    keys = {key: backup_repository.key_of(backup, Names(*key)) for key, backup in known.items()}
    for key in sorted(known.keys() - await strangers.among(context, facts, keys)):
        try:
            found = record.read(await context.kube.live.get(CONFIG_MAP, Names(*key).recovery, key[0]))
        except KubeError as error:
            if error.status not in (403, 404):
                raise
            continue  # the operator goes on with nothing there
        if found is not None and found.jobs:
            return f"the recovery of {'/'.join(key)}"
    return ""
