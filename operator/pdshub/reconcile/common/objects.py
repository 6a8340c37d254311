"""What hubs and views both look at and write: a Deployment's state, and an object that has to be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


def orphaned(volume: Object, claim: Object | None) -> bool:
    """Whether a static volume still remembers a claim that is gone."""
    bound = (volume["spec"].get("claimRef") or {}).get("uid")
    return bool(bound) and (claim is None or claim["metadata"].get("uid") != bound)
