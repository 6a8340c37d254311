"""Tells a view's surveyor what is wanted of it."""

from __future__ import annotations

from dataclasses import replace

from pdshub.reconcile.view import observe, surveyor_sync
from pdshub.reconcile.view.context import ViewContext
from pdshub.reconcile.view.decide import desired_view
from pdshub.reconcile.view.observation import Action, Observation
from pdshub.survey_api import SurveyError, Where


async def act(context: ViewContext, seen: Observation) -> Observation:
    """PUT /spec, then its state again. A surveyor that refuses counts as one that is away. Raises KubeError."""
    found = seen.surveyor
    assert found is not None  # noqa: S101 - decide saw its state
    memory, done, desired = context.view(seen.name), seen.done | {Action.TELL}, desired_view(seen, found)
    try:
        where = Where(found.objects.address, seen.name)
        await context.surveys.put_spec(await context.tls.get(), where, desired)
    except SurveyError as error:
        last = surveyor_sync.still_counts(memory.answer, seen.now)
        return replace(seen, surveyor=replace(found, state=last, fresh=False, away=str(error)), done=done)
    found = await observe.answer(context, seen, found)
    if found.fresh and found.state is not None:
        memory.told = surveyor_sync.Told(surveyor_sync.desired_digest(desired), found.state.spec, seen.now)
    return replace(seen, surveyor=replace(found, told=memory.told), done=done)
