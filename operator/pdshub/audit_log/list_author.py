"""Who changed a hub's list last: whoever wrote last one of the objects that it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pdshub.audit_log.author import Write, last_write
from pdshub.kube import CONFIG_MAP, PDSHUB, SECRET, Kube, Resource

_KINDS: Mapping[str, Resource] = {"configMap": CONFIG_MAP, "secret": SECRET}


def _sources(hub: Mapping[str, Any]) -> Iterator[tuple[Resource, str]]:
    """The objects that ``spec.users.from`` names; what is none of them is passed over."""
    users = (hub.get("spec") or {}).get("users")
    listed = users.get("from") if isinstance(users, Mapping) else None
    for each in listed if isinstance(listed, list) else []:
        for key, resource in _KINDS.items():
            found = each.get(key) if isinstance(each, Mapping) else None
            if isinstance(found, Mapping) and isinstance(found.get("name"), str) and found["name"]:
                yield resource, found["name"]


async def list_author(kube: Kube, namespace: str, name: str) -> tuple[Write, str]:
    """The last write to what a hub's list is made of, and the object that was written, in words. Raises KubeError."""
    # asked, not looked up: copies are without the managers of fields
    hub = await kube.live.get(PDSHUB, name, namespace)
    found = [(last_write(hub, "spec", "users"), f"PDSHub {name}")]
    for resource, source in dict.fromkeys(_sources(hub or {})):
        item = await kube.live.get_metadata(resource, source, namespace)
        found.append((last_write(item, "data"), f"{resource.kind} {source}"))
    return max(found)
