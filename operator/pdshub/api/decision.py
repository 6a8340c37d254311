"""Decisions of people about generations: who, when and why. What they say of themselves is untrusted text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from pdshub.api.base import Model, StatusModel
from pdshub.generation_id import SHORT, digits
from pdshub.wellknown import GROUP

FIELDS: Mapping[str, str] = {"approved": "Approved", "pin": "Pinned", "rejected": "Rejected"}
"""Field of a view's spec -> kind of decision."""
LONGEST_NAME, LONGEST_REASON = 128, 300
_LONGEST_NOTE = 4096
_SPACE = re.compile(r"\s+")


class Decision(StatusModel):
    """What a person decided about a generation. Who and why is what they, or their tools, said of themselves."""

    kind: str = Field(description="Approved, Pinned or Rejected.")
    generation: str = Field(default="", description="The generation as spec names it.")
    by: str = Field(default="", description="Who, as kubectl pdshub wrote it down.")
    manager: str = Field(default="", description="The program that wrote the field: its field manager.")
    at: str = Field(default="", description="When, RFC 3339.")
    reason: str = Field(default="", description="Why, if they said it.")


class Note(Model):
    """What an annotation says of a decision. It counts for the generation that it names, and for no later one."""

    generation: str
    by: str = ""
    reason: str = ""


def annotation(field: str) -> str:
    """The annotation with the note about the decision in a field of the spec: pdshub.dev/approved and so on."""
    return f"{GROUP}/{FIELDS[field].lower()}"


def plain(text: str, longest: int) -> str:
    """One line without control characters, cut where it is too long."""
    line = _SPACE.sub(" ", "".join(c if c.isprintable() else " " for c in text)).strip()
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def write_note(generation: str, by: str = "", reason: str = "") -> str:
    """The annotation's text."""
    note = Note(generation=generation, by=plain(by, LONGEST_NAME), reason=plain(reason, LONGEST_REASON))
    return json.dumps({key: text for key, text in note.wire().items() if text}, ensure_ascii=False)


def read_note(text: Any, generation: str) -> Note | None:
    """What an annotation says of the decision about a generation; None where it speaks of none, or of another."""
    if not isinstance(text, str) or len(text) > _LONGEST_NOTE:
        return None
    try:
        note = Note.model_validate_json(text)
    except ValidationError:
        return None
    ours, theirs = digits(generation), digits(note.generation)
    if len(theirs) < SHORT or not (ours.startswith(theirs) or theirs.startswith(ours)):
        return None
    return Note(generation=generation, by=plain(note.by, LONGEST_NAME), reason=plain(note.reason, LONGEST_REASON))


def words(decision: Decision) -> str:
    """By whom, when and why, as far as it is known: empty where nothing is."""
    who = f"by {decision.by or decision.manager}" if decision.by or decision.manager else ""
    if decision.by and decision.manager:
        who += f" with {decision.manager}"
    said = " ".join(filter(None, (who, f"at {decision.at}" if decision.at else "")))
    return f"{said}: {decision.reason}" if decision.reason and said else said or decision.reason
