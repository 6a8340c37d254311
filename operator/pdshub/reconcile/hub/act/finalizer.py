"""The finalizer that keeps a deleted PDSHub until what was made for it is gone."""

from __future__ import annotations

from pdshub.kube import PDSHUB
from pdshub.reconcile.common.finalizer import put
from pdshub.reconcile.hub.act.grant import withdraw
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.render.names import FINALIZER


async def add(context: HubContext, facts: Facts) -> str:
    """Set the finalizer, before anything is made. Raises KubeError."""
    await put(context.kube, PDSHUB, facts.names.name, facts.names.namespace, FINALIZER, present=True)
    return ""


async def drop(context: HubContext, facts: Facts) -> str:
    """Take the finalizer away, after everything is gone, and forget the hub. Raises KubeError.

    The namespace's binding goes before it, so that none is left; one that is going removes it by itself.
    """
    if facts.granted and not facts.terminating:
        await withdraw(context, facts.names.namespace, facts.names.name)
    await put(context.kube, PDSHUB, facts.names.name, facts.names.namespace, FINALIZER, present=False)
    context.hubs.pop((facts.names.namespace, facts.names.name), None)
    return ""
