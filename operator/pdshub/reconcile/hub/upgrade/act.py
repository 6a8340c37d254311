"""Does one step about a hub's database. Each can be done again: an operator killed in it goes on from what is there."""

from __future__ import annotations

import logging

from pdshub.kube import CLAIM, DEPLOYMENT, HUB_BACKUP, JOB, PDSHUB, SECRET, KubeError
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.release import content_digest
from pdshub.reconcile.hub.seal import is_sealed
from pdshub.reconcile.hub.upgrade import record
from pdshub.reconcile.hub.upgrade.copying import COPY_ANNOTATION
from pdshub.reconcile.hub.upgrade.plan import Plan
from pdshub.reconcile.hub.upgrade.seen import HUB_DEPLOYMENT
from pdshub.render import database_job
from pdshub.wellknown import API_VERSION, MANAGER

log = logging.getLogger(__name__)

WITHOUT = "to upgrade without a copy of the database: spec.upgrade.copyDatabase: false"


async def act(context: HubContext, facts: Facts) -> str:
    """The step that was decided; returns what an event says, or nothing. Raises KubeError."""
    due = facts.upgrade
    turn = (due.turn or due.copying) if due else None
    assert due is not None and turn is not None and isinstance(due.plan, Plan)  # noqa: S101 - decided before
    made, names = due.plan, facts.names
    if turn.step == "MakeClaim":
        await _make_claim(context, facts, made)
    elif turn.step == "MakeRun":
        await _make_run(context, facts, made)
    elif turn.step == "RemoveRun":
        await context.kube.delete(HUB_BACKUP, made.run, names.namespace)
    elif turn.step in ("StartCopy", "StartPutBack"):
        await _start(context, facts, made)
    elif turn.step in ("RemoveJob", "RemovePutBack"):
        await context.kube.delete(JOB, made.job, names.namespace)
    elif turn.step in ("TakeDown", "TakeAside"):
        return await _take_down(context, facts, made)
    elif turn.step in ("Stop", "Start"):
        return await _scale(context, facts, 1 if turn.step == "Start" else 0)
    return ""


async def _make_claim(context: HubContext, facts: Facts, made: Plan) -> None:
    assert made.seen.database is not None  # noqa: S101 - decided before
    try:
        await context.kube.create(CLAIM, database_job.claim(facts.names, made.seen.database))
    except KubeError as error:
        raise _explained(error) from None


async def _make_run(context: HubContext, facts: Facts, made: Plan) -> None:
    names = facts.names
    owner = {"apiVersion": API_VERSION, "kind": PDSHUB.kind, "name": names.name, "uid": made.seen.uid}
    body = {
        "apiVersion": API_VERSION,
        "kind": HUB_BACKUP.kind,
        "metadata": {
            "name": made.run,
            "namespace": names.namespace,
            "labels": names.labels,
            "ownerReferences": [owner],
        },
        "spec": {"hub": names.name, "trigger": "PreUpgrade"},
    }
    await context.kube.create(HUB_BACKUP, body)


async def _start(context: HubContext, facts: Facts, made: Plan) -> None:
    assert made.order is not None and facts.release is not None  # noqa: S101 - decided before
    settings, order = context.installation.backup, made.order
    owner = database_job.owner_of(facts.release.values)
    body = database_job.job(facts.names, made.seen.uid, order, owner, settings)
    body["metadata"]["annotations"] = {COPY_ANNOTATION: order.copy}
    try:
        await context.kube.create(JOB, body)
    except KubeError as error:
        raise _explained(error) from None
    log.info("%s/%s: Job %s: %s %s", facts.names.namespace, facts.names.name, order.job, order.action, order.copy)


def _explained(error: KubeError) -> KubeError:
    """What the API server refuses (a quota, Pod Security), with what can be done all the same."""
    if error.status in (0, 409, 429) or error.status >= 500:
        return error
    return KubeError(error.status, f"{error}; {WITHOUT}")


async def _take_down(context: HubContext, facts: Facts, made: Plan) -> str:
    """Write the record, then take away what has done its work: killed between, nothing is asked for twice."""
    about, names, kube = made.about, facts.names, context.kube
    assert about is not None  # noqa: S101 - decided before
    key, release = await context.seal_key(), ""
    if made.sealed:
        secret = await kube.live.get(SECRET, made.sealed, names.namespace)
        same = facts.release is not None and secret is not None and content_digest(secret) == facts.release.digest
        if secret is not None and same and is_sealed(key, secret):
            release = str(secret["data"]["release"])
    await kube.apply(SECRET, record.written(key, names, about, release), MANAGER)
    for old in made.beyond:
        await kube.delete(SECRET, old.secret, names.namespace)
    await kube.delete(JOB, made.job, names.namespace)
    what = (
        "its release is kept with it" if release else "its release is not known for sure, so nobody can go back to it"
    )
    return (
        f"the database of revision {about.revision} is kept as copy {about.copy_id} ({about.size_bytes} bytes); {what}"
    )


async def _scale(context: HubContext, facts: Facts, replicas: int) -> str:
    body = {"spec": {"replicas": replicas}}
    await context.kube.patch(DEPLOYMENT, HUB_DEPLOYMENT, body, facts.names.namespace)
    back = facts.upgrade.rollback if facts.upgrade else None
    if replicas or back is None:
        return "the hub is started"
    return f"the hub is stopped, to go back to revision {back.revision} and its database of {back.taken}"
