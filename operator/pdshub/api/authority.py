"""Who wins where sources overlap: the ``authority`` block of an ArchiveView."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.base import Model, Name, RelativePath, rules

DatasetRef = Annotated[
    str,
    Field(
        min_length=1,
        max_length=512,
        pattern=r"^[^/\s][^\x00\n]*$",
        description=(
            "A dataset: urn:nasa:pds:… (with ::M.m for one version), pds3:DATA_SET_ID, or a path of the tree "
            "with * and **; source-name:path takes that source's copy only."
        ),
    ),
]
PathPattern = Annotated[str, Field(min_length=1, max_length=512)]
FileName = Annotated[str, Field(min_length=1, max_length=255)]


class Supersedes(Model):
    """One dataset replaces another: the loser disappears whole as soon as the winner is there."""

    winner: DatasetRef
    loser: DatasetRef


class Rename(Model):
    """A directory of the tree is shown under another path."""

    from_: RelativePath = Field(alias="from", description="Path in the tree as it would be without this rule.")
    to: RelativePath = Field(description="Path that users see.")


class Pin(Model):
    """One version, or one source's copy, of a dataset is shown whatever else there is."""

    model_config = ConfigDict(
        json_schema_extra=rules(("has(self.version) != has(self.source)", "pin either a version or a source"))
    )
    dataset: DatasetRef
    version: str | None = Field(default=None, pattern=r"^\d+\.\d+$", description="Version to show, as M.m.")
    source: Name | None = Field(default=None, description="Source whose copy to show.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.version is None) == (self.source is None):
            raise ValueError("pin either a version or a source")
        return self


class Rule(Model):
    """One explicit decision: exactly one of supersedes, hide, rename and pin."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "[has(self.supersedes), has(self.hide), has(self.rename), has(self.pin)].filter(x, x).size() == 1",
                "write one of supersedes, hide, rename and pin in each rule",
            ),
        )
    )
    supersedes: Supersedes | None = None
    hide: DatasetRef | None = None
    rename: Rename | None = None
    pin: Pin | None = None
    reason: str = Field(default="", max_length=500, description="Why, in words; explain repeats it.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(part is not None for part in (self.supersedes, self.hide, self.rename, self.pin)) != 1:
            raise ValueError("write one of supersedes, hide, rename and pin in each rule")
        return self


class Authority(Model):
    """Rules and settings of the survey that decides what a view shows."""

    rules: list[Rule] = Field(
        default_factory=list,
        max_length=256,
        description="Explicit decisions; they come before label versions, and these before the order of layers.",
    )
    superseded: Literal["hide", "sibling"] = Field(
        default="hide", description="Older versions: hidden, or reachable as name::1.0 beside the newer one."
    )
    night_patterns: list[PathPattern] = Field(
        default=["**/[0-9][0-9][0-9][0-9]/[0-9][0-9][A-Z][a-z][a-z][0-9][0-9]"],
        max_length=16,
        description="Paths of the tree that are one observing night each, with * and **.",
    )
    exclude: list[FileName] = Field(
        default=[".snapshot", ".zfs", "@eaDir", "#recycle", "lost+found"],
        max_length=64,
        description="Names of directories that are never entered.",
    )
    settle_seconds: int = Field(
        default=120,
        ge=0,
        le=7 * 86400,
        description="A dataset that changed less than this ago is still being copied and keeps its former state.",
    )
    shrink_threshold_percent: int = Field(
        default=20,
        ge=0,
        le=100,
        description="A generation that loses more than this share of its files is refused until accepted.",
    )
