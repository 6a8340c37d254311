"""Writes the objects of a hub's front door, and removes those of a mode that the hub no longer has."""

from __future__ import annotations

from pdshub.kube import KubeError
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.front_door import RESOURCES, explained, removable
from pdshub.wellknown import MANAGER


async def open_door(context: HubContext, facts: Facts) -> str:
    """Every step. Raises KubeError, in an administrator's words."""
    for step in facts.front_door.steps:
        kind, body = str(step.body["kind"]), dict(step.body)
        try:
            if step.how == "create":
                await context.kube.create(RESOURCES[kind], body)
            else:
                await context.kube.apply(RESOURCES[kind], body, MANAGER)
        except KubeError as error:
            raise KubeError(error.status, explained(kind, error.missing, str(error))) from error
    return ""


async def close_door(context: HubContext, facts: Facts) -> str:
    """Remove what an earlier mode made; the volume of certificates stays. Raises KubeError, after the rest."""
    first: KubeError | None = None
    for resource, name in removable(facts.front_door.stale):
        try:
            await context.kube.delete(resource, name, facts.names.namespace)
        except KubeError as error:
            first = first or KubeError(error.status, f"{resource.kind} {name}: {error}")
    if first:
        raise first
    return ""
