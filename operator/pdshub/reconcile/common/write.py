"""Writes single objects: what ``decide`` and the observers ask for as Steps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    LIMIT_RANGE,
    NETWORK_POLICY,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
    VOLUME,
    Kube,
    Resource,
)
from pdshub.reconcile.common.objects import Step
from pdshub.wellknown import MANAGER

_RESOURCES: Mapping[str, Resource] = {
    r.kind: r
    for r in (
        SECRET,
        ARCHIVE_VIEW,
        VOLUME,
        CLAIM,
        CONFIG_MAP,
        SERVICE,
        DEPLOYMENT,
        RESOURCE_QUOTA,
        LIMIT_RANGE,
        NETWORK_POLICY,
    )
}


async def write(kube: Kube, step: Step) -> bool:
    """Do one step; False when it asked for a new object and one of that name is there already. Raises KubeError."""
    body: dict[str, Any] = dict(step.body)
    meta, resource = body["metadata"], _RESOURCES[str(body["kind"])]
    if step.how == "apply":
        await kube.apply(resource, body, MANAGER)
    elif step.how == "delete":
        await kube.delete(resource, meta["name"], meta.get("namespace"))
    elif step.how == "rebind":
        free = {
            "metadata": {"resourceVersion": meta["resourceVersion"]},
            "spec": {"claimRef": {"uid": None, "resourceVersion": None}},
        }
        await kube.patch(resource, meta["name"], free)
        await _until_available(kube, str(meta["name"]))
    elif step.how == "resize":
        await kube.patch(resource, meta["name"], {"spec": {"resources": body["spec"]["resources"]}}, meta["namespace"])
    elif step.how == "adopt":
        await kube.patch(resource, meta["name"], {"metadata": dict(meta)}, meta["namespace"])
    else:
        return await kube.create(resource, body)
    return True


async def _until_available(kube: Kube, name: str) -> None:
    """Wait until Kubernetes has taken note that a volume is free; a claim that comes too early is bound late."""
    for _ in range(50):
        volume = await kube.get(VOLUME, name)
        if volume is None or (volume.get("status") or {}).get("phase") != "Released":
            return
        await asyncio.sleep(0.1)
