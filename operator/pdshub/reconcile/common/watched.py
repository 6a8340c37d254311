"""What is watched, so that a look at what is settled asks the API server nothing.

In the whole cluster: hubs and views, whose watch is kopf's, HubBackups and HubRestores, volumes, namespaces, nodes,
storage classes, and the RoleBindings by which namespaces hold hubs. In the installation's own namespace the pods of the
node plugin and the record of network probes, in that of surveyors what these are made of. In each namespace that such a
RoleBinding opens, and in no other: by the labels that hub charts and the operator set, pods of hubs, the claims, of
Secrets and ConfigMaps their metadata, Deployments, Services and ConfigMaps that Helm made, and the operator's own
ConfigMaps, network policies and bounds; all as the namespace's account.

A part without the label that its chart should give it costs a request a look, and nothing else: that something is
absent is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    HUB_BACKUP,
    HUB_RESTORE,
    LIMIT_RANGE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    PDSHUB,
    POD,
    RESOURCE_QUOTA,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    STORAGE_CLASS,
    VOLUME,
    Object,
)
from pdshub.object_cache import Scope
from pdshub.reconcile.common.node_reports import SELECTOR
from pdshub.render.names import VIEW_LABEL
from pdshub.wellknown import CENSUS_FILE, HUB_ROLE, MANAGER, PROBED


def without_managers(item: Object) -> Object:
    """An object without metadata.managedFields, which is often half of it."""
    return {**item, "metadata": {k: v for k, v in item["metadata"].items() if k != "managedFields"}}


def slim_pod(item: Object) -> Object:
    """A pod without its spec, but for the name of its node."""
    return {**without_managers(item), "spec": {"nodeName": (item.get("spec") or {}).get("nodeName")}}


def slim_node(item: Object) -> Object:
    """A node's metadata and addresses, and whether it takes pods: it lists all its images."""
    status: dict[str, Any] = item.get("status") or {}
    kept = {k: v for k, v in without_managers(item).items() if k not in ("spec", "status")}
    cordoned = {"spec": {"unschedulable": True}} if (item.get("spec") or {}).get("unschedulable") else {}
    ready = [
        {"type": "Ready", "status": c.get("status")} for c in status.get("conditions") or [] if c["type"] == "Ready"
    ]
    conditions = {"conditions": ready} if ready else {}
    return {**kept, **cordoned, "status": {"addresses": status.get("addresses", []), **conditions}}


def slim_quota(item: Object) -> Object:
    """A ResourceQuota without its status, which changes with every server."""
    return {k: v for k, v in without_managers(item).items() if k != "status"}


def slim_census(item: Object) -> Object:
    """A ConfigMap without a census, which may be large and which the operator only writes."""
    packed = item.get("binaryData") or {}
    kept = {key: value for key, value in packed.items() if key != CENSUS_FILE}
    return {**without_managers(item), **({"binaryData": kept} if packed else {})}


HUBS = Scope(PDSHUB, slim=without_managers)
VIEWS = Scope(ARCHIVE_VIEW)
"""With the managers of its fields: they say who decided."""
BINDINGS = Scope(ROLE_BINDING, fields=f"metadata.name={HUB_ROLE}", slim=without_managers)
"""What lets the account of a namespace act there: without it nothing in the namespace can be watched."""
ASKED: Sequence[Scope] = tuple(Scope(kind, slim=without_managers) for kind in (HUB_BACKUP, HUB_RESTORE))
"""Runs and restores of backups, of all hubs: they take turns at repositories."""
CLUSTER: Sequence[Scope] = (
    Scope(VOLUME, slim=without_managers),
    Scope(NAMESPACE, slim=without_managers),
    Scope(NODE, slim=slim_node),
    Scope(STORAGE_CLASS, slim=without_managers),
)
"""Beside them: what there is of the cluster."""


def claims_of_hub(namespace: str) -> Scope:
    """Claims of a hub's namespace: of the archive, of homes, and the database's."""
    return Scope(CLAIM, namespace, slim=without_managers)


MADE_BY_HELM = "app.kubernetes.io/managed-by=Helm"
"""Helm gives this label to everything that it makes."""


def of_release(namespace: str) -> Sequence[Scope]:
    """Objects of a hub's release, without which nobody can sign in; who changes them is to be heard (drift)."""
    made = (DEPLOYMENT, MADE_BY_EITHER), (SERVICE, MADE_BY_EITHER), (CONFIG_MAP, MADE_BY_HELM)
    return tuple(Scope(resource, namespace, labels, slim=without_managers) for resource, labels in made)


MADE_BY_US = f"app.kubernetes.io/managed-by={MANAGER}"
MADE_BY_EITHER = f"app.kubernetes.io/managed-by in (Helm,{MANAGER})"
"""The hub's own door is made by the operator, the rest by Helm."""


def parts_of_hub(namespace: str) -> Sequence[Scope]:
    """What somebody may change or take away by hand, and who does is to be heard: the release, and the hub's walls."""
    return (*of_release(namespace), Scope(NETWORK_POLICY, namespace, MADE_BY_US, slim=without_managers))


def of_hub(namespace: str) -> Sequence[Scope]:
    """What else is watched in the namespace of a hub."""
    return (
        Scope(CONFIG_MAP, namespace, MADE_BY_US, slim=slim_census),
        Scope(RESOURCE_QUOTA, namespace, MADE_BY_US, slim=slim_quota),
        Scope(LIMIT_RANGE, namespace, MADE_BY_US, slim=without_managers),
        Scope(POD, namespace, "component in (hub,proxy)", slim=slim_pod),
    )


def sources_of(namespace: str) -> Sequence[Scope]:
    """Where lists of people lie, and Secrets: their metadata alone, whatever labels they have."""
    return tuple(
        Scope(resource, namespace, metadata_only=True, slim=without_managers) for resource in (SECRET, CONFIG_MAP)
    )


def claims_of_surveyors(namespace: str) -> Scope:
    """Claims of surveyors, in their namespace."""
    return Scope(CLAIM, namespace, VIEW_LABEL, slim=without_managers)


def of_surveyors(namespace: str) -> Sequence[Scope]:
    """What else is watched in the namespace of surveyors; of the Secrets of their certificates the metadata."""
    surveyors = f"{MADE_BY_US},app.kubernetes.io/component=surveyor"
    return (
        Scope(DEPLOYMENT, namespace, surveyors, slim=without_managers),
        Scope(SERVICE, namespace, surveyors, slim=without_managers),
        Scope(SECRET, namespace, surveyors, metadata_only=True, slim=without_managers),
    )


def of_installation(namespace: str) -> Sequence[Scope]:
    """What is watched in the installation's own namespace: the pods of the node plugin, and what probes have found."""
    return (
        Scope(POD, namespace, SELECTOR, slim=slim_pod),
        Scope(CONFIG_MAP, namespace, fields=f"metadata.name={PROBED}", slim=without_managers),
    )
