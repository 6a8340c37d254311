"""Removes what a hub leaves behind and Helm does not know. Data goes only where the deletion policy says so."""

from __future__ import annotations

from pdshub.reconcile.act.protect import discard
from pdshub.reconcile.facts import Facts
from pdshub.reconcile.leftovers import RESOURCES
from pdshub.reconcile.world import World


async def _remove(world: World, facts: Facts, found: tuple[tuple[str, str], ...]) -> None:
    for kind, name in found:
        if kind == "data":
            await discard(world.kube, name, facts.names.namespace)
        else:
            resource = RESOURCES[kind]
            await world.kube.delete(resource, name, facts.names.namespace if resource.namespaced else None)


async def act(world: World, facts: Facts) -> str:
    """Everything that is left of a deleted hub."""
    await _remove(world, facts, facts.leftovers)
    return ""


async def tidy(world: World, facts: Facts) -> str:
    """Claims and volumes of a view that the hub no longer shows; Kubernetes keeps them while a pod uses them."""
    await _remove(world, facts, facts.stale)
    return ""
