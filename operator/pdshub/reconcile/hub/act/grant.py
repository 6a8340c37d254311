"""Opens a namespace for its hub: the RoleBinding by which the namespace's account may act there."""

from __future__ import annotations

import asyncio

from pdshub import tenant
from pdshub.kube import PDSHUB, ROLE_BINDING, SERVICE, Kube, KubeError
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.wellknown import HUB_ROLE, MANAGER

_TRIES, _PAUSE = 50, 0.1
"""How often, and after how many seconds, it is tried whether the API server has taken note of the binding."""


async def act(context: HubContext, facts: Facts) -> str:
    """Write the binding, and wait until it has its effect. Raises KubeError."""
    where = facts.names.namespace
    await context.kube.apply(ROLE_BINDING, tenant.binding(where), MANAGER)
    await _until_effective(context.kube.live, where)
    return ""


async def _until_effective(kube: Kube, namespace: str) -> None:
    """Wait until the account may read: the API server's authorizer follows its store by a moment."""
    for _ in range(_TRIES):
        try:
            await kube.items(SERVICE, namespace)
            return
        except KubeError as error:
            if error.status != 403:
                raise
        await asyncio.sleep(_PAUSE)


async def withdraw(context: HubContext, namespace: str, hub: str) -> None:
    """Take the binding away after the namespace's last hub. Raises KubeError."""
    others = await context.kube.items(PDSHUB, namespace)
    is_last = all(item["metadata"]["name"] == hub for item in others)
    if is_last and await context.kube.get(ROLE_BINDING, HUB_ROLE, namespace) is not None:
        await context.kube.delete(ROLE_BINDING, HUB_ROLE, namespace)
