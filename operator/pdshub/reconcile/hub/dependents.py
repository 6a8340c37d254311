"""What a deleted hub leaves behind and Helm does not know, and what Helm itself can no longer remove.

Read here, judged here (pure), removed by act/collect.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from pdshub.api.hub import DeletionPolicy, PDSHubSpec
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    LIMIT_RANGE,
    NETWORK_POLICY,
    POD,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
    VOLUME,
    Kube,
    Object,
    Resource,
)
from pdshub.reconcile.hub.database import MANAGED_BY, RELEASE_NAME, RELEASE_NAMESPACE
from pdshub.render.names import (
    DATABASE_CLAIM,
    HOME_LABELS,
    HUB_LABEL,
    NAMESPACE_LABEL,
    RECORD_LABEL,
    REPOSITORY_LABEL,
    SERVER_LABELS,
    VIEW_LABEL,
    Names,
)
from pdshub.wellknown import MANAGER

Found = tuple[tuple[str, str], ...]
"""(kind, name) of each object, kind being a key of RESOURCES."""

RELEASED: Mapping[str, Resource] = {
    "deployment": DEPLOYMENT,
    "daemonset": Resource("apps/v1", "daemonsets", "DaemonSet"),
    "statefulset": Resource("apps/v1", "statefulsets", "StatefulSet"),
    "job": Resource("batch/v1", "jobs", "Job"),
    "service": SERVICE,
    "ingress": Resource("networking.k8s.io/v1", "ingresses", "Ingress"),
    "networkpolicy": NETWORK_POLICY,
    "disruptionbudget": Resource("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    "configmap": CONFIG_MAP,
    "secret": SECRET,
    "rolebinding": Resource("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding"),
    "role": Resource("rbac.authorization.k8s.io/v1", "roles", "Role"),
    "serviceaccount": Resource("v1", "serviceaccounts", "ServiceAccount"),
}
"""What a hub chart makes, in the order of removal. Claims are not among it: they hold data."""

RESOURCES: Mapping[str, Resource] = {
    **RELEASED,
    "pod": POD,
    "claim": CLAIM,
    "data": CLAIM,
    "volume": VOLUME,
    "kept": VOLUME,
    "view": ARCHIVE_VIEW,
    "quota": RESOURCE_QUOTA,
    "limitrange": LIMIT_RANGE,
}
"""``data`` is a claim whose content is to go too, ``kept`` the volume of such a claim where the claim itself cannot be
read; ``claim`` is one that only points to the archive."""


def _labels(**pairs: str) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs.items())


async def read_dependents(kube: Kube, names: Names, broken_release: bool) -> dict[str, tuple[Object, ...]]:
    """Everything that may have been made for a hub. Raises KubeError.

    ``broken_release``: a revision of its release cannot be read, so its objects have to be found without Helm.
    """
    mine, made = f"{HUB_LABEL}={names.name}", f"{MANAGED_BY}={MANAGER}"
    found: dict[str, list[Object]] = {
        "servers": await kube.items(POD, names.namespace, labels=f"{mine},{_labels(**SERVER_LABELS)}"),
        "claims": await kube.items(CLAIM, names.namespace, labels=f"{mine},{VIEW_LABEL}"),
        "volumes": await kube.items(VOLUME, labels=f"{mine},{NAMESPACE_LABEL}={names.namespace},{VIEW_LABEL}"),
        "shares": await kube.items(VOLUME, labels=f"{mine},{NAMESPACE_LABEL}={names.namespace},{REPOSITORY_LABEL}"),
        "quotas": await kube.items(RESOURCE_QUOTA, names.namespace, labels=f"{made},{mine}"),
        "limit_ranges": await kube.items(LIMIT_RANGE, names.namespace, labels=f"{made},{mine}"),
        "homes": await kube.items(CLAIM, names.namespace, labels=f"{mine},{_labels(**HOME_LABELS)}"),
    }
    for role, resource, name in (
        ("notice", CONFIG_MAP, names.notice),
        ("database", CLAIM, DATABASE_CLAIM),
        ("copies", CLAIM, names.copies),
        ("keys", SECRET, names.keys),
        ("door-token", SECRET, names.door),
        ("certificates", CLAIM, names.door),
        ("sign-in", SECRET, names.sign_in),
        ("view", ARCHIVE_VIEW, names.own_view),
    ):
        item = await kube.get(resource, name, names.namespace if resource.namespaced else None)
        found[role] = [item] if item else []
    found["records"] = await kube.metadata(SECRET, names.namespace, labels=f"{mine},{RECORD_LABEL}")
    if broken_release:
        for kind, resource in RELEASED.items():
            found[kind] = await kube.metadata(resource, names.namespace, labels=f"{MANAGED_BY}=Helm")
    return {role: tuple(items) for role, items in found.items()}


async def read_unbound(kube: Kube, names: Names) -> dict[str, tuple[Object, ...]]:
    """What was made for a hub and lies in no namespace. Raises KubeError.

    All that matters where the namespace itself is going: Kubernetes removes what is in it, in any order, and with it
    the right to read it.
    """
    volumes = await kube.items(VOLUME, labels=f"{HUB_LABEL}={names.name},{NAMESPACE_LABEL}={names.namespace}")
    view = await kube.get(ARCHIVE_VIEW, names.own_view)
    # the archive's, and NFS shares with backups: nothing of either is in the object
    shows = [item for item in volumes if {VIEW_LABEL, REPOSITORY_LABEL} & item["metadata"]["labels"].keys()]
    kept = [
        item
        for item in volumes
        if item not in shows
        and (item["spec"].get("claimRef") or {}).get("namespace") == names.namespace
        and item["spec"].get("persistentVolumeReclaimPolicy") != "Delete"
    ]
    return {"volumes": tuple(shows), "kept": tuple(kept), "view": (view,) if view else ()}


def _gives_up(policy: DeletionPolicy, volume: Object) -> bool:
    """Whether the policy lets the data of a claim's volume go."""
    asked = policy.database if volume["spec"]["claimRef"].get("name") == DATABASE_CLAIM else policy.homes
    return asked == "Delete"


def _in_release(names: Names, item: Object) -> bool:
    """Whether Helm would remove an object together with the hub's release."""
    annotations = item["metadata"].get("annotations") or {}
    owner = (annotations.get(RELEASE_NAME), annotations.get(RELEASE_NAMESPACE))
    return owner == (names.name, names.namespace) and annotations.get("helm.sh/resource-policy") != "keep"


def judge_dependents(names: Names, spec: PDSHubSpec | None, left: Mapping[str, tuple[Object, ...]]) -> Found:
    """What has to be removed with a hub and is not going yet. A spec that cannot be read keeps all data."""
    policy = spec.deletion_policy if spec else DeletionPolicy()
    asked = [("pod", "servers"), ("claim", "claims"), ("volume", "volumes"), ("configmap", "notice")]
    # of backups the way to an NFS share; what lies there stays, and the key that reads it
    asked += [("quota", "quotas"), ("limitrange", "limit_ranges"), ("secret", "door-token"), ("volume", "shares")]
    if policy.certificates == "Delete":
        asked += [("data", "certificates")]
    if policy.database == "Delete":
        asked += [("data", "database"), ("secret", "keys"), ("secret", "sign-in")]
        asked += [("data", "copies"), ("secret", "records")]
    found = [(kind, item) for kind, role in asked for item in left.get(role, ())]
    if policy.homes == "Delete":
        # a database is no home, whatever labels somebody gave it
        found += [("data", item) for item in left.get("homes", ()) if item["metadata"]["name"] != DATABASE_CLAIM]
    found += [("kept", item) for item in left.get("kept", ()) if _gives_up(policy, item)]
    for item in left.get("view", ()):
        # only one that the operator made for this very hub: names can meet
        labels = item["metadata"].get("labels") or {}
        if (labels.get(HUB_LABEL), labels.get(NAMESPACE_LABEL)) == (names.name, names.namespace):
            found.append(("view", item))
    found += [(kind, item) for kind in RELEASED for item in left.get(kind, ()) if _in_release(names, item)]
    return tuple(
        (kind, str(item["metadata"]["name"])) for kind, item in found if not item["metadata"].get("deletionTimestamp")
    )
