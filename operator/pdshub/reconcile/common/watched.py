"""What is watched, so that a look at what is settled asks the API server nothing.

In the whole cluster: hubs and views, whose watch is kopf's, volumes, namespaces, nodes, storage classes and, by the
labels that hub charts and the operator set, the parts of hubs and the bounds of their namespaces. In the installation's
own namespace: what surveyors are made of, and the pods of the node plugin. In the namespace of each hub, and in no
other: of Secrets their metadata.

Watches of the whole cluster, because each costs 0.3 MB: asyncio keeps 256 KB for every TLS connection. A part without
the label that its chart should give it costs a request a look, and nothing else: that something is absent is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    CONFIG_MAP,
    DEPLOYMENT,
    LIMIT_RANGE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    PDSHUB,
    POD,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
    STORAGE_CLASS,
    VOLUME,
    Object,
)
from pdshub.object_cache import Scope
from pdshub.reconcile.common.node_reports import SELECTOR
from pdshub.render.names import HUB_LABEL, VIEW_LABEL
from pdshub.wellknown import MANAGER


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


def slim_quota(item: Object) -> Object:
    """A ResourceQuota without its status, which changes with every server."""
    return {k: v for k, v in without_managers(item).items() if k != "status"}


HUBS = Scope(PDSHUB, slim=without_managers)
VIEWS = Scope(ARCHIVE_VIEW)
"""With the managers of its fields: they say who decided."""
CLAIMS = Scope(CLAIM, labels=HUB_LABEL, slim=without_managers)
"""Claims of the archive and of homes."""
CLUSTER: Sequence[Scope] = (
    Scope(VOLUME, slim=without_managers),
    Scope(NAMESPACE, slim=without_managers),
    Scope(NODE, slim=slim_node),
    Scope(STORAGE_CLASS, slim=without_managers),
    Scope(CLAIM, labels="component=hub", slim=without_managers),
    Scope(CONFIG_MAP, labels=f"app.kubernetes.io/managed-by={MANAGER}", slim=without_managers),
    Scope(RESOURCE_QUOTA, labels=f"app.kubernetes.io/managed-by={MANAGER}", slim=slim_quota),
    Scope(LIMIT_RANGE, labels=f"app.kubernetes.io/managed-by={MANAGER}", slim=without_managers),
    Scope(NETWORK_POLICY, labels=f"app.kubernetes.io/managed-by={MANAGER}", slim=without_managers),
    Scope(SERVICE, labels="component=proxy-public", slim=without_managers),
    Scope(DEPLOYMENT, labels="component in (hub,proxy)", slim=without_managers),
    Scope(POD, labels="component in (hub,proxy)", slim=slim_pod),
)
"""Beside them: what there is of the cluster, the hubs' databases, and the parts of hubs."""


def of_hub(namespace: str) -> Sequence[Scope]:
    """What is watched in the namespace of a hub alone. Without the right to read Secrets elsewhere it still works."""
    return (Scope(SECRET, namespace, metadata_only=True, slim=without_managers),)


def claims_of_installation(namespace: str) -> Scope:
    """Claims of surveyors, in the installation's own namespace."""
    return Scope(CLAIM, namespace, VIEW_LABEL, slim=without_managers)


def of_installation(namespace: str) -> Sequence[Scope]:
    """What else is watched in the installation's own namespace."""
    surveyors = f"app.kubernetes.io/managed-by={MANAGER},app.kubernetes.io/component=surveyor"
    return (
        Scope(DEPLOYMENT, namespace, surveyors, slim=without_managers),
        Scope(SERVICE, namespace, surveyors, slim=without_managers),
        Scope(POD, namespace, SELECTOR, slim=slim_pod),
    )
