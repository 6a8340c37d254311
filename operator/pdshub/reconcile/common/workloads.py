"""Hub and proxy as Kubernetes sees them, and why they do not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.kube import DEPLOYMENT, POD, Kube
from pdshub.reconcile.common.objects import Workload


def trouble(pods: list[dict[str, Any]]) -> str:
    """What holds up a pod, in Kubernetes' own words; empty when nothing does."""
    for pod in pods:
        status = pod.get("status") or {}
        for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
            waiting = (container.get("state") or {}).get("waiting") or {}
            if waiting.get("reason") not in (None, "ContainerCreating", "PodInitializing"):
                return f"pod {pod['metadata']['name']}: {waiting['reason']}: {waiting.get('message', '')}".rstrip(": ")
        for condition in status.get("conditions") or []:
            if condition["type"] == "PodScheduled" and condition["status"] == "False":
                return f"pod {pod['metadata']['name']} has no node: {condition.get('message', '')}"
    return ""


def not_made(status: Mapping[str, Any]) -> str:
    """Why Kubernetes makes none of a Deployment's pods (a quota, Pod Security, an image's name); empty when it does.

    Source: Kubernetes API, DeploymentCondition, ReplicaFailure.
    """
    for condition in status.get("conditions") or []:
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            return f"none of its pods is made: {condition.get('message') or condition.get('reason', '')}"
    return ""


def not_ready(status: Mapping[str, Any], pods: list[dict[str, Any]]) -> str:
    """What runs and never answers its readiness probe, once Kubernetes has given up to wait for it; else empty.

    Source: Kubernetes, Deployments, "Failed Deployment" (progressDeadlineSeconds, 10 minutes unless a chart says more).
    """
    late = any(
        condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded"
        for condition in status.get("conditions") or []
    )
    for pod in pods if late else ():
        states = (pod.get("status") or {}).get("containerStatuses") or []
        if states and all("running" in (one.get("state") or {}) for one in states):
            meta = pod["metadata"]
            return (
                f"pod {meta['name']} runs and does not become ready: kubectl logs -n {meta['namespace']} {meta['name']}"
            )
    return ""


def judge(deployment: Mapping[str, Any] | None, pods: list[dict[str, Any]]) -> Workload:
    """A Deployment and its pods as a Workload."""
    if deployment is None:
        return Workload(trouble="its Deployment is missing")
    status = deployment.get("status") or {}
    wanted = int((deployment.get("spec") or {}).get("replicas", 1))
    current = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))
    available = current and wanted > 0 and int(status.get("availableReplicas", 0)) >= 1
    updated = int(status.get("updatedReplicas", 0)) >= wanted
    complete = current and updated and int(status.get("availableReplicas", 0)) >= wanted
    return Workload(
        exists=True,
        available=available and updated,
        rolled_out=complete and int(status.get("replicas", 0)) == wanted,
        trouble="" if complete else trouble(pods) or not_made(status) or not_ready(status, pods),
    )


async def look(kube: Kube, namespace: str) -> tuple[Workload, Workload]:
    """Hub and proxy of a namespace."""
    found = []
    for name in ("hub", "proxy"):
        deployment = await kube.get(DEPLOYMENT, name, namespace)
        first = judge(deployment, [])
        if first.exists and not first.rolled_out:
            first = judge(deployment, await kube.items(POD, namespace, labels=f"component={name}"))
        found.append(first)
    return found[0], found[1]
