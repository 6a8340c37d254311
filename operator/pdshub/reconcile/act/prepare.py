"""Writes what a hub needs beside its release: secrets, the archive's view and volumes, the notice."""

from __future__ import annotations

from pdshub.reconcile.act.write import write
from pdshub.reconcile.facts import Facts
from pdshub.reconcile.world import World


async def act(world: World, facts: Facts) -> str:
    """Every step; what is there already stays as it is."""
    for step in facts.steps:
        await write(world.kube, step)
    return ""
