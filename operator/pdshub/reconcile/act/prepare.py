"""Writes what a hub needs beside its release: secrets, the archive's view and volumes, the notice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pdshub.kube import ARCHIVE_VIEW, CLAIM, CONFIG_MAP, SECRET, VOLUME, Resource
from pdshub.reconcile.facts import Facts
from pdshub.reconcile.world import World
from pdshub.render.names import MANAGER

_RESOURCES: Mapping[str, Resource] = {r.kind: r for r in (SECRET, ARCHIVE_VIEW, VOLUME, CLAIM, CONFIG_MAP)}


async def act(world: World, facts: Facts) -> str:
    """Every step; what is there already stays as it is."""
    for step in facts.steps:
        body: dict[str, Any] = dict(step.body)
        resource = _RESOURCES[str(body["kind"])]
        if step.how == "apply":
            await world.kube.apply(resource, body, MANAGER)
        elif step.how == "rebind":
            meta = body["metadata"]
            free = {
                "metadata": {"resourceVersion": meta["resourceVersion"]},
                "spec": {"claimRef": {"uid": None, "resourceVersion": None}},
            }
            await world.kube.patch(resource, meta["name"], free)
            await _until_available(world, str(meta["name"]))
        else:
            await world.kube.create(resource, body)
    return ""


async def _until_available(world: World, name: str) -> None:
    """Wait until Kubernetes has taken note that a volume is free; a claim that comes too early is bound late."""
    for _ in range(50):
        volume = await world.kube.get(VOLUME, name)
        if volume is None or (volume.get("status") or {}).get("phase") != "Released":
            return
        await asyncio.sleep(0.1)
