"""reconcile() of an ArchiveView: a surveyor where it asks for one, the generation that users see, how it stands."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import Any

from pydantic import ValidationError

from pdshub import rfc3339
from pdshub.api.decision import Decision
from pdshub.api.generation import Gap, KeptGeneration, SurveyorStatus, SurveyStatus
from pdshub.api.refusal import refusal_words
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus
from pdshub.generation_id import short
from pdshub.kube import ARCHIVE_VIEW, PDSHUB, KubeError, Object
from pdshub.reconcile.common import events, finalizer, status
from pdshub.reconcile.common.conditions import ConditionDraft, merge_conditions
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view import conditions, decisions, deletion, surveyor_objects, surveyor_sync, volume_policies
from pdshub.reconcile.view import status as view_status
from pdshub.reconcile.view.act import surveyor
from pdshub.reconcile.view.context import SurveyorObjects, ViewContext, ViewMemory
from pdshub.reconcile.view.generations import Kept, Verdict, decide
from pdshub.reconcile.view.update_policy import UpdatePolicy, update_policy
from pdshub.render.names import VIEW_FINALIZER
from pdshub.render.surveyor import SurveyorNames
from pdshub.survey_api import State

log = logging.getLogger(__name__)

FIRST = 0.5
EVERY = 10.0
"""Seconds until the next look: silence of a node has to be noticed, and brings no event."""
SURVEYING = 1.0
"""The same while a survey runs."""
JUST_TOLD = 5.0
"""Seconds after a change was told for which the surveyor is looked at as often."""
STARTING = 3.0
"""The same until the first surveyor answers."""
OBJECTS_EVERY = 10.0
"""Seconds for which what was found of the surveyor's objects is believed."""


async def reconcile(context: ViewContext, name: str, reports: dict[str, NodeReport], asked: bool) -> float | None:
    """Bring one view nearer to its spec. Seconds until the next look; None when the view is gone.

    Until the nodes were ``asked`` a first time nothing is written: a restart of the operator is no outage.
    Raises KubeError when the API server does not answer.
    """
    view = await context.kube.get(ARCHIVE_VIEW, name)
    if view is None:
        context.views.pop(name, None)
        return None
    ours = VIEW_FINALIZER in (view["metadata"].get("finalizers") or [])
    deleting = bool(view["metadata"].get("deletionTimestamp"))
    if deleting and (not ours or deletion.confirmed(view)):
        if ours:
            await surveyor.remove(context, view)
        return EVERY
    if not asked:
        return FIRST
    hubs = await context.kube.items(PDSHUB)
    users = deletion.users(view, hubs, reports)
    if deleting and not users:
        await surveyor.remove(context, view)
        return EVERY
    holds = bool(users) and not deletion.inline(view)
    if holds and not ours:  # so that a deletion can wait for them
        await finalizer.put(context.kube, ARCHIVE_VIEW, name, None, VIEW_FINALIZER, present=True)
    generation = int(view["metadata"].get("generation", 0))
    before = parse_status(view)
    now, pause = rfc3339.now(), EVERY
    waiting: list[ConditionDraft] = [("Deleting", "True", "InUse", deletion.words(name, users))] if deleting else []
    try:
        spec = ArchiveViewSpec.model_validate(view["spec"])
    except ValidationError as error:
        refused: ConditionDraft = ("Ready", "False", "InvalidSpec", f"the spec is refused: {refusal_words(error)}")
        rows = merge_conditions([refused, *waiting], before.conditions, generation, now)
        after = before.model_copy(update={"observed_generation": generation, "conditions": rows})
    else:
        found, fields, lacks, behind = list[ConditionDraft](), dict[str, Any](), list[Gap](), UpdatePolicy()
        at, decided = time.monotonic(), decisions.decisions(view, spec)
        if spec.cataloged:
            found, fields, lacks, pause = await _cataloged(context, view, spec, before, reports, decided)
            behind = update_policy(context.view(name), name, generation, spec, before, reports, at)
        else:
            context.views.pop(name, None)
            if ours and not deleting and (_surveyed(before) or not holds):
                await surveyor.remove(context, view, hold=holds)
        fields |= {"volumes": volume_policies.volumes(name, hubs), "decisions": decided}
        found += waiting
        allowed = context.installation.archive
        after = view_status.status(
            name, spec, generation, before, reports, allowed, at, now, found, fields, lacks, behind
        )
    if await status.write(context.kube, ARCHIVE_VIEW, view, after):
        happened = [*events.happened(before.conditions, after.conditions), *news(before, after)]
        if before.observed_generation != after.observed_generation:
            happened = [*decisions.news(before.decisions, after.decisions), *happened]
        # events of a cluster-scoped object live in namespace default
        await events.publish(context.kube, view, happened, "default")
    return pause


def parse_status(view: Object) -> ArchiveViewStatus:
    """The status as it was written last; an unreadable one counts as none."""
    try:
        return ArchiveViewStatus.model_validate(view.get("status") or {})
    except ValidationError:
        return ArchiveViewStatus()


def news(before: ArchiveViewStatus, after: ArchiveViewStatus) -> list[events.EventRecord]:
    """A generation that users see from now on."""
    was, now = before.generation, after.generation
    if now is None or (was is not None and was.name == now.name):
        return []
    instead = f" instead of {short(was.name)}" if was else ""
    words = f"users see generation {short(now.name)}{instead}: {now.counts.files} files as of {now.as_of}"
    return [events.EventRecord(False, "GenerationReleased", words)]


def _surveyed(before: ArchiveViewStatus) -> bool:
    """Whether there may be a surveyor."""
    return any(condition.type == "Surveyed" for condition in before.conditions)


async def _cataloged(
    context: ViewContext,
    view: Object,
    spec: ArchiveViewSpec,
    before: ArchiveViewStatus,
    reports: dict[str, NodeReport],
    decided: list[Decision],
) -> tuple[list[ConditionDraft], dict[str, Any], list[Gap], float]:
    """A view with a surveyor: conditions, fields of the status, what users lack, seconds until the next look."""
    memory = context.view(str(view["metadata"]["name"]))
    objects = await _objects(context, memory, view, spec)
    state, error = surveyor_sync.remembered(memory), objects.trouble
    if objects.address and objects.runs:
        wish = partial(_wish, memory, view, spec, before, reports)
        state, error = await surveyor_sync.talk(context, memory, objects.address, wish)
    kept = surveyor_sync.kept(state) if state else None
    notes = {kind: decisions.said(decided, kind) for kind in ("Pinned", "Rejected")}
    verdict = decide(spec, before.generation, kept, before.candidate, notes)
    if state:
        verdict = await surveyor_sync.compared(context, memory, "" if error else objects.address, verdict, state)
    rows = [
        conditions.released(verdict, before.conditions),
        conditions.surveyed(objects, state, error),
        *conditions.drift(spec, verdict, state, before.conditions),
    ]
    # a survey that was just asked for has not begun yet
    told = time.monotonic() - memory.told_at < JUST_TOLD
    busy = state is not None and (state.survey.state == "running" or told)
    starting = state is None and objects.reason in ("", "NotRunning", "Settling") and not before.generation
    pause = SURVEYING if busy else STARTING if starting else EVERY
    return rows, _fields(memory, objects, state, verdict, before), _lacks(verdict, kept), pause


def _lacks(verdict: Verdict, kept: tuple[Kept, ...] | None) -> list[Gap]:
    """Layers that users lack. Who sees the sources live sees also what is still being copied."""
    if verdict.released:
        return verdict.released.gaps
    newest = list(kept[0].gaps) if kept else verdict.candidate.gaps if verdict.candidate else []
    return [gap for gap in newest if gap.found != "settling"]


async def _objects(context: ViewContext, memory: ViewMemory, view: Object, spec: ArchiveViewSpec) -> SurveyorObjects:
    """The surveyor's objects, made where they are missing. What is whole is believed for a while."""
    meta = view["metadata"]
    key = f"{meta.get('generation')} {context.installation.surveyor.model_dump_json()}"
    fresh = time.monotonic() - memory.seen_at < OBJECTS_EVERY
    if memory.seen and memory.seen.runs and memory.seen_key == key and fresh:
        return memory.seen
    names = SurveyorNames(context.system, str(meta["name"]))
    classes = await context.storage_classes()

    async def look() -> SurveyorObjects:
        return await surveyor_objects.observe(
            context.kube, names, spec, str(meta["uid"]), context.installation, classes
        )

    objects = await look()
    if objects.steps and not meta.get("deletionTimestamp"):
        try:
            await surveyor.make(context, view, objects)
        except KubeError as error:
            if error.status == 0 or error.conflict:
                raise
            log.warning("surveyor of %s: %s", names.view, error)
            return SurveyorObjects(address=objects.address, reason="Refused", trouble=f"it cannot be made: {error}")
        objects = await look()
    memory.seen, memory.seen_key, memory.seen_at = objects, key, time.monotonic()
    return objects


def _wish(
    memory: ViewMemory,
    view: Object,
    spec: ArchiveViewSpec,
    before: ArchiveViewStatus,
    reports: dict[str, NodeReport],
    known: str,
) -> dict[str, Any]:
    """PUT /spec. ``known`` is the request that the surveyor answered last."""
    meta = view["metadata"]
    name = str(meta["name"])
    annotation = str((meta.get("annotations") or {}).get(surveyor_sync.REFRESH, ""))
    wanted = surveyor_sync.wishes(name, reports)
    request = surveyor_sync.token(memory, annotation, wanted, known, time.monotonic())
    keep = surveyor_sync.keep(name, spec, before, reports)
    return surveyor_sync.body(name, int(meta.get("generation", 0)), spec, request, keep)


def _fields(
    memory: ViewMemory, objects: SurveyorObjects, state: State | None, verdict: Verdict, before: ArchiveViewStatus
) -> dict[str, Any]:
    """Fields of the status; what only the surveyor knows stays as it was while it is away."""
    fields: dict[str, Any] = {
        "surveyor": SurveyorStatus(address=objects.address) if objects.address else before.surveyor,
        "generation": verdict.released,
        "candidate": verdict.candidate,
        "generations": before.generations,
        "survey": before.survey,
    }
    if state:
        survey = state.survey
        fields["generations"] = [
            KeptGeneration(name=item.name, as_of=item.as_of, files=item.counts.files) for item in state.generations
        ]
        fields["survey"] = SurveyStatus(
            state=survey.state,
            message=surveyor_sync.message(memory, state, time.monotonic()),
            last_finished=survey.last_finished,
            request=surveyor_sync.asked_by_people(survey.request),
        )
    return fields
