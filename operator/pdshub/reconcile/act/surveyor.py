"""Makes a view's surveyor, and takes it away."""

from __future__ import annotations

from pdshub.kube import ARCHIVE_VIEW, Object
from pdshub.reconcile import surveyors
from pdshub.reconcile.act import finalizer
from pdshub.reconcile.act.write import write
from pdshub.reconcile.facts import SurveyorObjects
from pdshub.reconcile.world import World
from pdshub.render.names import VIEW_FINALIZER
from pdshub.render.surveyor import SurveyorNames


async def make(world: World, view: Object, objects: SurveyorObjects) -> None:
    """The finalizer first: nothing is made that would be left behind. Raises KubeError."""
    if objects.steps and VIEW_FINALIZER not in (view["metadata"].get("finalizers") or []):
        await finalizer.put(world.kube, ARCHIVE_VIEW, view["metadata"]["name"], None, VIEW_FINALIZER, present=True)
    for step in objects.steps:
        await write(world.kube, step)


async def remove(world: World, view: Object, *, hold: bool = False) -> None:
    """Delete what is left; once all of it is going, the view may go, unless it is to ``hold``. Raises KubeError.

    Kubernetes keeps claims and volumes while a pod uses them: nothing here waits for a node that is away.
    """
    meta = view["metadata"]
    names = SurveyorNames(world.system, str(meta["name"]))
    keep = (meta.get("annotations") or {}).get(surveyors.KEEP_STORE) == "true"
    found = await surveyors.read(world.kube, names)
    places = surveyors.places(names)
    for part in surveyors.left(found, names, keep):
        resource, name = places[part]
        await world.kube.delete(resource, name, names.namespace if resource.namespaced else None)
    await finalizer.put(world.kube, ARCHIVE_VIEW, names.view, None, VIEW_FINALIZER, present=hold)
