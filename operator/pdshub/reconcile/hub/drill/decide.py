"""From what was found to the one next step of a hub's drills: pure and total."""

from __future__ import annotations

from pdshub import rfc3339
from pdshub.reconcile.hub.backup import schedule
from pdshub.reconcile.hub.backup.outcome import Outcome, State, outcome
from pdshub.reconcile.hub.drill import progress
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.progress import RETRIES
from pdshub.reconcile.hub.drill.record import Drills
from pdshub.reconcile.hub.drill.steps import CleanUp, Nothing, Start, Step, Tell

WORKING, WAITING, SETTLED = 2.0, 10.0, 60.0
"""Seconds until the next look while a Job runs, while others have the repository, and otherwise."""


AGAIN = 6 * 3600.0
"""Seconds after which a drill that could look at nothing is made once more: the repository was away, a quota full."""


def cron_of(facts: Facts) -> str:
    """The schedule of drills as cron fields; empty without drills."""
    names = facts.backups.names
    # "drill": at another moment than the backups of the same hub
    return schedule.fields(facts.settings.schedule, names.namespace, f"{names.name}/drill") if facts.settings else ""


def trouble(facts: Facts) -> str:
    """Why no drill is begun; empty where one can be."""
    if facts.refused:
        return facts.refused
    if facts.settings and (wrong := schedule.trouble(facts.settings.schedule)):
        return f"spec.backup.drill.schedule: {wrong}"
    return ""


def untried(drills: Drills) -> bool:
    """Whether the last drill ended without a word about what is saved."""
    return drills.last is not None and not drills.last.ok and drills.last.reason in progress.UNTRIED


def due(facts: Facts) -> bool:
    """Whether a drill is to be begun: at a tick since the last, once there is something to restore."""
    if facts.settings is None or facts.settings.suspend or not facts.saved:
        return False
    made = (rfc3339.seconds(facts.drills.started), facts.backups.created)
    last = max(schedule.known(at, facts.now) for at in made)
    if untried(facts.drills) and facts.now - last > AGAIN:
        return True
    return bool(schedule.due(cron_of(facts), facts.now, last))


def decide(facts: Facts) -> Step:
    """The next step."""
    drills = facts.drills
    if facts.settings is None or trouble(facts):
        if drills.running:
            return Tell(_ended(facts))
        return CleanUp() if facts.left else Nothing(SETTLED)
    if drills.running:
        return _of_job(facts) if drills.job else _next(facts)
    if facts.left:
        return CleanUp()
    if due(facts) and facts.settings is not None:
        return Tell(progress.begun(drills, facts.settings, facts.saved, facts.now))
    return Nothing(_pause(facts))


def _pause(facts: Facts) -> float:
    return max(1.0, min(SETTLED, schedule.after(cron_of(facts), facts.now) - facts.now))


def _ended(facts: Facts) -> Drills:
    """A drill that cannot go on: it is no proof of anything, and what it had found stays said."""
    words = trouble(facts) or "spec.backup.drill was taken away"
    ended = Outcome(State.ENDED, "NotDrilled", words)
    index = progress.next_stage(facts.drills)
    drills = facts.drills if index is None else progress.after(facts.drills, index, ended, facts.now)
    return progress.finished(progress.given_up(drills, "NotDrilled"))


def _next(facts: Facts) -> Step:
    index = progress.next_stage(facts.drills)
    if index is None:
        return Tell(progress.finished(facts.drills))
    stage = facts.drills.stages[index]
    if stage.kind == "boot" and not facts.image:
        ended = Outcome(State.ENDED, "NoImage", "the hub does not run: which image it has is not known")
        return Tell(progress.after(facts.drills, index, ended, facts.now))
    # a hub that is booted has no network, and hinders nobody
    return Nothing(WAITING) if facts.busy and stage.kind != "boot" else Start(index, 0)


def _of_job(facts: Facts) -> Step:
    drills = facts.drills
    try:
        if not progress.is_of(facts.backups.names, drills.job):
            raise ValueError(drills.job)
        index, attempt = progress.at(drills.job)
        stage = drills.stages[index]
    except (ValueError, IndexError):
        return Tell(progress.finished(progress.given_up(drills, "BadRecord")))
    expected = stage.item if stage.kind == "compare" else ""
    found = outcome(facts.jobs.get(drills.job), facts.pods, expected, facts.now)
    if found.state is State.GOES_ON:
        return Nothing(WORKING)
    again = found.state in (State.MISSING, State.LOST) or found.reason == "Locked"
    if again and attempt < RETRIES:
        return Start(index, attempt + 1)
    return Tell(progress.after(drills, index, found, facts.now))
