"""What a candidate changes for users, who see a generation or the sources live. Pure.

The surveyor's own numbers compare with its last generation, which users may never have seen.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pdshub.api.generation import LIVE, Changes
from pdshub.api.survey import State
from pdshub.reconcile.view.generations import Verdict

BEING_COMPARED = "What it changes for users is being worked out"
CANNOT_COMPARE = "What it changes for users is not known: the surveyor no longer keeps what they see"
NOT_COMPARED = "What it changes for users could not be worked out"


@dataclass(frozen=True)
class UserChanges:
    """What the surveyor answered for a pair."""

    seen: str
    """What users see: a generation's name, or live for the sources."""
    candidate: str
    changes: Changes | None = None
    """None while it is not known."""
    failure: str = ""
    """Why it is not known, in the surveyor's words; empty while it is being worked out."""
    surveyed: str = ""
    """End of the survey that the live side is of (RFC 3339); empty for a generation."""


def pair(verdict: Verdict) -> tuple[str, str] | None:
    """What users see and the candidate; None where nothing waits, or the candidate's own numbers compare with that."""
    waits = verdict.candidate
    seen = verdict.released.name if verdict.released else LIVE
    return None if waits is None or waits.against == seen else (seen, waits.name)


def survey_of(seen: str, state: State) -> str:
    """End of the survey that a comparison would be of.

    What users see live changes without a new generation; a generation does not change.
    """
    return (state.survey.last_finished or "") if seen == LIVE else ""


def known(before: UserChanges | None, wanted: tuple[str, str]) -> UserChanges:
    """What is known of a pair: nothing where the last answer was for another one."""
    return before if before and (before.seen, before.candidate) == wanted else UserChanges(*wanted)


def comparable(seen: str, state: State) -> bool:
    """Whether the surveyor still keeps what users see."""
    return seen == LIVE or any(item.name == seen for item in state.generations)


def is_due(before: UserChanges | None, wanted: tuple[str, str], state: State) -> bool:
    """Whether the surveyor has to be asked: the changes are not known, or a survey ended since."""
    had = known(before, wanted)
    if had.changes is None:
        return comparable(wanted[0], state)
    return had.surveyed != survey_of(wanted[0], state)


def with_user_changes(verdict: Verdict, before: UserChanges | None, state: State) -> Verdict:
    """The verdict whose candidate says what it changes for users.

    Where that is not known the candidate has no numbers, and says so: none would look like no change. Numbers that were
    known stand until they are worked out again.
    """
    wanted = pair(verdict)
    if wanted is None or verdict.candidate is None:
        return verdict
    had = known(before, wanted)
    if had.changes is not None:
        return _candidate(verdict, {"changes": had.changes, "against": wanted[0]})
    if not comparable(wanted[0], state):
        why = CANNOT_COMPARE
    else:
        why = f"{NOT_COMPARED}: {had.failure}" if had.failure else BEING_COMPARED
    message = f"{verdict.candidate.message}. {why}"
    return _candidate(verdict, {"changes": None, "against": wanted[0], "message": message})


def _candidate(verdict: Verdict, update: dict[str, Any]) -> Verdict:
    return replace(verdict, candidate=verdict.candidate and verdict.candidate.model_copy(update=update))
