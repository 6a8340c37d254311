"""Whose drill reads a repository now: each hub's record says which Job it has."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pdshub.kube import CONFIG_MAP, KubeError, Object
from pdshub.reconcile.hub.backup import at_work
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.drill import record
from pdshub.render.names import Names


async def reads(context: BackupContext, facts: Facts, hubs: Sequence[Object], opened: Collection[str]) -> str:
    """A drill that reads the repository of a hub, in words (backup/context.py, Reads). Raises KubeError."""
    where = await at_work.repositories(context, facts, hubs, opened)
    for key in sorted(key for key, found in where.items() if facts.place and found == facts.place.identity):
        try:
            found = await context.kube.live.get(CONFIG_MAP, record.name(Names(*key)), key[0])
        except KubeError as error:
            if error.status not in (403, 404):
                raise
            continue  # the operator goes on with nothing there
        if record.read(found).reads:
            return f"a drill of {'/'.join(key)}"
    return ""
