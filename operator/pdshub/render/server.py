"""User servers: image, sizes, profiles, home, archive, and what the ``restricted`` Pod Security Standard asks for."""

from __future__ import annotations

from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.api.hub import PDSHubSpec, Profile
from pdshub.api.hub_limits import Bounds, Resources
from pdshub.installation import Defaults
from pdshub.render import images
from pdshub.render.names import HOME_CLAIM, HUB_LABEL, Names
from pdshub.render.quantity import spawner_bytes, spawner_cores
from pdshub.wellknown import SERVER_PRIORITY

UID = 1000
HOME = "/home/jovyan"

SPAWNER = {
    # deleting a user must not delete files
    "delete_pvc": False,
    "automount_service_account_token": False,
    # what lies in a home is no part of the program that serves its pages to others, an admin for example
    "disable_user_config": True,
    # seconds until the hub notices that a server's pod is gone and takes its address out of the proxy: it looks at its
    # copy of the pods, which costs no request
    "poll_interval": 5,
    # a node under pressure ends servers before hubs
    "priority_class_name": SERVER_PRIORITY,
    "pod_security_context": {
        "runAsNonRoot": True,
        # a recursive chown of a large home would make every start slow
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    },
    "container_security_context": {
        "runAsNonRoot": True,
        "runAsGroup": UID,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
"""KubeSpawner's settings for the ``restricted`` standard.

Source: Kubernetes, "Pod Security Standards", Restricted.
"""


def effective(base: Resources, over: Resources) -> Resources:
    """A profile's resources over the server's, field by field."""

    def bounds(below: Bounds | None, above: Bounds | None) -> Bounds | None:
        if below is None or above is None:
            return above or below
        given = above.model_dump(exclude_none=True)
        merged = {**below.model_dump(exclude_none=True), **given}
        # a profile that only lowers the limit must not fail on the guarantee that it never spoke of
        try:
            return Bounds.model_validate(merged)
        except ValueError:
            quiet = "guarantee" if "limit" in given else "limit"
            return Bounds.model_validate({**merged, quiet: given.get("limit") or given.get("guarantee")})

    return Resources(
        cpu=bounds(base.cpu, over.cpu),
        memory=bounds(base.memory, over.memory),
        ephemeral_storage=bounds(base.ephemeral_storage, over.ephemeral_storage),
    )


def _bound(bounds: Bounds | None, field: str) -> str | None:
    value = getattr(bounds, field) if bounds else None
    return value if isinstance(value, str) else None


def _explicit(bounds: Bounds | None, floor: str) -> Bounds | None:
    """A limit without a guarantee gets a small one: else Kubernetes would reserve as much as the limit."""
    if bounds is None or bounds.limit is None or bounds.guarantee is not None:
        return bounds
    low = floor if parse_quantity(floor) <= parse_quantity(bounds.limit) else bounds.limit
    return Bounds(limit=bounds.limit, guarantee=low)


def explicit(resources: Resources) -> Resources:
    """Resources in which nothing is left to Kubernetes' defaulting of requests."""
    return Resources(
        cpu=_explicit(resources.cpu, "10m"),
        memory=_explicit(resources.memory, "16Mi"),
        ephemeral_storage=_explicit(resources.ephemeral_storage, "0"),
    )


def sizes(given: Resources) -> dict[str, Any]:
    """The ``singleuser`` values of resources; nulls undo the chart's own defaults."""
    resources = explicit(given)
    values: dict[str, Any] = {"cpu": {}, "memory": {}, "extraResource": {"limits": {}, "guarantees": {}}}
    for field in ("limit", "guarantee"):
        cpu, memory = _bound(resources.cpu, field), _bound(resources.memory, field)
        values["cpu"][field] = spawner_cores(cpu) if cpu else None
        values["memory"][field] = spawner_bytes(memory) if memory else None
        scratch = _bound(resources.ephemeral_storage, field)
        if scratch:
            values["extraResource"][f"{field}s"]["ephemeral-storage"] = scratch
    return values


def override(given: Resources, image: str | None) -> dict[str, Any]:
    """Sizes as KubeSpawner's traits, for ``kubespawner_override`` of a profile."""
    resources = explicit(given)
    found: dict[str, Any] = {"image": image} if image else {}
    for field in ("limit", "guarantee"):
        if cpu := _bound(resources.cpu, field):
            found[f"cpu_{field}"] = spawner_cores(cpu)
        if memory := _bound(resources.memory, field):
            found[f"mem_{field}"] = spawner_bytes(memory)
        if scratch := _bound(resources.ephemeral_storage, field):
            found[f"extra_resource_{field}s"] = {"ephemeral-storage": scratch}
    return found


def profile(spec: PDSHubSpec, choice: Profile, default: str) -> dict[str, Any]:
    """One entry of KubeSpawner's profile list."""
    return {
        "slug": choice.name,
        "display_name": choice.display_name,
        **({"description": choice.description} if choice.description else {}),
        **({"default": True} if choice.name == default else {}),
        "kubespawner_override": override(effective(spec.server.resources, choice.resources), choice.image),
    }


def archive_volume(spec: PDSHubSpec, names: Names, view: str, folder: str) -> dict[str, Any]:
    """Volume, mount and environment of the archive; nothing without one."""
    if spec.archive is None:
        return {"volumes": {}, "mounts": {}, "env": {}}
    mount = spec.archive.mount_path.rstrip("/")
    return {
        # readOnly on the claim too, or the kubelet takes the volume for its own to chown and relabel
        "volumes": {
            "archive": {
                "name": "archive",
                "persistentVolumeClaim": {"claimName": names.claim(view), "readOnly": True},
            }
        },
        "mounts": {
            "archive": {
                "name": "archive",
                "mountPath": mount,
                "readOnly": True,
                "mountPropagation": "HostToContainer",
            }
        },
        "env": {"PDSHUB_ARCHIVE": f"{mount}/{folder}"},
    }


def render(spec: PDSHubSpec, defaults: Defaults, names: Names, view: str, folder: str) -> dict[str, Any]:
    """The ``singleuser`` values. ``view`` and ``folder`` name the archive, where the spec has one."""
    archive = archive_volume(spec, names, view, folder)
    image = spec.server.image or defaults.images.user
    choices = spec.server.profiles
    default = spec.server.default_profile or (choices[0].name if choices else "")
    # the chart knows a type "dynamic" with one volume for each user
    dynamic: dict[str, Any] = {"pvcNameTemplate": HOME_CLAIM, "storageAccessModes": ["ReadWriteOnce"]}
    if spec.server.home.storage_class_name:
        dynamic["storageClass"] = spec.server.home.storage_class_name
    values: dict[str, Any] = {
        **({"image": {**images.split(image), "pullPolicy": defaults.image_pull_policy}} if image else {}),
        "uid": UID,
        "fsGid": UID,
        "allowPrivilegeEscalation": False,
        "startTimeout": spec.server.start_timeout_seconds,
        **sizes(spec.server.resources),
        "storage": {
            "type": "dynamic",
            "capacity": spec.server.home.size,
            "homeMountPath": HOME,
            "extraLabels": {HUB_LABEL: names.name},
            "dynamic": dynamic,
            "extraVolumes": archive["volumes"],
            "extraVolumeMounts": archive["mounts"],
        },
        "extraLabels": {"hub.jupyter.org/network-access-hub": "true", HUB_LABEL: names.name},
        "extraEnv": archive["env"],
        # the chart's way needs a privileged init container; the hub's network policies do the same
        "cloudMetadata": {"blockWithIptables": False},
        "profileList": [profile(spec, choice, default) for choice in choices],
    }
    return values
