"""What is next of a return to a former release and its database. Pure.

Its memory is ``status.upgrade.rollback``, which nobody in the namespace writes. ``Begun`` is written before the hub is
stopped and says which copy is put in place; ``PutBack`` before Helm runs, so no copy is ever put over what people did
on the older hub; what has begun comes to one of its ends though the field be taken away meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pdshub import rfc3339
from pdshub.api.hub_upgrade import RollbackStatus
from pdshub.installation import Backup as Settings
from pdshub.reconcile.hub.backup.outcome import Outcome, State, outcome
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.trust import Trust
from pdshub.reconcile.hub.upgrade import plan, record
from pdshub.reconcile.hub.upgrade.copying import SLOWLY, nodes
from pdshub.reconcile.hub.upgrade.plan import Plan
from pdshub.reconcile.hub.upgrade.record import Record
from pdshub.reconcile.hub.upgrade.seen import Seen
from pdshub.reconcile.hub.upgrade_state import (
    FAILED,
    NOT_POSSIBLE,
    ROLLING_BACK,
    Returning,
    Turn,
    asked,
)
from pdshub.render.database_job import Order
from pdshub.render.names import DATABASE_CLAIM, short


@dataclass(frozen=True)
class Back:
    """Where a return is, and what is next of it."""

    status: RollbackStatus | None
    """As it has to be written before anything else is done."""
    turn: Turn | None = None
    plan: Plan | None = None
    holds: bool = False
    """The release of the copy is installed, or stays, instead of what the spec says."""


def job_name(facts: Facts, back: RollbackStatus) -> str:
    """The Job that puts a copy in place."""
    return short(facts.names.name, "back", plan.token(f"{back.copy_id} {back.aside}"))


def _turn(step: Returning, message: str) -> Turn:
    return Turn("rollback", ROLLING_BACK, message, step)


def _stall(reason: str, message: str) -> Turn:
    return Turn("stall", reason, message[:1500], seconds=SLOWLY)


Fit = Callable[[Record], str]
"""Why the release of a record may not be installed now; empty where it may."""


def _not_possible(facts: Facts, seen: Seen, revision: int, fit: Fit) -> str:
    """Why a hub cannot go back to a revision now; empty where it can."""
    release, known = facts.release, sorted({each.about.revision for each in seen.records if each.release})
    there = f"there are copies of {', '.join(map(str, known))}" if known else "there is no copy yet"
    if release is None:
        return "the hub is not installed: take spec.upgrade.rollback away"
    if not plan.in_claim(release.values) or seen.database is None:
        return (
            f"claim {DATABASE_CLAIM} is not there: the hub keeps its database elsewhere, and PDSHub has no copy of it"
        )
    if facts.trust is Trust.SEALED and release.status == "deployed" and revision == release.revision:
        return f"revision {revision} is the one that runs"
    found = record.of_revision(seen.records, revision)
    if found is None:
        sealed = f"; without the operator's seal: Secret {', '.join(seen.unsealed[:5])}" if seen.unsealed else ""
        return f"there is no copy of the database of revision {revision} with its release: {there}{sealed}"
    return f"claim {facts.names.copies} with the copies is gone" if seen.copies is None else fit(found)


def returning(facts: Facts, seen: Seen, settings: Settings, fit: Fit) -> Back:
    """What is next. Total."""
    wanted = asked(facts.spec)
    back = facts.status.upgrade.rollback if facts.status.upgrade else None
    if back is not None and back.phase == "Begun":
        return _begun(facts, seen, settings, back)
    if wanted is None:
        return _given_up(seen, back)
    if back is None or back.revision != wanted:
        if why := _not_possible(facts, seen, wanted, fit):
            return Back(back, _stall(NOT_POSSIBLE, f"spec.upgrade.rollback: {why}"))
        return _begin(facts, seen, wanted)
    if back.phase == "Failed":
        if seen.replicas == 0:
            return Back(back, _turn("Start", "the hub is started as it was before"), Plan(seen))
        why = f"spec.upgrade.rollback: {back.message}. Take it away, and set it again to try once more"
        return Back(back, _stall(FAILED, why))
    return Back(back, holds=True)


def started(facts: Facts, seen: Seen, back: Back) -> Back:
    """The end of a return: the release is there, and the hub is up. ``facts`` are of the release that is held."""
    if back.status is None or not back.holds:
        return back
    there = facts.in_sync and facts.trust is Trust.SEALED and facts.release and facts.release.status == "deployed"
    if not there:
        return back
    if seen.replicas == 0:
        return Back(back.status, _turn("Start", "the hub is started"), Plan(seen), holds=True)
    words = f"revision {back.status.revision} runs, with its database of {back.status.taken}"
    done = back.status.model_copy(update={"phase": "Done", "message": words})
    return Back(done, holds=True)


def _given_up(seen: Seen, back: RollbackStatus | None) -> Back:
    """The spec wants no return any more: what was done stays, and the spec is installed again."""
    if back is not None and seen.replicas == 0:
        return Back(back, _turn("Start", "the hub is started: spec.upgrade.rollback was taken away"), Plan(seen))
    return Back(None)


def _begin(facts: Facts, seen: Seen, revision: int) -> Back:
    found = record.of_revision(seen.records, revision)
    assert found is not None and facts.release is not None  # noqa: S101 - it is possible
    status = RollbackStatus(
        revision=revision,
        phase="Begun",
        copy_id=found.about.copy_id,
        aside=record.copy_id(facts.release.revision, seen.now),
        left=facts.release.revision,
        taken=found.about.taken,
        at=rfc3339.text(seen.now),
        message="the hub is stopped",
    )
    return Back(status, _turn("Stop", f"the hub is stopped, to go back to revision {revision}"), Plan(seen))


def _of_copy(seen: Seen, copy: str) -> Record | None:
    return next((each for each in seen.records if each.about.copy_id == copy), None)


def _begun(facts: Facts, seen: Seen, settings: Settings, back: RollbackStatus) -> Back:
    if _of_copy(seen, back.aside) is not None:
        # written after the Job said that it is done, and before Helm runs
        put = back.model_copy(update={"phase": "PutBack", "message": "the database is in place, the older hub comes"})
        return Back(put, holds=asked(facts.spec) == back.revision)
    if seen.replicas:
        return Back(back, _turn("Stop", f"the hub is stopped, to go back to revision {back.revision}"), Plan(seen))
    if seen.hub_pods:
        return Back(back, Turn("wait", ROLLING_BACK, f"pod {seen.hub_pods[0]} is ending"))
    name = job_name(facts, back)
    job = seen.jobs.get(name)
    if job is None:
        return _start(facts, seen, settings, back, name)
    found = outcome(job, seen.pods, "database", seen.now)
    if found.state is State.GOES_ON:
        return Back(back, Turn("wait", ROLLING_BACK, f"the database is put in place: Job {name}"))
    if found.ok and found.answer and found.answer.item and found.answer.item.digest:
        return _aside(facts, seen, back, found, name)
    if found.state is not State.ENDED:
        return Back(back, _turn("RemovePutBack", f"Job {name} is made anew: {found.message}"), Plan(seen, job=name))
    return _failed(back, f"{found.reason or 'Failed'}: {found.message}", seen)


def _failed(back: RollbackStatus, why: str, seen: Seen) -> Back:
    failed = back.model_copy(update={"phase": "Failed", "message": why[:900]})
    return Back(failed, _turn("Start", "the hub is started as it was before: the copy is not put in place"), Plan(seen))


def _start(facts: Facts, seen: Seen, settings: Settings, back: RollbackStatus, name: str) -> Back:
    found = _of_copy(seen, back.copy_id)
    if found is None or seen.copies is None or seen.database is None:
        return _failed(back, f"NotFound: copy {back.copy_id} or its record is gone", seen)
    if not settings.image:
        return _failed(back, "NoImage: the installation names no image (backup.image of the pdshub chart)", seen)
    where, why = nodes(seen, {DATABASE_CLAIM: seen.database, facts.names.copies: seen.copies}, facts.names)
    if why:
        return _failed(back, f"InUse: {why}", seen)
    order = Order(name, "put-back", back.copy_id, digest=found.about.digest, aside=back.aside, nodes=where)
    message = f"the database of {back.taken} is put in place: Job {name}"
    return Back(back, _turn("StartPutBack", message), Plan(seen, order))


def _aside(facts: Facts, seen: Seen, back: RollbackStatus, found: Outcome, job: str) -> Back:
    """What was there is recorded as a copy of the release that is left: the way back from the way back."""
    item = found.answer.item if found.answer else None
    if item is None or facts.release is None:
        return _failed(back, "NotFound: the release that is left is gone", seen)
    made = plan.about(facts, item.digest, item.size_bytes, back.aside, back.at, why="Rollback")
    wanted = Plan(seen, about=made, sealed=plan.own_secret(facts), job=job)
    return Back(back, _turn("TakeAside", f"what was there is recorded as a copy of revision {made.revision}"), wanted)
