"""All reads of one look at a view, gathered into an Observation. Writes nothing."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from pydantic import ValidationError

from pdshub.api.refusal import refusal_words
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.kube import NAMESPACE, PDSHUB, Object
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import audience, decisions, deletion, surveyor_objects, surveyor_sync, volume_policies
from pdshub.reconcile.view.context import ObjectsSeen, ViewContext
from pdshub.reconcile.view.observation import Observation, SurveyorSeen
from pdshub.reconcile.view.surveyor_objects import SurveyorObjects
from pdshub.reconcile.view.update_policy import next_take_up, update_policy
from pdshub.render.names import VIEW_FINALIZER
from pdshub.render.surveyor import SurveyorNames
from pdshub.survey_api import SurveyError, Where

OBJECTS_SECONDS = 10.0
"""Seconds for which what was found of a running surveyor's objects is believed."""


def parse_status(view: Object) -> ArchiveViewStatus:
    """The status as it was written last; an unreadable one counts as none."""
    try:
        return ArchiveViewStatus.model_validate(view.get("status") or {})
    except ValidationError:
        return ArchiveViewStatus()


async def observe(context: ViewContext, view: Object, reports: Mapping[str, NodeReport], asked: bool) -> Observation:
    """One look at a view. ``asked``: the nodes were asked once at least. Raises KubeError."""
    meta = view["metadata"]
    name = str(meta["name"])
    seen = Observation(
        name=name,
        view=view,
        metadata_generation=int(meta.get("generation", 0)),
        before=parse_status(view),
        now=time.monotonic(),
        asked=asked,
        deleting=bool(meta.get("deletionTimestamp")),
        confirmed=deletion.confirmed(view),
        finalizer=VIEW_FINALIZER in (meta.get("finalizers") or []),
        inline=deletion.inline(view),
        reports=reports,
        allowed=context.installation.archive,
    )
    if not asked or (seen.deleting and (seen.confirmed or not seen.finalizer)):
        return seen
    hubs = await context.kube.items(PDSHUB)
    seen = replace(seen, users=deletion.users(view, hubs, reports), volumes=tuple(volume_policies.volumes(name, hubs)))
    if seen.deleting and not seen.users:
        return seen
    try:
        spec = ArchiveViewSpec.model_validate(view["spec"])
    except ValidationError as error:
        return replace(seen, invalid=refusal_words(error))
    seen = replace(seen, spec=spec, decisions=tuple(decisions.decisions(view, spec)))
    if spec.allowed_namespaces and spec.allowed_namespaces.selector:
        labels = {where: await _labels(context, where) for where in audience.namespaces_of(name, hubs)}
        seen = replace(seen, selected=audience.selected(spec.allowed_namespaces, labels))
    return replace(seen, surveyor=await surveyor(context, seen, spec)) if spec.cataloged else seen


async def _labels(context: ViewContext, namespace: str) -> dict[str, str]:
    found = await context.kube.get(NAMESPACE, namespace)
    return dict((found or {"metadata": {}})["metadata"].get("labels") or {})


async def surveyor(context: ViewContext, seen: Observation, spec: ArchiveViewSpec) -> SurveyorSeen:
    """The view's surveyor: its objects, and its answer where it runs. Raises KubeError."""
    memory = context.view(seen.name)
    memory.take_up = next_take_up(
        memory.take_up, seen.name, seen.metadata_generation, spec, seen.before, seen.reports, seen.now
    )
    behind = update_policy(memory.take_up, spec, seen.before, seen.now)
    found = SurveyorSeen(await _objects(context, seen, spec), behind=behind)
    return await answer(context, seen, found)


async def _objects(context: ViewContext, seen: Observation, spec: ArchiveViewSpec) -> SurveyorObjects:
    """The surveyor's objects. One that runs and lacks nothing is believed for a while. Raises KubeError."""
    memory = context.view(seen.name)
    key = f"{seen.metadata_generation} {context.installation.surveyor.model_dump_json()}"
    last = memory.objects
    if last and last.objects.runs and last.key == key and seen.now - last.at < OBJECTS_SECONDS:
        return last.objects
    names = SurveyorNames(context.installation.surveyor.namespace, seen.name)
    classes = await context.storage_classes()
    uid = str(seen.view["metadata"]["uid"])
    more = (names, spec, uid, context.installation, classes, await context.tls.due())
    found = await surveyor_objects.observe(context.kube, *more)
    if found.steps and context.kube is not context.kube.live:  # caches may be behind
        found = await surveyor_objects.observe(context.kube.live, *more)
    memory.objects = None if found.steps else ObjectsSeen(found, key, seen.now)
    return found


async def answer(context: ViewContext, seen: Observation, found: SurveyorSeen) -> SurveyorSeen:
    """The surveyor with its state, or with the last one while that counts, and why. Raises KubeError only."""
    memory, objects = context.view(seen.name), found.objects
    last = surveyor_sync.still_counts(memory.answer, seen.now)
    found = replace(found, told=memory.told, phase=memory.phase, user_changes=memory.user_changes)
    if not (objects.address and objects.runs):
        return replace(found, state=last, fresh=False, away=objects.trouble)
    try:
        state = await context.surveys.state(await context.tls.get(), Where(objects.address, seen.name))
        if state.view not in ("", seen.name):
            # an address that was given to another Service meanwhile
            raise SurveyError(f"the surveyor of {state.view} answers at {objects.address}")
    except SurveyError as error:
        return replace(found, state=last, fresh=False, away=str(error))
    wanted = surveyor_sync.surveys_wanted(seen.name, seen.reports)
    memory.requests = surveyor_sync.pass_on(memory.requests, wanted, state.survey.request, seen.now)
    phase = surveyor_sync.next_phase(memory.phase, state, seen.now)
    return replace(found, state=state, fresh=True, away="", requests=memory.requests, phase=phase)
