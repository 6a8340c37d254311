"""From what was found to the one next step of a hub's backups: pure and total."""

from __future__ import annotations

from collections.abc import Collection

from pdshub import rfc3339
from pdshub.reconcile.hub.backup import checkpoint, progress, restoring, schedule, snapshot, warn
from pdshub.reconcile.hub.backup.asked import Asked, Restore, Run, by_age
from pdshub.reconcile.hub.backup.facts import Facts, nodes_of, restoring_pod
from pdshub.reconcile.hub.backup.items import claim_of, items_of, mounted
from pdshub.reconcile.hub.backup.nodes import nowhere, unreachable
from pdshub.reconcile.hub.backup.outcome import Outcome, State, outcome, pods_of
from pdshub.reconcile.hub.backup.progress import MOMENTARY, RETRIES, Stage
from pdshub.reconcile.hub.backup.steps import MakeRun, Nothing, Prepare, Prune, Start, Step, StopServer, Sweep, Tell
from pdshub.render.backup_request import home_item, user_of
from pdshub.render.names import short

WORKING = 2.0
"""Seconds until the next look while a Job runs: each of a run's Jobs waits for half of it on average."""
WAITING = 5.0
"""The same while another hub has the repository."""
SETTLED = 60.0
BAD_STATUS = "BadStatus: its status names a Job that is none of it"


def _now(facts: Facts) -> str:
    return rfc3339.text(facts.now)


def _elsewhere(facts: Facts, job: str, item: str) -> str:
    """The server that waits for a home because a Job has it on another node; empty where none does."""
    claim = claim_of(facts, item)
    uses = [use for use in facts.uses.get(claim, ()) if use.node and not use.going]
    here = {use.node for use in uses if use.pod.startswith(f"{job}-")}
    waits = [use.pod for use in uses if here and use.node not in here]
    return waits[0] if waits and nodes_of(facts, [claim])[0] else ""


def of_run(facts: Facts, run: Run) -> Step:
    """The next step of the run that is at its turn within its hub."""
    status, now = run.status, _now(facts)
    if run.spec is None:
        return Tell(run, progress.failed(status, "InvalidSpec: its spec cannot be read", now))
    if status.phase == "Pending":
        return Tell(run, progress.begun(*items_of(facts, run), now))
    if status.job:
        return _of_job(facts, run)
    append_only = facts.place is not None and facts.place.append_only
    stage = progress.next_stage(status, progress.applies_retention(run, append_only))
    if stage is None:
        return Tell(run, progress.finished(status, now))
    item = status.items[stage.index].item if stage.action == "backup" else ""
    return _begin(facts, run, stage, *checkpoint.first(facts, status, item, claim_of(facts, item)), item)


def _begin(facts: Facts, run: Run, stage: Stage, attempt: int, why_not: str, item: str) -> Step:
    """The Job of a stage; what cannot have one ends without. ``why_not``: why a home is not saved from a checkpoint."""
    claim = claim_of(facts, item)
    lacks = bool(claim or user_of(item)) and claim not in facts.claims
    reason, why = ("NotFound", f"claim {claim or 'of this home'} is gone") if lacks else ("", "")
    if not reason:
        reason, why = nowhere(facts, mounted(facts, stage, attempt, item), _beside(facts, attempt, item))
    if reason:
        return _without_job(facts, run, stage, reason, why)
    return Start(run, stage, attempt, item, why_not)


def _beside(facts: Facts, attempt: int, item: str) -> list[str]:
    """The claim of what is saved: a Job that sees a checkpoint of it has to be on its node, too, unless it has a volume
    of its own from a VolumeSnapshot."""
    claim = claim_of(facts, item)
    return [claim] if claim and (attempt or snapshot.taken(facts, claim, "") is None) else []


def _without_job(facts: Facts, run: Run, stage: Stage, reason: str, why: str) -> Tell:
    return Tell(run, progress.after(run.status, stage, Outcome(State.ENDED, reason, why), _now(facts)))


def _stranded(facts: Facts, job: str, claims: list[str]) -> tuple[str, str]:
    """Reason and words of why a Job whose pod has no node yet will get none; empty where it may."""
    there = facts.jobs.get(job)
    pods = pods_of(there, facts.pods) if there else []
    if any((pod.get("spec") or {}).get("nodeName") for pod in pods):
        return "", ""
    return unreachable(facts, claims)


def _of_job(facts: Facts, run: Run) -> Step:
    status, now = run.status, _now(facts)
    try:
        stage, attempt = progress.at(status.job)
        item = status.items[stage.index].item if stage.action == "backup" else ""
    except (ValueError, IndexError):
        return Tell(run, progress.failed(status, BAD_STATUS, now))
    if not progress.is_of(run.name, status.job, progress.OF_RUNS):
        return Tell(run, progress.failed(status, BAD_STATUS, now))
    found = outcome(facts.jobs.get(status.job), facts.pods, item, facts.now)
    held = checkpoint.held(facts, run, stage, attempt, item, claim_of(facts, item), found)
    if held.trouble:
        return _begin(facts, run, stage, attempt + 1, held.trouble, item)
    if held.waits:
        return Nothing(WORKING)
    if found.state is State.GOES_ON:
        if waits := _elsewhere(facts, status.job, item):
            why = f"server {waits} started on another node: the home is saved there"
            return Tell(run, progress.put_back(status, stage, why))
        needs = [*_beside(facts, attempt, item), *mounted(facts, stage, attempt, item)]
        reason, why = _stranded(facts, status.job, needs)
        return _without_job(facts, run, stage, reason, why) if reason else Nothing(WORKING)
    if (again := _again(facts, status.job, found, attempt)) is not None:
        return _begin(facts, run, stage, again, "", item)
    return Tell(run, progress.after(status, stage, found, now))


def _again(facts: Facts, job: str, found: Outcome, attempt: int) -> int | None:
    """The attempt as which a Job is made now; None where it has ended.

    What was interrupted counts as an attempt. What was never made does not: an operator that ends between the status
    that names a Job and the Job takes nothing away from the run, however often it ends.
    """
    if found.state is State.MISSING and job not in facts.made:
        return attempt
    again = found.state in (State.MISSING, State.LOST) or (not found.ok and found.reason in MOMENTARY)
    return attempt + 1 if again and attempt < RETRIES else None


def of_restore(facts: Facts, restore: Restore) -> Step:
    """The next step of a restore."""
    status, now, spec = restore.status, _now(facts), restore.spec
    if spec is None or restoring.trouble(restore):
        return Tell(restore, restoring.failed(status, restoring.trouble(restore), now))
    if status.job and not progress.is_of(restore.name, status.job, progress.OF_RESTORES):
        return Tell(restore, restoring.failed(status, BAD_STATUS, now))
    if status.job:
        return _of_restore_job(facts, restore, home_item(spec.user))
    claim = facts.homes.get(spec.user, "")
    if claim not in facts.claims:
        words = f"NotFound: {spec.user} has no home here to restore into"
        return Tell(restore, restoring.failed(status, words, now))
    if status.phase == "Pending":
        return Tell(restore, restoring.begun(now))
    backups = {str(pod["metadata"]["name"]) for pod in facts.pods}
    servers = [use for use in facts.uses.get(claim, ()) if use.pod not in backups]
    if spec.in_place and (servers or not restoring.is_stopped(status)):
        if facts.now - rfc3339.seconds(status.started) > restoring.PATIENCE + spec.warn_seconds:
            words = f"NotStopped: the user's server did not end: {status.message}"
            return Tell(restore, restoring.failed(status, words, now))
        return (warn.first(restore, facts.now) if servers else None) or StopServer(restore)
    reason, why = nowhere(facts, mounted(facts, Stage("restore"), 0, home_item(spec.user)))
    if reason:
        return Tell(restore, restoring.failed(status, f"{reason}: {why}", now))
    return _begin_restore(facts, restore, 0, home_item(spec.user))


def _begin_restore(facts: Facts, restore: Restore, attempt: int, item: str) -> Step:
    """The Job of a restore, once nobody else can be writing into the home."""
    pod = restoring_pod(facts, claim_of(facts, item))
    if pod is None:
        return Start(restore, Stage("restore"), attempt, item)
    meta = pod["metadata"]
    if facts.now - rfc3339.seconds(meta.get("deletionTimestamp") or meta.get("creationTimestamp")) < restoring.PATIENCE:
        return Nothing(WAITING)
    words = f"InUse: pod {meta['name']} of a restore before may still write into this home: look at its node"
    return Tell(restore, restoring.failed(restore.status, words, _now(facts)))


def _of_restore_job(facts: Facts, restore: Restore, item: str) -> Step:
    # the answer of a restore is about no item: it saves none
    found = outcome(facts.jobs.get(restore.status.job), facts.pods, "", facts.now)
    if found.state is State.GOES_ON:
        reason, why = _stranded(facts, restore.status.job, mounted(facts, Stage("restore"), 0, item))
        if reason:
            return Tell(restore, restoring.failed(restore.status, f"{reason}: {why}", _now(facts)))
        return Nothing(WORKING)
    # what was interrupted may have written: the program goes on with its own moves, and tells by the run's name
    attempt = progress.at(restore.status.job)[1]
    if (again := _again(facts, restore.status.job, found, attempt)) is not None:
        return _begin_restore(facts, restore, again, item)
    return Tell(restore, restoring.after(restore.status, found, _now(facts)))


def orphans(facts: Facts) -> tuple[str, ...]:
    """Jobs of this hub that nobody waits for, and VolumeSnapshots for such."""
    asked: list[Run | Restore] = [*facts.runs, *facts.restores]
    wanted = {about.status.job for about in asked if about.unfinished}
    return tuple(sorted((facts.jobs.keys() | facts.snapshots.there.keys()) - wanted))


def given_up(about: Asked, words: str, now: str) -> Tell:
    """The end of what cannot be done any more."""
    if isinstance(about, Run):
        return Tell(about, progress.failed(about.status, words, now))
    assert isinstance(about, Restore)  # noqa: S101 - there are two kinds
    return Tell(about, restoring.failed(about.status, words, now))


def lost_key(facts: Facts) -> str:
    """What to do where the key of snapshots that there are is gone."""
    secret, key = facts.key_secret
    return (
        f"Secret {secret} with key {key} is gone, and what was saved can be read with it alone: put it back from where "
        f"you keep a copy, or delete the HubBackups that were made with it, and name another repository"
    )


def refusal(facts: Facts) -> tuple[str, str]:
    """Reason and words of why nothing can be saved or restored now; empty where it can."""
    if facts.backup is None:
        return "NoBackup", "the PDSHub has no spec.backup"
    if facts.refused[0]:
        return facts.refused
    return ("KeyMissing", lost_key(facts)) if facts.key == "Lost" else ("", "")


def last_scheduled(facts: Facts) -> float:
    """When the newest run by schedule was made, or else the hub, as far as that is known."""
    made = [run.created for run in facts.runs if run.spec and run.spec.trigger == "Schedule"]
    return max(schedule.known(at, facts.now) for at in (facts.created, *made))


def cron_of(facts: Facts) -> str:
    """The hub's schedule as cron fields; empty without one."""
    return schedule.fields(facts.backup.schedule, facts.names.namespace, facts.names.name) if facts.backup else ""


def due(facts: Facts) -> str:
    """The name of the run that is to be made now; empty where none is."""
    if facts.backup is None or facts.backup.suspend or schedule.opens_in(facts.backup.hours, facts.now):
        return ""
    if any(run.unfinished and run.spec and run.spec.trigger == "Schedule" for run in facts.runs):
        return ""
    tick = schedule.due(cron_of(facts), facts.now, last_scheduled(facts))
    stamp = rfc3339.text(tick).translate({ord(c): None for c in "-:TZ"})[:12] if tick else ""
    return short(facts.names.name, stamp) if stamp else ""


def pause(facts: Facts) -> float:
    """Seconds until the next look at a hub for which nothing is to be done now."""
    if facts.backup is None or facts.backup.suspend:
        return SETTLED
    waits = [SETTLED, schedule.after(cron_of(facts), facts.now) - facts.now]
    if closed := schedule.opens_in(facts.backup.hours, facts.now):
        waits.append(closed)
    return max(1.0, min(waits))


def beyond(facts: Facts) -> tuple[str, ...]:
    """Runs that have ended and that the history does not keep; the newest that saved all is always kept."""
    if facts.backup is None:
        return ()
    ended = [run for run in by_age(facts.runs, facts.now) if not run.unfinished and not run.going]
    good = next((run.name for run in reversed(ended) if progress.saved_all(run)), "")
    return tuple(run.name for run in ended[: max(0, len(ended) - facts.backup.history)] if run.name != good)


def decide(facts: Facts, blocked: Collection[tuple[str, str]] = ()) -> Step:
    """The next step. ``blocked``: kind and name of what was tried in this look, and has to wait."""
    if facts.recovering:
        return Nothing(WAITING if facts.unfinished else SETTLED)
    unfinished = facts.unfinished
    reason, words = refusal(facts)
    if reason:
        if unfinished:
            return given_up(unfinished[0], f"{reason}: {words}", _now(facts))
        left = tuple(sorted(facts.jobs.keys() | facts.snapshots.there.keys()))
        return Sweep(left) if left else Nothing(SETTLED)
    if left := orphans(facts):
        return Sweep(left)
    if facts.key == "Absent" or facts.steps:
        return Prepare(facts.key == "Absent", facts.steps)
    waits: list[float] = []
    for about in present(facts):
        if (about.resource.kind, about.name) in blocked:
            waits.append(WAITING)
            continue
        step = of_restore(facts, about) if isinstance(about, Restore) else of_run(facts, about)
        if not isinstance(step, Nothing):
            return step
        waits.append(step.seconds)
    if (name := due(facts)) and ("HubBackup", name) not in blocked:
        return MakeRun(name)
    if old := beyond(facts):
        return Prune(old)
    return Nothing(min([*waits, pause(facts)]))


def present(facts: Facts) -> list[Restore | Run]:
    """What is gone on with now: restores side by side, but one of a home, and one run; each the one that has begun, or
    the oldest."""
    runs = [run for run in facts.runs if run.unfinished]
    one = next((run for run in runs if run.status.phase == "Running"), runs[0] if runs else None)
    first: dict[str, Restore] = {}
    for restore in sorted((r for r in facts.restores if r.unfinished), key=lambda r: r.status.phase != "Running"):
        first.setdefault(restore.spec.user if restore.spec else f"/{restore.name}", restore)
    return [*(r for r in facts.restores if r in first.values()), *((one,) if one else ())]
