"""reconcile() of a hub's backups: a loop of its own, so that no run of helm holds up a restore, and no backup a hub."""

from __future__ import annotations

import logging
from typing import Any

from pdshub import rfc3339
from pdshub.kube import HUB_BACKUP, HUB_RESTORE, NAMESPACE, PDSHUB, KubeError, Object
from pdshub.reconcile.hub import writing
from pdshub.reconcile.hub.backup import conditions, jobs, read
from pdshub.reconcile.hub.backup.act import act
from pdshub.reconcile.hub.backup.asked import Asked, restores_of, runs_of
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.backup.decide import SETTLED, WAITING, decide, given_up
from pdshub.reconcile.hub.backup.facts import Facts
from pdshub.reconcile.hub.backup.steps import MakeRun, Nothing, Start, Step, StopServer
from pdshub.reconcile.hub.observation import terminating
from pdshub.reconcile.hub.people.conditions import laid_into
from pdshub.reconcile.hub.people.read import acts_here
from pdshub.render.names import Names

log = logging.getLogger(__name__)

SOON = 1.0
"""Seconds until the next look after a Job was made, and after the last step of a look that took many."""
_STEPS = 24
"""Steps in one look before others get their turn."""
_UNKNOWN = 60.0
"""Seconds for which a HubBackup may wait for its PDSHub: both may come in one file."""


async def reconcile(context: BackupContext, namespace: str, name: str) -> float | None:
    """Bring one hub's backups forward. Seconds until the next look is due; None when the hub is gone.

    Raises KubeError when the API server does not answer or refuses: the caller tries again.
    """
    hub = await context.kube.get(PDSHUB, name, namespace)
    if hub is None or hub["metadata"].get("deletionTimestamp"):
        return await _without_hub(context, namespace, name)
    if not await acts_here(context.kube, hub):
        return SETTLED
    return await _steps(context, hub, Names(namespace, name))


async def _steps(context: BackupContext, hub: Object, names: Names) -> float:
    blocked: set[tuple[str, str]] = set()
    before: Step | None = None
    for _ in range(_STEPS):
        facts = await read.look(context, hub, names)
        if facts.refused[0] == "InvalidSpec":
            return SETTLED
        step = decide(facts, blocked)
        if not isinstance(step, Nothing) and context.kube is not context.kube.live:
            # copies may be behind: they may say that nothing is to be done, the API server decides what is
            context = context.live()
            continue
        if isinstance(step, Nothing) or step == before:
            await _report(context, hub, facts)
            return step.seconds if isinstance(step, Nothing) else WAITING
        if await act(context, facts, hub, step):
            before = step
        else:
            blocked.add(_key(step))
    return SOON


def _key(step: Step) -> tuple[str, str]:
    """What has to wait: kind and name."""
    if isinstance(step, Start):
        return step.about.resource.kind, step.about.name
    if isinstance(step, StopServer):
        return step.restore.resource.kind, step.restore.name
    return ("HubBackup", step.name) if isinstance(step, MakeRun) else ("", "")


async def _report(context: BackupContext, hub: Object, facts: Facts) -> None:
    """Write the conditions about backups beside what other loops write."""
    drafts = conditions.drafts(facts)

    def change(status: Any) -> Any:
        generation, now = int(hub["metadata"].get("generation", 0)), rfc3339.text(facts.now)
        laid = laid_into(drafts, status.conditions, generation, now, conditions.OWNED)
        return status.model_copy(update={"conditions": laid})

    await writing.change(context.hubs, hub, change)


async def _without_hub(context: BackupContext, namespace: str, name: str) -> float | None:
    """There is no hub, or it is going: what is under way ends, and says so. Snapshots stay. Raises KubeError."""
    left = _unfinished(
        await context.kube.items(HUB_BACKUP, namespace), await context.kube.items(HUB_RESTORE, namespace), name
    )
    if not left:
        context.forget((namespace, name))
        return None
    kube = context.kube.live
    hub = await kube.get(PDSHUB, name, namespace)
    if hub is not None and not hub["metadata"].get("deletionTimestamp"):
        return SOON
    youngest = max(about.created for about in left)
    if hub is None and context.clock() - youngest < _UNKNOWN and not any(jobs.job_of(about) for about in left):
        return WAITING
    words = f"PDSHub {name} is being deleted" if hub else f"there is no PDSHub {name} in namespace {namespace}"
    going = terminating(await context.kube.get(NAMESPACE, namespace))
    for about in _unfinished(await kube.items(HUB_BACKUP, namespace), await kube.items(HUB_RESTORE, namespace), name):
        told = given_up(about, f"NoHub: {words}", rfc3339.text(context.clock()))
        if job := jobs.job_of(about) if not going else "":
            try:
                await jobs.remove(context, namespace, name, job)
            except KubeError as error:
                # a namespace that was closed: its Jobs end by themselves
                if error.status == 0:
                    raise
                log.info("%s/%s: Job %s stays: %s", namespace, name, job, error)
        await context.kube.patch(about.resource, about.name, {"status": told.status.wire()}, namespace, "status")
    context.forget((namespace, name))
    return None


def _unfinished(runs: list[Object], restores: list[Object], hub: str) -> list[Asked]:
    found: list[Asked] = [*runs_of(runs, hub), *restores_of(restores, hub)]
    return [about for about in found if getattr(about, "unfinished", False)]
