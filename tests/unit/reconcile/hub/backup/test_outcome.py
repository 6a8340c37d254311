"""What became of a Job: answered, interrupted, never begun, or somebody else's."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.outcome import State, outcome
from tests.unit.reconcile.hub.backup.given import NOW, job, pod, saved

COMPLETE, FAILED = ("Complete", "CompletionsReached"), ("Failed", "BackoffLimitExceeded")
LATE = ("Failed", "DeadlineExceeded")
EARLY = "2026-03-10T11:00:00Z"
"""An hour before."""
FULL = {"ok": False, "reason": "Full", "message": "no space left on device"}


def foreign(of: str, message: Any) -> Object:
    """A pod that somebody else gave the name of a Job's."""
    made = pod(of, message)
    made["metadata"]["ownerReferences"][0]["uid"] = "another"
    return made


CASES: list[tuple[str, Object | None, list[Object], State, str]] = [
    ("no Job", None, [], State.MISSING, "JobGone"),
    ("made a moment ago", job("j"), [], State.GOES_ON, ""),
    ("its pod runs", job("j", created=EARLY), [pod("j", phase="Running")], State.GOES_ON, ""),
    ("its pod never started", job("j", created=EARLY), [pod("j", phase="Pending")], State.ENDED, "NotStarted"),
    ("none of its pods is made", job("j", created=EARLY), [], State.ENDED, "NotStarted"),
    ("done", job("j", COMPLETE), [pod("j", saved("home/ada"))], State.ENDED, ""),
    ("failed, and says why", job("j", FAILED), [pod("j", FULL, "Failed")], State.ENDED, "Full"),
    (
        "another's pod says that it is done",
        job("j", FAILED),
        [foreign("j", saved("home/ada"))],
        State.LOST,
        "Interrupted",
    ),
    ("done with something else", job("j", COMPLETE), [pod("j", saved("home/bela"))], State.ENDED, "BadAnswer"),
    ("done, and says nothing", job("j", COMPLETE), [pod("j")], State.ENDED, "BadAnswer"),
    ("says what is no answer", job("j", FAILED), [pod("j", "Traceback", "Failed")], State.ENDED, "BadAnswer"),
    ("too long", job("j", LATE), [], State.ENDED, "Deadline"),
    ("too long, but it said so first", job("j", LATE), [pod("j", FULL, "Failed")], State.ENDED, "Full"),
    (
        "out of memory",
        job("j", FAILED),
        [pod("j", phase="Failed", terminated={"reason": "OOMKilled", "exitCode": 137})],
        State.ENDED,
        "OutOfMemory",
    ),
    ("killed", job("j", FAILED), [pod("j", phase="Failed", terminated={"exitCode": 137})], State.LOST, "Interrupted"),
    ("evicted", job("j", FAILED), [pod("j", phase="Failed", reason="Evicted")], State.LOST, "Interrupted"),
    ("its pod is gone with its node", job("j", FAILED), [], State.LOST, "Interrupted"),
]


@pytest.mark.parametrize(("found", "pods", "state", "reason"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_what_became_of_a_job(found: Any, pods: list[Object], state: State, reason: str) -> None:
    given = outcome(found, pods, "home/ada", rfc3339.seconds(NOW))
    assert (given.state, given.reason) == (state, reason)
    assert given.ok is (reason == "" and state is State.ENDED)
    assert state is State.GOES_ON or given.ok or given.message


def test_words_of_kubernetes_are_handed_on() -> None:
    waiting = {"name": "backup", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
    stuck = pod("j", phase="Pending")
    stuck["status"]["containerStatuses"] = [waiting]
    found = outcome(job("j", created=EARLY), [stuck], "", rfc3339.seconds(NOW))
    assert "ImagePullBackOff" in found.message and "10 minutes" in found.message
    evicted = pod("j", phase="Failed", reason="Evicted")
    assert "Evicted" in outcome(job("j", FAILED), [evicted], "", 0.0).message
