"""Asks a view's surveyor what a candidate changes for users."""

from __future__ import annotations

from dataclasses import replace

from pdshub.reconcile.view import comparison
from pdshub.reconcile.view.context import ViewContext
from pdshub.reconcile.view.decide import pair_to_compare
from pdshub.reconcile.view.observation import Action, Observation
from pdshub.survey_api import SurveyError, Where


async def act(context: ViewContext, seen: Observation) -> Observation:
    """GET /diff. Numbers that are known stand until there are others; why there are none is kept. Raises KubeError."""
    found, pair = seen.surveyor, pair_to_compare(seen)
    assert found is not None and found.state is not None and pair is not None  # noqa: S101 - decide saw them
    known, failure = comparison.known(found.user_changes, pair), ""
    try:
        where = Where(found.objects.address, seen.name)
        changes = await context.surveys.changes(await context.tls.get(), where, *pair)
    except SurveyError as error:
        changes, failure = None, str(error)
    if changes is not None:
        known = replace(known, changes=changes, failure="", surveyed=comparison.survey_of(pair[0], found.state))
    else:
        known = replace(known, failure=failure)
    context.view(seen.name).user_changes = known
    return replace(seen, surveyor=replace(found, user_changes=known), done=seen.done | {Action.COMPARE})
