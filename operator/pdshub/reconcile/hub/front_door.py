"""The objects of a hub's front door: read, and judged (pure): what is to be written, what is of an earlier mode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import HAS_DOOR, mode_of
from pdshub.installation import Defaults
from pdshub.kube import CLAIM, CONFIG_MAP, DEPLOYMENT, NETWORK_POLICY, SECRET, SERVICE, Kube, Object, Resource
from pdshub.reconcile.common import workloads
from pdshub.reconcile.common.objects import Step, Workload
from pdshub.reconcile.hub.manifest.compare import differences
from pdshub.render import door, routes
from pdshub.render.names import HUB_LABEL, Names, short
from pdshub.render.public_service import public_service
from pdshub.wellknown import MANAGER

INGRESS = Resource("networking.k8s.io/v1", "ingresses", "Ingress")
HTTP_ROUTE = Resource(routes.GATEWAY_API, "httproutes", "HTTPRoute")
RESOURCES: Mapping[str, Resource] = {
    resource.kind: resource
    for resource in (CLAIM, CONFIG_MAP, DEPLOYMENT, SERVICE, SECRET, INGRESS, HTTP_ROUTE, NETWORK_POLICY)
}
Key = tuple[str, str]
"""Kind and name."""
_PUBLIC: Key = ("Service", routes.PROXY)
_NO_GATEWAY_API = "this cluster has no HTTPRoute of Gateway API v1: install it, or choose another mode of spec.tls"


def made_in(mode: str, names: Names) -> tuple[Key, ...]:
    """What a mode makes, but for the claim, which stays, in the order of its removal."""
    if mode in HAS_DOOR:
        policy = ("NetworkPolicy", short(names.name, "network", "door"))
        return (*((kind, names.door) for kind in ("Service", "Deployment", "ConfigMap", "Secret")), policy)
    if mode in ("Ingress", "Alb"):
        return (("Ingress", names.door),)
    if mode == "Gateway":
        return (("HTTPRoute", names.door), ("HTTPRoute", routes.redirect_name(names)))
    return ()


@dataclass(frozen=True)
class FrontDoor:
    """How the objects of the front door are."""

    steps: tuple[Step, ...] = ()
    """What is missing or differs. It is written when the release is: only then the proxy has given up its port."""
    stale: tuple[Key, ...] = ()
    """What another mode made. It goes before the release is changed: the proxy may need the port."""
    trouble: str = ""
    """Why people do not get through the hub's own door; empty when they do, or where there is none."""
    lacks_secret: bool = False
    """Whether the Secret that door and proxy share has to be made."""


@dataclass(frozen=True)
class FrontDoorSeen:
    """The objects as the API server returned them, by kind and name."""

    objects: Mapping[Key, Object] = field(default_factory=dict)
    workload: Workload = field(default_factory=Workload)
    """The door's Deployment."""


async def read(kube: Kube, names: Names, spec: PDSHubSpec, before: str) -> FrontDoorSeen:
    """What there is of the modes that the spec and the status (``before``) name; nothing costs nothing.

    Raises KubeError.
    """
    mode, found = mode_of(spec.tls), {}
    claim: tuple[Key, ...] = (("PersistentVolumeClaim", names.door),) if mode == "Acme" else ()
    charts = (_PUBLIC,) if public_service(spec, names) else ()
    for kind, name in dict.fromkeys((*made_in(mode, names), *made_in(before, names), *claim, *charts)):
        read_one = kube.get_metadata if kind == "Secret" else kube.get
        item = await read_one(RESOURCES[kind], name, names.namespace)
        if item is not None:
            found[kind, name] = item
    deployment = found.get(("Deployment", names.door))
    return FrontDoorSeen(found, workloads.judge(deployment, []) if deployment else Workload())


def _ours(names: Names, item: Object) -> bool:
    labels = item["metadata"].get("labels") or {}
    mine = {"app.kubernetes.io/managed-by": MANAGER, HUB_LABEL: names.name}
    return mine.items() <= labels.items() and not item["metadata"].get("deletionTimestamp")


def _differs(wanted: Object, found: Object | None) -> bool:
    if found is None:
        return True
    if wanted["kind"] == "PersistentVolumeClaim":
        return False  # nothing of it can be changed
    owners = {owner.get("uid") for owner in found["metadata"].get("ownerReferences") or []}
    lacking = {owner["uid"] for owner in wanted["metadata"].get("ownerReferences", ())} - owners
    return bool(lacking or differences(wanted, found) or _too_much(wanted, found))


def _too_much(wanted: Object, found: Object) -> bool:
    """Whether somebody added what would let in, or lead to, something else: lists that are ours as a whole."""
    spec, there = wanted.get("spec") or {}, found.get("spec") or {}
    if wanted["kind"] == "Deployment":
        spec, there = spec["template"]["spec"], (there.get("template") or {}).get("spec") or {}
    lists = ("rules", "tls", "hostnames", "parentRefs", "ports", "containers", "volumes", "initContainers")
    counts = any(len(spec.get(key) or ()) != len(there.get(key) or ()) for key in lists)
    data = wanted["kind"] == "ConfigMap" and (found.get("data") or {}).keys() != wanted["data"].keys()
    return counts or data


def judge(spec: PDSHubSpec, names: Names, uid: str, defaults: Defaults, before: str, seen: FrontDoorSeen) -> FrontDoor:
    """What has to be done about the front door. ``before``: the mode that the status names."""
    mode = mode_of(spec.tls)
    wanted = [
        *(door.objects(spec, names, uid, defaults) if mode in HAS_DOOR else ()),
        *routes.objects(spec, names, uid),
    ]
    keys = {(body["kind"], body["metadata"]["name"]) for body in wanted}
    kept = keys | set(made_in(mode, names) if mode in HAS_DOOR else ())
    stale = tuple(
        key
        for key in dict.fromkeys((*made_in(before, names), *made_in(mode, names)))
        if key not in kept and key in seen.objects and _ours(names, seen.objects[key])
    )
    steps = tuple(_step(body) for body in wanted if _differs(body, seen.objects.get((body["kind"], name_of(body)))))
    public, there = public_service(spec, names), seen.objects.get(_PUBLIC)
    # the chart makes it: before that, and while it has another type, there is nothing to set
    if public and there and there["spec"].get("type") == spec.service.type and differences(public, there):
        steps = (*steps, _step(public))
    return FrontDoor(
        steps=steps,
        stale=stale,
        trouble=_trouble(seen.workload) if mode in HAS_DOOR else "",
        lacks_secret=mode in HAS_DOOR and ("Secret", names.door) not in seen.objects,
    )


def name_of(body: Object) -> str:
    """The name of an object."""
    return str(body["metadata"]["name"])


def _step(body: Object) -> Step:
    how = "create" if body["kind"] == "PersistentVolumeClaim" else "apply"
    return Step(f"{body['kind']} {name_of(body)} is written", body, how)


def _trouble(workload: Workload) -> str:
    if not workload.exists:
        return "the hub's door is not there yet"
    return "" if workload.available else workload.trouble or "the hub's door is starting"


def explained(kind: str, missing: bool, words: str) -> str:
    """Why an object could not be written, in an administrator's words."""
    return _NO_GATEWAY_API if kind == "HTTPRoute" and missing else words


def present(status: str, found: FrontDoor, mode: str) -> str:
    """What the status says of who ends TLS: the earlier mode until its objects are gone."""
    return status if found.stale else mode


def removable(stale: Sequence[Key]) -> list[tuple[Resource, str]]:
    """What is removed, as the API server addresses it."""
    return [(RESOURCES[kind], name) for kind, name in stale]
