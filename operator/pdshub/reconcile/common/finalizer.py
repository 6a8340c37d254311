"""The finalizer that keeps a deleted object until what was made for it is gone."""

from __future__ import annotations

from pdshub.kube import Kube, Resource


async def put(
    kube: Kube, resource: Resource, name: str, namespace: str | None, finalizer: str, *, present: bool
) -> None:
    """Set or take away a finalizer. Raises KubeError, with a conflict when somebody else was quicker."""
    found = await kube.live.get(resource, name, namespace)
    if found is None:
        return
    meta = found["metadata"]
    have = meta.get("finalizers") or []
    if (finalizer in have) is present:
        return
    others = [f for f in have if f != finalizer]
    # the resourceVersion makes a finalizer that somebody added meanwhile a conflict instead of a loss
    body = {
        "metadata": {
            "finalizers": [*others, finalizer] if present else others,
            "resourceVersion": meta["resourceVersion"],
        }
    }
    await kube.patch(resource, name, body, namespace)
