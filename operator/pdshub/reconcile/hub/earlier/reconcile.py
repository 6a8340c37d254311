"""reconcile() of what a hub's people ask of their earlier versions: fetched from the hub, done, answered to it.

The hub waits with its answer until somebody asks something, so a settled hub costs a request in WAIT seconds. Nothing
is remembered that matters: the Job and the HubRestore of a question have names that follow from it.
"""

from __future__ import annotations

import logging
import time

from pdshub import hub_api
from pdshub.hub_api import HubClient, HubError
from pdshub.kube import HUB_RESTORE, JOB, PDSHUB, POD, Kube, Object
from pdshub.reconcile.hub.backup import read as backups
from pdshub.reconcile.hub.earlier import questions
from pdshub.reconcile.hub.earlier.act import act, remove_look
from pdshub.reconcile.hub.earlier.context import EarlierContext, EarlierMemory
from pdshub.reconcile.hub.earlier.decide import LOOKS, RESTORES, Say, Seen, beyond, decide, left_over
from pdshub.reconcile.hub.earlier.look import LOOK_LABELS
from pdshub.reconcile.hub.earlier.questions import Questions, QuestionsError
from pdshub.reconcile.hub.people import read as people
from pdshub.reconcile.hub.people.read import acts_here
from pdshub.render.names import BACKUP_LABELS, HUB_LABEL, Names

log = logging.getLogger(__name__)

WAIT = 25
"""Seconds for which a hub may wait for a question."""
PAUSE, WORKING = 0.5, 1.0
"""Seconds between two questions to a hub, and while something of what was asked is being done."""
RETRIES = (5.0, 10.0, 30.0, 60.0)
"""Seconds before a hub that does not answer is asked again."""
AGAIN = 60.0
"""Seconds after which the same is said once more: the hub gives a question up of which nothing is said."""


async def reconcile(context: EarlierContext, namespace: str, name: str) -> float | None:
    """Ask one hub once, and do what its people want. Seconds until the next time; None for a hub without backups.

    Raises KubeError when the API server does not answer: the caller tries again.
    """
    hub = await context.kube.get(PDSHUB, name, namespace)
    if hub is None or hub["metadata"].get("deletionTimestamp") or not has_backups(hub):
        context.forget((namespace, name))
        return None
    if not (hub.get("status") or {}).get("revision") or not await acts_here(context.kube, hub):
        return RETRIES[-1]
    names, memory = Names(namespace, name), context.memory((namespace, name))
    try:
        await _talk(context, memory, hub, names)
    except (HubError, QuestionsError) as error:
        if str(error) != memory.why:
            log.info("%s/%s: its people's questions are not read: %s", namespace, name, error)
        memory.why, memory.errors = str(error), memory.errors + 1
        return RETRIES[min(memory.errors, len(RETRIES)) - 1]
    memory.why, memory.errors = "", 0
    # who asks for much without rest waits as long as it takes: the operator has other hubs
    return max(WORKING if memory.open else PAUSE, memory.spent)


async def _talk(context: EarlierContext, memory: EarlierMemory, hub: Object, names: Names) -> None:
    """One exchange with the hub. Raises HubError, QuestionsError, KubeError."""
    token = await people.token(context.kube, names, memory.token)
    if not token:
        raise HubError(f"Secret {names.keys} has no token of the operator")
    base = hub_api.base_url((hub.get("spec") or {}).get("values"))
    async with hub_api.connect(context.kube, names.namespace, base, token) as client:
        wait = 0 if memory.open else WAIT
        found = questions.read(await client.questions(memory.run, memory.last, wait))
        memory.run, memory.last = found.run, found.last
        if found.asked or found.bad or not memory.swept:
            began = time.monotonic()
            await answer_all(context, memory, hub, names, client, found)
            memory.spent = time.monotonic() - began
        else:
            memory.open, memory.spent = False, 0.0


async def answer_all(
    context: EarlierContext, memory: EarlierMemory, hub: Object, names: Names, client: HubClient, found: Questions
) -> None:
    """Do the next step of each question, and sweep what nobody waits for. Raises HubError, KubeError."""
    for id in found.bad:
        await client.answer(Say(id, True, False, "BadRequest", "That cannot be asked for.").wire(found.run))
    if any(one.what != "list" for one in found.asked):
        context = context.live()
    seen = await _seen(context, memory, hub, names)
    memory.open, told = False, dict(memory.told)
    memory.told.clear()
    for one in found.asked:
        step = decide(one, seen)
        if not isinstance(step, Say):
            step = await act(context, seen, step)
            seen = await _seen(context, memory, hub, names)
        if step.done:
            await client.answer(step.wire(found.run))
            if step.job:
                await remove_look(context.kube, names.namespace, step.job)
            continue
        memory.open = True
        memory.told[one.id] = await _tell(client, found.run, step, told.get(one.id))
    await _sweep(context.kube, memory, names, seen, found)


async def _tell(client: HubClient, run: str, step: Say, before: tuple[str, float] | None) -> tuple[str, float]:
    """Say how far a question is, where that changed, or was said long ago."""
    now = time.monotonic()
    if before is not None and before[0] == step.message and now - before[1] < AGAIN:
        return before
    await client.answer(step.wire(run))
    return step.message, now


async def _seen(context: EarlierContext, memory: EarlierMemory, hub: Object, names: Names) -> Seen:
    facts = await backups.look(context.backups, hub, names)
    jobs = {str(job["metadata"]["name"]): job for job in await _looks(context.kube, names)}
    pods = await _pods(context.kube, names) if jobs else []
    now = time.monotonic()
    left = memory.looks.take(now, LOOKS), memory.restores.take(now, RESTORES)
    return Seen(facts, jobs, tuple(pods), *left)


async def _looks(kube: Kube, names: Names) -> list[Object]:
    return await kube.live.items(JOB, names.namespace, labels=_labels({**LOOK_LABELS, HUB_LABEL: names.name}))


async def _pods(kube: Kube, names: Names) -> list[Object]:
    return await kube.live.items(POD, names.namespace, labels=_labels({**BACKUP_LABELS, HUB_LABEL: names.name}))


def _labels(pairs: dict[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs.items())


async def _sweep(kube: Kube, memory: EarlierMemory, names: Names, seen: Seen, found: Questions) -> None:
    for job in left_over(seen.jobs, names.name, found.asked):
        await remove_look(kube, names.namespace, job)
    memory.swept = not seen.jobs
    for name in beyond(seen.facts.restores):
        await kube.delete(HUB_RESTORE, name, names.namespace)


def has_backups(item: Object | None) -> bool:
    """Whether a PDSHub is one whose people can ask: it has backups."""
    return bool(((item or {}).get("spec") or {}).get("backup"))
