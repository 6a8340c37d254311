"""All reads of one look at a PDSHub, gathered into an Observation. Writes and judges nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import ValidationError

from pdshub import hub_api, tenant
from pdshub.api.hub import PDSHubSpec
from pdshub.api.refusal import refusal_words
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    NAMESPACE,
    PDSHUB,
    POD,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    VOLUME,
    Kube,
    KubeError,
    Object,
    Resource,
)
from pdshub.reconcile.common import workloads
from pdshub.reconcile.common.objects import without_content
from pdshub.reconcile.hub import drift, revisions
from pdshub.reconcile.hub.context import HubContext, HubMemory
from pdshub.reconcile.hub.dependents import read_dependents, read_unbound
from pdshub.reconcile.hub.drift import Drift
from pdshub.reconcile.hub.judge import parse_status
from pdshub.reconcile.hub.observation import Observation, ReleaseRead, terminating
from pdshub.reconcile.hub.trust import Trust
from pdshub.render import archive, signin
from pdshub.render.names import DATABASE_CLAIM, HUB_LABEL, NAMESPACE_LABEL, VIEW_LABEL, Names
from pdshub.wellknown import HUB_ROLE

_Made = TypeVar("_Made")


def names_of(hub: Object) -> Names:
    """Every name that derives from a PDSHub."""
    return Names(str(hub["metadata"]["namespace"]), str(hub["metadata"]["name"]))


async def observe(context: HubContext, hub: Object) -> Observation:
    """One look at a hub. Raises KubeError when the API server refuses a read or does not answer."""
    names = names_of(hub)
    memory = context.memory(names.namespace, names.name)
    others = await context.kube.items(PDSHUB, names.namespace)
    seen = Observation(
        hub=hub,
        neighbours=tuple(item for item in others if item["metadata"]["name"] != names.name),
        namespace=await context.kube.get(NAMESPACE, names.namespace),
        granted=await _granted(context.kube, names.namespace),
        attempt=replace(memory.attempt, wait=max(0.0, memory.retry_at - time.monotonic())),
    )
    try:
        seen = replace(seen, spec=PDSHubSpec.model_validate(hub.get("spec") or {}))
    except ValidationError as error:
        seen = replace(seen, invalid=refusal_words(error))
    if hub["metadata"].get("deletionTimestamp") and terminating(seen.namespace):
        return replace(seen, left=await read_unbound(context.kube, names))
    if not seen.granted:
        return seen
    try:
        return await _inside(context, names, memory, seen)
    except KubeError as error:
        # the binding may have gone a moment ago, as it does in a namespace that is being deleted
        if error.status != 403 or await _granted(context.kube.live, names.namespace):
            raise
        return replace(seen, granted=False)


async def _granted(kube: Kube, namespace: str) -> bool:
    # listed, since a copy of a list tells absence without a request; by name, as the operator sees no others
    found = await kube.items(ROLE_BINDING, fields=f"metadata.name={HUB_ROLE}")
    return any(tenant.granted(item, namespace) for item in found if item["metadata"]["namespace"] == namespace)


async def _inside(context: HubContext, names: Names, memory: HubMemory, seen: Observation) -> Observation:
    """What lies in the namespace, and what belongs to it; read as the namespace's account. Raises KubeError."""
    deleting = bool(seen.hub["metadata"].get("deletionTimestamp"))
    seen = replace(seen, release=await revisions.read(context, names, parse_status(seen.hub), deleting))
    if deleting:
        read = seen.release
        # also after helm has removed it: a revision that could not be trusted may have left more
        broken = read.newest is None and read.older is None
        return replace(seen, left=await read_dependents(context.kube, names, broken))
    if seen.spec is not None:
        wanted = await _wanted(context, names, seen.spec)
        seen = replace(seen, resumed=_resumed(memory, seen.hub, seen.spec), **wanted)
    return replace(seen, drift=await _drift(context, names, seen.release), **await _running(context, names, seen))


async def _drift(context: HubContext, names: Names, found: ReleaseRead) -> Drift | None:
    """How the release's objects differ from what the operator installed; None where it did not install it."""
    if found.newest is None or found.trust is not Trust.SEALED or found.newest.status != "deployed":
        return None
    memory = context.memory(names.namespace, names.name).drift
    return await drift.observe(context.kube, names.namespace, found.newest, memory)


def _resumed(memory: HubMemory, hub: Object, spec: PDSHubSpec) -> bool:
    """Whether the hub was suspended at the last look, or before it, and helm has not run since."""
    conditions = (hub.get("status") or {}).get("conditions") or []
    was = any(c.get("type") == "Suspended" and c.get("status") == "True" for c in conditions)
    memory.resumed = not spec.suspend and (memory.resumed or was)
    return memory.resumed


async def _read_once(
    kube: Kube, namespace: str, metadata: Object, known: tuple[str, str, _Made] | None, make: Callable[[Object], _Made]
) -> tuple[str, str, _Made] | None:
    """A Secret's name, its resourceVersion and what was made of its content: ``known`` unless the Secret changed.

    None when it has gone since its ``metadata`` was read.
    """
    name, version = metadata["metadata"]["name"], metadata["metadata"]["resourceVersion"]
    if known and known[:2] == (name, version):
        return known
    secret = await kube.get(SECRET, name, namespace)
    return None if secret is None else (name, version, make(secret))


async def _wanted(context: HubContext, names: Names, spec: PDSHubSpec) -> dict[str, Any]:
    """What only matters for a hub that is to run."""
    kube, where = context.kube, names.namespace
    view = archive.view_of(spec, names)
    mine = f"{HUB_LABEL}={names.name},{VIEW_LABEL}"
    claims = await kube.items(CLAIM, where, labels=mine)
    volumes = await kube.items(VOLUME, labels=f"{mine},{NAMESPACE_LABEL}={where}")
    database = await kube.get(CLAIM, DATABASE_CLAIM, where)
    bound = ((database or {}).get("spec") or {}).get("volumeName")
    own = None if view and view.name == names.own_view else await _own_view(kube, names)
    return {
        "own_view": own,
        "own_view_shown": own is not None and await _is_shown(kube, names.own_view),
        "view": await kube.get(ARCHIVE_VIEW, view.name) if view else None,
        "claims": tuple(claims),
        "volumes": tuple(volumes),
        "named_claim": await _named(kube, CLAIM, names.claim(view.name), where, claims) if view else None,
        "named_volume": await _named(kube, VOLUME, names.volume(view.name), None, volumes) if view else None,
        "notice": await kube.get(CONFIG_MAP, names.notice, where),
        "keys_secret": await kube.get_metadata(SECRET, names.keys, where),
        "sign_in_secret": await _sign_in_secret(context, names, spec),
        "database_claim": database,
        "database_volume": await kube.get(VOLUME, str(bound)) if bound else None,
        "storage_classes": tuple(await context.storage_classes()),
    }


async def _own_view(kube: Kube, names: Names) -> Object | None:
    """The hub's own view, None when there is none: by its marks, as a list tells absence without a request."""
    mine = f"{HUB_LABEL}={names.name},{NAMESPACE_LABEL}={names.namespace}"
    found = await kube.items(ARCHIVE_VIEW, labels=mine)
    return next((item for item in found if item["metadata"]["name"] == names.own_view), None)


async def _sign_in_secret(context: HubContext, names: Names, spec: PDSHubSpec) -> Object | None:
    """The Secret of the sign-in method without its content, None when there is none; read only when it changed."""
    name, _ = signin.required_secret(spec, names)
    found = await context.kube.get_metadata(SECRET, name, names.namespace)
    if found is None or name == names.sign_in:
        return found
    memory = context.memory(names.namespace, names.name)
    memory.sign_in = await _read_once(context.kube, names.namespace, found, memory.sign_in, without_content)
    return memory.sign_in[2] if memory.sign_in else None


async def _is_shown(kube: Kube, view: str) -> bool:
    """Whether a PDSHub of the cluster refers to a view by its name."""
    hubs = await kube.items(PDSHUB)
    return any(((hub.get("spec") or {}).get("archive") or {}).get("viewRef") == view for hub in hubs)


async def _named(
    kube: Kube, resource: Resource, name: str, namespace: str | None, known: list[Object]
) -> Object | None:
    """The object of a name, which is asked for only when it is not known already."""
    found = next((item for item in known if item["metadata"]["name"] == name), None)
    return found or await kube.get(resource, name, namespace)


async def _running(context: HubContext, names: Names, seen: Observation) -> dict[str, Any]:
    """Pods, health and address of what runs, whatever the spec says now."""
    kube, found = context.kube, seen.release
    if found.newest is None and found.unreadable is None:
        return {}
    hub, proxy = await workloads.look(kube, names.namespace)
    told = found.newest.values if found.newest else seen.spec.values if seen.spec else {}
    base = (told.get("hub") or {}).get("baseUrl") if isinstance(told.get("hub"), dict) else None
    up = hub.available and proxy.available
    shows = seen.spec is not None and seen.spec.archive is not None
    return {
        "hub_workload": hub,
        "proxy_workload": proxy,
        "health": await hub_api.healthy(kube, names.namespace, str(base or "/")) if up else None,
        "service": await kube.get(SERVICE, hub_api.PROXY_SERVICE, names.namespace),
        "nodes": tuple(await context.nodes()),
        "hub_pods": tuple(await kube.items(POD, names.namespace, labels="component=hub"))
        if shows and hub.available
        else (),
    }
