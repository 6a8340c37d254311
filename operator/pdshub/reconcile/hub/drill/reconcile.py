"""reconcile() of a hub's drills: a loop of its own, so that hours of restoring for practice hold up nobody."""

from __future__ import annotations

import logging
from typing import Any

from pydantic import ValidationError

from pdshub import rfc3339
from pdshub.api.hub import PDSHubSpec
from pdshub.kube import PDSHUB, KubeError, Object
from pdshub.reconcile.hub import writing
from pdshub.reconcile.hub.backup.facts import Facts as Backups
from pdshub.reconcile.hub.drill import conditions, read, saved
from pdshub.reconcile.hub.drill.act import act, clean_up
from pdshub.reconcile.hub.drill.context import DrillContext
from pdshub.reconcile.hub.drill.decide import SETTLED, WAITING, decide, trouble
from pdshub.reconcile.hub.drill.facts import Facts
from pdshub.reconcile.hub.drill.record import Drills
from pdshub.reconcile.hub.drill.steps import Nothing
from pdshub.reconcile.hub.people.conditions import laid_into
from pdshub.reconcile.hub.people.read import acts_here
from pdshub.render.names import Names

log = logging.getLogger(__name__)

SOON = 1.0
_STEPS = 8
"""Steps in one look before others get their turn."""


async def reconcile(context: DrillContext, namespace: str, name: str) -> float | None:
    """Bring one hub's drills forward. Seconds until the next look; None when the hub is gone, or saves nothing.

    Raises KubeError when the API server does not answer: the caller tries again.
    """
    names = Names(namespace, name)
    hub = await context.kube.get(PDSHUB, name, namespace)
    if hub is None or hub["metadata"].get("deletionTimestamp") or not (hub.get("spec") or {}).get("backup"):
        # a hub that goes: what lies in the drills' namespace goes too, keys of its repository before all
        if context.namespace and not context.memory((namespace, name)).swept:
            try:
                await clean_up(context, Facts(Backups(names, context.backups.clock()), Drills(), context.namespace))
            except KubeError as error:
                if error.status not in (403, 404):
                    raise
                # there is no such namespace any more, or no right in it: what is left is looked for again by and by
                log.info("%s/%s: %s is not swept: %s", namespace, name, context.namespace, error)
        context.forget((namespace, name))
        return None
    if not await acts_here(context.kube, hub):
        return SETTLED
    try:
        spec = PDSHubSpec.model_validate(hub.get("spec") or {})
    except ValidationError:
        return SETTLED
    for _ in range(_STEPS):
        facts = await read.look(context, hub, names)
        step = decide(facts)
        if not isinstance(step, Nothing) and context.kube is not context.kube.live:
            # copies may be behind: they may say that nothing is to be done, the API server decides what is
            context = context.live()
            continue
        if isinstance(step, Nothing):
            await _report(context, hub, facts)
            return step.seconds
        if not await act(context, facts, hub, spec, step):
            await _report(context, hub, facts)
            return WAITING
    return SOON


async def _report(context: DrillContext, hub: Object, facts: Facts) -> None:
    """Write the condition about drills beside what other loops write."""
    first = saved.since(facts.backups.runs)
    drafts = conditions.verified(facts.settings, facts.drills, trouble(facts), facts.now, first)

    def change(status: Any) -> Any:
        generation, now = int(hub["metadata"].get("generation", 0)), rfc3339.text(facts.now)
        laid = laid_into(drafts, status.conditions, generation, now, conditions.OWNED)
        return status.model_copy(update={"conditions": laid})

    await writing.change(context.hubs, hub, change)
