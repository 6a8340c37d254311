"""As whom the operator acts: in a namespace of hubs never as itself, but as that namespace's own account.

The account is ``pdshub-helm`` of the hub's namespace. A ServiceAccount of that name is never made: impersonation and
RBAC need none, and so no pod can run as it and no token of it exists. What it may do is one RoleBinding of the
namespace to the one ClusterRole that the chart ships: whatever a value makes Helm write is refused elsewhere.
Source: Kubernetes, User impersonation; fluxcd, Multi-tenancy lockdown.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from pdshub.wellknown import GROUP, HELM_ACCOUNT, HUB_ROLE, MANAGER

EVENTS = "default"
"""Where events about objects without a namespace are kept: the operator writes those of views there.

Source: Kubernetes, validation of Events.
"""
_RBAC = "rbac.authorization.k8s.io"
_PATH = re.compile(
    r"/(?:api|apis/(?P<group>[^/]+))/[^/]+/namespaces/(?P<namespace>[^/]+)/(?P<plural>[^/]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>[^/]+))?(?:/.*)?"
)


def user(namespace: str) -> str:
    """The account of a hub's namespace, as the API server calls it."""
    return f"system:serviceaccount:{namespace}:{HELM_ACCOUNT}"


def acting_as(path: str, own: Collection[str]) -> str:
    """As whom a request is made, by its URL's path; empty for the operator itself.

    ``own``: the installation's namespaces. The operator itself asks for what has no namespace, for its own kinds, for
    what lies in the installation's namespaces, for the RoleBinding that makes a namespace one of hubs, and, outside a
    cluster only, through the API server's proxy: the account may not, since a proxy reaches the API server's network.
    """
    found = _PATH.fullmatch(path)
    if found is None or found["namespace"] in own or found["group"] == GROUP or found["sub"] == "proxy":
        return ""
    if (found["group"], found["plural"], found["name"]) == (_RBAC, "rolebindings", HUB_ROLE):
        return ""
    return user(found["namespace"])


def headers(path: str, own: Collection[str]) -> dict[str, str]:
    """What a request says of as whom it is made. Source: Kubernetes, User impersonation."""
    who = acting_as(path, own)
    return {"Impersonate-User": who} if who else {}


def binding(namespace: str) -> dict[str, Any]:
    """The RoleBinding that lets the account of a namespace do what a hub needs there, and nothing elsewhere."""
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {
            "name": HUB_ROLE,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": "pdshub", "app.kubernetes.io/managed-by": MANAGER},
        },
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": HUB_ROLE},
        "subjects": [{"kind": "ServiceAccount", "name": HELM_ACCOUNT, "namespace": namespace}],
    }


def granted(found: Mapping[str, Any] | None, namespace: str) -> bool:
    """Whether a RoleBinding is the one that the account needs, and names nobody else."""
    if found is None or found["metadata"].get("deletionTimestamp"):
        return False
    wanted = binding(namespace)
    have = [{k: v for k, v in s.items() if v and k != "apiGroup"} for s in found.get("subjects") or []]
    return bool(found.get("roleRef") == wanted["roleRef"] and have == wanted["subjects"])
