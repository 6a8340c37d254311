"""Whether an upgrade has to wait for a copy of the database, and what is done for it next. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pdshub import rfc3339
from pdshub.backup.before_upgrade import ID
from pdshub.installation import Backup as Settings
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.facts import Facts as Backups
from pdshub.reconcile.hub.backup.facts import nodes_of
from pdshub.reconcile.hub.backup.outcome import Outcome, State, outcome
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.upgrade import plan, record
from pdshub.reconcile.hub.upgrade.plan import Plan
from pdshub.reconcile.hub.upgrade.seen import Seen
from pdshub.reconcile.hub.upgrade_state import DATABASE_NOT_COPIED, Copying, Turn
from pdshub.render.database_job import Order
from pdshub.render.names import DATABASE_CLAIM, HUB_LABEL, Names, short

FRESH = 600.0
"""Seconds for which a copy counts as one of now: what the hub writes after it is lost to who goes back."""
OLDEST = 86400.0
"""The same for a backup, which may have taken hours."""
AHEAD = 60.0
"""Seconds by which what was just made may be dated ahead."""
AGAIN = 600.0
"""Seconds after which what failed is tried again."""
SLOWLY = 10.0
"""Seconds between two looks at a run of backups, or at what failed."""
COPYING = "CopyingDatabase"
COPY_ANNOTATION = "pdshub.dev/copy"
"""Of a Job: the name of its copy."""


@dataclass(frozen=True)
class Found:
    """What is next, and what it works with; no turn: the upgrade may go on."""

    turn: Turn | None
    plan: Plan | None = None


def _is_of_the_last(seconds: float, age: float) -> bool:
    """What is dated ahead was made by a clock that jumped: nobody knows how old it is."""
    return -AHEAD <= age < seconds


def _next(step: Copying, message: str, made: Plan) -> Found:
    return Found(Turn("copy", COPYING, message, step), made)


def _wait(message: str, seconds: float = 1.0) -> Found:
    return Found(Turn("wait", COPYING, message, seconds=seconds))


def _refused(facts: Facts, why: str) -> Found:
    """An upgrade that does not begin: what runs goes on."""
    title = facts.chart.title if facts.chart else "another chart"
    message = (
        f"{title} is not installed: the database could not be copied first, and {why}. It is tried again every "
        f"{AGAIN / 60:.0f} minutes. To upgrade without a way back: set spec.upgrade.copyDatabase to false"
    )
    return Found(Turn("stall", DATABASE_NOT_COPIED, message[:1500], seconds=SLOWLY))


def copying(facts: Facts, seen: Seen, settings: Settings) -> Found:
    """What is next before this upgrade. ``facts`` are of one that migrates (plan.migrates)."""
    assert facts.spec is not None and facts.release is not None  # noqa: S101 - see above
    if not facts.spec.upgrade.copy_database or seen.database is None:
        return Found(None)
    token = plan.token(plan.target(facts))
    if any(each.about.before == token and _is_of_the_last(FRESH, seen.now - each.at) for each in seen.records):
        return Found(None)
    if facts.spec.backup is not None and facts.spec.backup.what.database and (held := _backup(facts, seen)):
        return held
    if not settings.image:
        return _refused(facts, "the installation names no image for it (backup.image of the pdshub chart)")
    if seen.copies is None:
        return _next("MakeClaim", f"claim {facts.names.copies} for copies of the database is made", Plan(seen))
    if (seen.copies["metadata"].get("labels") or {}).get(HUB_LABEL) != facts.names.name:
        return _refused(facts, f"claim {facts.names.copies} is another's: it has no label {HUB_LABEL}")
    return _of_job(facts, seen)


def _backup(facts: Facts, seen: Seen) -> Found | None:
    """The backup before the upgrade; None once it has saved the database."""
    name = plan.run_name(facts.names, facts)
    if seen.run is None:
        return _next("MakeRun", f"HubBackup {name} is made: the upgrade waits for it", Plan(seen, run=name))
    status = seen.run.status
    if seen.run.unfinished or seen.run.going:
        return _wait(f"the upgrade waits for HubBackup {name}: {status.phase}: {status.message}", SLOWLY)
    saved = any(item.item == "database" and item.phase == "Completed" for item in status.items)
    old = not _is_of_the_last(OLDEST, seen.now - rfc3339.seconds(status.ended))
    if saved and not old:
        return None
    if saved:
        words = f"HubBackup {name} of an upgrade that was not done is old: it is made anew, its snapshots are kept"
        return _next("RemoveRun", words, Plan(seen, run=name))
    if seen.now - rfc3339.seconds(status.ended) > AGAIN:
        return _next("RemoveRun", f"HubBackup {name}, which failed, is tried again", Plan(seen, run=name))
    return _refused(facts, f"HubBackup {name} says: {status.message}")


def job_name(facts: Facts) -> str:
    """The Job of the copy before this upgrade."""
    return short(facts.names.name, "copy", plan.token(plan.target(facts)))


def copy_of(job: Object) -> str:
    """The copy that a Job is about; empty where it does not say."""
    found = str((job["metadata"].get("annotations") or {}).get(COPY_ANNOTATION) or "")
    return found if ID.fullmatch(found) else ""


def made_at(copy: str) -> str:
    """When a copy was asked for, RFC 3339: its name tells."""
    stamp = copy.partition("-")[2].upper()
    return f"{stamp[:4]}-{stamp[4:6]}-{stamp[6:11]}:{stamp[11:13]}:{stamp[13:]}"


def nodes(seen: Seen, claims: Mapping[str, Object], names: Names) -> tuple[tuple[str, ...], str]:
    """Where a Job with these claims can run, and why nowhere."""
    return nodes_of(Backups(names, seen.now, claims=claims, uses=seen.uses), claims)


def ended(job: Object) -> float:
    """When a Job ended, in seconds since 1970; 0 where it does not say."""
    moments = [
        rfc3339.seconds(each.get("lastTransitionTime"))
        for each in (job.get("status") or {}).get("conditions") or []
        if each.get("status") == "True"
    ]
    return max(moments, default=0.0)


def _of_job(facts: Facts, seen: Seen) -> Found:
    name, release = job_name(facts), facts.release
    assert facts.spec is not None and release is not None  # noqa: S101 - see above
    job = seen.jobs.get(name)
    if job is None:
        claims = {DATABASE_CLAIM: seen.database or {}, facts.names.copies: seen.copies or {}}
        where, why = nodes(seen, claims, facts.names)
        if why:
            return _refused(facts, why)
        others = record.newest_first(seen.records)[: facts.spec.upgrade.keep - 1]
        order = Order(
            name,
            "copy",
            record.copy_id(release.revision, seen.now),
            keep=sorted({each.about.copy_id for each in others} | set(_needed(facts))),
            nodes=where,
        )
        return _next("StartCopy", f"the database is copied before the upgrade: Job {name}", Plan(seen, order))
    found = outcome(job, seen.pods, "database", seen.now)
    if found.state is State.GOES_ON:
        return _wait(f"the upgrade waits for a copy of the database: Job {name}")
    copy = copy_of(job)
    if found.ok and copy and found.answer and found.answer.item and found.answer.item.digest:
        return _taken_down(facts, seen, found, copy, name)
    again = found.ok or found.state is not State.ENDED or seen.now - (ended(job) or seen.now) > AGAIN
    if again:
        return _next(
            "RemoveJob", f"Job {name} is made anew: {found.message or 'its copy is old'}", Plan(seen, job=name)
        )
    return _refused(facts, f"Job {name} says: {found.reason or 'Failed'}: {found.message}")


def _needed(facts: Facts) -> list[str]:
    """Copies that a return needs."""
    back = facts.status.upgrade.rollback if facts.status.upgrade else None
    return [each for each in (back.copy_id, back.aside) if each] if back else []


def _taken_down(facts: Facts, seen: Seen, found: Outcome, copy: str, job: str) -> Found:
    assert facts.spec is not None and found.answer and found.answer.item  # noqa: S101 - the caller asked
    taken, item = made_at(copy), found.answer.item
    if seen.now - rfc3339.seconds(taken) >= FRESH:
        return _next("RemoveJob", f"Job {job} is made anew: its copy is of {taken}", Plan(seen, job=job))
    made = plan.about(
        facts, item.digest, item.size_bytes, copy, taken, before=plan.token(plan.target(facts)), why="Upgrade"
    )
    beyond = record.beyond(seen.records, facts.spec.upgrade.keep - 1, _needed(facts))
    wanted = Plan(seen, about=made, sealed=plan.own_secret(facts), job=job, beyond=beyond)
    return _next("TakeDown", f"the copy of revision {made.revision} is recorded", wanted)
