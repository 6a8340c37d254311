"""How far a Job is, and what became of it: pure.

Source: Kubernetes API, JobStatus and PodStatus; Kubernetes, Handling retriable and non-retriable pod failures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pdshub import rfc3339
from pdshub.api.backup_job import JobAnswer
from pdshub.kube import Object
from pdshub.reconcile.common import workloads
from pdshub.reconcile.hub.backup import answer
from pdshub.render.backup_job import CONTAINER

START = 600.0
"""Seconds in which the pod of a Job has to start: an image that cannot be pulled, a node without room never end."""


class State(StrEnum):
    """How far a Job is."""

    GOES_ON = "goes on"
    MISSING = "missing"
    """There is no such Job: it was never made, or somebody took it away."""
    LOST = "lost"
    """It ended through no fault of its own, and said nothing: its pod was evicted, its node went."""
    ENDED = "ended"


@dataclass(frozen=True)
class Outcome:
    """What became of a Job. ``answer`` is what it said, where it said something that is an answer."""

    state: State
    reason: str = ""
    message: str = ""
    answer: JobAnswer | None = None

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return self.answer is not None and self.answer.ok


GOES_ON = Outcome(State.GOES_ON)


def _condition(job: Object, kind: str) -> dict[str, Any] | None:
    for found in (job.get("status") or {}).get("conditions") or []:
        if found.get("type") == kind and found.get("status") == "True":
            return dict(found)
    return None


def pods_of(job: Object, pods: Sequence[Object]) -> list[Object]:
    """The pods that a Job made: a name can be taken, a uid not by chance."""
    uid = job["metadata"].get("uid")
    found = []
    for pod in pods:
        owners = pod["metadata"].get("ownerReferences") or []
        if any(owner.get("controller") and owner.get("uid") == uid for owner in owners):
            found.append(pod)
    return found


def _terminated(pod: Object) -> dict[str, Any]:
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        if status.get("name") == CONTAINER:
            return dict((status.get("state") or {}).get("terminated") or {})
    return {}


def _evicted(pod: Object) -> str:
    """Why Kubernetes ended a pod; empty where it did not."""
    status = pod.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("type") == "DisruptionTarget" and condition.get("status") == "True":
            return str(condition.get("reason") or "DisruptionTarget")
    return str(status.get("reason") or "") if status.get("phase") == "Failed" else ""


def _waits(job: Object, pods: Sequence[Object], now: float) -> Outcome:
    """A Job that has not ended: whether it has begun, or has been waiting for too long."""
    begun = any((pod.get("status") or {}).get("phase") in ("Running", "Succeeded", "Failed") for pod in pods)
    since = rfc3339.seconds(job["metadata"].get("creationTimestamp"))
    if begun or not since or now - since < START:
        return GOES_ON
    why = workloads.trouble(list(pods)) or "its pod has not started"
    return Outcome(State.ENDED, "NotStarted", answer.plain(f"not started within {START / 60:.0f} minutes: {why}"))


def outcome(job: Object | None, pods: Sequence[Object], expected: str, now: float) -> Outcome:
    """What became of a Job. ``pods``: of backups, whoever's; ``expected``: the item that it is about, if any."""
    if job is None:
        return Outcome(State.MISSING, "JobGone", "its Job is gone")
    mine = pods_of(job, pods)
    complete, failed = _condition(job, "Complete"), _condition(job, "Failed")
    if complete is None and failed is None:
        return _waits(job, mine, now)
    ends = [(pod, _terminated(pod)) for pod in mine]
    for _, end in ends:
        if text := str(end.get("message") or ""):
            said = answer.read(text, expected)
            if said is None:
                return Outcome(State.ENDED, "BadAnswer", "its Job said something that is no answer")
            return Outcome(State.ENDED, said.reason, said.message, said)
    if failed is not None and failed.get("reason") == "DeadlineExceeded":
        return Outcome(State.ENDED, "Deadline", "it took longer than spec.backup.deadlineMinutes, and was ended")
    if any(end.get("reason") == "OOMKilled" for _, end in ends):
        return Outcome(State.ENDED, "OutOfMemory", "it needed more memory than backup.resources of the chart gives")
    if complete is not None:
        return Outcome(State.ENDED, "BadAnswer", "its Job ended and said nothing")
    why = next((reason for pod, _ in ends if (reason := _evicted(pod))), "")
    codes = [str(end["exitCode"]) for _, end in ends if "exitCode" in end]
    words = why or (f"exit code {codes[0]}" if codes else "its pod is gone")
    return Outcome(State.LOST, "Interrupted", answer.plain(f"its Job was interrupted: {words}"))
