"""Removes what a hub leaves behind and Helm does not know. Data goes only where the deletion policy says so."""

from __future__ import annotations

from pdshub.kube import Kube, KubeError
from pdshub.reconcile.hub.act.protect import discard, give_up
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.dependents import RESOURCES, Found
from pdshub.reconcile.hub.facts import Facts


async def _remove(kube: Kube, namespace: str, found: Found) -> None:
    """Remove each object. Raises the first KubeError, after all others were tried."""
    first: KubeError | None = None
    for kind, name in found:
        resource = RESOURCES[kind]
        try:
            if kind == "data":
                await discard(kube, name, namespace)
            elif kind == "kept":
                await give_up(kube, name)
            else:
                await kube.delete(resource, name, namespace if resource.namespaced else None)
        except KubeError as error:
            first = first or KubeError(error.status, f"{resource.kind} {name}: {error}")
    if first:
        raise first


async def collect_dependents(context: HubContext, facts: Facts) -> str:
    """Remove everything that is left of a deleted hub. Raises KubeError, after the rest was tried."""
    await _remove(context.kube, facts.names.namespace, facts.dependents)
    return ""


async def collect_stale(context: HubContext, facts: Facts) -> str:
    """Remove claims and volumes of views that the hub no longer shows, and its own view where that is the one.

    Kubernetes keeps claims and volumes while a pod uses them; the view's finalizer removes its surveyor and store.
    Raises KubeError, after the rest was tried.
    """
    await _remove(context.kube, facts.names.namespace, facts.stale)
    return ""


async def collect_revisions(context: HubContext, facts: Facts) -> str:
    """Remove the records of revisions that cannot be read: Helm reads all of them before it removes a release.

    Raises KubeError, after the rest was tried.
    """
    found = tuple(("secret", name) for name in facts.broken_revisions)
    await _remove(context.kube, facts.names.namespace, found)
    return ""
