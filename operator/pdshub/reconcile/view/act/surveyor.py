"""Makes a view's surveyor, and takes it away."""

from __future__ import annotations

from pdshub.kube import ARCHIVE_VIEW, Object
from pdshub.reconcile.common import finalizer
from pdshub.reconcile.common.write import write
from pdshub.reconcile.view import surveyor_objects
from pdshub.reconcile.view.context import SurveyorObjects, ViewContext
from pdshub.render.names import VIEW_FINALIZER
from pdshub.render.surveyor import SurveyorNames


async def make(context: ViewContext, view: Object, objects: SurveyorObjects) -> None:
    """The finalizer first: nothing is made that would be left behind. Raises KubeError."""
    if objects.steps and VIEW_FINALIZER not in (view["metadata"].get("finalizers") or []):
        await finalizer.put(context.kube, ARCHIVE_VIEW, view["metadata"]["name"], None, VIEW_FINALIZER, present=True)
    for step in objects.steps:
        await write(context.kube, step)


async def remove(context: ViewContext, view: Object, *, hold: bool = False) -> None:
    """Delete what is left; once all of it is going, the view may go, unless it is to ``hold``. Raises KubeError.

    Kubernetes keeps claims and volumes while a pod uses them: nothing here waits for a node that is away.
    """
    meta = view["metadata"]
    names = SurveyorNames(context.system, str(meta["name"]))
    keep = (meta.get("annotations") or {}).get(surveyor_objects.KEEP_STORE) == "true"
    found = await surveyor_objects.read(context.kube, names)
    places = surveyor_objects.places(names)
    for part in surveyor_objects.left(found, names, keep):
        resource, name = places[part]
        await context.kube.delete(resource, name, names.namespace if resource.namespaced else None)
    await finalizer.put(context.kube, ARCHIVE_VIEW, names.view, None, VIEW_FINALIZER, present=hold)
