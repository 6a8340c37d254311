"""All reads of one look at a hub's drills."""

from __future__ import annotations

from typing import Any

from pdshub.kube import (
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    JOB,
    NETWORK_POLICY,
    POD,
    SECRET,
    VOLUME,
    Kube,
    KubeError,
    Object,
    Resource,
)
from pdshub.reconcile.common.triggers import HubKey
from pdshub.reconcile.hub.backup import at_work
from pdshub.reconcile.hub.backup import read as backups
from pdshub.reconcile.hub.drill import record
from pdshub.reconcile.hub.drill.context import DrillContext
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.order import DRILL, selector
from pdshub.render.names import HUB_LABEL, NAMESPACE_LABEL, REPOSITORY_LABEL, Names
from pdshub.wellknown import MANAGER

HUB = "hub"
"""Deployment and container of a hub, as hub charts name them."""
KINDS: tuple[Resource, ...] = (SECRET, JOB, NETWORK_POLICY, CONFIG_MAP, CLAIM)
"""What a drill makes in its namespace, in the order in which it goes: keys first."""


async def look(context: DrillContext, hub: Object, names: Names) -> Facts:
    """One look. Raises KubeError."""
    kube, namespace = context.kube, context.namespace
    found = await backups.look(context.backups, hub, names)
    ours = (
        f"app.kubernetes.io/managed-by={MANAGER},{HUB_LABEL}={names.name}"  # as one that is watched: it costs nothing
    )
    maps = {item["metadata"]["name"]: item for item in await kube.items(CONFIG_MAP, names.namespace, labels=ours)}
    drills = record.read(maps.get(record.name(names)))
    memory = context.memory((names.namespace, names.name))
    if not namespace or (not drills.running and memory.swept):
        return Facts(found, drills, namespace)
    try:
        jobs = await kube.live.items(JOB, namespace, labels=selector(names))
        pods = await kube.live.items(POD, namespace, labels=selector(names)) if jobs else []
    except KubeError as error:
        if error.status not in (403, 404):
            raise
        return Facts(found, drills)  # there is no such namespace, or no right in it
    return Facts(
        found, drills, namespace, await _image(kube, names) if drills.running else "",
        {str(job["metadata"]["name"]): job for job in jobs}, tuple(pods), not drills.running,
        drills.running and await at_work.run(context.backups, found),
    )  # fmt: skip


async def strays(context: DrillContext) -> set[HubKey]:
    """Hubs of which something lies in the drills' namespace: one may be gone. Raises KubeError."""
    kube, namespace = context.kube.live, context.namespace
    left: list[Object] = []
    try:
        for kind in KINDS:
            left += await kube.items(kind, namespace, labels=f"component={DRILL}")
    except KubeError as error:
        if error.status not in (403, 404):
            raise
    shares = await kube.items(VOLUME, labels=f"{REPOSITORY_LABEL}=nfs")
    left += [share for share in shares if (share["spec"].get("claimRef") or {}).get("namespace") == namespace]
    marks = [item["metadata"].get("labels") or {} for item in left]
    found = {(str(mark.get(NAMESPACE_LABEL, "")), str(mark.get(HUB_LABEL, ""))) for mark in marks}
    return {key for key in found if all(key)}


async def _image(kube: Kube, names: Names) -> str:
    """The image of the hub as it runs."""
    deployment: Any = await kube.get(DEPLOYMENT, HUB, names.namespace) or {}
    pod = (((deployment.get("spec") or {}).get("template") or {}).get("spec")) or {}
    return next((str(c.get("image") or "") for c in pod.get("containers") or [] if c.get("name") == HUB), "")
