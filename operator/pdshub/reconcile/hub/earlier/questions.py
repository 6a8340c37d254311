"""What a hub answers when it is asked for questions, within bounds. Pure.

Whoever rules a hub can ask in the name of all its people. They rule those people's homes already; here they get names
of files, and restores beside what is there, at a pace.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pdshub.api.earlier import Question

MOST = 200
"""Questions that are looked at."""
_ID = re.compile(r"[0-9a-f]{32}")


class QuestionsError(ValueError):
    """An answer that holds no questions; the text says why."""


@dataclass(frozen=True)
class Questions:
    """The open questions of a run of the hub."""

    run: str
    last: int
    asked: tuple[Question, ...] = ()
    bad: tuple[str, ...] = ()
    """Ids of questions that are none: each is answered, so that nobody waits."""


def read(answer: Any) -> Questions:
    """The questions in an answer; one of each person at most. Raises QuestionsError."""
    if not isinstance(answer, Mapping):
        raise QuestionsError("its answer is no object")
    run, last, rows = answer.get("run"), answer.get("last"), answer.get("asks")
    if not isinstance(run, str) or not _ID.fullmatch(run):
        raise QuestionsError("its answer names no run")
    if isinstance(last, bool) or not isinstance(last, int) or not 0 <= last < 2**62 or not isinstance(rows, list):
        raise QuestionsError("its answer has no questions")
    good: dict[str, Question] = {}
    bad: list[str] = []
    for row in rows[:MOST]:
        try:
            one = Question.model_validate(row)
        except (ValidationError, RecursionError):
            id = row.get("id") if isinstance(row, Mapping) else None
            if isinstance(id, str) and _ID.fullmatch(id):
                bad.append(id)
            continue
        if one.user in good:
            bad.append(one.id)
        else:
            good[one.user] = one
    return Questions(run, last, tuple(good.values()), tuple(bad))
