"""Jobs of runs and restores: made so that an operator that was killed in it can do it again, and taken away."""

from __future__ import annotations

import logging

from pdshub.kube import CLAIM, CONFIG_MAP, JOB, KubeError
from pdshub.reconcile.hub.backup import progress, snapshot_objects
from pdshub.reconcile.hub.backup.asked import Asked, Restore, Run, belongs
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.render import backup_checkpoint, backup_job
from pdshub.render.backup_job import Order
from pdshub.render.names import BACKUP_LABELS, HUB_LABEL, Names

log = logging.getLogger(__name__)


def job_of(about: Asked) -> str:
    """The Job of a run or a restore; empty without one, and where the status names one that is none of it: whoever may
    write a status shall not have Jobs of others taken away by it."""
    job = about.status.job if isinstance(about, Run | Restore) else ""
    return job if job and progress.is_of(about.name, job) else ""


async def make(context: BackupContext, names: Names, about: Asked, order: Order) -> bool:
    """Make a Job, and first what it is asked. False where one of this name is just going. Raises KubeError; 409 where
    the name is another's."""
    kube, job = context.kube, order.job
    if order.checkpoint and not await _show(context, names, about, order):
        return False
    body = backup_job.config_map(names, order)
    if not await kube.create(CONFIG_MAP, body):
        there = await kube.live.get(CONFIG_MAP, job, names.namespace)
        if there is None or not belongs(there, about):
            raise KubeError(409, f"ConfigMap {job} is there already, and is another's")
        if there.get("data") != body["data"]:  # of an operator that ended before it made the Job
            await kube.delete(CONFIG_MAP, job, names.namespace)
            await kube.create(CONFIG_MAP, body)
    if not await kube.create(JOB, backup_job.job(names, order, context.hubs.installation.backup)):
        found = await kube.live.get(JOB, job, names.namespace)
        if found is None or found["metadata"].get("deletionTimestamp"):
            return False
        if not belongs(found, about):
            await kube.delete(CONFIG_MAP, job, names.namespace)
            raise KubeError(409, f"Job {job} is there already, and is another's")
    context.memory((about.namespace, about.hub)).made.add(job)
    return True


async def _show(context: BackupContext, names: Names, about: Asked, order: Order) -> bool:
    """Let a Job see a checkpoint that is made now, or a VolumeSnapshot that is ready. False where one of before is just
    going, or the VolumeSnapshot is not ready. Raises KubeError; 409 where the name is another's.

    A claim that is refused for good (a quota) is no error: the next look finds none, and the home is saved as it is.
    """
    kube, job = context.kube, order.job
    if order.snapshot and not order.snapshot.ready:
        return await snapshot_objects.take(context, names, about, order)
    try:
        if await kube.create(CLAIM, backup_job.checkpoint(names, order)):
            return True
    except KubeError as error:
        if error.status in (0, 429) or error.status >= 500:  # of a moment
            raise
        log.info("%s/%s: no claim for a checkpoint: %s", names.namespace, job, error)
        return True
    found = await kube.live.get(CLAIM, job, names.namespace)
    if found is not None and not (backup_checkpoint.is_claim(found) and belongs(found, about)):
        raise KubeError(409, f"claim {job} is there already, and is another's")
    if found is not None and not found["metadata"].get("deletionTimestamp"):
        await kube.delete(CLAIM, job, names.namespace)  # of an operator that ended: it may be of hours ago
    return False


async def remove(context: BackupContext, namespace: str, hub: str, job: str) -> None:
    """Take a Job and what it was asked away; its pods end with it. A ConfigMap of its name that no backup of the hub
    made stays: who may make a Job with labels shall not have others' objects deleted by it. Raises KubeError."""
    # the Job last: while it is there, all of it is found again
    asked = await context.kube.live.get(CONFIG_MAP, job, namespace)
    if (
        asked is not None
        and {**BACKUP_LABELS, HUB_LABEL: hub}.items() <= (asked["metadata"].get("labels") or {}).items()
    ):
        await context.kube.delete(CONFIG_MAP, job, namespace)
    await snapshot_objects.remove(context, namespace, hub, job)
    await context.kube.delete(JOB, job, namespace)
    context.memory((namespace, hub)).made.discard(job)
