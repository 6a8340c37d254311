"""From what was found to the one next step of a recovery: pure and total.

The order: what is chosen; the claims, of the database and of every home, each with a mark that keeps servers out; the
database; the keys. Their Secret is made last, and is what says that a hub came back: before it nothing runs, and an
operator that finds claims without it goes on. Then the hub is installed, and homes come, a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from pdshub import rfc3339
from pdshub.reconcile.hub.backup.decide import SETTLED, WAITING, WORKING
from pdshub.reconcile.hub.backup.nodes import IN_USE, nowhere
from pdshub.reconcile.hub.backup.outcome import Outcome, State, outcome
from pdshub.reconcile.hub.recovery import progress
from pdshub.reconcile.hub.recovery.facts import Facts
from pdshub.reconcile.hub.recovery.record import PLAN, Record, Row
from pdshub.reconcile.hub.recovery.steps import (
    MakeClaims,
    Nothing,
    Prepare,
    Put,
    SayDone,
    Start,
    Step,
    Sweep,
    TakeKeys,
    Unmark,
)
from pdshub.render.backup_request import DATABASE, KEYS

CLAIMS_AT_ONCE = 50


def trouble(facts: Facts) -> tuple[str, str]:
    """Reason and words of why a recovery cannot go on now; empty where it can."""
    if facts.record is None and facts.keys != "Homes" and facts.data:
        return "DataPresent", (
            f"{facts.data} of namespace {facts.names.namespace} hold data of a hub already, and nothing is ever "
            f"brought back over it: for the hub that is here, make the PDSHub without spec.bootstrap; to bring one "
            f"back, take a namespace without one"
        )
    if facts.keys == "Others":
        return "DataPresent", f"Secret {facts.names.keys} was made by somebody else meanwhile: look who"
    if facts.backups.refused[0]:
        return facts.backups.refused
    if facts.backups.key != "Present":
        secret, key = facts.backups.key_secret
        return "KeyMissing", (
            f"Secret {secret} with key {key} does not exist: make it from the copy that you keep outside of the "
            f"cluster (kubectl create secret generic {secret} -n {facts.names.namespace} --from-file={key}=FILE)"
        )
    return "", ""


def decide(facts: Facts) -> Step:
    """The next step."""
    record = facts.record
    if facts.recovery is None:
        return Nothing(SETTLED)
    if record is None:
        return _begin(facts)
    if left := tuple(sorted(facts.backups.jobs.keys() - record.jobs)):
        return Sweep(left)
    if facts.again and facts.again != record.again:
        return Put(progress.reopened(record, facts.again))
    if record.ended:
        return SayDone("Completed") if facts.keys == "Homes" else Nothing(SETTLED)
    if trouble(facts)[0]:
        return Nothing(WAITING)
    if facts.backups.steps:
        return Prepare(facts.backups.steps)
    for stage in (_choice, _claims, _database, _keys, _homes):
        if (step := stage(facts, record)) is not None:
            return step
    lost = any(row.phase == "Failed" for row in record.rows)
    ended = record.model_copy(update={"ended": rfc3339.text(facts.now)})
    return Put(ended, "RecoveryPartiallyCompleted" if lost else "RecoveryCompleted")


def _begin(facts: Facts) -> Step:
    if facts.keys == "Completed":
        return Nothing(SETTLED)
    if trouble(facts)[0] or not (facts.ready or facts.keys == "Homes"):
        return Nothing(WAITING)
    return Put(Record(started=rfc3339.text(facts.now), again=facts.again), "RecoveryStarted")


def _choice(facts: Facts, record: Record) -> Step | None:
    if record.listed:
        return None

    def page(found: Outcome) -> Step:
        assert found.answer is not None  # noqa: S101 - it is ok
        return Put(progress.listed(record, found.answer, facts))

    return _work(facts, record, record.plan, page)


def _claims(facts: Facts, record: Record) -> Step | None:
    known = progress.with_claims(record, facts)
    if known != record:
        return Put(known)
    due = [row for row in progress.to_be_made(record) if rfc3339.seconds(row.not_before) <= facts.now]
    absent = [row.item for row in due]
    return MakeClaims(tuple(absent[:CLAIMS_AT_ONCE])) if absent else None


def _database(facts: Facts, record: Record) -> Step | None:
    row = record.row(DATABASE)
    return _work(facts, record, row) if row.unfinished else _unmarked(facts, row)


def _keys(facts: Facts, record: Record) -> Step | None:
    row = record.row(KEYS)
    if facts.keys != "Absent":
        return Put(record.with_row(progress.completed(row))) if row.unfinished else None
    if row.phase == "Completed":  # somebody took them away since
        return Put(record.with_row(row.model_copy(update={"phase": "Pending"})))
    if not row.unfinished:  # nothing was saved of them
        return TakeKeys()

    def taken(found: Outcome) -> Step:
        assert found.answer is not None  # noqa: S101 - it is ok
        return TakeKeys(found.answer.sealed) if row.job in facts.openable else Start(row.item)

    if row.job and row.job not in facts.openable:
        return Start(row.item)  # who could have opened its answer has ended
    return _work(facts, record, row, taken)


def _homes(facts: Facts, record: Record) -> Step | None:
    waits: list[float] = []
    rows = sorted((row for row in record.homes if row.unfinished), key=lambda row: not row.job)
    running = sum(1 for row in rows if row.job)
    for row in record.homes:
        if (done := _unmarked(facts, row)) is not None:
            return done
    for row in rows:
        if not row.job and running >= facts.side_by_side:
            break
        step = _work(facts, record, row)
        if not isinstance(step, Nothing):
            return step
        waits.append(step.seconds)
    return Nothing(min(waits)) if waits else None


def _unmarked(facts: Facts, row: Row) -> Step | None:
    """The mark goes from what is back."""
    return Unmark(row.item) if row.phase == "Completed" and row.claim and facts.claim(row.claim) == "Empty" else None


def _work(facts: Facts, record: Record, row: Row, ok: Callable[[Outcome], Step] | None = None) -> Step:
    """The next step about an item. ``ok``: what follows when its Job did what was asked."""
    if not row.job:
        wait = rfc3339.seconds(row.not_before) - facts.now
        return Nothing(max(1.0, wait)) if wait > 0 else _may_start(facts, record, row)
    expected = "" if row.item == PLAN else row.item
    found = outcome(facts.backups.jobs.get(row.job), facts.backups.pods, expected, facts.now)
    if found.state is State.GOES_ON:
        return Nothing(WORKING)
    if found.state in (State.MISSING, State.LOST) and row.interrupted < progress.RETRIES:
        return _may_start(facts, record, row, interrupted=True)
    if found.ok and ok is not None:
        return ok(found)
    needed = row.item in (PLAN, DATABASE, KEYS)
    return Put(record.with_row(progress.after(row, found, facts.now, needed=needed)))


def _may_start(facts: Facts, record: Record, row: Row, *, interrupted: bool = False) -> Step:
    """The Job of an item, or why there is none."""
    if row.claim and facts.claim(row.claim) == "Filled":  # somebody took its mark away: it is theirs
        return Put(record.with_row(progress.kept(row, f"the mark of claim {row.claim} was taken away")))
    if row.claim and row.claim not in facts.claims:
        return Put(record.with_row(row.model_copy(update={"there": False, "job": "", "phase": "Pending"})))
    used = _in_use(facts, row)
    reason, why = (IN_USE, used) if used else nowhere(facts.backups, mounted(facts, row))
    if reason:
        return Put(record.with_row(progress.postponed(row, reason, why, facts.now)))
    return Start(row.item, interrupted)


def mounted(facts: Facts, row: Row) -> list[str]:
    """The claims that a Job about an item mounts."""
    place = facts.backups.place
    return [claim for claim in (row.claim, place.claim if place else "") if claim]


def _in_use(facts: Facts, row: Row) -> str:
    """Who has the claim that is to be filled, in words: nothing is restored under somebody's hands."""
    own = {str(pod["metadata"]["name"]) for pod in facts.backups.pods}
    uses = [use.pod for use in facts.backups.uses.get(row.claim, ()) if use.pod not in own] if row.claim else []
    return f"pod {uses[0]} has claim {row.claim}" if uses else ""
