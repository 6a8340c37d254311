"""What is remembered of a hub's drills: a ConfigMap of the hub's namespace, by which an operator that begins anew goes
on. Pure."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, ValidationError

from pdshub.api.backup import Phase
from pdshub.api.base import StatusModel
from pdshub.kube import Object
from pdshub.reconcile.hub.people.document import config_map
from pdshub.render.names import Names, short

FILE = "drill.json"
LARGEST = 900_000
"""Bytes. Source: Kubernetes, ConfigMaps (1 MiB of data), less the rest of the object."""

Kind = Literal["compare", "fetch", "boot", "check"]


class Stage(StatusModel):
    """One thing that a drill does, in one Job.

    compare: an item is restored into scratch space and compared; fetch: the database is restored into a claim; boot: a
    hub is started from it; check: a part of the repository's data is read.
    """

    kind: Kind
    item: str = ""
    snapshot: str = ""
    """The snapshot that is taken; empty: the newest."""
    taken_at: str = ""
    size_bytes: int = 0
    part: str = ""
    phase: Phase = "Pending"
    begun: str = ""
    seconds: float = 0
    """From the Job's making to its answer."""
    restore_seconds: float = 0
    """Of the restore alone, as the Job measured it."""
    files: int = 0
    reason: str = ""
    message: str = Field(default="", max_length=1024)

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return self.phase not in ("Pending", "Running")


class Verdict(StatusModel):
    """How a drill ended."""

    at: str
    """When it began, RFC 3339."""
    ok: bool
    reason: str
    message: str = Field(max_length=1024)
    recovery_seconds: float = 0
    """Of the database and of a hub that answers from it."""
    age_seconds: float = 0
    """How old the oldest of what is saved last of each item was: what would have been lost."""


class Drills(StatusModel):
    """The memory of a hub's drills."""

    number: int = 0
    """Drills that were begun."""
    started: str = ""
    """When the newest was begun, RFC 3339."""
    running: bool = False
    stages: list[Stage] = Field(default_factory=list)
    job: str = ""
    """The Job that runs now."""
    age_seconds: float = 0
    queue: list[str] = Field(default_factory=list)
    suspects: list[str] = Field(default_factory=list)
    """Items that did not come back as they were saved: each drill takes them again, until they do."""
    read: dict[str, str] = Field(default_factory=dict)
    """By part of the data when it was read last."""
    last: Verdict | None = None
    good: Verdict | None = None
    """The last that found all well."""

    @property
    def reads(self) -> bool:
        """Whether a Job of it reads the repository now: a hub that is booted has no way there."""
        at_work = next((stage.kind for stage in self.stages if stage.phase == "Running"), "boot")
        return self.running and bool(self.job) and at_work != "boot"


def name(names: Names) -> str:
    """The ConfigMap's name."""
    return short(names.name, "drills")


def read(found: Object | None) -> Drills:
    """What is remembered; nothing where it cannot be read."""
    text = ((found or {}).get("data") or {}).get(FILE)
    if not isinstance(text, str) or len(text) > LARGEST:
        return Drills()
    try:
        return Drills.model_validate_json(text)
    except (ValidationError, RecursionError):
        return Drills()


def written(names: Names, uid: str, drills: Drills) -> dict[str, Any]:
    """The ConfigMap. ``uid`` is the PDSHub's. A queue that does not fit is cut: who is missing comes in as new."""
    text = drills.model_dump_json(by_alias=True, exclude_defaults=True)
    while len(text) > LARGEST and drills.queue:
        drills = drills.model_copy(update={"queue": drills.queue[: len(drills.queue) // 2]})
        text = drills.model_dump_json(by_alias=True, exclude_defaults=True)
    return {**config_map(names, uid, name(names)), "data": {FILE: text}}
