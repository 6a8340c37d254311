"""Writes what a hub needs beside its release: secrets, the archive's view and volumes, the notice."""

from __future__ import annotations

from pdshub.reconcile.common.write import write
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts


async def act(context: HubContext, facts: Facts) -> str:
    """Every step; what is there already stays as it is."""
    for step in facts.steps:
        await write(context.kube, step)
    return ""
