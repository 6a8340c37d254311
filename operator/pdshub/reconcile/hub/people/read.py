"""All reads of one look at a hub's people; in its namespace as the namespace's account. Judges nothing."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pdshub import tenant
from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_users import Users
from pdshub.kube import CLAIM, CONFIG_MAP, NAMESPACE, PDSHUB, POD, ROLE_BINDING, SECRET, Kube, KubeError, Object
from pdshub.reconcile.hub.judge import conflicting_hub
from pdshub.reconcile.hub.observation import terminating
from pdshub.reconcile.hub.people.context import PeopleMemory
from pdshub.reconcile.hub.people.document import Document
from pdshub.reconcile.hub.people.effective import Groups, effective
from pdshub.reconcile.hub.people.sources import UNREADABLE, Refused, Source, sources_of, text_of
from pdshub.render.keys import TOKEN_KEY
from pdshub.render.names import HOME_LABELS, HUB_LABEL, SERVER_LABELS, Names
from pdshub.wellknown import HUB_ROLE, MANAGER, PROBE_LABEL

_KINDS = {"ConfigMap": CONFIG_MAP, "Secret": SECRET}


@dataclass(frozen=True)
class Seen:
    """What one look read."""

    hub: Object
    spec: PDSHubSpec | None
    maps: dict[str, Object]
    """The operator's own ConfigMaps of this hub, by name."""
    pods: tuple[Object, ...]
    """Of the hub itself."""
    claims: tuple[Object, ...]
    """Of homes."""


async def acts_here(kube: Kube, hub: Object) -> bool:
    """Whether the hub is the namespace's own, stays, and the namespace's account may act. Raises KubeError."""
    namespace = str(hub["metadata"]["namespace"])
    others = [i for i in await kube.items(PDSHUB, namespace) if i["metadata"]["name"] != hub["metadata"]["name"]]
    if hub["metadata"].get("deletionTimestamp") or conflicting_hub(hub, tuple(others)):
        return False
    if terminating(await kube.get(NAMESPACE, namespace)):
        return False
    bindings = await kube.items(ROLE_BINDING, fields=f"metadata.name={HUB_ROLE}")
    return any(tenant.granted(item, namespace) for item in bindings if item["metadata"]["namespace"] == namespace)


async def look(kube: Kube, hub: Object, names: Names) -> Seen:
    """One look. Raises KubeError."""
    mine = f"app.kubernetes.io/managed-by={MANAGER},{HUB_LABEL}={names.name}"
    homes = ",".join([f"{HUB_LABEL}={names.name}", *(f"{key}={value}" for key, value in HOME_LABELS.items())])
    try:
        spec = PDSHubSpec.model_validate(hub.get("spec") or {})
    except ValidationError:
        spec = None
    maps = {str(item["metadata"]["name"]): item for item in await kube.items(CONFIG_MAP, names.namespace, labels=mine)}
    pods = await kube.items(POD, names.namespace, labels="component=hub")
    claims = await kube.items(CLAIM, names.namespace, labels=homes)
    running = [p for p in pods if PROBE_LABEL not in (p["metadata"].get("labels") or {})]
    return Seen(hub, spec, maps, tuple(p for p in running if not p["metadata"].get("deletionTimestamp")), tuple(claims))


async def wanted(kube: Kube, names: Names, users: Users, groups: Groups, memory: PeopleMemory) -> Document | Refused:
    """The list that a spec and its sources make; sources are read anew only where one has changed. Raises KubeError."""
    sources = sources_of(users)
    versions: dict[tuple[str, str], str] = {}
    for kind in sorted({source.kind for source in sources}):
        for item in await kube.metadata(_KINDS[kind], names.namespace, labels=""):
            versions[kind, item["metadata"]["name"]] = str(item["metadata"]["resourceVersion"])
    key = (users, groups, tuple(versions.get((source.kind, source.name)) for source in sources))
    if memory.wanted is None or memory.wanted[0] != key:
        read = [(source, await _read(kube, names.namespace, source)) for source in sources]
        found = effective(users, read, groups)
        if isinstance(found, Refused) and found.reason == UNREADABLE:
            return found  # it may be read the next time, though nothing of it changes
        memory.wanted = key, found
    return memory.wanted[1]


async def _read(kube: Kube, namespace: str, source: Source) -> str | Refused:
    """What a source says; that it may not be read is said of it, that nobody answers is raised."""
    try:
        return text_of(source, await kube.live.get(_KINDS[source.kind], source.name, namespace))
    except KubeError as error:
        if error.status == 0:
            raise
        return Refused(UNREADABLE, f"{source.title} of spec.users.from cannot be read: {error}")


async def token(kube: Kube, names: Names, memory: PeopleMemory) -> str:
    """The operator's token at the hub; empty where there is none yet. Raises KubeError."""
    found = await kube.get_metadata(SECRET, names.keys, names.namespace)
    if found is None:
        return ""
    version = str(found["metadata"]["resourceVersion"])
    if memory.token is None or memory.token[0] != version:
        secret = await kube.get(SECRET, names.keys, names.namespace)
        data: Any = ((secret or {}).get("data") or {}).get(TOKEN_KEY) or ""
        try:
            memory.token = version, base64.b64decode(data).decode("ascii").strip()
        except (binascii.Error, TypeError, ValueError):
            memory.token = version, ""
    return memory.token[1]


async def server_pods(kube: Kube, names: Names) -> list[Object]:
    """Pods of users' servers, from the API server. Raises KubeError."""
    labels = ",".join(f"{key}={value}" for key, value in SERVER_LABELS.items())
    return await kube.live.items(POD, names.namespace, labels=labels)
