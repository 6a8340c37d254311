"""What is written can be applied: what the API server would refuse of a spec is taken out, and said. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from pdshub.api.hub import PDSHubSpec
from pdshub.api.refusal import refusal_words
from pdshub.dockerspawner.report import Report
from pdshub.dockerspawner.source import SourceError


def validate(spec: dict[str, Any], report: Report, file: str) -> None:
    """Takes out of a spec what would be refused. Raises SourceError where that does not end."""
    for _ in range(20):
        try:
            PDSHubSpec.model_validate(spec)
            return
        except ValidationError as error:
            report.contradiction("PDSHub", refusal_words(error), file)
            for problem in error.errors():
                _take_out(spec, problem["loc"])
    raise SourceError(f"{file}: no PDSHub can be made of it")


def _take_out(spec: dict[str, Any], where: tuple[int | str, ...]) -> None:
    """Removes what is at a place, or the part of the spec around it."""
    at: Any = spec
    for part in where[:-1]:
        inside: Any = None
        if isinstance(at, dict):
            inside = at.get(part)
        elif isinstance(part, int) and part < len(at):
            inside = at[part]
        if not isinstance(inside, dict | list):
            break
        at = inside
    if isinstance(at, dict) and where and where[-1] in at and where[0] != "signIn":
        del at[where[-1]]
    elif where and where[0] in spec and where[0] != "signIn":
        del spec[where[0]]
    else:
        spec.pop("hostname", None)
