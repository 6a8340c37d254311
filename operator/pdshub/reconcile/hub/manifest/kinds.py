"""The kinds of object that a hub's release may hold, and how the API server addresses them."""

from __future__ import annotations

from collections.abc import Mapping

from pdshub.kube import CLAIM, CONFIG_MAP, DEPLOYMENT, NETWORK_POLICY, SECRET, SERVICE, Resource

KINDS: Mapping[str, Resource] = {
    f"{resource.api} {resource.kind}": resource
    for resource in (
        CONFIG_MAP,
        SECRET,
        SERVICE,
        CLAIM,
        DEPLOYMENT,
        Resource("v1", "serviceaccounts", "ServiceAccount"),
        Resource("apps/v1", "daemonsets", "DaemonSet"),
        Resource("apps/v1", "statefulsets", "StatefulSet"),
        Resource("batch/v1", "jobs", "Job"),
        Resource("networking.k8s.io/v1", "ingresses", "Ingress"),
        Resource("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
        Resource("rbac.authorization.k8s.io/v1", "roles", "Role"),
        Resource("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding"),
    )
}
"""By apiVersion and kind: what zero-to-jupyterhub 4.4.0 and jupyterhub-airgap make, all of it in a namespace.

No NetworkPolicy: those of hubs are the operator's own, charts' are switched off, and each more would allow more.
"""
ONCE_APPLIED: Mapping[str, Resource] = {**KINDS, f"{NETWORK_POLICY.api} {NETWORK_POLICY.kind}": NETWORK_POLICY}
"""What a release that is there already may hold beside: charts had policies of their own before the operator did."""
