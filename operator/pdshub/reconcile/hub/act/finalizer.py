"""The finalizer that keeps a deleted PDSHub until what was made for it is gone."""

from __future__ import annotations

from pdshub.kube import PDSHUB
from pdshub.reconcile.common.finalizer import put
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.render.names import FINALIZER


async def add(context: HubContext, facts: Facts) -> str:
    """Before anything is made."""
    await put(context.kube, PDSHUB, facts.names.name, facts.names.namespace, FINALIZER, present=True)
    return ""


async def drop(context: HubContext, facts: Facts) -> str:
    """After everything is gone."""
    await put(context.kube, PDSHUB, facts.names.name, facts.names.namespace, FINALIZER, present=False)
    context.hubs.pop((facts.names.namespace, facts.names.name), None)
    return ""
