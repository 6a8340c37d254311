"""spec.bootstrap: how a hub begins. Empty, or from the backup of a hub that there was."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from pdshub import rfc3339
from pdshub.api.backup_repository import Repository
from pdshub.api.base import Model, ObjectName, SecretKey, StatusModel, rules


def _checked_moment(text: str) -> str:
    if not rfc3339.seconds(text):
        raise ValueError(f"{text!r} is no moment: write for example 2026-01-31T00:00:00Z")
    return text


Moment = Annotated[
    str,
    AfterValidator(_checked_moment),
    Field(max_length=40, pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$"),
]
"""RFC 3339, whole seconds."""
HubTitle = Annotated[
    str, Field(max_length=112, pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?/[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
]
"""NAMESPACE/NAME of a PDSHub, wherever it was."""


class RecoveryKey(Model):
    """The key that the repository was made with."""

    secret_ref: SecretKey = Field(description="Where it is. The Secret's name ends in -backup-key.")


class Recovery(Model):
    """The backup that the hub comes back from: its database, its keys, its homes under their names."""

    model_config = ConfigDict(
        json_schema_extra=rules(("!(has(self.snapshot) && has(self.asOf))", "choose one: snapshot or asOf"))
    )
    repository: Repository = Field(description="Where the backup is: exactly one of s3, rest, sftp, nfs, claim.")
    key: RecoveryKey | None = Field(
        default=None, description="The key of that repository; default: key `key` of Secret <name>-backup-key."
    )
    hub: HubTitle | None = Field(
        default=None,
        description="NAMESPACE/NAME of the hub that was saved; default: this one's. Another one comes back beside it.",
    )
    snapshot: ObjectName | None = Field(
        default=None,
        description="The moment at which this run ended: name of a HubBackup, or id of one of its snapshots.",
    )
    as_of: Moment | None = Field(
        default=None,
        description="Of everything the newest snapshot that is not after this moment, RFC 3339; default: the newest.",
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.snapshot and self.as_of:
            raise ValueError("choose one: snapshot or asOf")
        return self


class Bootstrap(Model):
    """How a hub begins. It is read once, before the hub is installed for the first time."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self == oldSelf", "bootstrap is how a hub begins, and cannot be changed: make another PDSHub")
        )
    )
    recovery: Recovery = Field(description="From a repository of backups.")


IMMUTABLE = (
    "has(self.bootstrap) == has(oldSelf.bootstrap)",
    "bootstrap is how a hub begins: it can neither be added to a hub that there is, nor taken from one",
)
"""A rule of the spec: a rule of the field itself says nothing about a field that comes or goes."""
RecoveryPhase = Literal["Waiting", "Planning", "Restoring", "Homes", "Completed", "PartiallyCompleted", "Refused"]
INSTALLABLE = ("Homes", "Completed", "PartiallyCompleted")
"""Phases in which database, keys and claims are there: the hub may run."""
OVER = ("Completed", "PartiallyCompleted")


class Chosen(StatusModel):
    """A snapshot that was chosen."""

    item: str
    snapshot: str
    taken_at: str = ""


class NotBack(StatusModel):
    """What is not back, and why."""

    item: str
    message: str = ""


class RecoveryStatus(StatusModel):
    """How far a recovery is."""

    phase: RecoveryPhase = "Waiting"
    message: str = ""
    hub: str = Field(default="", description="NAMESPACE/NAME by which the snapshots are filed.")
    as_of: str = Field(default="", description="When the newest of the chosen snapshots was made, RFC 3339.")
    started: str = Field(default="", description="RFC 3339.")
    ended: str = Field(default="", description="RFC 3339.")
    items: int = Field(default=0, description="Database, keys and homes that come back.")
    done: int = Field(default=0, description="Those of them that are back.")
    size_bytes: int = Field(default=0, description="Size of what is back.")
    files: int = 0
    snapshots: list[Chosen] = Field(
        default_factory=list, description="Of database, keys and objects. Of homes: ConfigMap <name>-recovery."
    )
    waiting: list[str] = Field(default_factory=list, description="Users whose home is still to come; the first 20.")
    failed: list[NotBack] = Field(default_factory=list, description="What could not be brought back; the first 20.")
    missing: list[str] = Field(default_factory=list, description="What the backup does not have; the first 20.")
