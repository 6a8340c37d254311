"""Does one step of a hub's drills. Each can be done again: an operator killed in it goes on from what is there."""

from __future__ import annotations

import base64
import logging
from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.kube import CLAIM, CONFIG_MAP, JOB, NETWORK_POLICY, SECRET, VOLUME, KubeError, Object, Resource
from pdshub.reconcile.common import events
from pdshub.reconcile.common.write import write
from pdshub.reconcile.hub.backup import at_work
from pdshub.reconcile.hub.backup.answer import plain
from pdshub.reconcile.hub.backup.outcome import Outcome, State
from pdshub.reconcile.hub.drill import boot, copies, order, progress, record
from pdshub.reconcile.hub.drill.context import DrillContext
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.read import KINDS
from pdshub.reconcile.hub.drill.record import Drills
from pdshub.reconcile.hub.drill.steps import CleanUp, Start, Step, Tell
from pdshub.wellknown import MANAGER

log = logging.getLogger(__name__)


async def act(context: DrillContext, facts: Facts, hub: Object, spec: PDSHubSpec, step: Step) -> bool:
    """Do a step; False where it has to wait for somebody else. Raises KubeError."""
    if isinstance(step, Start):
        return await _start(context, facts, hub, spec, step)
    if isinstance(step, Tell):
        await _tell(context, facts, hub, step.drills)
    elif isinstance(step, CleanUp):
        await clean_up(context, facts)
    return True


async def _put(context: DrillContext, facts: Facts, drills: Drills) -> None:
    names = facts.backups.names
    await context.kube.apply(CONFIG_MAP, record.written(names, facts.backups.uid, drills), MANAGER)


async def _tell(context: DrillContext, facts: Facts, hub: Object, drills: Drills) -> None:
    before = facts.drills
    await _put(context, facts, drills)
    if before.job and before.job != drills.job:
        await _remove(context, facts, before.job)
    if before.running and not drills.running and drills.last is not None:
        names, last = facts.backups.names, drills.last
        log.info("%s/%s: drill %d: %s", names.namespace, names.name, drills.number, last.message)
        said = events.EventRecord(not last.ok, "RestoreVerified" if last.ok else "DrillFailed", last.message)
        await events.publish(context.kube, hub, [said], names.namespace)
        await clean_up(context, facts)


async def _remove(context: DrillContext, facts: Facts, job: str) -> None:
    if not facts.namespace or not progress.is_of(facts.backups.names, job):
        return
    await context.kube.delete(CONFIG_MAP, job, facts.namespace)
    await context.kube.delete(JOB, job, facts.namespace)


async def _start(context: DrillContext, facts: Facts, hub: Object, spec: PDSHubSpec, step: Start) -> bool:
    """Make a stage's Job, if no run is at the repository. The record names it before it is there, so that none is ever
    forgotten."""
    names, stage = facts.backups.names, facts.drills.stages[step.index]
    context.memory((names.namespace, names.name)).swept = False
    job = progress.job_name(names, step.index, step.attempt)
    drills = progress.working(facts.drills, step.index, job, facts.now)
    async with context.backups.turn:
        # the last step of a run waits for one that is begun anew, and so that does not wait for the run
        in_the_way = at_work.alone if facts.drills.job else at_work.run
        if stage.kind != "boot" and await in_the_way(context.backups, facts.backups):
            return False
        await _put(context, facts, drills)
    if facts.drills.job and facts.drills.job != job:
        await _remove(context, facts, facts.drills.job)
    try:
        await _made(context, facts, spec, step)
    except KubeError as error:
        if error.status in (0, 429) or error.status >= 500:  # of a moment
            raise
        ended = Outcome(State.ENDED, "Refused", plain(f"no Job is made: {error}"))
        await _tell(context, facts, hub, progress.after(drills, step.index, ended, facts.now))
        return True
    log.info(
        "%s/%s: Job %s of drill %d: %s %s", names.namespace, names.name, job, drills.number, stage.kind, stage.item
    )
    return True


async def _made(context: DrillContext, facts: Facts, spec: PDSHubSpec, step: Start) -> None:
    kube, stage, settings = context.kube, facts.drills.stages[step.index], context.hubs.installation.backup
    if stage.kind == "boot":
        # keys of the repository are gone before a hub runs beside where they were
        await kube.delete(SECRET, order.secret_name(facts.backups.names, facts.namespace), facts.namespace)
        await kube.create(JOB, boot.job(facts, step.index, step.attempt, settings.image_pull_secrets))
        return
    await kube.apply(SECRET, copies.secret(facts, await _keys(context, facts)), MANAGER)
    if (way := copies.policy(facts, spec, context.hubs.installation)) is not None:
        await kube.apply(NETWORK_POLICY, way, MANAGER)
    for each in copies.share(facts):
        await write(kube, each)
    if stage.kind == "fetch":
        await kube.create(CLAIM, copies.claim(facts))
    config_map, job = order.objects(facts, order.order(facts, step.index, step.attempt), stage, settings)
    await kube.create(CONFIG_MAP, config_map)
    await kube.create(JOB, job)


async def _keys(context: DrillContext, facts: Facts) -> dict[str, str]:
    """What opens the repository, as it lies in the hub's namespace: base64 by key. Raises KubeError."""
    backups, namespace = facts.backups, facts.backups.names.namespace
    where = backups.place
    assert where is not None  # noqa: S101 - decided before
    name, key = backups.key_secret
    wanted: list[tuple[Resource, str, str, str]] = [(SECRET, name, key, "key")]
    wanted += [(SECRET, where.secret, each, each) for each in where.secret_keys]
    if where.ca and where.ca.secret:
        wanted.append((SECRET, where.ca.secret.name, where.ca.secret.key, order.CA))
    found = {into: await _value(context, kind, of, key, namespace) for kind, of, key, into in wanted}
    if where.ca and where.ca.config_map:
        found[order.CA] = await _value(
            context, CONFIG_MAP, where.ca.config_map.name, where.ca.config_map.key, namespace
        )
    return found


async def _value(context: DrillContext, kind: Resource, name: str, key: str, namespace: str) -> str:
    item: Any = await context.kube.live.get(kind, name, namespace) or {}
    value = (item.get("data") or {}).get(key)
    if not isinstance(value, str):
        raise KubeError(404, f"{kind.kind} {name} has no {key}")
    return value if kind is SECRET else base64.b64encode(value.encode()).decode()


async def clean_up(context: DrillContext, facts: Facts) -> None:
    """Take away everything of a hub's drills in their namespace. Raises KubeError."""
    if not facts.namespace:  # an empty one would mean all of them
        return
    names, kube = facts.backups.names, context.kube
    for kind in KINDS:
        for item in await kube.live.items(kind, facts.namespace, labels=order.selector(names)):
            await kube.delete(kind, str(item["metadata"]["name"]), facts.namespace)
    for volume in await kube.live.items(VOLUME, labels=order.selector(names)):
        if ((volume["spec"].get("claimRef") or {}).get("namespace")) == facts.namespace:
            await kube.delete(VOLUME, str(volume["metadata"]["name"]))
    context.memory((names.namespace, names.name)).swept = True
