"""The finalizer that keeps a deleted view while somebody uses it and until its surveyor is gone."""

from __future__ import annotations

from dataclasses import replace

from pdshub.kube import ARCHIVE_VIEW
from pdshub.reconcile.common.finalizer import put
from pdshub.reconcile.view.context import ViewContext
from pdshub.reconcile.view.observation import Action, Observation
from pdshub.render.names import VIEW_FINALIZER


async def add(context: ViewContext, seen: Observation) -> Observation:
    """Before anything is made. Raises KubeError, with a conflict when somebody else was quicker."""
    await put(context.kube, ARCHIVE_VIEW, seen.name, None, VIEW_FINALIZER, present=True)
    return replace(seen, finalizer=True, done=seen.done | {Action.ADD_FINALIZER})
