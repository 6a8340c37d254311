"""Removes what a hub leaves behind and Helm does not know. Data goes only where the deletion policy says so."""

from __future__ import annotations

from pdshub.reconcile.hub.act.protect import discard
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.dependents import RESOURCES
from pdshub.reconcile.hub.facts import Facts


async def _remove(context: HubContext, facts: Facts, found: tuple[tuple[str, str], ...]) -> None:
    for kind, name in found:
        if kind == "data":
            await discard(context.kube, name, facts.names.namespace)
        else:
            resource = RESOURCES[kind]
            await context.kube.delete(resource, name, facts.names.namespace if resource.namespaced else None)


async def act(context: HubContext, facts: Facts) -> str:
    """Everything that is left of a deleted hub."""
    await _remove(context, facts, facts.dependents)
    return ""


async def tidy(context: HubContext, facts: Facts) -> str:
    """Claims and volumes of a view that the hub no longer shows, and its own view where that is the one.

    Kubernetes keeps claims and volumes while a pod uses them; the view's finalizer removes its surveyor and store.
    """
    await _remove(context, facts, facts.stale)
    return ""
