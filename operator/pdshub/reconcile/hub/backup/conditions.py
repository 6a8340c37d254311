"""Conditions about a hub's backups: BackedUp, KeyEscrowed. Pure."""

from __future__ import annotations

from pdshub import rfc3339
from pdshub.reconcile.common.conditions import ConditionDraft
from pdshub.reconcile.hub.backup import decide, progress, schedule
from pdshub.reconcile.hub.backup.asked import Run, by_age
from pdshub.reconcile.hub.backup.facts import Facts

BACKED_UP, ESCROWED = "BackedUp", "KeyEscrowed"
OWNED = (BACKED_UP, ESCROWED)
"""Types of the conditions that the loop of backups writes."""


def _ended(facts: Facts) -> list[Run]:
    """Runs about everything that have ended, the oldest first."""
    return [run for run in by_age(facts.runs, facts.now) if run.whole and not run.unfinished and not run.going]


def last_good(facts: Facts) -> Run | None:
    """The newest run that saved every item; None when there is none."""
    return next((run for run in reversed(_ended(facts)) if progress.saved_all(run)), None)


def _when(facts: Facts, good: Run | None) -> str:
    if good is None:
        return "nothing was saved whole yet"
    when = f"the last good one is {good.name} of {good.status.started or good.status.ended}"
    return when if _made(facts, good) else f"{when}, which is yet to come: a clock was wrong then, or is now"


def _next(facts: Facts) -> str:
    if facts.backup is None or facts.backup.suspend:
        return "spec.backup.suspend: none is made by schedule"
    return f"the next is due at {rfc3339.text(schedule.after(decide.cron_of(facts), facts.now))}"


def _made(facts: Facts, run: Run) -> float:
    """When a run was made, as far as that is known."""
    return schedule.known(rfc3339.seconds(run.status.started) or run.created, facts.now)


def _old(facts: Facts, good: Run | None) -> bool:
    """Whether what was saved last is older than two periods, or that long nothing was saved at all."""
    since = _made(facts, good) if good else schedule.known(facts.created, facts.now)
    return schedule.too_old(decide.cron_of(facts), facts.now, since)


def backed_up(facts: Facts) -> ConditionDraft:
    """Whether everything that spec.backup names was saved, and lately."""
    good, ended = last_good(facts), _ended(facts)
    if facts.recovering:
        return BACKED_UP, "Unknown", "Recovering", facts.recovering
    reason, words = decide.refusal(facts)
    if reason:
        return BACKED_UP, "False", reason, f"{words}; {_when(facts, good)}"
    newest = ended[-1] if ended else None
    if newest is not None and newest is not good:
        lost = "ItemsNotSaved" if newest.status.snapshots else "RunFailed"
        told = f"{newest.name}: {newest.status.message}"
        return BACKED_UP, "False", lost, f"{told}; {_when(facts, good)}; {_next(facts)}"
    if _old(facts, good) and (good is not None or not _begun(facts)):
        return BACKED_UP, "False", "TooOld", f"older than two periods: {_when(facts, good)}; {_next(facts)}"
    if good is None:
        return BACKED_UP, "Unknown", "NoneYet", f"{_when(facts, good)}; {_next(facts)}"
    return BACKED_UP, "True", "Saved", f"{_when(facts, good)}: {good.status.message}; {_next(facts)}"


def _begun(facts: Facts) -> bool:
    """Whether a first run is under way."""
    return any(run.unfinished for run in facts.runs)


def escrowed(facts: Facts) -> ConditionDraft:
    """Whether somebody says that a copy of the key is kept outside of the cluster."""
    secret, key = facts.key_secret
    if facts.backup is None or facts.key == "Absent":
        return ESCROWED, "Unknown", "NoKey", "there is no key yet"
    if facts.backup.key.escrow:
        return ESCROWED, "True", "Declared", f"spec.backup.key.escrow: {facts.backup.key.escrow}"
    return (
        ESCROWED,
        "False",
        "NotDeclared",
        (
            f"whoever loses the key loses every backup, and with the cluster both are lost: keep key {key} of Secret "
            f"{secret} outside of it (kubectl get secret {secret} -n {facts.names.namespace} -o "
            f"jsonpath='{{.data.{key}}}' | base64 -d), and say where in spec.backup.key.escrow"
        ),
    )


def drafts(facts: Facts) -> list[ConditionDraft]:
    """Both conditions; none of a hub without backups."""
    return [] if facts.backup is None else [backed_up(facts), escrowed(facts)]
