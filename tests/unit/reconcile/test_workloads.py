"""Why a hub's pods do not run, in Kubernetes' own words."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.reconcile.common import workloads

FAILED = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: hub"}
LATE = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
RUNS = {"running": {"startedAt": "2026-11-26T00:00:00Z"}}
WAITING = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}


def deployment(available: int, *conditions: dict[str, str]) -> dict[str, Any]:
    status = {"observedGeneration": 1, "replicas": available, "updatedReplicas": available}
    status |= {"availableReplicas": available}
    return {"metadata": {"generation": 1}, "spec": {"replicas": 1}, "status": {**status, "conditions": [*conditions]}}


def pod(state: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"name": "hub-1", "namespace": "ns"}, "status": {"containerStatuses": [{"state": state}]}}


@pytest.mark.parametrize(
    ("found", "pods", "said"),
    [
        (None, [], "its Deployment is missing"),
        (deployment(0), [], ""),
        (deployment(0), [pod({"waiting": {"reason": "ContainerCreating"}})], ""),
        (deployment(0), [pod(WAITING)], "pod hub-1: ImagePullBackOff: no such image"),
        (deployment(0, FAILED), [], "none of its pods is made: exceeded quota: hub"),
        (deployment(0, FAILED), [pod(WAITING)], "pod hub-1: ImagePullBackOff: no such image"),
        (deployment(0, {**FAILED, "status": "False"}), [], ""),
        (deployment(0, {**FAILED, "message": ""}), [], "none of its pods is made: FailedCreate"),
        (deployment(1, FAILED), [], ""),
        (deployment(0), [pod(RUNS)], ""),
        (deployment(0, LATE), [pod(RUNS)], "pod hub-1 runs and does not become ready: kubectl logs -n ns hub-1"),
        (deployment(0, LATE), [pod(WAITING)], "pod hub-1: ImagePullBackOff: no such image"),
        (deployment(0, LATE), [pod({"terminated": {"exitCode": 0}})], ""),
        (deployment(0, LATE), [], ""),
        (deployment(1, LATE), [pod(RUNS)], ""),
    ],
)
def test_what_holds_a_hub_up(found: Any, pods: list[dict[str, Any]], said: str) -> None:
    assert workloads.judge(found, pods).trouble == said
