"""reconcile() of an ArchiveView: the one way for every trigger."""

from __future__ import annotations

import logging

from pdshub import rfc3339
from pdshub.api.survey import SurveyState
from pdshub.kube import ARCHIVE_VIEW
from pdshub.reconcile.common import events, status
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view.act import ACTS
from pdshub.reconcile.view.context import ViewContext
from pdshub.reconcile.view.decide import decide
from pdshub.reconcile.view.observation import Action, Observation
from pdshub.reconcile.view.observe import observe
from pdshub.reconcile.view.status import events_of, status_of
from pdshub.reconcile.view.surveyor_sync import LastAnswer
from pdshub.tenant import EVENTS

log = logging.getLogger(__name__)

FIRST = 0.5
"""Seconds until the next look while the nodes were not asked yet."""
EVERY = 10.0
"""Seconds until the next look: silence of a node has to be noticed, and brings no event."""
SURVEYING = 1.0
"""The same while a survey runs."""
JUST_TOLD = 5.0
"""Seconds after a change was told for which the surveyor is looked at as often: its survey has not begun yet."""
STARTING = 3.0
"""Seconds until the next look before the first surveyor answers."""


async def reconcile(context: ViewContext, name: str, reports: dict[str, NodeReport], asked: bool) -> float | None:
    """Bring one view nearer to its spec. Seconds until the next look; None when the view is gone.

    Until the nodes were ``asked`` a first time nothing is written: a restart of the operator is no outage.
    Raises KubeError when the API server does not answer.
    """
    view = await context.kube.get(ARCHIVE_VIEW, name)
    if view is None:
        context.views.pop(name, None)
        return None
    seen = await observe(context, view, reports, asked)
    while act := ACTS.get(action := decide(seen)):
        if action in (Action.LET_GO, Action.REMOVE_SURVEYOR) and context.kube is not context.kube.live:
            # caches may be behind: what takes something away is decided by the API server
            return await reconcile(context.live(), name, reports, asked)
        log.debug("%s: %s", name, action.value)
        seen = await act(context, seen)
    if action is Action.REPORT:
        await report(context, seen)
    return pause(seen)


async def report(context: ViewContext, seen: Observation) -> None:
    """Write the status and its events, if anything changed, and remember what the surveyor said. Raises KubeError."""
    remember(context, seen)
    after = status_of(seen, rfc3339.now())
    if await status.write(context.kube, ARCHIVE_VIEW, seen.view, after):
        # events of a cluster-scoped object live in namespace default
        await events.publish(context.kube, seen.view, events_of(seen.before, after), EVENTS)


def remember(context: ViewContext, seen: Observation) -> None:
    """Keep the answer of a surveyor that knows what is wanted of it; forget a view that has none."""
    found = seen.surveyor
    if found is None:
        if seen.spec is not None:
            context.views.pop(seen.name, None)
        return
    memory = context.view(seen.name)
    memory.phase = found.phase
    if found.fresh and found.state is not None:
        memory.answer = LastAnswer(found.state, seen.now)


def pause(seen: Observation) -> float:
    """Seconds until the next look."""
    if not seen.asked and not (seen.deleting and (seen.confirmed or not seen.finalizer)):
        return FIRST
    found = seen.surveyor
    if found is None:
        return EVERY
    told = found.told.at is not None and seen.now - found.told.at < JUST_TOLD
    if found.state is not None:
        return SURVEYING if told or found.state.survey.state == SurveyState.RUNNING else EVERY
    obstacle = found.objects.obstacle
    starting = (obstacle is None or obstacle.passes) and not seen.before.generation
    return STARTING if starting else EVERY
