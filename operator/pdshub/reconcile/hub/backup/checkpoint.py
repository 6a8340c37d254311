"""Homes that are saved from a checkpoint: which, and when a Job that waits for one goes on without. Pure.

Where PDSHub's own driver has a home, the Job has a claim of its own, of the Job's name, that shows what the home held
when the claim was made (pdshub.homes). Whoever makes the claim names a claim of the same namespace, and needs no more
right than to mount that. Of other drivers the claim comes from a VolumeSnapshot (snapshot.py).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pdshub import rfc3339
from pdshub.api.backup import HubBackupStatus
from pdshub.reconcile.hub.backup import snapshot
from pdshub.reconcile.hub.backup.answer import plain
from pdshub.reconcile.hub.backup.asked import Run
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.backup.outcome import Outcome
from pdshub.reconcile.hub.backup.outcome import State as JobState
from pdshub.reconcile.hub.backup.progress import Stage
from pdshub.reconcile.hub.backup.steps import Start
from pdshub.render.backup_checkpoint import FromSnapshot, is_from_snapshot
from pdshub.render.backup_request import user_of
from pdshub.wellknown import CHECKPOINT_REFUSED, HOMES_DRIVER

PATIENCE = 60.0
"""Seconds for a checkpoint that nobody refuses: the driver may be starting. Then the home is saved as it is."""
_WORDS = 160


@dataclass(frozen=True)
class Held:
    """What a run has to do about the checkpoint of a Job: wait, or go on without it for its ``trouble``; or nothing."""

    waits: bool = False
    trouble: str = ""


def wanted(facts: Facts, stage: Stage, attempt: int, item: str, claim: str) -> bool:
    """Whether an item (in a claim) is saved from a checkpoint: at the first attempt, where its storage has them."""
    if stage.action != "backup" or attempt or not user_of(item):
        return False
    own = snapshot.driver_of(facts.claims.get(claim)) == HOMES_DRIVER
    return own or snapshot.taken(facts, claim, "") is not None


def taken(facts: Facts, step: Start, job: str, claim: str) -> FromSnapshot | None:
    """The VolumeSnapshot of a home that a Job is shown; None where it sees none, or the driver of homes shows it."""
    if not wanted(facts, step.stage, step.attempt, step.item, claim):
        return None
    found = snapshot.taken(facts, claim, job)
    state = snapshot.state(facts, step.about, job, claim, found)[0] if found else None
    return found and replace(found, ready=state is snapshot.State.READY)


def first(facts: Facts, status: HubBackupStatus, item: str, claim: str) -> tuple[int, str]:
    """The attempt as which an item (in a claim) is saved first, and why that is from no checkpoint where it might."""
    if not user_of(item):
        return 0, ""
    if why := snapshot.unfit(facts, facts.claims.get(claim)):
        return 0, why
    if snapshot.taken(facts, claim, "") is not None and (why := snapshot.in_vain(facts, status)):
        return 1, why
    return 0, ""


def held(facts: Facts, run: Run, stage: Stage, attempt: int, item: str, claim: str, found: Outcome) -> Held:
    """What is to be done about the checkpoint of the Job of ``run.status``, whose outcome was found."""
    job = run.status.job
    if not wanted(facts, stage, attempt, item, claim):
        return Held()
    comes_from = snapshot.taken(facts, claim, job)
    if found.state is JobState.GOES_ON:
        return Held(trouble=trouble(facts, job, comes_from))
    if found.reason == "NotStarted":  # a checkpoint that cannot be mounted is none: the home itself may be
        return Held(trouble=found.message)
    if comes_from and found.state is JobState.MISSING and job not in facts.made:
        state, why = snapshot.state(facts, run, job, claim, comes_from)
        return Held(state is snapshot.State.WAITS, why)
    return Held()


def trouble(facts: Facts, job: str, comes_from: FromSnapshot | None = None) -> str:
    """Why a Job waits for its checkpoint in vain; empty where it has it, or may still get it."""
    claim = facts.claims.get(job)
    if claim is None:
        return "its claim was refused, or is gone"
    if comes_from and not is_from_snapshot(claim):
        return f"claim {job} is another's"
    status = claim.get("status") or {}
    if status.get("phase") == "Bound":
        return ""
    for told in status.get("conditions") or []:
        if told.get("type") == CHECKPOINT_REFUSED and told.get("status") == "True":
            return plain(str(told.get("message") or "the driver of homes refused it"), _WORDS)
    since = rfc3339.seconds(claim["metadata"].get("creationTimestamp"))
    if comes_from:
        late = f"no volume was made of its VolumeSnapshot within {comes_from.wait:.0f} s"
        return late if abs(facts.now - since) > comes_from.wait else ""
    return "the driver of homes does not answer" if since and facts.now - since > PATIENCE else ""
