"""reconcile() of a hub that comes back from its backup: a loop of its own, so that hours of copying hold up nobody."""

from __future__ import annotations

from typing import Any

from pdshub import rfc3339
from pdshub.kube import PDSHUB, Object
from pdshub.reconcile.hub import writing
from pdshub.reconcile.hub.backup.decide import SETTLED, WAITING
from pdshub.reconcile.hub.people.conditions import laid_into
from pdshub.reconcile.hub.people.read import acts_here
from pdshub.reconcile.hub.recovery import read, report
from pdshub.reconcile.hub.recovery.act import act
from pdshub.reconcile.hub.recovery.context import RecoveryContext
from pdshub.reconcile.hub.recovery.decide import decide
from pdshub.reconcile.hub.recovery.facts import Facts
from pdshub.reconcile.hub.recovery.steps import Nothing, Step
from pdshub.render.names import Names

SOON = 1.0
_STEPS = 24
"""Steps in one look before others get their turn."""


async def reconcile(context: RecoveryContext, namespace: str, name: str) -> float | None:
    """Bring one hub's recovery forward. Seconds until the next look; None when the hub is gone, or begins otherwise.

    Raises KubeError when the API server does not answer or refuses: the caller tries again.
    """
    hub = await context.kube.get(PDSHUB, name, namespace)
    if hub is None or hub["metadata"].get("deletionTimestamp") or not (hub.get("spec") or {}).get("bootstrap"):
        context.forget((namespace, name))  # its Jobs and its record go with the PDSHub
        return None
    if not await acts_here(context.kube, hub):
        return SETTLED
    names = Names(namespace, name)
    before: Step | None = None
    for _ in range(_STEPS):
        facts = await read.look(context, hub, names)
        step = decide(facts)
        if not isinstance(step, Nothing) and context.kube is not context.kube.live:
            # copies may be behind: they may say that nothing is to be done, the API server decides what is
            context = context.live()
            continue
        if isinstance(step, Nothing) or step == before:
            await _report(context, hub, facts)
            return step.seconds if isinstance(step, Nothing) else WAITING
        if not await act(context, facts, hub, step):
            await _report(context, hub, await read.look(context, hub, names))
            return WAITING
        before = step
    await _report(context, hub, await read.look(context, hub, names))
    return SOON


async def _report(context: RecoveryContext, hub: Object, facts: Facts) -> None:
    """Write how far it is beside what other loops write; whoever waits for it is told when the phase turns."""
    if facts.recovery is None:
        return
    said = report.status(facts)
    draft = report.condition(facts, said)
    turned = False

    def change(status: Any) -> Any:
        nonlocal turned
        turned = status.recovery is None or status.recovery.phase != said.phase
        generation, now = int(hub["metadata"].get("generation", 0)), rfc3339.text(facts.now)
        laid = laid_into([draft], status.conditions, generation, now, report.OWNED)
        return status.model_copy(update={"conditions": laid, "recovery": said})

    await writing.change(context.hubs, hub, change)
    if turned:
        context.told((facts.names.namespace, facts.names.name))
