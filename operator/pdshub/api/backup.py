"""HubBackup and HubRestore: one run of a backup, one restore, each an object to be looked at."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.base import Model, Name, RelativePath, StatusModel, rules
from pdshub.api.hub_backup import Trigger
from pdshub.api.status import Condition

Phase = Literal["Pending", "Running", "Completed", "PartiallyCompleted", "Failed"]
"""PartiallyCompleted: something could not be read, or an item failed while others are saved; status says what."""
HomeOf = Annotated[str, Field(min_length=1, max_length=254)]
"""A user, as the hub names them."""
Item = Annotated[str, Field(max_length=260, pattern=r"^(home/.{1,254}|database|keys|objects)$")]
"""What one snapshot holds: home/USER, database, keys, objects. It is the snapshot's tag in the repository."""


class Unread(StatusModel):
    """A path that could not be saved."""

    path: str = Field(max_length=1024)
    why: str = Field(max_length=256)


class ItemStatus(StatusModel):
    """One item of a run: one snapshot in the repository."""

    item: Item
    phase: Phase = "Pending"
    snapshot: str = Field(default="", description="Id of the snapshot, 64 hexadecimal digits.")
    how: str = Field(
        default="",
        description="Snapshot: of a checkpoint; InUse: while it may have been written; Stopped: while nobody used it; "
        "SQLite: SQLite's own backup.",
    )
    size_bytes: int = Field(default=0, description="Size of all files.")
    files: int = 0
    added_bytes: int = Field(default=0, description="What was new, as it went to the repository.")
    seconds: float = Field(default=0, description="Of restic itself, without the Job's start.")
    digest: str = Field(
        default="", description="SHA-256 over names, types, sizes and contents, by which drills compare."
    )
    unread_count: int = 0
    unread: list[Unread] = Field(default_factory=list, description="The first 20.")
    message: str = Field(default="", max_length=1024)


class HubBackupSpec(Model):
    """A run that is asked for."""

    hub: Name = Field(description="Name of the PDSHub in this namespace.")
    trigger: Trigger = Field(default="Manual", description="Why it runs.")
    users: list[HomeOf] = Field(
        default_factory=list,
        max_length=256,
        description="Only these homes, and nothing else; none: all that spec.backup says.",
    )
    keep: bool = Field(default=False, description="Its snapshots are kept whatever the retention says.")


class HubBackupStatus(StatusModel):
    """What became of it."""

    phase: Phase = "Pending"
    message: str = ""
    started: str = Field(default="", description="RFC 3339.")
    ended: str = Field(default="", description="RFC 3339.")
    seconds: int = 0
    snapshots: int = Field(default=0, description="Snapshots that it made.")
    size_bytes: int = 0
    added_bytes: int = 0
    files: int = 0
    items: list[ItemStatus] = Field(default_factory=list)
    job: str = Field(default="", description="The Job that runs now.")
    conditions: list[Condition] = Field(default_factory=list)


class HubBackup(Model):
    """One run of a hub's backup."""

    spec: HubBackupSpec
    status: HubBackupStatus = Field(default_factory=HubBackupStatus)


class HubRestoreSpec(Model):
    """One restore of a user's home, or of a part of it."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("!(has(self.snapshot) && has(self.asOf))", "choose one: snapshot or asOf"),
            ("self == oldSelf", "a HubRestore is done once: make another one"),
        )
    )
    hub: Name = Field(description="Name of the PDSHub in this namespace.")
    user: HomeOf = Field(description="Whose home.")
    path: RelativePath = Field(default=".", description="Which file or folder of the home; '.': all of it.")
    snapshot: Annotated[str, Field(pattern=r"^[0-9a-f]{8,64}$")] | None = Field(
        default=None, description="Id of a snapshot; default: the newest."
    )
    as_of: Annotated[str, Field(max_length=40)] | None = Field(
        default=None, description="The newest snapshot not after this moment, RFC 3339."
    )
    to: RelativePath | None = Field(
        default=None, description="Folder of the home that it goes to; default: restored-<date of the snapshot>."
    )
    in_place: bool = Field(
        default=False,
        description="In the place of what is there, which is moved to replaced-<now> first. The user's server is "
        "stopped.",
    )
    warn_seconds: int = Field(
        default=60,
        ge=0,
        le=3600,
        description="With inPlace: for how long a server that runs goes on after its user was warned in JupyterLab.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.snapshot and self.as_of:
            raise ValueError("choose one: snapshot or asOf")
        if self.in_place and self.to:
            raise ValueError("to has no meaning with inPlace: leave one of them out")
        return self


class HubRestoreStatus(StatusModel):
    """What became of it."""

    phase: Phase = "Pending"
    message: str = ""
    started: str = ""
    ended: str = ""
    snapshot: str = Field(default="", description="The one that was taken.")
    taken_at: str = Field(default="", description="When that snapshot was made, RFC 3339.")
    place: str = Field(default="", description="Where it is in the home.")
    replaced: str = Field(default="", description="Where in the home lies what was there before.")
    files: int = 0
    size_bytes: int = 0
    job: str = ""
    conditions: list[Condition] = Field(default_factory=list)


class HubRestore(Model):
    """One restore from a hub's backup."""

    spec: HubRestoreSpec
    status: HubRestoreStatus = Field(default_factory=HubRestoreStatus)


def _column(name: str, path: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **more}


BACKUP_COLUMNS = [
    _column("Hub", ".spec.hub"),
    _column("Trigger", ".spec.trigger"),
    _column("Phase", ".status.phase"),
    _column("Snapshots", ".status.snapshots", "integer"),
    _column("Added", ".status.addedBytes", "integer", format="int64"),
    _column("Seconds", ".status.seconds", "integer"),
    _column("Message", ".status.message", priority=1),
    _column("Age", ".metadata.creationTimestamp", "date"),
]
RESTORE_COLUMNS = [
    _column("Hub", ".spec.hub"),
    _column("User", ".spec.user"),
    _column("Path", ".spec.path"),
    _column("Phase", ".status.phase"),
    _column("Place", ".status.place"),
    _column("Message", ".status.message", priority=1),
    _column("Age", ".metadata.creationTimestamp", "date"),
]
