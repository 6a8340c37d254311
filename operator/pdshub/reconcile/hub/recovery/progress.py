"""A recovery, step by step, as its record tells it: pure functions from one record to the next."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pdshub import rfc3339
from pdshub.api.backup_job import JobAnswer, JobSnapshot
from pdshub.kube import Object
from pdshub.reconcile.hub.backup.asked import is_user
from pdshub.reconcile.hub.backup.outcome import Outcome
from pdshub.reconcile.hub.people import slug
from pdshub.reconcile.hub.people.homes import owner
from pdshub.reconcile.hub.recovering import is_empty
from pdshub.reconcile.hub.recovery.facts import Facts
from pdshub.reconcile.hub.recovery.record import PLAN, Record, Row
from pdshub.render.backup_request import DATABASE, KEYS, OBJECTS, user_of
from pdshub.render.names import DATABASE_CLAIM, HOME_LABELS, HUB_LABEL, Names, short
from pdshub.render.recovery import PARTS, template_of

AGAIN = 60.0
"""Seconds until what hindered a Job is tried again."""
PASSING = ("Unreachable", "Locked", "NotStarted", "Interrupted", "JobGone", "Refused", "InUse")
"""Reasons that go away without anybody changing what was chosen: tried until they do."""
RETRIES = 2
"""How often what was interrupted is begun anew at once."""
MOST = 20_000
"""Items of a recovery at most."""
_WORDS = 300
_HUB_PART = 44
"""Of a Job's name, 63 characters at most, what is left for the hub."""


def job_name(names: Names, record: Record, item: str) -> str:
    """The name of the next Job about an item."""
    row = record.row(item)
    what = item if item in (PLAN, DATABASE, KEYS) else f"i{[r.item for r in record.rows].index(item)}"
    return f"{short(names.name, limit=_HUB_PART)}-back-{what}-{row.attempt + 1}"


# --- a row


def working(row: Row, job: str, interrupted: bool = False) -> Row:
    """A Job is about to be made: said first, so that one that was made is never forgotten. ``interrupted``: instead of
    one that said nothing."""
    update = {"job": job, "phase": "Running", "attempt": row.attempt + 1, "not_before": "", "reason": "", "message": ""}
    return row.model_copy(update={**update, "interrupted": row.interrupted + interrupted})


def postponed(row: Row, reason: str, message: str, now: float) -> Row:
    """It is tried again after a while."""
    update = {
        "job": "",
        "phase": "Pending",
        "interrupted": 0,
        "not_before": rfc3339.text(now + AGAIN),
        "reason": reason,
        "message": message[:_WORDS],
    }
    return row.model_copy(update=update)


def failed(row: Row, reason: str, message: str) -> Row:
    """It cannot be brought back, before somebody does something about it."""
    return row.model_copy(update={"job": "", "phase": "Failed", "reason": reason, "message": message[:_WORDS]})


def kept(row: Row, message: str) -> Row:
    """It is here already."""
    return row.model_copy(update={"phase": "Kept", "there": True, "job": "", "reason": "", "message": message})


def completed(row: Row, said: JobAnswer | None = None) -> Row:
    """It is back."""
    update: dict[str, Any] = {"job": "", "phase": "Completed", "reason": "", "message": "", "interrupted": 0}
    if said is not None:
        update |= {"size_bytes": said.size_bytes, "files": said.files, "message": said.message[:_WORDS]}
    return row.model_copy(update=update)


def after(row: Row, found: Outcome, now: float, *, needed: bool) -> Row:
    """Its Job has ended. ``needed``: without it there is no hub, so it is tried until it succeeds."""
    if found.ok:
        return completed(row, found.answer)
    reason = found.reason or "Failed"
    if needed or reason in PASSING:
        return postponed(row, reason, found.message, now)
    return failed(row, reason, found.message)


# --- the choice


def listed(record: Record, said: JobAnswer, facts: Facts) -> Record:
    """A page of what was chosen is taken down; the last one ends the choice."""
    known = {row.item for row in record.rows}
    taken = {row.claim for row in record.rows if row.claim} | reserved(facts)
    rows = list(record.rows)
    for one in said.snapshots:
        if one.item in known or not (one.item in PARTS or is_user(user_of(one.item))):
            continue
        row = _row(one, facts, taken)
        known.add(one.item)
        taken.add(row.claim)
        rows.append(row)
    more = bool(said.more) and len(record.rows) < len(rows) <= MOST
    last = said.snapshots[-1].item if said.snapshots else ""
    update = {"rows": rows, "plan": completed(record.plan, said), "listed": not more, "after": last}
    if more:
        update["plan"] = record.plan.model_copy(update={"job": "", "phase": "Pending", "interrupted": 0})
    return record.model_copy(update=update)


def reserved(facts: Facts) -> set[str]:
    """Names of claims that are nobody's home."""
    place = facts.backups.place
    return {DATABASE_CLAIM, facts.names.door, place.claim if place else ""}


def _row(one: JobSnapshot, facts: Facts, taken: set[str]) -> Row:
    row = Row(item=one.item, snapshot=one.id, taken_at=one.time, size_bytes=one.size_bytes, files=one.files)
    if user := user_of(one.item):
        row = row.model_copy(update={"claim": _claim_of(user, one.claim, facts, taken)})
    if one.item == DATABASE:
        if not facts.has_database:
            return kept(row, "the hub keeps its database elsewhere")
        # of one that was never saved the chart makes an empty one
        row = row.model_copy(update={"claim": DATABASE_CLAIM if one.id else ""})
    if not one.id:
        return row.model_copy(update={"phase": "Missing"})
    return completed(row) if one.item == OBJECTS else row


def _claim_of(user: str, recorded: str, facts: Facts, taken: set[str]) -> str:
    """The claim of a home: as it was called, since the hub's database knows it by that name; else as the spawner would
    call it."""
    if recorded and recorded not in taken:
        return recorded
    return template_of(facts.values).replace("{user_server}", slug.safe(user))


# --- claims


def belongs(row: Row, claim: Object, facts: Facts) -> bool:
    """Whether a claim is that of an item."""
    labels = claim["metadata"].get("labels") or {}
    if labels.get(HUB_LABEL) != facts.names.name:
        return False
    return not row.user or (HOME_LABELS.items() <= labels.items() and owner(claim) == row.user)


def with_claims(record: Record, facts: Facts) -> Record:
    """What claims that are here say of items that have none yet."""
    for row in to_be_made(record):
        claim = facts.claims.get(row.claim)
        if claim is None or rfc3339.seconds(row.not_before) > facts.now:
            continue
        if not belongs(row, claim, facts):
            why = f"claim {row.claim} is here already, and is another's"
            gone_on = postponed(row, "NameTaken", why, facts.now) if row.item == DATABASE else None
            record = record.with_row(gone_on or failed(row, "NameTaken", why))
        elif is_empty(claim) or not row.unfinished:
            record = record.with_row(row.model_copy(update={"there": True}))
        else:
            why = f"claim {row.claim} was here already, and is left as it is"
            record = record.with_row(kept(row, why))
    return record


def to_be_made(record: Record) -> Iterable[Row]:
    """Items whose claim is not known to be there. Of a home that was never saved it is an empty one: the database may
    know it by name, and a server does not start without it."""
    return [
        row for row in record.rows if row.claim and not row.there and row.phase in ("Pending", "Running", "Missing")
    ]


# --- once more


def reopened(record: Record, again: str) -> Record:
    """Somebody wants what could not be brought back to be tried again, and what waits at once."""

    def once_more(row: Row) -> Row:
        if row.phase == "Failed":
            return row.model_copy(update={"phase": "Pending", "there": False, "not_before": "", "interrupted": 0})
        return row.model_copy(update={"not_before": ""})

    rows = [once_more(row) for row in record.rows]
    return record.model_copy(update={"rows": rows, "plan": once_more(record.plan), "again": again, "ended": ""})
