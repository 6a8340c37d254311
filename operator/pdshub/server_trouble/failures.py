"""Why a server did not start, in words for whoever started it: from what Kubernetes says, purely.

Kubernetes has no codes for most of this: what a scheduler, a kubelet or a CSI driver found out stands in the sentences
of events (``reason`` and ``message``) and of the pod's status. Events are looked at from the newest to the oldest.
Source: Kubernetes API, core/v1 Event, PodStatus, ContainerState.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.server_trouble.trouble import Kind, Trouble

MOST_DETAIL = 800
"""Characters of Kubernetes' own words that are kept."""


@dataclass(frozen=True)
class Evidence:
    """What is known of a start that failed.

    ``refusal``: the API server's message where it refused an object, ``status`` its HTTP status (0: it did not answer).
    ``events``: the pod's events, oldest first, and ``pod`` the pod itself, both as the API server has them.
    ``timed_out``: nothing failed, it only took too long. ``silent``: its pod ran, the server did not answer.
    """

    refusal: str = ""
    status: int | None = None
    events: tuple[Mapping[str, Any], ...] = ()
    pod: Mapping[str, Any] | None = None
    timed_out: bool = False
    silent: bool = False
    error: str = ""


_FREE = r"Insufficient [a-z0-9./-]+|Too many pods|node\(s\) had (?:untolerated|taint).*Insufficient"
_ELSEWHERE = (
    r"didn't match PersistentVolume's node affinity|volume node affinity conflict|satisfy plugin\(s\) \[VolumeBinding]"
)
"""What is said of every node but the one that has the home; and of all, where that one is gone.

Source: Kubernetes 1.34, pkg/scheduler/framework/plugins/volumebinding (ErrReasonNodeConflict); before 1.34 the second.
"""
_REFUSALS: tuple[tuple[str, Kind], ...] = (
    (
        r"exceeded quota: \S+, requested: (?:\S*requests\.storage|persistentvolumeclaims|\S*persistentvolumeclaims)",
        Kind.HOMES_FULL,
    ),
    (r"exceeded quota: ", Kind.QUOTA),
)
_SCHEDULING: tuple[tuple[str, Kind], ...] = (
    (r'persistentvolumeclaim "[^"]*archive[^"]*" (?:not found|is being deleted)', Kind.ARCHIVE_NOT_MOUNTED),
    (rf"(?=.*(?:{_ELSEWHERE}))(?=.*(?:{_FREE}))", Kind.NO_ROOM),
    (_ELSEWHERE, Kind.HOME_AWAY),
    (
        r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim \"[^\"]*\"|persistent volume|PersistentVolume"
        r"|VolumeBinding|waiting for .* volume",
        Kind.HOME_PENDING,
    ),
    (_FREE, Kind.NO_ROOM),
    (r"", Kind.UNSCHEDULABLE),
)
_ARCHIVE = r'volume "(?:pdshub-|archive")|unmounted volumes=\[archive[],]|pdshub\.dev'
_MOUNTS: tuple[tuple[str, Kind], ...] = (
    (r"Multi-Attach error|already (?:used by|attached|exclusively attached)", Kind.HOME_BUSY),
    (_ARCHIVE, Kind.ARCHIVE_NOT_MOUNTED),
    (r"", Kind.HOME_NOT_MOUNTED),
)
_EVENTS: Mapping[str, tuple[tuple[str, Kind], ...]] = {
    "FailedScheduling": _SCHEDULING,
    "FailedMount": _MOUNTS,
    "FailedAttachVolume": _MOUNTS,
    "Failed": ((r"[Ii]mage", Kind.IMAGE), (r"Err(?:Image|ImagePull)", Kind.IMAGE), (r"", Kind.CONTAINER)),
    "InspectFailed": ((r"", Kind.IMAGE),),
    "ErrImageNeverPull": ((r"", Kind.IMAGE),),
    "BackOff": ((r"[Pp]ulling image", Kind.IMAGE), (r"", Kind.CRASHED)),
    "FailedCreatePodSandBox": ((r"", Kind.NODE),),
    "FailedCreatePodContainer": ((r"", Kind.CONTAINER),),
    "NetworkNotReady": ((r"", Kind.NODE),),
    "NodeNotReady": ((r"", Kind.NODE),),
    "Evicted": ((r"", Kind.EVICTED),),
    "Preempted": ((r"", Kind.EVICTED),),
    "TaintManagerEviction": ((r"Marking for deletion", Kind.NODE),),
}
"""Reason of an event -> patterns in its message, the first that is found decides."""
_OVERCOME = frozenset({"Scheduled", "Started"})
"""What was wrong before these is right now."""
_WAITING: Mapping[str, Kind] = {
    "ErrImagePull": Kind.IMAGE,
    "ImagePullBackOff": Kind.IMAGE,
    "InvalidImageName": Kind.IMAGE,
    "ErrImageNeverPull": Kind.IMAGE,
    "ImageInspectError": Kind.IMAGE,
    "RegistryUnavailable": Kind.IMAGE,
    "CreateContainerError": Kind.CONTAINER,
    "CreateContainerConfigError": Kind.CONTAINER,
    "RunContainerError": Kind.CONTAINER,
    "CrashLoopBackOff": Kind.CRASHED,
}


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_DETAIL else f"{line[: MOST_DETAIL - 1]}…"


def _trouble(kind: Kind, *detail: Any) -> Trouble:
    return Trouble(kind, _shortened(": ".join(str(part) for part in detail if part)))


def _first(patterns: Iterable[tuple[str, Kind]], text: str) -> Kind | None:
    return next((kind for pattern, kind in patterns if re.search(pattern, text)), None)


def _of_refusal(evidence: Evidence) -> Trouble | None:
    """What the API server said of the pod or of the claim of its home."""
    if evidence.status is None:
        return None
    if evidence.status == 0 or evidence.status >= 500 or evidence.status == 429:
        return _trouble(Kind.KUBERNETES, evidence.refusal)
    return _trouble(_first(_REFUSALS, evidence.refusal) or Kind.REFUSED, evidence.refusal)


def _ended(state: Mapping[str, Any], name: str) -> Trouble:
    if state.get("reason") == "OOMKilled":
        return _trouble(Kind.MEMORY, f"container {name}", "OOMKilled")
    said = state.get("message") or (state.get("reason") if state.get("reason") != "Error" else "")
    return _trouble(Kind.CRASHED, f"container {name}", f"exit code {state.get('exitCode', '?')}", said)


def _of_containers(status: Mapping[str, Any]) -> Trouble | None:
    """What the first container that does not run says of itself, those that prepare first."""
    for item in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        name, state = str(item.get("name", "")), item.get("state") or {}
        ended = state.get("terminated") or {}
        if ended and (ended.get("exitCode") or ended.get("reason") == "OOMKilled" or name == "notebook"):
            return _ended(ended, name)
        waiting = state.get("waiting") or {}
        before = (item.get("lastState") or {}).get("terminated")
        kind = _WAITING.get(str(waiting.get("reason")))
        if before and (kind in (None, Kind.CRASHED)):
            return _ended(before, name)
        if kind:
            return _trouble(kind, waiting.get("reason"), waiting.get("message"))
    return None


def _of_pod(pod: Mapping[str, Any] | None) -> Trouble | None:
    status = (pod or {}).get("status") or {}
    if status.get("reason") in ("Evicted", "Preempted", "Preempting"):
        return _trouble(Kind.EVICTED, status.get("message"))
    if status.get("reason") in ("NodeLost", "NodeShutdown", "Terminated"):
        return _trouble(Kind.NODE, status.get("message"))
    return _of_containers(status)


def _of_events(events: Iterable[Mapping[str, Any]]) -> Trouble | None:
    """What the newest event that tells of trouble says."""
    for event in reversed(tuple(events)):
        reason, message = str(event.get("reason", "")), str(event.get("message") or "")
        if reason in _OVERCOME:
            return None
        kind = _first(_EVENTS.get(reason, ()), message)
        if kind:
            return _trouble(kind, message)
    return None


def of_event(event: Mapping[str, Any]) -> Trouble | None:
    """What one event says that hinders a start, which may still succeed."""
    return _of_events((event,))


def died(pod: Mapping[str, Any] | None) -> bool:
    """Whether a server that had begun to run will not answer any more.

    Its pod is gone, or ran out of memory, or ended twice: once may be chance, and Kubernetes starts it again by itself.
    """
    if leaves(pod):
        return True
    found = _of_pod(pod)
    if found is None or found.kind not in (Kind.MEMORY, Kind.EVICTED, Kind.CRASHED, Kind.NODE):
        return False
    status = (pod or {}).get("status") or {}
    again = sum(int(item.get("restartCount") or 0) for item in status.get("containerStatuses") or ())
    return found.kind is not Kind.CRASHED or again > 0 or status.get("phase") in ("Failed", "Succeeded")


def leaves(pod: Mapping[str, Any] | None) -> bool:
    """Whether a pod is gone, or somebody has asked for that."""
    return pod is None or bool((pod.get("metadata") or {}).get("deletionTimestamp"))


def explain(evidence: Evidence) -> Trouble:
    """Why the start failed; :attr:`Kind.UNKNOWN` where nothing says so."""
    found = _of_refusal(evidence) or _of_pod(evidence.pod) or _of_events(evidence.events)
    if found:
        return found
    if evidence.silent:
        return _trouble(Kind.DELETED if leaves(evidence.pod) else Kind.SILENT, evidence.error)
    if evidence.timed_out:
        last = evidence.events[-1] if evidence.events else {}
        return _trouble(Kind.SLOW, evidence.error, last.get("message"))
    return _trouble(Kind.UNKNOWN, evidence.error)
