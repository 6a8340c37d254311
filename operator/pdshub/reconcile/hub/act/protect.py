"""Reclaim policy of volumes with data: Retain, so that not even a deleted namespace takes them along."""

from __future__ import annotations

from pdshub.kube import CLAIM, VOLUME, Kube, Object
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts


async def retain(kube: Kube, claim: Object) -> bool:
    """Set the volume of a bound claim to Retain; True when that changed something."""
    name = (claim.get("spec") or {}).get("volumeName")
    if not name or claim["metadata"].get("deletionTimestamp"):
        return False
    volume = await kube.get(VOLUME, name)
    if volume is None or volume["spec"].get("persistentVolumeReclaimPolicy") != "Delete":
        return False
    await kube.patch(VOLUME, name, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    return True


async def discard(kube: Kube, name: str, namespace: str) -> None:
    """Delete a claim and its data, as deletionPolicy Delete asks for."""
    claim = await kube.get(CLAIM, name, namespace)
    bound = ((claim or {}).get("spec") or {}).get("volumeName")
    if bound:
        await kube.patch(VOLUME, bound, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    await kube.delete(CLAIM, name, namespace)


async def act(context: HubContext, facts: Facts) -> str:
    """The database's volume."""
    for name in facts.unprotected:
        await context.kube.patch(VOLUME, name, {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    return ""
