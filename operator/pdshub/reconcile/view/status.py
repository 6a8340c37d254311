"""An observation to the status of a view, and to the events of what changed. Pure."""

from __future__ import annotations

from typing import Any

from pdshub.api.generation import KeptGeneration, SurveyorStatus, SurveyStatus
from pdshub.api.survey import SurveyState
from pdshub.api.view import ArchiveViewStatus, observed_tree
from pdshub.generation_id import short
from pdshub.reconcile.common import events
from pdshub.reconcile.common.conditions import ConditionDraft, merge_conditions, truth
from pdshub.reconcile.view import conditions, decisions, deletion, readiness, surveyor_sync
from pdshub.reconcile.view.decide import lacks, shown_verdict
from pdshub.reconcile.view.generations import Verdict
from pdshub.reconcile.view.observation import Observation, SurveyorSeen


def status_of(seen: Observation, stamp: str) -> ArchiveViewStatus:
    """The whole status. ``stamp``: the moment of the look as RFC 3339 text."""
    waiting: list[ConditionDraft] = []
    if seen.deleting:
        waiting.append(("Deleting", "True", "InUse", deletion.in_use_message(seen.name, seen.users)))
    if seen.spec is None:
        return _invalid(seen, stamp, waiting)
    behind = seen.surveyor.behind if seen.surveyor else readiness.AT_ONCE
    sources = readiness.source_states(seen.name, seen.spec, seen.reports, seen.allowed, seen.now)
    nodes = readiness.node_states(seen.name, seen.metadata_generation, seen.reports, seen.now, behind)
    ready = readiness.readiness(
        seen.name, seen.spec, seen.metadata_generation, sources, nodes, seen.reports, seen.now, behind, lacks(seen)
    )
    verdict = shown_verdict(seen)
    drafts: list[ConditionDraft] = [("Ready", truth(ready.ready), ready.reason, ready.message)]
    fields: dict[str, Any] = {}
    if seen.surveyor and verdict:
        found = seen.surveyor
        drafts += [
            conditions.released(verdict, seen.before.conditions),
            conditions.surveyed(found.objects, found.state, found.away),
            *conditions.drift(seen.spec, verdict, found.state, seen.before.conditions, seen.before.generation),
            *conditions.local(seen.spec, verdict, found.state, nodes, seen.before.conditions),
        ]
        fields = _surveyor_fields(found, verdict, seen.before)
    drafts += [*waiting, *conditions.intact(nodes)]
    return ArchiveViewStatus(
        observed_generation=seen.metadata_generation,
        observed_tree=observed_tree(seen.spec),
        form=", ".join(sorted({row.form for row in nodes} - {""})),
        sources=[source.status for source in sources],
        nodes=nodes,
        volumes=list(seen.volumes),
        selected_namespaces=seen.selected,
        decisions=list(seen.decisions),
        conditions=merge_conditions(drafts, seen.before.conditions, seen.metadata_generation, stamp),
        **fields,
    )


def _invalid(seen: Observation, stamp: str, waiting: list[ConditionDraft]) -> ArchiveViewStatus:
    """Everything but the conditions stays: nodes go on with what they have."""
    refused: ConditionDraft = ("Ready", "False", "InvalidSpec", f"the spec is refused: {seen.invalid}")
    made = merge_conditions([refused, *waiting], seen.before.conditions, seen.metadata_generation, stamp)
    return seen.before.model_copy(update={"observed_generation": seen.metadata_generation, "conditions": made})


def _surveyor_fields(found: SurveyorSeen, verdict: Verdict, before: ArchiveViewStatus) -> dict[str, Any]:
    """Fields of the status; what only the surveyor knows stays as it was while it is away."""
    at = found.objects
    fields: dict[str, Any] = {
        "surveyor": SurveyorStatus(address=at.address, namespace=at.namespace) if at.address else before.surveyor,
        "generation": verdict.released,
        "candidate": verdict.candidate,
        "generations": before.generations,
        "survey": before.survey,
    }
    if found.state:
        survey = found.state.survey
        fields["generations"] = [
            KeptGeneration(name=item.name, as_of=item.as_of, files=item.counts.files)
            for item in found.state.generations
        ]
        fields["survey"] = SurveyStatus(
            state=survey.state,
            message=found.phase.text if survey.state == SurveyState.RUNNING else survey.message,
            last_finished=survey.last_finished or "",
            request=surveyor_sync.asked_by_people(survey.request),
            cost=survey.cost,
        )
    return fields


def events_of(before: ArchiveViewStatus, after: ArchiveViewStatus) -> list[events.EventRecord]:
    """The events of a status that changed: decisions of people, conditions, and a generation that users see."""
    happened = [*events.happened(before.conditions, after.conditions), *_released(before, after)]
    if before.observed_generation != after.observed_generation:
        return [*decisions.decision_events(before.decisions, after.decisions), *happened]
    return happened


def _released(before: ArchiveViewStatus, after: ArchiveViewStatus) -> list[events.EventRecord]:
    was, now = before.generation, after.generation
    if now is None or (was is not None and was.name == now.name):
        return []
    instead = f" instead of {short(was.name)}" if was else ""
    message = f"users see generation {short(now.name)}{instead}: {now.counts.files} files as of {now.as_of}"
    return [events.EventRecord(False, "GenerationReleased", message)]
