"""What a surveyor answers over HTTPS: one model for the surveyor, which builds it, and the operator, which reads it.

Both sides may be of another version. A field that a side does not know is ignored, one that is absent or null counts as
its default, and a value of the wrong form is refused with the field's name.
"""

from __future__ import annotations

import types
import typing
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from pdshub.api.base import StatusModel
from pdshub.api.generation import Changes, Counts, FindingCounts, SurveyCost
from pdshub.generation_id import NAME


class SurveyState(StrEnum):
    """What a surveyor does. A surveyor of another version may have words that are not here."""

    IDLE = "idle"
    RUNNING = "running"
    WAITING = "waiting"
    """Datasets are still being copied: it surveys again when they have settled."""
    FAILED = "failed"


class CheckState(StrEnum):
    """How an audit or a comparison with the sources stands."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


MAX_VALUES = 400_000
"""Values of a JSON text that is read from a surveyor: each may take a hundred times its bytes of memory."""


def values_at_most(text: bytes) -> int:
    """A bound on how many values a JSON text has, found without reading it as JSON."""
    return 1 + sum(map(text.count, (b",", b"[", b"{")))


LayerFound = Literal["files", "missing", "denied", "empty", "settling"]
"""What a survey found of a layer; settling: everything in it is still being copied."""


def _escaped(value: Any) -> Any:
    """Text on one line, with what is no character, or would act on a terminal, as escapes.

    JSON cannot hold the bytes of a file name that are no UTF-8 (RFC 8259, 8.2), and the text comes into conditions,
    events and logs, whose readers print it as it is.
    """
    if not isinstance(value, str):
        return value
    text = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


Text = Annotated[str, BeforeValidator(_escaped)]
"""Text that may name files, whose names may be any bytes."""


class Answer(StatusModel):
    """Base of every answer. Null is as good as left out, but where the field itself knows null."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        fields = {**cls.model_fields, **{f.alias: f for f in cls.model_fields.values() if f.alias}}
        return {k: v for k, v in value.items() if v is not None or (k in fields and _knows_null(fields[k].annotation))}

    def body(self) -> dict[str, Any]:
        """The answer as JSON has it: what was said and nothing else, under the names of the wire."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def _knows_null(annotation: Any) -> bool:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return union and type(None) in typing.get_args(annotation)


class Guard(Answer):
    """Whether a generation lost more files than the view's threshold allows, compared with the one before."""

    accepted: bool = True
    before: int | None = None
    """Files of the generation before; None without one."""
    after: int = 0
    """Files of this generation."""
    lost_percent: float = 0.0
    threshold_percent: int | float = 0


class Layer(Answer):
    """One layer of an entry of the tree, as the survey found it."""

    source: str = Field(default="", max_length=63)
    path: str = Field(default="", max_length=512)
    found: LayerFound = "files"
    files: int = 0
    """Files and links of it at any depth."""


class Entry(Answer):
    """One entry of the tree, with its layers in order of precedence."""

    path: str = Field(default="", max_length=512)
    layers: list[Layer] = Field(default_factory=list, max_length=8)


class AllCounts(Counts):
    """What a generation shows, with the files that each source gives."""

    files_by_source: dict[str, int] = Field(default_factory=dict)

    def plain(self) -> Counts:
        """The counts that the status of a view holds."""
        return Counts.model_validate(self.model_dump())


class AllChanges(Changes):
    """What differs from the generation before, with what only moved: the same size and time from another place."""

    datasets_rehomed: int = 0
    files_rehomed: int = 0

    def plain(self) -> Changes:
        """The changes that the status of a view holds."""
        return Changes.model_validate(self.model_dump())


class Travels(Answer):
    """Which files travel with a generation: their bytes lie in packs, and on nodes."""

    digest: str = Field(default="", max_length=71)
    """Of the packs and catalogs: by it people cite them."""
    complete: bool = False
    """Whether all that the view's rules name."""
    files: int = 0
    bytes: int = 0
    wanted_files: int = 0
    wanted_bytes: int = 0
    packs: int = 0


class Generation(Answer):
    """One generation of the surveyor's store."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    as_of: str = ""
    """When its survey began, RFC 3339."""
    counts: AllCounts = Field(default_factory=AllCounts)
    entries: list[Entry] = Field(default_factory=list, max_length=32)
    findings: FindingCounts = Field(default_factory=FindingCounts)
    images: int = 0
    """Number of its catalog images."""
    bytes: int = 0
    """Bytes that it alone takes in the store."""
    guard: Guard | None = None
    previous: str | None = None
    """Name of the generation that ``changes`` compares with."""
    changes: AllChanges = Field(default_factory=AllChanges)
    content: str | None = None
    """Digest of the sources, tree and authority that it was surveyed for."""
    travels: Travels | None = None
    """The files that travel with it; None while none do."""


class SurveyProgress(Answer):
    """The survey that runs, or how the last one ended. Times are RFC 3339."""

    state: str = SurveyState.IDLE
    phase: Text = ""
    """How far the survey is, for people."""
    message: Text = ""
    """Why there is nothing to do, what it waits for, or what failed, for people."""
    started_at: str | None = None
    last_finished: str | None = None
    """End of the last survey that went well."""
    request: str = ""
    """Token of the last request that a survey has answered."""
    settling: int = 0
    """Datasets that are still being copied, or whose listing is in doubt."""
    seconds: float = 0.0
    """Seconds that the last survey took."""
    counters: dict[str, Any] = Field(default_factory=dict)
    """What the last survey read, by kind."""
    cost: list[SurveyCost] = Field(default_factory=list, max_length=32)
    """Of each source in S3: what a survey asks for, and what that costs."""


class Check(Answer):
    """What an audit and a comparison share: of which generation, how it stands, when it began or ended (RFC 3339)."""

    generation: str = ""
    state: str = ""
    at: str = ""
    message: Text = ""
    """Why it failed."""
    failures: int = 0
    """How often in a row."""


class Audit(Check):
    """Every label of the newest generation opened in the background."""

    labels: int = 0
    """Labels that were opened."""
    findings: FindingCounts = Field(default_factory=FindingCounts)


class Comparison(Check):
    """A generation compared with its sources; while that runs, the result before it if there is one."""

    files: int | None = None
    """Files that were compared; None before the first result."""
    compared: int = 0
    """Those of them whose bytes were compared: what travels with the generation."""
    drifted: int = 0
    """Files of them that are no longer as surveyed."""
    examples: list[Text] = Field(default_factory=list)
    """Some of these, as source:path."""


class Reading(Check):
    """Files being read that travel with a generation."""

    phase: Text = ""
    """How far it is, for people."""
    files: int = 0
    wanted_files: int = 0
    changed: int = 0
    """Files that changed since the survey: the next generation takes them."""
    unreadable: int = 0
    over_budget: bool = False
    """Whether some are left out because ``spec.survey.content.budget`` is used up."""
    stored: int = 0
    """Bytes that all packs take in the store."""


class State(Answer):
    """Everything that a surveyor says of itself: the answer to GET /state."""

    view: str = ""
    """Name of the view; empty before the first PUT /spec."""
    spec: str | None = None
    """Digest of the spec that it was told last."""
    content: str | None = None
    """Digest of what in it decides which files users see."""
    survey: SurveyProgress = Field(default_factory=SurveyProgress)
    generations: list[Generation] = Field(default_factory=list, max_length=1000)
    """Newest first."""
    audit: Audit = Field(default_factory=Audit)
    verify: Comparison | None = None
    reading: Reading | None = None


class SpecTaken(Answer):
    """The answer to PUT /spec: digests by which the operator knows the spec again in ``State``."""

    spec: str | None = None
    content: str | None = None


class StillRunning(Answer):
    """The answer 202: the question is being worked on."""

    state: str = CheckState.RUNNING
    phase: Text = ""


class DatasetDiff(Answer):
    """Datasets that differ, each with its name and place."""

    added: list[Any] = Field(default_factory=list)
    removed: list[Any] = Field(default_factory=list)
    replaced: list[Any] = Field(default_factory=list)
    rehomed: list[Any] = Field(default_factory=list)


class DifferingFiles(Answer):
    """How many files of one kind, and some of their paths. A path need not be UTF-8."""

    count: int = 0
    paths: list[Any] = Field(default_factory=list)


class FileDiff(Answer):
    """Files that differ."""

    added: DifferingFiles = Field(default_factory=DifferingFiles)
    removed: DifferingFiles = Field(default_factory=DifferingFiles)
    replaced: DifferingFiles = Field(default_factory=DifferingFiles)
    rehomed: DifferingFiles = Field(default_factory=DifferingFiles)

    def limited(self, paths: int) -> FileDiff:
        """The same counts with at most so many paths of each kind."""
        kinds = {kind: getattr(self, kind) for kind in self.model_fields_set}
        return FileDiff(
            **{kind: found.model_copy(update={"paths": found.paths[:paths]}) for kind, found in kinds.items()}
        )


class Diff(Answer):
    """Two generations compared: the answer to GET /diff."""

    datasets: DatasetDiff = Field(default_factory=DatasetDiff)
    files: FileDiff = Field(default_factory=FileDiff)

    def counted(self) -> Changes:
        """The diff in numbers."""
        return Changes(
            datasets_added=len(self.datasets.added),
            datasets_removed=len(self.datasets.removed),
            datasets_replaced=len(self.datasets.replaced),
            files_added=self.files.added.count,
            files_removed=self.files.removed.count,
            files_replaced=self.files.replaced.count,
        )


def refused_field(error: ValidationError) -> str:
    """Which field of an answer is refused and why, for people; of several the first."""
    problem = error.errors(include_url=False)[0]
    field = ".".join(map(str, problem["loc"]))
    return f"{field}: {problem['msg']}" if field else str(problem["msg"])
