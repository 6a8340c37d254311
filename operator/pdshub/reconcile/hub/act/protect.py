"""Reclaim policy of volumes with data: Retain, so that not even a deleted namespace takes them along."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pdshub.kube import CLAIM, VOLUME, Kube, KubeError, Object
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.database import bound_volume
from pdshub.reconcile.hub.facts import Facts
from pdshub.render.names import HUB_LABEL, NAMESPACE_LABEL

log = logging.getLogger(__name__)

_SILENT = 3
"""Requests without an answer, one after the other, after which the API server counts as away."""


async def _volume(kube: Kube, claim: Object | None) -> Object | None:
    """The volume that belongs to a claim; None while it has none, or names that of another."""
    name = ((claim or {}).get("spec") or {}).get("volumeName")
    return bound_volume(claim, await kube.get(VOLUME, str(name))) if name else None


async def retain(kube: Kube, claim: Object) -> bool:
    """Set the volume of a home's bound claim to Retain, and mark it as its hub's; True when that changed something.

    The marks tell whose it is when nothing in the namespace can be read any more. Raises KubeError.
    """
    meta = claim["metadata"]
    if meta.get("deletionTimestamp"):
        return False
    volume = await _volume(kube, claim)
    if volume is None:
        return False
    hub = (meta.get("labels") or {}).get(HUB_LABEL)
    marks = {HUB_LABEL: hub, NAMESPACE_LABEL: meta["namespace"]} if hub else {}
    going = volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    if not going and marks.items() <= (volume["metadata"].get("labels") or {}).items():
        return False
    body: Object = {"metadata": {"labels": marks}}
    if going:
        body["spec"] = {"persistentVolumeReclaimPolicy": "Retain"}
    await kube.patch(VOLUME, volume["metadata"]["name"], body)
    return True


async def retain_all(kube: Kube, claims: Iterable[Object]) -> list[str]:
    """Set the volume of each claim to Retain; one that is refused keeps no other from its turn.

    Returns what was refused, claim by claim, and logs it. Raises KubeError when the API server is away.
    """
    problems, silent = [], 0
    for claim in claims:
        try:
            await retain(kube, claim)
            silent = 0
        except KubeError as error:
            silent = 0 if error.status else silent + 1
            if silent >= _SILENT:
                raise
            meta = claim["metadata"]
            problem = f"the volume of claim {meta.get('namespace')}/{meta['name']} is not set to Retain: {error}"
            log.warning("%s", problem)
            problems.append(problem)
    return problems


async def discard(kube: Kube, name: str, namespace: str) -> None:
    """Delete a claim and its data, as deletionPolicy Delete asks for. Raises KubeError."""
    volume = await _volume(kube, await kube.get(CLAIM, name, namespace))
    if volume is not None:
        await give_up(kube, volume["metadata"]["name"])
    await kube.delete(CLAIM, name, namespace)


async def give_up(kube: Kube, name: str) -> None:
    """Let a volume go together with its claim, as deletionPolicy Delete asks for. Raises KubeError."""
    await kube.patch(VOLUME, name, {"spec": {"persistentVolumeReclaimPolicy": "Delete"}})


async def act(context: HubContext, facts: Facts) -> str:
    """Set the database's volume to Retain, and mark it as this hub's: so it is known when it is brought back.

    Raises the first KubeError, after all volumes were tried.
    """
    marks = {HUB_LABEL: facts.names.name, NAMESPACE_LABEL: facts.names.namespace}
    body = {"metadata": {"labels": marks}, "spec": {"persistentVolumeReclaimPolicy": "Retain"}}
    first: KubeError | None = None
    for name in facts.unprotected:
        try:
            await context.kube.patch(VOLUME, name, body)
        except KubeError as error:
            first = first or error
    if first:
        raise first
    return ""
