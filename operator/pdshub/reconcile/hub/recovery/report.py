"""How far a recovery is, for people: the status, the condition Recovered. Pure."""

from __future__ import annotations

from pdshub import rfc3339
from pdshub.api.hub_bootstrap import Chosen, NotBack, RecoveryPhase, RecoveryStatus
from pdshub.reconcile.common.conditions import ConditionDraft
from pdshub.reconcile.hub.recovery.decide import trouble
from pdshub.reconcile.hub.recovery.facts import Facts
from pdshub.reconcile.hub.recovery.record import Record, Row
from pdshub.render.backup_request import OBJECTS
from pdshub.render.recovery import PARTS
from pdshub.wellknown import RECOVER_AGAIN

IS_BACK = "Recovered"
OWNED = (IS_BACK,)
"""Types of the conditions that the loop of recoveries writes."""
SHOWN = 20
_NAMED = 5
_WORDS = 200


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _hindered(record: Record | None) -> Row | None:
    """What is tried again after a while, and without which nothing goes on."""
    if record is None:
        return None
    rows = [record.plan, *record.hub_rows]
    return next((row for row in rows if row.unfinished and row.reason), None)


def phase(facts: Facts, record: Record | None) -> RecoveryPhase:
    """In one word."""
    if record is None:
        if facts.keys == "Completed":
            return "Completed"
        if facts.keys == "Homes":
            return "Homes"
        return "Refused" if trouble(facts)[0] == "DataPresent" else "Waiting"
    if record.ended:
        lost = any(row.phase == "Failed" for row in record.rows)
        return "PartiallyCompleted" if lost else "Completed"
    if facts.keys in ("Homes", "Completed"):
        return "Homes"
    return "Restoring" if record.listed else "Planning"


def _back(record: Record) -> tuple[list[Row], list[Row]]:
    """What comes back, and what of it is back."""
    wanted = [row for row in record.rows if row.item != OBJECTS and row.phase != "Missing"]
    return wanted, [row for row in wanted if row.phase in ("Completed", "Kept")]


def words(facts: Facts, record: Record | None) -> str:
    """In a sentence or two."""
    saved = facts.saved or facts.names
    title = f"{saved.namespace}/{saved.name}"
    reason, why = trouble(facts) if record is None or not record.ended else ("", "")
    if reason and not (record is None and facts.keys == "Completed"):
        return f"{reason}: {why}"
    if record is None:
        return f"{title} was brought back" if facts.keys == "Completed" else f"{title} comes back from its backup"
    if facts.held and not record.ended:
        return f"it waits for its turn at the repository: {facts.held}"
    if (row := _hindered(record)) is not None:
        return f"{row.reason}: {row.message}: what is to be done with {row.item} is tried again each minute"
    if not record.listed:
        return f"it is looked up what there is of {title}"
    wanted, back = _back(record)
    found = [f"{len(back)} of {len(wanted)} items of {title} are back"]
    if as_of := newest(record):
        found.append(f"as of {as_of}")
    if lost := [row for row in record.rows if row.phase == "Failed"]:
        first = f"{lost[0].reason}: {lost[0].message}"
        found.append(f"not back: {_named([row.item for row in lost])} ({first[:_WORDS]})")
    if missing := missing_of(record):
        found.append(f"the backup does not have {_named(missing)}")
    if record.ended and lost:
        found.append(f"to try again: kubectl annotate --overwrite pdshub {facts.names.name} {RECOVER_AGAIN}=TIME")
    return "; ".join(found)


def newest(record: Record) -> str:
    """When the newest of the chosen snapshots was made."""
    return max((row.taken_at for row in record.rows if row.snapshot), key=rfc3339.seconds, default="")


def missing_of(record: Record) -> list[str]:
    """What the backup does not have."""
    return [row.item for row in record.rows if row.phase == "Missing"]


def status(facts: Facts) -> RecoveryStatus:
    """The part of the hub's status that is about its recovery."""
    record = facts.record
    saved = facts.saved or facts.names
    common = {
        "phase": phase(facts, record),
        "message": words(facts, record)[:1024],
        "hub": f"{saved.namespace}/{saved.name}",
    }
    if record is None:
        # of a record that is gone with a former PDSHub the last status tells
        before = facts.status if facts.keys == "Completed" else None
        return before or RecoveryStatus.model_validate(common)
    wanted, back = _back(record)
    parts = [row for row in record.rows if row.item in PARTS and row.snapshot]
    return RecoveryStatus(
        **common,
        as_of=newest(record),
        started=record.started,
        ended=record.ended,
        items=len(wanted),
        done=len(back),
        size_bytes=sum(row.size_bytes for row in back),
        files=sum(row.files for row in back),
        snapshots=[Chosen(item=row.item, snapshot=row.snapshot, taken_at=row.taken_at) for row in parts],
        waiting=[row.user for row in record.homes if row.unfinished][:SHOWN],
        failed=[
            NotBack(item=row.item, message=f"{row.reason}: {row.message}"[:_WORDS])
            for row in record.rows
            if row.phase == "Failed"
        ][:SHOWN],
        missing=missing_of(record)[:SHOWN],
    )


def condition(facts: Facts, said: RecoveryStatus) -> ConditionDraft:
    """Whether the hub is back."""
    if said.phase == "Completed":
        return IS_BACK, "True", "Recovered", said.message
    if said.phase == "PartiallyCompleted":
        return IS_BACK, "False", "ItemsNotBack", said.message
    if reason := trouble(facts)[0]:
        return IS_BACK, "False", reason, said.message
    if (row := _hindered(facts.record)) is not None:
        return IS_BACK, "False", row.reason, said.message
    doing = {"Planning": "Choosing", "Restoring": "RestoringHub", "Homes": "RestoringHomes"}
    return IS_BACK, "Unknown", doing.get(said.phase, "Waiting"), said.message
