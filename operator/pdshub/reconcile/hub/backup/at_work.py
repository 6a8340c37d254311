"""Who works with a repository, as the API server has it now: asked before a Job is made, and at no other time.

What waits and what is under way stands in objects: in HubBackups and HubRestores, in the records of recoveries and of
drills. So an operator that begins anew knows it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from pdshub.kube import HUB_BACKUP, HUB_RESTORE, PDSHUB, ROLE_BINDING, Object
from pdshub.reconcile.common.triggers import HubKey
from pdshub.reconcile.hub.backup import strangers, turns
from pdshub.reconcile.hub.backup.asked import restores_of, runs_of
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.backup.turns import Claimant
from pdshub.wellknown import HUB_ROLE


async def _hubs(context: BackupContext) -> tuple[Sequence[Object], Collection[str]]:
    """All hubs, and the namespaces that are open to hubs."""
    bindings = await context.kube.items(ROLE_BINDING, fields=f"metadata.name={HUB_ROLE}")
    return await context.kube.live.items(PDSHUB), {str(item["metadata"]["namespace"]) for item in bindings}


async def repositories(
    context: BackupContext, facts: Facts, hubs: Sequence[Object], opened: Collection[str]
) -> dict[HubKey, str]:
    """The repository of each hub that has backups; at this hub's own, of those that have its key. Raises KubeError."""
    return await strangers.without(context, facts, hubs, turns.repositories(hubs, opened))


async def claimants(context: BackupContext, facts: Facts) -> list[Claimant]:
    """Runs and restores that are still to be done, at whatever repository. Raises KubeError."""
    where = await repositories(context, facts, *await _hubs(context))
    kube = context.kube.live
    runs, restores = runs_of(await kube.items(HUB_BACKUP)), restores_of(await kube.items(HUB_RESTORE))
    return turns.claimants(runs, restores, where, context.served)


async def run(context: BackupContext, facts: Facts) -> bool:
    """Whether a run of any hub is still to be done at this hub's repository. Raises KubeError."""
    where = await repositories(context, facts, *await _hubs(context))
    mine = facts.place.identity if facts.place else ""
    runs = runs_of(await context.kube.live.items(HUB_BACKUP))
    return any(each.unfinished and where.get((each.namespace, each.hub)) == mine for each in runs)


async def alone(context: BackupContext, facts: Facts) -> str:
    """Who has this hub's repository for itself, in words; empty where nobody does. Raises KubeError."""
    held = turns.alone(facts.place.identity if facts.place else "", await claimants(context, facts))
    return held.words if held else ""


async def reading(context: BackupContext, facts: Facts) -> str:
    """Whose recovery or drill reads this hub's repository, in words; empty where none does. Raises KubeError."""
    if facts.place is None or not context.readers:
        return ""
    hubs, opened = await _hubs(context)
    for reads in context.readers:
        if found := await reads(context, facts, hubs, opened):
            return found
    return ""
