"""Writes a status: only what changed, and only when something did."""

from __future__ import annotations

from typing import Any

from pdshub.api.base import Model
from pdshub.kube import Kube, Object, Resource


def changes(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The merge patch from one status to another: null for what is gone, nothing for what stayed.

    Inside of objects too: a merge patch would leave there what is no longer said.
    """
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        was = before.get(key)
        if isinstance(was, dict) and isinstance(value, dict):
            if inside := changes(was, value):
                patch[key] = inside
        elif was != value:
            patch[key] = value
    return patch


async def write(kube: Kube, resource: Resource, about: Object, status: Model) -> bool:
    """Patch the status of an object if it changed; True when it did. An object that is gone is no error."""
    patch = changes(about.get("status") or {}, status.wire())
    if not patch:
        return False
    meta = about["metadata"]
    done = await kube.patch(resource, meta["name"], {"status": patch}, meta.get("namespace"), "status")
    return done is not None
