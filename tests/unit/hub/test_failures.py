"""Why a server did not start: what Kubernetes, its scheduler, kubelets and drivers really say -> what a user reads."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.server_trouble.failures import MOST_DETAIL, Evidence, died, explain
from pdshub.server_trouble.trouble import WORDS, Kind, Trouble, found, logged


def event(reason: str, message: str, kind: str = "Warning") -> dict[str, Any]:
    return {"reason": reason, "message": message, "type": kind, "metadata": {"uid": "u"}, "lastTimestamp": None}


def waiting(reason: str, message: str = "", restarts: int = 0, before: dict[str, Any] | None = None) -> dict[str, Any]:
    """A pod whose notebook waits."""
    state = {"name": "notebook", "restartCount": restarts, "state": {"waiting": {"reason": reason, "message": message}}}
    return {
        "metadata": {},
        "status": {
            "phase": "Running",
            "containerStatuses": [{**state, "lastState": {"terminated": before} if before else {}}],
        },
    }


def ended(reason: str, code: int, phase: str = "Failed") -> dict[str, Any]:
    """A pod whose notebook ended."""
    state = {"terminated": {"reason": reason, "exitCode": code}}
    return {"metadata": {}, "status": {"phase": phase, "containerStatuses": [{"name": "notebook", "state": state}]}}


RUNNING: dict[str, Any] = {
    "metadata": {},
    "status": {
        "phase": "Running",
        "containerStatuses": [{"name": "notebook", "state": {"running": {}}, "lastState": {}}],
    },
}
PENDING: dict[str, Any] = {"metadata": {}, "status": {"phase": "Pending"}}
LEAVING: dict[str, Any] = {**RUNNING, "metadata": {"deletionTimestamp": "2026-11-26T00:00:00Z"}}
SCHEDULED = event("Scheduled", "Successfully assigned hub/jupyter-ada to node-1", "Normal")
OOM = {"reason": "OOMKilled", "exitCode": 137}
CRASH = {"reason": "Error", "exitCode": 1}

REFUSALS = [
    (
        Kind.QUOTA,
        403,
        'pods "jupyter-ada" is forbidden: exceeded quota: sbn-servers, requested: limits.memory=4Gi, '
        "used: limits.memory=157Gi, limited: limits.memory=160Gi",
    ),
    (
        Kind.QUOTA,
        403,
        'pods "jupyter-ada" is forbidden: exceeded quota: sbn-servers, requested: pods=1, used: pods=40, '
        "limited: pods=40",
    ),
    (
        Kind.HOMES_FULL,
        403,
        'persistentvolumeclaims "claim-ada" is forbidden: exceeded quota: sbn-storage, requested: '
        "requests.storage=10Gi, used: requests.storage=2Ti, limited: requests.storage=2Ti",
    ),
    (
        Kind.HOMES_FULL,
        403,
        'persistentvolumeclaims "claim-ada" is forbidden: exceeded quota: sbn-storage, requested: '
        "nfs.storageclass.storage.k8s.io/requests.storage=10Gi, used: 2Ti, limited: 2Ti",
    ),
    (Kind.REFUSED, 403, 'pods "jupyter-ada" is forbidden: violates PodSecurity "restricted:latest": privileged'),
    (Kind.REFUSED, 400, 'admission webhook "policy.example.org" denied the request: no'),
    (Kind.REFUSED, 422, 'Pod "jupyter-ada" is invalid: spec.containers[0].image: Required value'),
    (Kind.KUBERNETES, 0, "Cannot connect to host 10.96.0.1:443 ssl:default [Connect call failed ('10.96.0.1', 443)]"),
    (Kind.KUBERNETES, 500, "etcdserver: request timed out"),
    (Kind.KUBERNETES, 429, "too many requests, please try again later"),
]


@pytest.mark.parametrize(("kind", "status", "message"), REFUSALS)
def test_what_the_api_server_refuses(kind: Kind, status: int, message: str) -> None:
    found = explain(Evidence(refusal=message, status=status, error="(403) Reason: Forbidden"))
    assert (found.kind, found.detail) == (kind, message)


EVENTS = [
    (
        Kind.NO_ROOM,
        "FailedScheduling",
        "0/3 nodes are available: 1 Insufficient cpu, 3 Insufficient memory. preemption: 0/3 nodes are available: "
        "3 No preemption victims found for incoming pod.",
    ),
    (Kind.NO_ROOM, "FailedScheduling", "0/1 nodes are available: 1 Insufficient ephemeral-storage."),
    (Kind.NO_ROOM, "FailedScheduling", "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."),
    (Kind.NO_ROOM, "FailedScheduling", "0/1 nodes are available: 1 Too many pods."),
    (
        Kind.UNSCHEDULABLE,
        "FailedScheduling",
        "0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }.",
    ),
    (
        Kind.UNSCHEDULABLE,
        "FailedScheduling",
        "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.",
    ),
    (Kind.UNSCHEDULABLE, "FailedScheduling", "no nodes available to schedule pods"),
    (
        Kind.HOME_PENDING,
        "FailedScheduling",
        "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found",
    ),
    (Kind.HOME_PENDING, "FailedScheduling", '0/1 nodes are available: persistentvolumeclaim "claim-ada" not found.'),
    (
        Kind.HOME_PENDING,
        "FailedScheduling",
        "0/2 nodes are available: 2 node(s) didn't find available persistent volumes to bind.",
    ),
    (Kind.HOME_AWAY, "FailedScheduling", "0/1 nodes are available: 1 node(s) had volume node affinity conflict."),
    (
        Kind.HOME_AWAY,
        "FailedScheduling",
        "0/2 nodes are available: 1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) were "
        "unschedulable. no new claims to deallocate, preemption: 0/2 nodes are available: 2 Preemption is not helpful.",
    ),
    (
        Kind.HOME_AWAY,
        "FailedScheduling",
        "0/2 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, 1 node(s) didn't "
        "match PersistentVolume's node affinity.",
    ),
    (
        Kind.HOME_AWAY,
        "FailedScheduling",
        "0/2 nodes are available: 1 node(s) were unschedulable, 1 node(s) didn't satisfy plugin(s) [VolumeBinding].",
    ),
    (
        Kind.NO_ROOM,
        "FailedScheduling",
        "0/2 nodes are available: 1 Insufficient memory, 1 node(s) didn't match PersistentVolume's node affinity.",
    ),
    (
        Kind.NO_ROOM,
        "FailedScheduling",
        "0/2 nodes are available: 1 node(s) had volume node affinity conflict, 1 Insufficient cpu.",
    ),
    (
        Kind.HOME_PENDING,
        "FailedScheduling",
        'running PreBind plugin "VolumeBinding": binding volumes: context deadline exceeded',
    ),
    (
        Kind.ARCHIVE_NOT_MOUNTED,
        "FailedScheduling",
        '0/1 nodes are available: persistentvolumeclaim "sbn-archive" not found.',
    ),
    (
        Kind.ARCHIVE_NOT_MOUNTED,
        "FailedMount",
        'MountVolume.SetUp failed for volume "pdshub-hub-sbn-archive" : rpc error: code = PermissionDenied desc = '
        "view sbn: spec.allowedNamespaces does not have it",
    ),
    (
        Kind.ARCHIVE_NOT_MOUNTED,
        "FailedMount",
        'MountVolume.SetUp failed for volume "pdshub-hub-sbn-archive" : kubernetes.io/csi: mounter.SetUpAt failed to '
        "get CSI client: driver name archive.pdshub.dev not found in the list of registered CSI drivers",
    ),
    (
        Kind.ARCHIVE_NOT_MOUNTED,
        "FailedMount",
        "Unable to attach or mount volumes: unmounted volumes=[archive], unattached volumes=[], failed to process "
        "volumes=[]: timed out waiting for the condition",
    ),
    (
        Kind.HOME_NOT_MOUNTED,
        "FailedMount",
        'MountVolume.SetUp failed for volume "pvc-3f0c1f52-5f8e-4d0b-8a5d-0a7a1f1f8f1e" : mount failed: exit status '
        "32 mount.nfs: access denied by server while mounting nas.example.org:/homes/ada",
    ),
    (
        Kind.HOME_NOT_MOUNTED,
        "FailedMount",
        "Unable to attach or mount volumes: unmounted volumes=[volume-ada], unattached volumes=[], failed to process "
        "volumes=[]: timed out waiting for the condition",
    ),
    (
        Kind.HOME_BUSY,
        "FailedAttachVolume",
        'Multi-Attach error for volume "pvc-3f0c" Volume is already used by pod(s) jupyter-ada',
    ),
    (
        Kind.HOME_BUSY,
        "FailedAttachVolume",
        'Multi-Attach error for volume "pvc-3f0c" Volume is already exclusively attached to one node and can\'t be '
        "attached to another",
    ),
    (
        Kind.HOME_NOT_MOUNTED,
        "FailedAttachVolume",
        'AttachVolume.Attach failed for volume "pvc-3f0c" : rpc error: code = Internal desc = volume is gone',
    ),
    (
        Kind.IMAGE,
        "Failed",
        'Failed to pull image "registry.example.org/pdshub/user:1": rpc error: code = NotFound desc = failed to pull '
        "and unpack image: not found",
    ),
    (Kind.IMAGE, "Failed", "Error: ErrImagePull"),
    (Kind.IMAGE, "Failed", "Error: ImagePullBackOff"),
    (Kind.IMAGE, "BackOff", 'Back-off pulling image "registry.example.org/pdshub/user:1"'),
    (Kind.IMAGE, "InspectFailed", 'Failed to apply default image tag ":::": couldn\'t parse image name'),
    (Kind.IMAGE, "ErrImageNeverPull", 'Container image "user:1" is not present with pull policy of Never'),
    (Kind.CRASHED, "BackOff", "Back-off restarting failed container notebook in pod jupyter-ada_hub(0a)"),
    (
        Kind.CONTAINER,
        "Failed",
        "Error: failed to create containerd task: failed to create shim task: OCI runtime create failed: exec: "
        '"jupyterhub-singleuser": executable file not found in $PATH: unknown',
    ),
    (
        Kind.NODE,
        "FailedCreatePodSandBox",
        "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox: no IP "
        "addresses available in range set",
    ),
    (Kind.NODE, "NodeNotReady", "Node is not ready"),
    (Kind.NODE, "TaintManagerEviction", "Marking for deletion Pod hub/jupyter-ada"),
    (Kind.EVICTED, "Evicted", "The node was low on resource: memory. Threshold quantity: 100Mi, available: 20Mi."),
    (Kind.EVICTED, "Evicted", "Pod ephemeral local storage usage exceeds the total limit of containers 10Gi."),
    (Kind.EVICTED, "Preempted", "Preempted by pod 5f2d on node node-1"),
]


@pytest.mark.parametrize(("kind", "reason", "message"), EVENTS)
def test_what_events_say(kind: Kind, reason: str, message: str) -> None:
    found = explain(Evidence(events=(event(reason, message),), pod=PENDING, timed_out=True))
    assert (found.kind, found.detail) == (kind, message)


PULLED = event("Pulled", 'Container image "user:1" already present on machine', "Normal")
PULLING = event("Pulling", 'Pulling image "user:1"', "Normal")
STARTED = event("Started", "Started container notebook", "Normal")
NO_ROOM = event("FailedScheduling", "0/1 nodes are available: 1 Insufficient memory.")
NO_MOUNT = event("FailedMount", 'MountVolume.SetUp failed for volume "pdshub-hub-sbn-archive" : no')

STORIES = [
    ("the newest trouble counts", [NO_ROOM, SCHEDULED, NO_MOUNT], PENDING, {}, Kind.ARCHIVE_NOT_MOUNTED),
    ("what was overcome is not told", [NO_ROOM, SCHEDULED], PENDING, {"timed_out": True}, Kind.SLOW),
    ("nor what was mounted in the end", [NO_MOUNT, PULLED, STARTED], RUNNING, {"silent": True}, Kind.SILENT),
    ("still fetched", [SCHEDULED, PULLING], PENDING, {"timed_out": True}, Kind.SLOW),
    ("no event at all", [], None, {"timed_out": True}, Kind.SLOW),
    ("a fault of our own", [], None, {"error": "KeyError: 'x'"}, Kind.UNKNOWN),
    ("memory, ended", [STARTED], ended("OOMKilled", 137), {"silent": True}, Kind.MEMORY),
    ("memory, and again", [STARTED], waiting("CrashLoopBackOff", "", 1, OOM), {"silent": True}, Kind.MEMORY),
    ("a program that ends", [STARTED], ended("Error", 1), {"silent": True}, Kind.CRASHED),
    ("and again", [STARTED], waiting("CrashLoopBackOff", "", 1, CRASH), {"silent": True}, Kind.CRASHED),
    ("even well", [STARTED], ended("Completed", 0, "Succeeded"), {"silent": True}, Kind.CRASHED),
    ("an image, in the status", [], waiting("ImagePullBackOff", 'Back-off pulling image "x"'), {}, Kind.IMAGE),
    ("its name", [], waiting("InvalidImageName", "couldn't parse image name"), {}, Kind.IMAGE),
    ("a container that cannot be made", [], waiting("CreateContainerError", "no"), {}, Kind.CONTAINER),
    ("evicted", [], {"status": {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}}, {}, Kind.EVICTED),
    ("its computer went", [], {"status": {"phase": "Failed", "reason": "NodeLost"}}, {}, Kind.NODE),
    ("it was deleted", [STARTED], None, {"silent": True}, Kind.DELETED),
    ("it is being deleted", [STARTED], LEAVING, {"silent": True}, Kind.DELETED),
    ("nothing that we know", [event("Weird", "?"), {}], {"status": None}, {}, Kind.UNKNOWN),
]


@pytest.mark.parametrize(("events", "pod", "more", "kind"), [s[1:] for s in STORIES], ids=[s[0] for s in STORIES])
def test_stories(events: list[Any], pod: dict[str, Any] | None, more: dict[str, Any], kind: Kind) -> None:
    assert explain(Evidence(events=tuple(events), pod=pod, **more)).kind == kind


@pytest.mark.parametrize(
    ("pod", "is_dead"),
    [
        (None, True),
        (LEAVING, True),
        (RUNNING, False),
        (PENDING, False),
        (ended("OOMKilled", 137, "Running"), True),
        (ended("Error", 1), True),
        # once may be chance: Kubernetes starts it again
        (waiting("CrashLoopBackOff", "", 0, CRASH), False),
        (waiting("CrashLoopBackOff", "", 1, CRASH), True),
        (waiting("CrashLoopBackOff", "", 0, OOM), True),
    ],
)
def test_a_server_that_will_not_answer_is_not_waited_for(pod: dict[str, Any] | None, is_dead: bool) -> None:
    assert died(pod) is is_dead


def test_every_kind_says_what_happened_and_what_to_do() -> None:
    assert set(WORDS) == set(Kind)
    for kind in Kind:
        found = Trouble(kind, "detail")
        assert found.why.endswith(".") and found.todo.endswith(".")
        assert found.text == f"{found.why} {found.todo} (detail)"


def test_detail_is_one_bounded_line() -> None:
    found = explain(Evidence(events=(event("FailedMount", "a\n" * 5000),)))
    assert len(found.detail) == MOST_DETAIL and "\n" not in found.detail


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("detail", ["", "exceeded quota: sbn-servers, requested: pods=1", "x] the server of b did"])
def test_what_the_log_says_is_read_again(kind: Kind, detail: str) -> None:
    trouble = Trouble(kind, detail)
    line = f"[E 2026-11-26 08:00:01.123 JupyterHub spawner:118] {logged('ada@example.org', trouble)}"
    assert found(line) == ("2026-11-26 08:00:01", "ada@example.org", trouble)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[I 2026-11-26 08:00:01.123 JupyterHub spawner:118] the server of ada did not start: Quota: x",
        "[E 2026-11-26 08:00:01.123 JupyterHub spawner:118] the server of ada did not start: Nothing: x",
        "[W 2026-11-26 08:00:01.123 JupyterHub log:1] 404 GET /[E 2026-11-26 08:00:01.123 JupyterHub a:1] the server "
        "of ada did not start: Quota: x",
        " [E 2026-11-26 08:00:01.123 JupyterHub spawner:118] the server of ada did not start: Quota: x",
    ],
)
def test_what_is_no_such_line(line: str) -> None:
    assert found(line) is None
