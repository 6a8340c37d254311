"""Makes a view's surveyor, and takes it away."""

from __future__ import annotations

import logging
from dataclasses import replace

from pdshub import tls_names
from pdshub.kube import ARCHIVE_VIEW, KubeError
from pdshub.reconcile.common import finalizer
from pdshub.reconcile.common.objects import Step
from pdshub.reconcile.common.write import write
from pdshub.reconcile.view import observe, surveyor_objects
from pdshub.reconcile.view.context import ViewContext
from pdshub.reconcile.view.observation import Action, Observation
from pdshub.reconcile.view.surveyor_objects import Obstacle, SurveyorObjects
from pdshub.render.names import VIEW_FINALIZER
from pdshub.render.surveyor import SurveyorNames

log = logging.getLogger(__name__)


async def make(context: ViewContext, seen: Observation) -> Observation:
    """Write what is missing or differs, and look again. What the API server refuses is an obstacle of the surveyor.

    Raises KubeError where the API server does not answer, or somebody else was quicker.
    """
    assert seen.surveyor is not None and seen.spec is not None  # noqa: S101 - decide saw steps
    done, objects = seen.done | {Action.MAKE_SURVEYOR}, seen.surveyor.objects
    try:
        for step in objects.steps:
            await write(context.kube, await _certified(context, seen, step))
    except KubeError as error:
        if error.status == 0 or error.conflict:
            raise
        log.warning("surveyor of %s: %s", seen.name, error)
        why = f"it cannot be made: {error}"
        refused = SurveyorObjects(
            address=objects.address,
            namespace=objects.namespace,
            obstacle=Obstacle.REFUSED,
            trouble=why,
            exists=objects.exists,
        )
        found = await observe.answer(context, seen, replace(seen.surveyor, objects=refused))
        return replace(seen, surveyor=found, done=done)
    return replace(seen, surveyor=await observe.surveyor(context, seen, seen.spec), done=done)


async def _certified(context: ViewContext, seen: Observation, step: Step) -> Step:
    """A step that can be written: keys are made no sooner, and no observation holds one. Raises KubeError."""
    if step.how != surveyor_objects.CERTIFY:
        return step
    body = await context.tls.surveyor_secret(dict(step.body), tls_names.surveyor(seen.name))
    return replace(step, body=body, how="apply")


async def remove(context: ViewContext, seen: Observation) -> Observation:
    """Delete what is left of a surveyor; the finalizer stays only where users hold the view. Raises KubeError."""
    await _delete(context, seen)
    await finalizer.put(context.kube, ARCHIVE_VIEW, seen.name, None, VIEW_FINALIZER, present=seen.holds)
    return replace(seen, finalizer=seen.holds, done=seen.done | {Action.REMOVE_SURVEYOR})


async def let_go(context: ViewContext, seen: Observation) -> Observation:
    """Delete what is left of a surveyor; once all of it is going, the view may go. Raises KubeError."""
    await _delete(context, seen)
    await finalizer.put(context.kube, ARCHIVE_VIEW, seen.name, None, VIEW_FINALIZER, present=False)
    return replace(seen, finalizer=False, done=seen.done | {Action.LET_GO})


async def _delete(context: ViewContext, seen: Observation) -> None:
    """Kubernetes keeps claims and volumes while a pod uses them: nothing here waits for a node that is away."""
    names = SurveyorNames(context.installation.surveyor.namespace, seen.name)
    annotations = seen.view["metadata"].get("annotations") or {}
    keep = annotations.get(surveyor_objects.KEEP_STORE) == "true"
    found = await surveyor_objects.read(context.kube, names)
    places = surveyor_objects.places(names)
    for part in surveyor_objects.left(found, names, keep):
        resource, name = places[part]
        await context.kube.delete(resource, name, names.namespace if resource.namespaced else None)
