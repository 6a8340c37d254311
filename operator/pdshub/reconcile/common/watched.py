"""What is watched, so that a look at what is settled asks the API server nothing.

In the whole cluster: hubs, views, volumes, namespaces, nodes, storage classes. In the namespace of each hub, and in no
other: claims, Deployments, Services, the pods of hub and proxy, ConfigMaps that the operator made, and of Secrets
their metadata. In the installation's own namespace: what surveyors are made of, and the pods of the node plugin.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pdshub.informer import Scope
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    NAMESPACE,
    NODE,
    PDSHUB,
    POD,
    SECRET,
    SERVICE,
    STORAGE_CLASS,
    VOLUME,
    Object,
)
from pdshub.reconcile.common.node_reports import SELECTOR
from pdshub.render.names import MANAGER


def without_managers(item: Object) -> Object:
    """An object without metadata.managedFields, which is often half of it."""
    return {**item, "metadata": {k: v for k, v in item["metadata"].items() if k != "managedFields"}}


def slim_pod(item: Object) -> Object:
    """A pod without its spec, but for the name of its node."""
    return {**without_managers(item), "spec": {"nodeName": (item.get("spec") or {}).get("nodeName")}}


def slim_node(item: Object) -> Object:
    """A node's metadata and addresses: it lists all its images."""
    status: dict[str, Any] = item.get("status") or {}
    kept = {k: v for k, v in without_managers(item).items() if k not in ("spec", "status")}
    return {**kept, "status": {"addresses": status.get("addresses", [])}}


HUBS = Scope(PDSHUB, slim=without_managers)
VIEWS = Scope(ARCHIVE_VIEW)
"""With the managers of its fields: they say who decided."""
CLUSTER: Sequence[Scope] = (
    Scope(VOLUME, slim=without_managers),
    Scope(NAMESPACE, slim=without_managers),
    Scope(NODE, slim=slim_node),
    Scope(STORAGE_CLASS, slim=without_managers),
)


def claims(namespace: str) -> Scope:
    """All claims of a namespace: the archive's, the database's and the homes."""
    return Scope(CLAIM, namespace, slim=without_managers)


def of_hub(namespace: str) -> Sequence[Scope]:
    """What is watched in the namespace of a hub beside claims. A server's pod belongs to its user: it is not read."""
    return (
        Scope(SECRET, namespace, metadata_only=True, slim=without_managers),
        Scope(CONFIG_MAP, namespace, f"app.kubernetes.io/managed-by={MANAGER}", slim=without_managers),
        Scope(SERVICE, namespace, slim=without_managers),
        Scope(DEPLOYMENT, namespace, slim=without_managers),
        Scope(POD, namespace, "component in (hub,proxy)", slim=slim_pod),
    )


def of_installation(namespace: str) -> Sequence[Scope]:
    """What is watched in the installation's own namespace beside claims."""
    surveyors = f"app.kubernetes.io/managed-by={MANAGER},app.kubernetes.io/component=surveyor"
    return (
        Scope(DEPLOYMENT, namespace, surveyors, slim=without_managers),
        Scope(SERVICE, namespace, surveyors, slim=without_managers),
        Scope(POD, namespace, SELECTOR, slim=slim_pod),
    )
