"""reconcile() of a PDSHub: the one way for every trigger."""

from __future__ import annotations

import logging

from pdshub import rfc3339
from pdshub.api.hub import PDSHubStatus
from pdshub.helm import HelmError
from pdshub.kube import PDSHUB, KubeError, Object
from pdshub.reconcile.common import events, status
from pdshub.reconcile.hub.act import ACTS
from pdshub.reconcile.hub.conditions import status as status_of
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.decide import Action, Kind, decide
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.observe import observe

log = logging.getLogger(__name__)

SETTLED = 60.0
UNSETTLED = 10.0
STARTING = 1.0
"""Seconds until the next look; an event brings it forward."""
_STEPS = 24
"""Acts in one go before others get their turn: a hub that never settles must not spin."""


async def reconcile(context: HubContext, namespace: str, name: str) -> float | None:
    """Bring one hub nearer to its spec. Seconds until the next look is due; None when the hub is gone.

    Raises KubeError when the API server does not answer: the caller tries again.
    """
    for _ in range(_STEPS):
        hub = await context.kube.get(PDSHUB, name, namespace)
        if hub is None:
            context.hubs.pop((namespace, name), None)
            return None
        facts = await observe(context, hub)
        action = decide(facts)
        await report(context, hub, facts, action)
        if not action.acts:
            return pause(facts, action)
        log.info("%s/%s: %s %s", namespace, name, action.kind.value, action.message)
        try:
            said = await ACTS[action.kind](context, facts)
        except KubeError as error:
            if error.conflict or error.status == 0:
                continue
            said = ""
            await blocked(context, hub, facts, action, str(error))
            return UNSETTLED
        except HelmError as error:
            await blocked(context, hub, facts, action, str(error))
            return UNSETTLED
        if said:
            await events.publish(
                context.kube, hub, [events.EventRecord(False, action.kind.name.title(), said)], namespace
            )
    return STARTING


def pause(facts: Facts, action: Action) -> float:
    """Seconds until the next look."""
    if action.kind is Kind.WAIT or (action.kind is Kind.STALL and facts.attempt.wait > 0):
        return max(STARTING, min(facts.attempt.wait, UNSETTLED))
    if facts.view is not None and facts.archive.ready is None:
        return UNSETTLED
    return UNSETTLED if action.kind is Kind.STALL and not facts.attempt.failures else SETTLED


async def report(context: HubContext, hub: Object, facts: Facts, action: Action) -> None:
    """Write the status and its events, if anything changed. A hub that is going needs neither."""
    if facts.deleting and action.kind is not Kind.UNINSTALL:
        return
    after = status_of(facts, action, rfc3339.now())
    await publish(context, hub, facts.status, after)


async def publish(context: HubContext, hub: Object, before: PDSHubStatus, after: PDSHubStatus) -> None:
    """Status, and an event for each condition that turned."""
    if await status.write(context.kube, PDSHUB, hub, after):
        happened = events.happened(before.conditions, after.conditions)
        await events.publish(context.kube, hub, happened, hub["metadata"]["namespace"])


async def blocked(context: HubContext, hub: Object, facts: Facts, action: Action, why: str) -> None:
    """An act that could not be done: said in the conditions, and tried again."""
    log.warning("%s/%s: %s: %s", facts.names.namespace, facts.names.name, action.kind.value, why)
    stuck = Action(Kind.WAIT, "Blocked", f"{action.message or action.kind.value}: {why}")
    current = await context.kube.get(PDSHUB, facts.names.name, facts.names.namespace)
    if current is not None:
        await publish(context, current, facts.status, status_of(facts, stuck, rfc3339.now()))
