"""What hubs and views both look at and write: a Deployment's state, and an object that has to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pdshub.kube import Object


@dataclass(frozen=True)
class Workload:
    """A Deployment: whether its present pods serve, and what holds them up."""

    exists: bool = False
    available: bool = False
    rolled_out: bool = False
    trouble: str = ""


@dataclass(frozen=True)
class Step:
    """One object that has to be written: what about it, and the words for it."""

    what: str
    body: Mapping[str, Any]
    how: str = "create"
    """create, apply, adopt (metadata alone), rebind or resize."""


def refusal_words(error: ValidationError) -> str:
    """What pydantic refuses, with the field's path as an admin wrote it."""
    parts = []
    for problem in error.errors():
        path = ".".join(str(p) for p in ("spec", *problem["loc"]))
        parts.append(f"{path}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(parts[:5])


def orphaned(volume: Object, claim: Object | None) -> bool:
    """Whether a static volume still remembers a claim that is gone."""
    bound = (volume["spec"].get("claimRef") or {}).get("uid")
    return bool(bound) and (claim is None or claim["metadata"].get("uid") != bound)
