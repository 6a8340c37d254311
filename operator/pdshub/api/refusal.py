"""What the models refuse, in words for whoever wrote the object."""

from __future__ import annotations

from pydantic import ValidationError

MOST = 5
"""Problems that are named: one mistake may make many."""


def refusal_words(error: ValidationError, top: str = "spec") -> str:
    """The problems that pydantic found, joined by "; ": each as the path of its field below ``top``, and its fix."""
    parts = []
    for problem in error.errors():
        path = ".".join(str(part) for part in (top, *problem["loc"]))
        parts.append(f"{path}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts[:MOST])
