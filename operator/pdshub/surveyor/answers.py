"""What the surveyor answers: its state as the models of api/survey.py. Times as RFC 3339."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import ValidationError

from pdshub import rfc3339
from pdshub.api.survey import Answer, Audit, Comparison, Generation, Reading, State, SurveyProgress, SurveyState
from pdshub.surveyor.store import Entry
from pdshub.surveyor.surveyor import Surveyor

_NOT_TOLD = ("seconds", "newest")
"""Keys of a check's result by which the surveyor knows when it is due again."""
_READING = {field.alias or name for name, field in Reading.model_fields.items()}
_Check = TypeVar("_Check", bound=Answer)


def survey_state(s: Surveyor) -> SurveyState:
    """What the surveyor does."""
    if s.surveying:
        return SurveyState.RUNNING
    if s.view is None:
        return SurveyState.IDLE
    if s.progress.failed is not None:
        return SurveyState.FAILED
    return SurveyState.IDLE if s.progress.settles is None else SurveyState.WAITING


def survey(s: Surveyor) -> SurveyProgress:
    """The survey that runs, or how the last one ended."""
    p, state = s.progress, survey_state(s)
    return SurveyProgress(
        state=state,
        phase=s.phase,
        message=_message(s, state),
        started_at=None if p.started is None else rfc3339.text(p.started),
        last_finished=None if p.finished is None else rfc3339.text(p.finished),
        request=p.tried_request,
        settling=p.settling,
        seconds=round(p.seconds, 3),
        counters=p.counters,
        cost=s.costs(s.desired) if s.desired else [],
    )


def _message(s: Surveyor, state: SurveyState) -> str:
    match state:
        case SurveyState.RUNNING:
            return s.phase
        case SurveyState.FAILED:
            return s.progress.message
        case SurveyState.WAITING if s.progress.settling:
            return f"{s.progress.settling} datasets are still being copied, or their listing is in doubt"
        case SurveyState.WAITING:
            return "looks again when what may have been copied just now has settled"
        case _ if s.desired is None:
            return "the operator has not said what to survey"
        case _ if s.view is None:
            return "the whole view is shown live: there is nothing to survey"
        case _:
            return ""


def generation(s: Surveyor, entry: Entry) -> Generation:
    """One kept generation. Raises ValidationError where its files were written by something else."""
    return Generation.model_validate(
        {
            "name": entry.name,
            "asOf": entry.as_of,
            "counts": entry.manifest["counts"],
            "entries": entry.manifest.get("entries") or [],
            "findings": entry.findings,
            "images": len(entry.images),
            "bytes": s.store.stored_bytes(entry),
            "guard": entry.facts.get("guard"),
            "previous": entry.facts.get("previous"),
            "changes": entry.facts.get("changes") or {},
            "content": entry.facts.get("content"),
            **({"travels": travels(entry)} if entry.content else {}),
        }
    )


def travels(entry: Entry) -> dict[str, Any] | None:
    """Which files travel with a generation."""
    if (found := entry.content) is None:
        return None
    return {
        "digest": found.digest,
        "complete": found.complete,
        "files": found.local.files,
        "bytes": found.local.bytes,
        "wantedFiles": found.wanted.files,
        "wantedBytes": found.wanted.bytes,
        "packs": len(found.packs),
    }


def _check(model: type[_Check], kept: dict[str, Any]) -> _Check:
    """The result of a check as it is kept; one that something else wrote counts as none."""
    try:
        return model.model_validate({key: value for key, value in kept.items() if key not in _NOT_TOLD})
    except ValidationError:
        return model()


def reading(s: Surveyor) -> Reading | None:
    """How reading the files is getting on that travel; None where none shall."""
    if s.desired is None or s.desired.spec.survey.content is None:
        return None
    found = _check(Reading, {key: value for key, value in s.progress.content.items() if key in _READING})
    return found.model_copy(update={"phase": s.content_runner.phase})


def state(s: Surveyor) -> State:
    """Everything that the operator looks at."""
    return State(
        view=s.desired.view if s.desired else "",
        spec=s.desired.digest if s.desired else None,
        content=s.desired.content if s.desired else None,
        survey=survey(s),
        generations=[generation(s, entry) for entry in s.entries],
        audit=_check(Audit, s.progress.audit),
        verify=_check(Comparison, s.progress.verify),
        **({"reading": read} if (read := reading(s)) else {}),
    )
