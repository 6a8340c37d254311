"""The finalizer that keeps a deleted PDSHub until its hub is gone."""

from __future__ import annotations

from pdshub.kube import PDSHUB
from pdshub.reconcile.facts import Facts
from pdshub.reconcile.world import World
from pdshub.render.names import FINALIZER


async def _set(world: World, facts: Facts, present: bool) -> None:
    hub = await world.kube.get(PDSHUB, facts.names.name, facts.names.namespace)
    if hub is None:
        return
    meta = hub["metadata"]
    others = [f for f in meta.get("finalizers") or [] if f != FINALIZER]
    # the resourceVersion makes a finalizer that somebody added meanwhile a conflict instead of a loss
    body = {
        "metadata": {
            "finalizers": [*others, FINALIZER] if present else others,
            "resourceVersion": meta["resourceVersion"],
        }
    }
    await world.kube.patch(PDSHUB, facts.names.name, body, facts.names.namespace)


async def add(world: World, facts: Facts) -> str:
    """Before anything is made."""
    await _set(world, facts, True)
    return ""


async def drop(world: World, facts: Facts) -> str:
    """After everything is gone."""
    await _set(world, facts, False)
    world.hubs.pop((facts.names.namespace, facts.names.name), None)
    return ""
