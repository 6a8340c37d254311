"""A run, step by step, as its status tells it: pure functions from one status to the next.

All of a run's memory is its status, so an operator that ends in the middle of one goes on from what it finds: the Job
of ``status.job``, the items that are not done, and two conditions for what is about no item.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pdshub import rfc3339
from pdshub.api.backup import HubBackupStatus, ItemStatus, Phase
from pdshub.reconcile.common.conditions import Truth, merge_conditions
from pdshub.reconcile.hub.backup.asked import UNFINISHED, Run
from pdshub.reconcile.hub.backup.outcome import Outcome
from pdshub.render.names import short

READY, APPLIED = "RepositoryReady", "RetentionApplied"
"""Conditions of a HubBackup: the repository is there and takes the key; what the retention does not keep is gone."""
RETRIES = 2
"""How often what was interrupted is begun anew."""
MOMENTARY = ("Locked", "Unreachable")
"""Reasons that may be gone in a minute: a Job that says one is begun anew as often."""
OF_ALL = ("NoRepository", "WrongKey", "Unreachable", "ReadOnly", "NotStarted", "Refused")
"""Reasons that would be those of the next item too: the repository is looked at again before that is tried. So a run
of a thousand homes does not ask a server that is away a thousand times, nor wait as often for a pod that a quota
refuses."""
UNREAD = 100
"""Paths that a run names at most: an object of the API server has an end (etcd: 1.5 MiB)."""
_ITEM_WORDS = 200
_NAMED = 5
_JOB = re.compile(r".*-(?:(init|forget|restore)|i(\d{1,6}))(?:-r(\d))?")
_RUN_PART = 46
"""Of a Job's name, 63 characters at most, what is left for the run."""


@dataclass(frozen=True)
class Stage:
    """What a run is at. ``index`` is that of the item, for a backup."""

    action: Literal["init", "backup", "forget", "restore"]
    index: int = -1

    @property
    def exclusive(self) -> bool:
        """Whether restic wants the repository for itself alone."""
        return self.action in ("init", "forget")


def job_name(run: str, stage: Stage, attempt: int = 0) -> str:
    """The name of a Job: it tells its stage and attempt."""
    what = f"i{stage.index}" if stage.action == "backup" else stage.action
    return f"{short(run, limit=_RUN_PART)}-{what}{f'-r{attempt}' if attempt else ''}"


def at(job: str) -> tuple[Stage, int]:
    """Stage and attempt of a Job by its name. Raises ValueError for a name that is none of ours."""
    found = _JOB.fullmatch(job)
    if found is None:
        raise ValueError(f"{job} is no Job of a backup")
    attempt = int(found[3] or 0)
    if found[2] is not None:
        return Stage("backup", int(found[2])), attempt
    actions: dict[str, Literal["init", "forget", "restore"]] = {
        "init": "init",
        "forget": "forget",
        "restore": "restore",
    }
    return Stage(actions[found[1]]), attempt


OF_RUNS, OF_RESTORES = ("init", "backup", "forget"), ("restore",)
"""Actions of Jobs of HubBackups, and of HubRestores."""


def is_of(name: str, job: str, actions: Collection[str] = (*OF_RUNS, *OF_RESTORES)) -> bool:
    """Whether a Job is one of the run or restore of this name: a status is no more than what somebody wrote into it."""
    try:
        stage, attempt = at(job)
    except ValueError:
        return False
    return attempt <= RETRIES and stage.action in actions and job == job_name(name, stage, attempt)


def _is(status: HubBackupStatus, kind: str, *truths: Truth) -> bool:
    return any(condition.type == kind and condition.status in truths for condition in status.conditions)


def next_stage(status: HubBackupStatus, forgets: bool) -> Stage | None:
    """What a run does next; None when all is done. ``forgets``: whether the retention is applied by it."""
    if not _is(status, READY, "True"):
        return Stage("init")
    for index, item in enumerate(status.items):
        if item.phase in UNFINISHED:
            return Stage("backup", index)
    return Stage("forget") if forgets and not _is(status, APPLIED, "True", "False") else None


def applies_retention(run: Run, append_only: bool) -> bool:
    """Whether old snapshots go with a run: not with one of single homes, and not where the server refuses it."""
    return run.whole and run.spec is not None and not run.spec.keep and not append_only


def begun(items: Sequence[str], missing: Mapping[str, str], now: str) -> HubBackupStatus:
    """A run begins. ``missing``: items that cannot be saved, and why."""
    rows = [
        ItemStatus(item=item, phase="Failed", message=missing[item][:_ITEM_WORDS])
        if item in missing
        else ItemStatus(item=item)
        for item in items
    ]
    return HubBackupStatus(phase="Running", started=now, items=rows, message=f"{len(rows)} items")


def working(status: HubBackupStatus, job: str, why: str = "") -> HubBackupStatus:
    """A Job is about to be made: said first, so that one that was made is never forgotten. ``why``: why a home that
    might be is not saved from a checkpoint; it stays to be read."""
    stage, attempt = at(job)
    items = list(status.items)
    words = "old snapshots go" if stage.action == "forget" else "the repository is looked at"
    if stage.action == "backup":
        item = items[stage.index]
        said = f"not from a checkpoint: {why}"[:_ITEM_WORDS] if why else item.message if attempt else ""
        items[stage.index] = item.model_copy(update={"phase": "Running", "message": said})
        words = f"{stage.index + 1} of {len(items)}: {items[stage.index].item}"
    return status.model_copy(update={"job": job, "items": items, "message": words})


def _said(status: HubBackupStatus, kind: str, truth: Truth, reason: str, message: str, now: str) -> HubBackupStatus:
    kept = merge_conditions([(kind, truth, reason, message)], status.conditions, 0, now, ())
    return status.model_copy(update={"conditions": kept})


def _totals(status: HubBackupStatus) -> HubBackupStatus:
    items = status.items
    sums = {
        "snapshots": sum(1 for item in items if item.snapshot),
        "size_bytes": sum(item.size_bytes for item in items),
        "added_bytes": sum(item.added_bytes for item in items),
        "files": sum(item.files for item in items),
    }
    return status.model_copy(update=sums)


def _result(before: ItemStatus, outcome: Outcome) -> ItemStatus:
    said = outcome.answer
    if said is not None and said.ok and said.item is not None:
        if said.item.snapshot and said.item.phase != "Failed":
            words = "; ".join(filter(None, (before.message, said.item.message)))
            return said.item.model_copy(update={"message": words[:_ITEM_WORDS]})
        outcome = Outcome(outcome.state, "BadAnswer", "its Job says that it is saved, and names no snapshot")
    words = f"{outcome.reason or 'Failed'}: {outcome.message}"[:_ITEM_WORDS]
    unread = said.item.unread if said is not None and said.item is not None else []
    return ItemStatus(item=before.item, phase="Failed", message=words, unread=unread, unread_count=len(unread))


def _within_bounds(items: Iterable[ItemStatus]) -> list[ItemStatus]:
    """The items with as many unread paths as an object can hold; their number stays."""
    left, found = UNREAD, []
    for item in items:
        shown = item.unread[:left]
        left -= len(shown)
        found.append(item if len(shown) == len(item.unread) else item.model_copy(update={"unread": shown}))
    return found


def after(status: HubBackupStatus, stage: Stage, outcome: Outcome, now: str) -> HubBackupStatus:
    """A Job has ended: what became of it is taken down. A repository that is not ready ends the run; after an item that
    failed for its sake it is looked at again."""
    status = status.model_copy(update={"job": ""})
    words = f"{outcome.reason or 'Failed'}: {outcome.message}"
    if stage.action == "init":
        if not outcome.ok:
            return failed(status, words, now)
        return _said(status, READY, "True", "Ready", outcome.message, now)
    if stage.action == "forget":
        if outcome.ok:
            return _said(status, APPLIED, "True", "Applied", outcome.message, now)
        return _said(status, APPLIED, "False", outcome.reason or "Failed", outcome.message, now)
    items = list(status.items)
    items[stage.index] = _result(items[stage.index], outcome)
    if outcome.reason in OF_ALL and not outcome.ok:
        status = _said(status, READY, "Unknown", outcome.reason, f"{items[stage.index].item}: {outcome.message}", now)
    return _totals(status.model_copy(update={"items": _within_bounds(items)}))


def put_back(status: HubBackupStatus, stage: Stage, why: str) -> HubBackupStatus:
    """A Job was given up for now: its item waits again."""
    items = list(status.items)
    if stage.action == "backup":
        items[stage.index] = items[stage.index].model_copy(update={"phase": "Pending", "message": why[:_ITEM_WORDS]})
    return status.model_copy(update={"job": "", "items": items})


def _seconds(started: str, now: str) -> int:
    return max(0, round(rfc3339.seconds(now) - rfc3339.seconds(started))) if started else 0


def failed(status: HubBackupStatus, words: str, now: str) -> HubBackupStatus:
    """A run ends before its time; what it saved stays."""
    items = [
        item.model_copy(update={"phase": "Failed", "message": "not saved: the run ended before"})
        if item.phase in UNFINISHED
        else item
        for item in status.items
    ]
    saved = any(item.snapshot for item in items)
    phase: Phase = "PartiallyCompleted" if saved else "Failed"
    update = {
        "phase": phase,
        "message": words[:1024],
        "ended": now,
        "seconds": _seconds(status.started, now),
        "job": "",
        "items": items,
    }
    return _totals(status.model_copy(update=update))


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def finished(status: HubBackupStatus, now: str) -> HubBackupStatus:
    """All of a run is done."""
    lost = [item for item in status.items if item.phase == "Failed"]
    partly = [item.item for item in status.items if item.phase == "PartiallyCompleted"]
    forgot = next((c for c in status.conditions if c.type == APPLIED and c.status == "False"), None)
    words = [f"{sum(1 for item in status.items if item.snapshot)} of {len(status.items)} items saved"]
    if lost:
        words.append(f"not saved: {_named([item.item for item in lost])} ({lost[0].message})")
    if partly:
        words.append(f"files that could not be read in {_named(partly)}")
    if forgot:
        words.append(f"old snapshots are still there: {forgot.reason}: {forgot.message}")
    phase: Phase = "Completed"
    if lost or partly or forgot:
        phase = "Failed" if lost and len(lost) == len(status.items) else "PartiallyCompleted"
    update = {
        "phase": phase,
        "message": "; ".join(words)[:1024],
        "ended": now,
        "seconds": _seconds(status.started, now),
        "job": "",
    }
    return _totals(status.model_copy(update=update))


def saved_all(run: Run) -> bool:
    """Whether a run that has ended saved every item of the hub: all but single files that could not be read."""
    items = run.status.items
    done = run.status.phase in ("Completed", "PartiallyCompleted") and run.whole
    return done and all(item.phase in ("Completed", "PartiallyCompleted") for item in items)
