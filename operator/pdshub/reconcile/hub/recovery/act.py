"""Does one step of a recovery. Each can be done again: an operator killed in it goes on from what is there."""

from __future__ import annotations

import json
import logging

from pdshub import sealed
from pdshub.kube import CLAIM, CONFIG_MAP, JOB, SECRET, KubeError, Object
from pdshub.reconcile.common import events
from pdshub.reconcile.common.write import write
from pdshub.reconcile.hub.backup import at_work
from pdshub.reconcile.hub.backup.answer import plain
from pdshub.reconcile.hub.recovery import order, progress, record, report
from pdshub.reconcile.hub.recovery.context import RecoveryContext
from pdshub.reconcile.hub.recovery.facts import Facts
from pdshub.reconcile.hub.recovery.record import Record
from pdshub.reconcile.hub.recovery.steps import (
    MakeClaims,
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
from pdshub.render.recovery import database_claim, home_claim, keys_secret, lost, password_secret
from pdshub.wellknown import MANAGER, RECOVERED, RECOVERING

log = logging.getLogger(__name__)


async def act(context: RecoveryContext, facts: Facts, hub: Object, step: Step) -> bool:
    """Do a step; False where it has to wait for somebody else. Raises KubeError."""
    names = facts.names
    if isinstance(step, Start):
        return await _start(context, facts, step)
    if isinstance(step, Put):
        await _put(context, facts, hub, step)
    elif isinstance(step, MakeClaims):
        await _make_claims(context, facts, step)
    elif isinstance(step, TakeKeys):
        await _take_keys(context, facts, step)
    elif isinstance(step, Unmark):
        await _unmark(context, facts, step.item)
    elif isinstance(step, SayDone):
        body = {"metadata": {"annotations": {RECOVERED: step.word}}}
        await context.kube.patch(SECRET, names.keys, body, names.namespace)
    elif isinstance(step, Sweep):
        for job in step.jobs:
            await _remove(context, facts, job)
    elif isinstance(step, Prepare):
        for each in step.steps:
            await write(context.kube, each)
    return True


async def _save(context: RecoveryContext, facts: Facts, new: Record) -> None:
    await context.kube.apply(CONFIG_MAP, record.written(facts.names, facts.backups.uid, new), MANAGER)


async def _put(context: RecoveryContext, facts: Facts, hub: Object, step: Put) -> None:
    """The record first: a Job that has said what it had to say is read again until that stands there."""
    await _save(context, facts, step.record)
    for job in (facts.record.jobs if facts.record else set()) - step.record.jobs:
        await _remove(context, facts, job)
    if step.event:
        names, words = facts.names, report.words(facts, step.record)
        log.info("%s/%s: %s: %s", names.namespace, names.name, step.event, words)
        said = events.EventRecord(step.event == "RecoveryPartiallyCompleted", step.event, words)
        await events.publish(context.kube, hub, [said], names.namespace)


async def _remove(context: RecoveryContext, facts: Facts, job: str) -> None:
    """Take a Job and what it was asked away; the Job last: while it is there, all of it is found again."""
    namespace = facts.names.namespace
    context.memory((namespace, facts.names.name)).readers.pop(job, None)
    await context.kube.delete(CONFIG_MAP, job, namespace)
    await context.kube.delete(JOB, job, namespace)


# --- a Job


async def _start(context: RecoveryContext, facts: Facts, step: Start) -> bool:
    """Make a Job, if nobody has the repository for itself. The record names it before it is there, so that none is ever
    forgotten. Raises KubeError."""
    assert facts.record is not None  # noqa: S101 - decided before
    names, row = facts.names, facts.record.row(step.item)
    job = progress.job_name(names, facts.record, step.item)
    memory = context.memory((names.namespace, names.name))
    memory.swept = False
    reader = sealed.pair() if step.item == KEYS else None
    started = facts.record.with_row(progress.working(row, job, step.interrupted))
    async with context.backups.turn:
        memory.held = await at_work.alone(context.backups, facts.backups)
        if memory.held:
            return False
        if reader is not None:
            memory.readers = {job: reader}
        await _save(context, facts, started)
    if row.job:
        await _remove(context, facts, row.job)
    made = order.order(facts, row, job, reader.public if reader else "")
    config_map, body = order.objects(names, made, context.hubs.installation.backup)
    try:
        await context.kube.create(CONFIG_MAP, config_map)
        await context.kube.create(JOB, body)
    except KubeError as error:
        if error.status in (0, 429) or error.status >= 500:  # of a moment
            raise
        why = plain(f"no Job is made: {error}")
        await _save(context, facts, started.with_row(progress.postponed(row, "Refused", why, facts.now)))
        await _remove(context, facts, job)
        return True
    log.info("%s/%s: Job %s: %s", names.namespace, names.name, job, step.item)
    return True


# --- claims and keys


async def _make_claims(context: RecoveryContext, facts: Facts, step: MakeClaims) -> None:
    """Claims, each with its mark. One that is refused (a quota) holds up nobody but its owner; without the database's
    there is no hub, and so it is waited for."""
    assert facts.record is not None  # noqa: S101 - decided before
    refused = facts.record
    for item in step.items:
        row = facts.record.row(item)
        if item == DATABASE:
            body = database_claim(facts.names, facts.values, row.snapshot)
        else:
            body = home_claim(facts.names, facts.values, row.user, row.claim, row.snapshot)
        try:
            await context.kube.create(CLAIM, body)
        except KubeError as error:
            if error.status not in (400, 403, 422):
                raise
            why = plain(f"claim {row.claim} is not made: {error}")
            later = progress.postponed(row, "Refused", why, facts.now)
            refused = refused.with_row(later if item == DATABASE else progress.failed(row, "Refused", why))
    if refused != facts.record:
        await _save(context, facts, refused)


async def _unmark(context: RecoveryContext, facts: Facts, item: str) -> None:
    assert facts.record is not None  # noqa: S101 - decided before
    claim = facts.claims[facts.record.row(item).claim]["metadata"]
    body = {"metadata": {"annotations": {RECOVERING: None}, "resourceVersion": claim["resourceVersion"]}}
    await context.kube.patch(CLAIM, claim["name"], body, facts.names.namespace)


async def _take_keys(context: RecoveryContext, facts: Facts, step: TakeKeys) -> None:
    """The Secret of the keys, made once: from it on the hub may run. Raises KubeError."""
    assert facts.record is not None and facts.saved is not None  # noqa: S101 - decided before
    names, row = facts.names, facts.record.row(KEYS)
    found: dict[str, object] = {}
    if step.sealed:
        try:
            reader = context.memory((names.namespace, names.name)).readers[row.job]
            found = dict(json.loads(sealed.opened(step.sealed, reader)))
        except (KeyError, TypeError, ValueError):
            found = {}
    if row.snapshot and (gone := lost(found, facts.saved)):
        why = f"the keys that were saved lack {' and '.join(gone)}, or their Job's answer is none"
        again = progress.postponed(row, "BadAnswer", why, facts.now)
        await _save(context, facts, facts.record.with_row(again))
        await _remove(context, facts, row.job)
        return
    if (password := password_secret(names, facts.saved, found)) is not None:
        await context.kube.create(SECRET, password)
    await context.kube.create(SECRET, keys_secret(names, facts.saved, found))
