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
from pdshub.hub_api import SignInAttempt
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    LIMIT_RANGE,
    NAMESPACE,
    NETWORK_POLICY,
    PDSHUB,
    POD,
    RESOURCE_QUOTA,
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
from pdshub.reconcile.hub import certificate, drift, front_door, revisions
from pdshub.reconcile.hub.context import HubContext, HubMemory
from pdshub.reconcile.hub.dependents import read_dependents, read_unbound
from pdshub.reconcile.hub.drift import Drift
from pdshub.reconcile.hub.guard import Guard, read_guard
from pdshub.reconcile.hub.judge import parse_status
from pdshub.reconcile.hub.observation import Observation, ReleaseRead, terminating
from pdshub.reconcile.hub.release import Release
from pdshub.reconcile.hub.trust import Trust
from pdshub.render import archive, signin
from pdshub.render.names import DATABASE_CLAIM, HUB_LABEL, NAMESPACE_LABEL, VIEW_LABEL, Names
from pdshub.wellknown import HUB_ROLE, MANAGER, PROBED

_Made = TypeVar("_Made")
_TRY_AGAIN = 300.0
"""Seconds after which a sign-in that told nothing is tried again."""


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
        wanted = await _wanted(context, names, seen.spec, seen.namespace)
        wanted |= await _front_door(context, names, seen.spec, parse_status(seen.hub).front_door)
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


async def _wanted(context: HubContext, names: Names, spec: PDSHubSpec, namespace: Object | None) -> dict[str, Any]:
    """What only matters for a hub that is to run."""
    kube, where = context.kube, names.namespace
    view = archive.view_of(spec, names)
    mine = f"{HUB_LABEL}={names.name},{VIEW_LABEL}"
    made_for_hub = f"app.kubernetes.io/managed-by={MANAGER},{HUB_LABEL}={names.name}"
    claims = await kube.items(CLAIM, where, labels=mine)
    volumes = await kube.items(VOLUME, labels=f"{mine},{NAMESPACE_LABEL}={where}")
    database = await kube.get(CLAIM, DATABASE_CLAIM, where)
    bound = ((database or {}).get("spec") or {}).get("volumeName")
    own = None if view and view.name == names.own_view else await _own_view(kube, names)
    return {
        "own_view": own,
        "own_view_shown": own is not None and await _is_shown(kube, names.own_view),
        "guard": await _guard(context, names, namespace),
        "quotas": tuple(await kube.items(RESOURCE_QUOTA, where, labels=made_for_hub)),
        "limit_ranges": tuple(await kube.items(LIMIT_RANGE, where, labels=made_for_hub)),
        "view": await kube.get(ARCHIVE_VIEW, view.name) if view else None,
        "claims": tuple(claims),
        "volumes": tuple(volumes),
        "named_claim": await _named(kube, CLAIM, names.claim(view.name), where, claims) if view else None,
        "named_volume": await _named(kube, VOLUME, names.volume(view.name), None, volumes) if view else None,
        "notice": await kube.get(CONFIG_MAP, names.notice, where),
        **await _network(context, names),
        "keys_secret": await _keys_secret(context, names),
        "sign_in_secret": await _sign_in_secret(context, names, spec),
        "database_claim": database,
        "database_volume": await kube.get(VOLUME, str(bound)) if bound else None,
        "storage_classes": tuple(await context.storage_classes()),
    }


async def _front_door(context: HubContext, names: Names, spec: PDSHubSpec, before: str) -> dict[str, Any]:
    """The objects of the front door, and the certificate that people are shown."""
    memory = context.memory(names.namespace, names.name).certificate
    return {
        "front_door": await front_door.read(context.kube, names, spec, before),
        "certificate": await certificate.look(context.kube, names, spec, context.installation, memory),
    }


async def _guard(context: HubContext, names: Names, namespace: Object | None) -> Guard:
    """Whether the namespace keeps privileged pods out: asked again when the namespace changed, or nobody knows."""
    if namespace is None or terminating(namespace):
        return Guard()
    memory, version = context.memory(names.namespace, names.name), str(namespace["metadata"].get("resourceVersion"))
    if memory.guard is None or memory.guard[0] != version or memory.guard[1].enforced is None:
        found = await read_guard(context.kube, names.namespace, context.installation.defaults.images.hub)
        memory.guard = version, found
    return memory.guard[1]


async def _network(context: HubContext, names: Names) -> dict[str, Any]:
    """The hub's network policies, what probes of them found, and where the API server is.

    By their marks, as a list tells absence without a request; the probes by their name, as the operator sees no other
    ConfigMap there.
    """
    kube, mine = context.kube, f"app.kubernetes.io/managed-by={MANAGER},{HUB_LABEL}={names.name}"
    probes = await kube.items(CONFIG_MAP, context.system, fields=f"metadata.name={PROBED}")
    return {
        "policies": tuple(await kube.items(NETWORK_POLICY, names.namespace, labels=mine)),
        "probes": next(iter(probes), None),
        "api_server": await context.api_server.find(kube, context.installation.network),
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


async def _keys_secret(context: HubContext, names: Names) -> Object | None:
    """The Secret with the hub's keys without its content, None when there is none; read only when it changed."""
    found = await context.kube.get_metadata(SECRET, names.keys, names.namespace)
    if found is None:
        return None
    memory = context.memory(names.namespace, names.name)
    memory.keys = await _read_once(context.kube, names.namespace, found, memory.keys, without_content)
    return memory.keys[2] if memory.keys else None


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


def _sign_in_attempt(context: HubContext, names: Names, release: Release | None) -> SignInAttempt | None:
    """What came of the attempt at this revision; one that told nothing is forgotten after a while."""
    known = context.memory(names.namespace, names.name).sign_in_attempt
    if known is None or release is None or known[0] != release.revision:
        return None
    _, at, attempt = known
    return None if attempt.admitted is None and time.monotonic() - at > _TRY_AGAIN else attempt


async def _running(context: HubContext, names: Names, seen: Observation) -> dict[str, Any]:
    """Pods, health and address of what runs, whatever the spec says now."""
    kube, found = context.kube, seen.release
    if found.newest is None and found.unreadable is None:
        return {}
    hub, proxy = await workloads.look(kube, names.namespace)
    told = found.newest.values if found.newest else seen.spec.values if seen.spec else {}
    up = hub.available and proxy.available
    return {
        "sign_in_attempt": _sign_in_attempt(context, names, found.newest),
        "hub_workload": hub,
        "proxy_workload": proxy,
        "health": await hub_api.healthy(kube, names.namespace, hub_api.base_url(told)) if up else None,
        "service": await kube.get(SERVICE, hub_api.PROXY_SERVICE, names.namespace),
        "nodes": tuple(await context.nodes()),
        "hub_pods": tuple(await kube.items(POD, names.namespace, labels="component=hub")) if hub.available else (),
    }
