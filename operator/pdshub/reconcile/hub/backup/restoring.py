"""A restore, step by step, as its status tells it: pure functions from one status to the next."""

from __future__ import annotations

from pdshub import rfc3339
from pdshub.api.backup import HubRestoreStatus
from pdshub.reconcile.common.conditions import ConditionDraft, merge_conditions, truth
from pdshub.reconcile.hub.backup.asked import Restore
from pdshub.reconcile.hub.backup.outcome import Outcome

STOPPED = "ServerStopped"
"""Condition of a HubRestore in place: the user's server has ended, and the home is nobody's."""
PATIENCE = 180.0
"""Seconds in which a server has to end before a restore in its home is given up."""


def trouble(restore: Restore) -> str:
    """What is wrong with what is asked; empty when nothing is."""
    if restore.spec is None:
        return "InvalidSpec: its spec cannot be read"
    if restore.spec.as_of and not rfc3339.seconds(restore.spec.as_of):
        return f"BadRequest: asOf {restore.spec.as_of!r} is no moment: write for example 2026-01-31T00:00:00Z"
    return ""


def begun(now: str) -> HubRestoreStatus:
    """It begins."""
    return HubRestoreStatus(phase="Running", started=now, message="it is prepared")


def is_stopped(status: HubRestoreStatus) -> bool:
    """Whether the server was seen to have ended."""
    return any(condition.type == STOPPED and condition.status == "True" for condition in status.conditions)


def stopped(status: HubRestoreStatus, done: bool, words: str, now: str) -> HubRestoreStatus:
    """Whether the user's server has ended, and the hub's words about it."""
    draft: ConditionDraft = (STOPPED, truth(done), "Stopped" if done else "Stopping", words[:500])
    conditions = merge_conditions([draft], status.conditions, 0, now, ())
    return status.model_copy(update={"conditions": conditions, "message": words[:500]})


def working(status: HubRestoreStatus, job: str) -> HubRestoreStatus:
    """Its Job is about to be made."""
    return status.model_copy(update={"job": job, "message": "files are read from the repository"})


def failed(status: HubRestoreStatus, words: str, now: str) -> HubRestoreStatus:
    """It ends without success."""
    return status.model_copy(update={"phase": "Failed", "message": words[:1024], "ended": now, "job": ""})


def after(status: HubRestoreStatus, outcome: Outcome, now: str) -> HubRestoreStatus:
    """Its Job has ended."""
    said = outcome.answer
    if said is None or not said.ok:
        return failed(status, f"{outcome.reason or 'Failed'}: {outcome.message}", now)
    taken = said.snapshots[0] if said.snapshots else None
    partly = said.item is not None and said.item.phase == "PartiallyCompleted"
    update = {
        "phase": "PartiallyCompleted" if partly else "Completed",
        "message": said.message or f"{said.files} files are in {said.place}",
        "ended": now,
        "job": "",
        "snapshot": taken.id if taken else said.item.snapshot if said.item else "",
        "taken_at": taken.time if taken else "",
        "place": said.place,
        "replaced": said.replaced,
        "files": said.files,
        "size_bytes": said.size_bytes,
    }
    return status.model_copy(update=update)
