"""Does one step of a hub's backups. Each can be done again: an operator killed in it goes on from what is there."""

from __future__ import annotations

import logging

from pdshub import hub_api, rfc3339
from pdshub.api.backup import HubBackupStatus, HubRestoreStatus
from pdshub.hub_api import HubError
from pdshub.kube import HUB_BACKUP, PDSHUB, POD, SECRET, KubeError, Object
from pdshub.reconcile.common import events, status
from pdshub.reconcile.common.write import write
from pdshub.reconcile.hub.backup import at_work, jobs, order, progress, restoring, snapshot_objects, turns, warn
from pdshub.reconcile.hub.backup.answer import plain
from pdshub.reconcile.hub.backup.asked import UNFINISHED, Asked, Restore, Run
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.backup.facts import Facts, uses_of
from pdshub.reconcile.hub.backup.outcome import Outcome, State
from pdshub.reconcile.hub.backup.steps import MakeRun, Prepare, Prune, Start, Step, StopServer, Sweep, Tell, WarnUser
from pdshub.reconcile.hub.backup.turns import Claimant
from pdshub.reconcile.hub.people import read as people
from pdshub.render import keys
from pdshub.render.names import SERVER_LABELS
from pdshub.wellknown import API_VERSION

log = logging.getLogger(__name__)


async def act(context: BackupContext, facts: Facts, hub: Object, step: Step) -> bool:
    """Do a step; False where it has to wait for somebody else. Raises KubeError."""
    if isinstance(step, Start):
        return await _start(context, facts, step)
    if isinstance(step, Tell):
        await _tell(context, step)
    elif isinstance(step, WarnUser):
        await warn.act(context, facts, hub, step.restore)
    elif isinstance(step, StopServer):
        return await _stop(context, facts, hub, step.restore)
    elif isinstance(step, Prepare):
        await _prepare(context, facts, step)
    elif isinstance(step, MakeRun):
        return await _make_run(context, facts, step.name)
    elif isinstance(step, Sweep):
        for job in step.jobs:
            # of a Job that never was there is only what it was to be shown: a name and labels take nothing else away
            take_away = jobs.remove if job in facts.jobs else snapshot_objects.remove
            await take_away(context, facts.names.namespace, facts.names.name, job)
    elif isinstance(step, Prune):
        for name in step.names:
            await context.kube.delete(HUB_BACKUP, name, facts.names.namespace)
    return True


async def _prepare(context: BackupContext, facts: Facts, step: Prepare) -> None:
    """The key is made once: a Secret of that name that is there stays as it is."""
    if step.key and not await context.kube.create(SECRET, keys.backup_key(facts.names)):
        log.info("%s/%s: the key of backups is there already", facts.names.namespace, facts.names.name)
    for each in step.steps:
        if not await write(context.kube, each):
            log.info("%s/%s: %s: it is there already", facts.names.namespace, facts.names.name, each.what)


async def _make_run(context: BackupContext, facts: Facts, name: str) -> bool:
    names = facts.names
    owner = {"apiVersion": API_VERSION, "kind": PDSHUB.kind, "name": names.name, "uid": facts.uid}
    body = {
        "apiVersion": API_VERSION,
        "kind": HUB_BACKUP.kind,
        "metadata": {
            "name": name,
            "namespace": names.namespace,
            "labels": names.labels,
            "ownerReferences": [owner],
        },
        "spec": {"hub": names.name, "trigger": "Schedule"},
    }
    return await context.kube.create(HUB_BACKUP, body)


# --- the status of a run or a restore


async def put(context: BackupContext, about: Asked, wanted: HubBackupStatus | HubRestoreStatus) -> None:
    """Write a status. Raises KubeError."""
    await status.write(context.kube, about.resource, about.item, wanted)


async def _tell(context: BackupContext, step: Tell) -> None:
    """Write a status; with the end of a run or a restore goes an event, and its Job is taken away."""
    about, before = step.about, jobs.job_of(step.about)
    await put(context, about, step.status)
    if before and step.status.job != before:
        await jobs.remove(context, about.namespace, about.hub, before)
    if step.status.phase not in UNFINISHED:
        await _ended(context, about, step.status)


async def _ended(context: BackupContext, about: Asked, now: HubBackupStatus | HubRestoreStatus) -> None:
    what = "Backup" if isinstance(about, Run) else "Restore"
    if isinstance(about, Run) and now.phase != "Completed":
        context.failures[about.namespace, about.hub] += 1
    log.info("%s/%s: %s %s: %s", about.namespace, about.hub, about.title, now.phase, now.message)
    record = events.EventRecord(now.phase != "Completed", f"{what}{now.phase}", f"{about.name}: {now.message}")
    item = {**about.item, "apiVersion": API_VERSION, "kind": about.resource.kind}
    await events.publish(context.kube, item, [record], about.namespace)
    hub = await context.kube.get(PDSHUB, about.hub, about.namespace)
    if hub is not None:
        await events.publish(context.kube, hub, [record], about.namespace)


# --- a Job


async def _start(context: BackupContext, facts: Facts, step: Start) -> bool:
    """Make a Job, if it is this one's turn. The status names it before it is there, so that none is ever forgotten."""
    made = order.order(facts, step)
    async with context.turn:
        if held := await _held(context, facts, step):
            await _waits(context, step.about, held)
            return False
        about = step.about
        if isinstance(about, Run):
            context.served[about.namespace, about.hub] = max(context.served.values(), default=0) + 1
            await put(context, about, progress.working(about.status, made.job, step.why))
        elif isinstance(about, Restore):
            await put(context, about, restoring.working(about.status, made.job))
    former = jobs.job_of(about)
    if former and former != made.job:
        await jobs.remove(context, facts.names.namespace, facts.names.name, former)
    try:
        if not await jobs.make(context, facts.names, about, made):
            return False
    except KubeError as error:
        if error.status in (0, 429) or error.status >= 500:  # of a moment
            raise
        await _refused(context, facts, step, made.job, error)
        return True
    log.info("%s/%s: Job %s %s", facts.names.namespace, facts.names.name, made.job, step.item)
    return True


async def _refused(context: BackupContext, facts: Facts, step: Start, job: str, error: KubeError) -> None:
    """The API server makes no such Job (a quota, Pod Security): that is what became of it. Raises KubeError."""
    about, now = step.about, rfc3339.text(facts.now)
    ended = Outcome(State.ENDED, "Refused", plain(f"no Job is made: {error}"))
    if isinstance(about, Run):
        told: HubBackupStatus | HubRestoreStatus = progress.after(
            progress.working(about.status, job, step.why), step.stage, ended, now
        )
    else:
        assert isinstance(about, Restore)  # noqa: S101 - there are two kinds
        told = restoring.after(about.status, ended, now)
    await context.kube.patch(about.resource, about.name, {"status": told.wire()}, about.namespace, "status")
    if not error.conflict:  # what is another's stays
        await jobs.remove(context, about.namespace, about.hub, job)
    if told.phase not in UNFINISHED:
        await _ended(context, about, told)


async def _held(context: BackupContext, facts: Facts, step: Start) -> str:
    """Who has to be waited for, in words; empty where it is this one's turn. Raises KubeError."""
    claimants = await at_work.claimants(context, facts)
    identity = facts.place.identity if facts.place else ""
    mine = next((c for c in claimants if c.about.uid == step.about.uid), Claimant(step.about, identity))
    if held := turns.in_the_way(mine, step.stage, claimants):
        return held.words
    # what a recovery or a drill reads must not be taken away under it
    return await at_work.reading(context, facts) if step.stage.action == "forget" else ""


async def _waits(context: BackupContext, about: Asked, held: str) -> None:
    words = f"waits for its turn at the repository: {held}"
    if isinstance(about, Run | Restore) and about.status.message != words:
        await put(context, about, about.status.model_copy(update={"message": words}))


# --- a server that has to end


async def _stop(context: BackupContext, facts: Facts, hub: Object, restore: Restore) -> bool:
    """Stop the servers of a user, and take down whether they have ended. Raises KubeError."""
    assert restore.spec is not None  # noqa: S101 - decided before
    user = restore.spec.user
    try:
        done, words = await _stopped_by_hub(context, facts, hub, user)
    except HubError as error:
        # a hub that is away starts no servers: it is enough that none is there
        done, words = True, f"the hub cannot be asked to stop the server of {user}: {error}"
    labels = ",".join(f"{key}={value}" for key, value in SERVER_LABELS.items())
    claim = facts.homes.get(user, "")
    left = uses_of(await context.kube.live.items(POD, facts.names.namespace, labels=labels)).get(claim, ())
    if left:
        done, words = False, words or f"pod {left[0].pod} is ending"
    now = rfc3339.text(facts.now)
    await put(context, restore, restoring.stopped(restore.status, done, words or f"no server of {user} runs", now))
    return done


async def _stopped_by_hub(context: BackupContext, facts: Facts, hub: Object, user: str) -> tuple[bool, str]:
    """Ask the hub to end a user's servers: whether it has none of them any more, and words. Raises HubError."""
    names, memory = facts.names, context.memory((facts.names.namespace, facts.names.name))
    token = await people.token(context.kube, names, memory.token)
    if not token:
        raise HubError(f"Secret {names.keys} has no token of the operator")
    base = hub_api.base_url((hub.get("spec") or {}).get("values"))
    async with hub_api.connect(context.kube, names.namespace, base, token) as client:
        found = await client.user(user)
        servers = found.servers if found else ()
        ended = [await client.stop(user, server.name) for server in servers]
    return all(ended), "" if all(ended) else f"a server of {user} is stopping"
