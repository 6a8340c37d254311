"""reconcile() of a PDSHub: the one way for every trigger."""

from __future__ import annotations

import asyncio
import logging

from pdshub import rfc3339
from pdshub.api.hub import PDSHubStatus
from pdshub.helm import HelmError
from pdshub.kube import PDSHUB, KubeError, Object
from pdshub.reconcile.common import events
from pdshub.reconcile.hub import writing
from pdshub.reconcile.hub.act import ACTS, EVENT_REASONS
from pdshub.reconcile.hub.backup.conditions import OWNED as BACKUPS
from pdshub.reconcile.hub.conditions import status as status_of
from pdshub.reconcile.hub.conditions import unobserved
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.decide import Action, Done, Kind, decide, no_progress, repeated, steps
from pdshub.reconcile.hub.drill.conditions import OWNED as DRILLS
from pdshub.reconcile.hub.facts import Facts
from pdshub.reconcile.hub.judge import basics, judge
from pdshub.reconcile.hub.observe import observe
from pdshub.reconcile.hub.people.conditions import OWNED as PEOPLE
from pdshub.reconcile.hub.recovering import RECOVERING
from pdshub.reconcile.hub.recovery.report import OWNED as RECOVERIES
from pdshub.reconcile.hub.upgrade import judge as upgrade

log = logging.getLogger(__name__)

OTHERS = (*PEOPLE, *BACKUPS, *DRILLS, *RECOVERIES)
"""Types of the conditions that other loops write."""

SETTLED = 60.0
"""Seconds until the next look at a hub that needs nothing; an event brings every look forward."""
UNSETTLED = 10.0
"""Seconds until the next look at a hub that waits for something which sends no event."""
STARTING = 1.0
"""Seconds until the next look at a hub whose pods are starting."""
_STEPS = 24
"""Acts in one go before others get their turn."""
_CONFLICTS = 3
"""Acts in one go that may be tried again because somebody else was quicker."""
_CATCH_UP = 0.2
"""Seconds before an action that seems to have changed nothing is judged: reads may lag behind a write."""


async def reconcile(context: HubContext, namespace: str, name: str) -> float | None:
    """Bring one hub nearer to its spec. Seconds until the next look is due; None when the hub is gone.

    Raises KubeError when the API server does not answer: the caller tries again.
    """
    conflicts = 0
    done: tuple[Done, ...] = ()
    for _ in range(_STEPS):
        hub, facts = await look(context, namespace, name)
        if hub is None:
            context.hubs.pop((namespace, name), None)
            return None
        if facts is None:
            return UNSETTLED
        action = decide(facts)
        if action.acts and context.kube is not context.kube.live:
            # caches may be behind: they may say that nothing is to be done, the API server decides what is
            context = context.live()
            continue
        if repeated(done, facts, action):
            await asyncio.sleep(_CATCH_UP)
            hub, facts = await look(context, namespace, name)
            if hub is None or facts is None:
                continue
            action = decide(facts)
            if again := repeated(done, facts, action):
                action = no_progress(facts, again)
        await report(context, hub, facts, action)
        if not action.acts:
            return pause(facts, action)
        log.info("%s/%s: %s %s", namespace, name, action.kind.value, action.message)
        try:
            happened = await ACTS[action.kind](context, facts)
        except KubeError as error:
            if error.status == 0 or (error.conflict and conflicts < _CONFLICTS):
                conflicts += error.conflict
                continue
            await blocked(context, facts, action, str(error))
            return UNSETTLED
        except HelmError as error:
            await blocked(context, facts, action, str(error))
            return UNSETTLED
        done = steps(facts, action)
        if happened:
            event = events.EventRecord(False, EVENT_REASONS[action.kind], happened)
            await events.publish(context.kube, hub, [event], namespace)
    return STARTING


async def look(context: HubContext, namespace: str, name: str) -> tuple[Object | None, Facts | None]:
    """The PDSHub and what it needs; no facts when it could not be looked at, which its status then says.

    Raises KubeError when the API server does not answer.
    """
    hub = await context.kube.get(PDSHUB, name, namespace)
    if hub is None:
        return None, None
    try:
        seen = await observe(context, hub)
        facts = judge(seen, context.installation, context.chart, context.kube.own)
        return hub, await upgrade.look(context, hub, facts)
    except KubeError as error:
        if error.status == 0:
            raise
        log.warning("%s/%s: the look failed: %s", namespace, name, error)
        why = str(error)
    except Exception as error:
        # whatever somebody wrote into an object that is read: it ends neither this loop nor goes unsaid
        log.exception("%s/%s: the look failed", namespace, name)
        why = f"{type(error).__name__}: {error}"
    facts = basics(hub)
    await publish(context, hub, unobserved(facts, why[:500], rfc3339.now()))
    return hub, None


def pause(facts: Facts, action: Action) -> float:
    """Seconds until the next look after an action that is none, or waits."""
    turn = (facts.upgrade.turn or facts.upgrade.copying) if facts.upgrade else None
    if turn is not None and not action.acts and action.reason == turn.reason:
        return turn.seconds
    if action.reason == RECOVERING:
        return UNSETTLED
    if action.kind is Kind.WAIT or (action.kind is Kind.STALL and facts.attempt.wait > 0):
        return max(STARTING, min(facts.attempt.wait, UNSETTLED))
    if facts.view is not None and facts.archive.ready is None:
        return UNSETTLED
    if action.kind is Kind.NOTHING and facts.drift is not None and any(not each.is_data for each in facts.drift.found):
        return UNSETTLED
    return UNSETTLED if action.kind is Kind.STALL and not facts.attempt.failures else SETTLED


async def report(context: HubContext, hub: Object, facts: Facts, action: Action) -> None:
    """Write the status and its events, if anything changed. A hub that is going needs neither, unless it stalls.

    Before its namespace is opened nothing is known of a hub: what was said of it stays for that moment.
    """
    if action.kind is Kind.GRANT or (facts.deleting and action.kind not in (Kind.UNINSTALL, Kind.STALL)):
        return
    after = status_of(facts, action, rfc3339.now())
    await publish(context, hub, after)


async def publish(context: HubContext, hub: Object, after: PDSHubStatus) -> None:
    """Write the status, and an event for each condition that turned; what other loops say stays."""

    def change(current: PDSHubStatus) -> PDSHubStatus:
        theirs = [c for c in current.conditions if c.type in OTHERS]
        mine = [c for c in after.conditions if c.type not in OTHERS]
        others = {"users": current.users, "recovery": current.recovery}
        return after.model_copy(update={"conditions": [*mine, *theirs], **others})

    await writing.change(context, hub, change)


async def blocked(context: HubContext, facts: Facts, action: Action, why: str) -> None:
    """Write into the conditions that an act could not be done and will be tried again."""
    log.warning("%s/%s: %s: %s", facts.names.namespace, facts.names.name, action.kind.value, why)
    stuck = Action(Kind.WAIT, "Blocked", f"{action.message or action.kind.value}: {why}")
    current = await context.kube.get(PDSHUB, facts.names.name, facts.names.namespace)
    if current is not None:
        await publish(context, current, status_of(facts, stuck, rfc3339.now()))
