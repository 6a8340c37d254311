"""Writes single objects: what ``decide`` and the observers ask for as Steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.kube import ARCHIVE_VIEW, CLAIM, CONFIG_MAP, DEPLOYMENT, SECRET, SERVICE, VOLUME, Kube, Resource
from pdshub.reconcile.facts import Step
from pdshub.render.names import MANAGER

_RESOURCES: Mapping[str, Resource] = {
    r.kind: r for r in (SECRET, ARCHIVE_VIEW, VOLUME, CLAIM, CONFIG_MAP, SERVICE, DEPLOYMENT)
}


async def write(kube: Kube, step: Step) -> None:
    """One step; what is there already stays as it is. Raises KubeError."""
    body: dict[str, Any] = dict(step.body)
    meta, resource = body["metadata"], _RESOURCES[str(body["kind"])]
    if step.how == "apply":
        await kube.apply(resource, body, MANAGER)
    elif step.how == "rebind":
        free = {
            "metadata": {"resourceVersion": meta["resourceVersion"]},
            "spec": {"claimRef": {"uid": None, "resourceVersion": None}},
        }
        await kube.patch(resource, meta["name"], free)
    elif step.how == "resize":
        await kube.patch(resource, meta["name"], {"spec": {"resources": body["spec"]["resources"]}}, meta["namespace"])
    else:
        await kube.create(resource, body)
