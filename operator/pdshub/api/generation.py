"""Generations of a view: how they are made, which one users see, and what the status says of them."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from pdshub import generation_id
from pdshub.api.authority import PathPattern
from pdshub.api.base import Model, Quantity, RelativePath, StatusModel, rules

LIVE = "live"
"""In the place of a generation: the sources, merged by file name, as users see them before the first release."""
FULL = "full-"
"""What a request for a survey begins with that asks for every directory."""
_NO_NAME = "names no generation: write sha256:… or at least the first 12 of its digits (kubectl pdshub archive status)"


def _checked(reference: str) -> str:
    if not re.fullmatch(generation_id.REFERENCE, reference):
        raise ValueError(f"{reference!r} {_NO_NAME}")
    return reference


GenerationRef = Annotated[
    str,
    AfterValidator(_checked),
    Field(max_length=71, json_schema_extra=rules((f"self.matches('{generation_id.REFERENCE}')", _NO_NAME))),
]
"""A generation: sha256: and 64 hexadecimal digits, or at least the first 12 of them."""


class Content(Model):
    """Which files travel with a generation: their bytes are on each node, and part of what is pinned and cited."""

    labels: bool = Field(
        default=True, description="Labels, structure and catalog files, inventories, and tables in index directories."
    )
    max_file_size: Quantity = Field(
        default="0",
        description="Every file up to this size travels, whatever it is; at most 64Mi. 0: none by its size.",
    )
    include: tuple[PathPattern, ...] = Field(
        default=(), max_length=32, description="Files that travel, too, up to 64Mi each: patterns of paths in the view."
    )
    exclude: tuple[PathPattern, ...] = Field(
        default=(), max_length=32, description="Files that do not, whatever else is said."
    )
    budget: Quantity = Field(
        default="4Gi",
        description="Bytes that all of it may take in the store, compressed; what is beyond is read from the source.",
    )


class Survey(Model):
    """When the sources are surveyed, and where generations are kept."""

    interval_seconds: int = Field(
        default=3600,
        ge=60,
        le=604800,
        description="A survey begins at least this often; unchanged directories cost little.",
    )
    restat_hours: int = Field(
        default=168,
        ge=0,
        le=87600,
        description="Within this time every directory is read again: finds files written in place. 0: never.",
    )
    keep: int = Field(default=5, ge=2, le=100, description="Generations that are kept beside the one that users see.")
    storage: Quantity = Field(
        default="10Gi", description="Size of the volume that holds generations; at most what the installation allows."
    )
    storage_class_name: str | None = Field(
        default=None, min_length=1, max_length=253, description="StorageClass of that volume; default: the cluster's."
    )
    audit_labels_per_second: int = Field(
        default=20, ge=1, le=10000, description="Labels that the audit in the background opens in a second."
    )
    content: Content | None = Field(
        default=None, description="Files that travel with each generation; absent: all bytes are read from the sources."
    )
    stamp_file: RelativePath | None = Field(
        default=None,
        description="File in the first layer's source that is looked at every 30 s; when it changes a survey begins.",
    )


class Counts(StatusModel):
    """What a generation shows."""

    datasets: int = 0
    files: int = 0
    directories: int = 0
    links: int = 0
    bytes: int = 0


class FindingCounts(StatusModel):
    """What the survey has to say, by severity."""

    error: int = 0
    warning: int = 0
    info: int = 0


class Changes(StatusModel):
    """What differs from what users see."""

    datasets_added: int = 0
    datasets_removed: int = 0
    datasets_replaced: int = 0
    files_added: int = 0
    files_removed: int = 0
    files_replaced: int = 0


class Gap(StatusModel):
    """A layer of an entry of the tree that a generation lacks."""

    entry: str = Field(description="Path of the entry in the tree.")
    source: str = ""
    path: str = Field(default="", description="The layer's directory inside the source.")
    found: str = Field(default="", description="missing, denied, empty, or settling: it is still being copied.")
    nothing: bool = Field(default=False, description="No other layer has anything either: the entry shows nothing.")


class KeptGeneration(StatusModel):
    """A generation that the surveyor keeps: one that a view can be pinned at."""

    name: str
    as_of: str = Field(default="", description="When its survey began, RFC 3339.")
    files: int = 0


class Travelling(StatusModel):
    """Files whose bytes travel with a generation, so far."""

    digest: str = Field(description="sha256: and 64 hexadecimal digits: by it people cite which bytes they had.")
    files: int = Field(default=0, description="Files that travel.")
    bytes: int = Field(default=0, description="Bytes of these files.")
    wanted_files: int = Field(default=0, description="Files that spec.survey.content names.")
    wanted_bytes: int = Field(default=0, description="Bytes of those.")
    complete: bool = Field(default=False, description="Whether all of them travel.")


class NodeContent(StatusModel):
    """Files whose bytes travel with a generation, on one node: they are read there, without the NAS."""

    digest: str = Field(default="", description="sha256: and 64 hexadecimal digits; empty: nothing is there yet.")
    files: int = Field(default=0, description="Files that every server of the node reads there.")
    message: str = Field(default="", description="Why the node has not more of it.")


class ReleasedGeneration(StatusModel):
    """The generation that nodes mount."""

    name: str = Field(description="sha256: and 64 hexadecimal digits.")
    short: str = Field(default="", description="The first 12 digits, for people.")
    as_of: str = Field(default="", description="When its survey began, RFC 3339.")
    counts: Counts = Field(default_factory=Counts)
    findings: FindingCounts = Field(default_factory=FindingCounts)
    gaps: list[Gap] = Field(default_factory=list, description="Layers of the tree that it lacks.")
    content: Travelling | None = Field(
        default=None, description="Files that travel with it; absent: none, or none yet."
    )


class Candidate(StatusModel):
    """The newest generation, where somebody has to decide about it."""

    name: str
    as_of: str = ""
    reason: str = Field(
        default="", description="That of condition Released: WaitsForApproval, Shrunk, EntryEmpty or LayerMissing."
    )
    message: str = Field(default="", description="What to look at and how to release it.")
    counts: Counts = Field(default_factory=Counts)
    against: str = Field(
        default="", description="What changes compares with: the generation that users see, or live for the sources."
    )
    changes: Changes | None = Field(
        default=None, description="What differs from what users see; absent while that is not known."
    )
    gaps: list[Gap] = Field(default_factory=list, description="Layers of the tree that it lacks.")


class SurveyCost(StatusModel):
    """What the survey of one source in S3 asks for."""

    source: str = Field(default="", description="Name of the source.")
    requests: int | None = Field(default=None, description="Of the last survey; absent before the first one.")
    expected: int = Field(default=0, description="Of the next survey, as far as that is known.")
    usd: str = Field(default="", description="US dollars for these; empty where no price is known.")
    usd_per_month: str = Field(default="", description="US dollars for a month's surveys at the view's interval.")
    message: str = Field(default="", description="How that is known, and how old the prices are.")


class SurveyStatus(StatusModel):
    """The surveyor at work."""

    state: str = Field(default="", description="idle, running, failed or waiting.")
    message: str = ""
    last_finished: str = ""
    request: str = Field(default="", description="Token of the last request that a survey has answered.")
    cost: list[SurveyCost] = Field(
        default_factory=list, description="Of each source in S3: what a survey asks for, and what that costs."
    )


class SurveyorStatus(StatusModel):
    """Where nodes fetch generations."""

    address: str = Field(description="Address and port.")
    namespace: str = Field(default="", description="Where its pod is, for kubectl pdshub.")


class Proof(StatusModel):
    """What a node found when it tried to write as a user, and compared files with their checksums."""

    ok: bool = False
    result: str = Field(
        default="",
        description="intact, changing (files were delivered since the survey: the next generation has them), violated, "
        "or incomplete (something could not be looked at).",
    )
    at: str = ""
    message: str = ""


class HeldServer(StatusModel):
    """A server that still shows another generation than the node's other servers."""

    pod: str = Field(description="Uid of its pod.")
    generation: str = Field(default="", description="The first 12 digits of what it shows, or live.")
    since: str = Field(default="", description="When the node noticed, RFC 3339; anew when its plugin restarts.")
    until: str = Field(
        default="",
        description="When it is switched at the latest (archive.maxHoldSeconds of the hub), RFC 3339; empty: when its "
        "server ends (archive.updates: nextServer).",
    )


class VolumePolicy(StatusModel):
    """How a new generation reaches the servers of one hub; nodes know it by the volume's name."""

    volume: str
    updates: str = "live"
    max_hold_seconds: int = 3600
