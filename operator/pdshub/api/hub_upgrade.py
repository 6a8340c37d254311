"""spec.upgrade: the database is copied before another chart or hub image comes, and the way back to a copy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pdshub.api.base import Model, StatusModel

ReturnPhase = Literal["Begun", "PutBack", "Done", "Failed"]
"""Begun: the hub is stopped and its database put in place; PutBack: the database is the copy, the older hub comes."""


class Upgrade(Model):
    """What happens to the hub's database before an upgrade, and the way back."""

    copy_database: bool = Field(
        default=True,
        description="Another chart or hub image is installed only after the database was copied. false: at once.",
    )
    keep: int = Field(
        default=3,
        ge=1,
        le=20,
        description="Copies that stay, and in the repository of spec.backup snapshots from before that many upgrades.",
    )
    rollback: int | None = Field(
        default=None,
        ge=1,
        description="Revision of status.upgrade.copies that the hub goes back to, with its database. While it stands "
        "no other release is installed.",
    )


class DatabaseCopy(StatusModel):
    """A copy of the database, and the release that it belongs to."""

    revision: int = Field(description="Revision of the Helm release that ran on it: what spec.upgrade.rollback names.")
    version: str = Field(default="", description="Chart and version.")
    image: str = Field(default="", description="The hub's image; empty: the chart's own.")
    taken: str = Field(default="", description="When, RFC 3339.")
    size_bytes: int = 0
    why: Literal["Upgrade", "Rollback"] = Field(
        default="Upgrade", description="Upgrade: made before one; Rollback: what a return replaced."
    )
    release: bool = Field(default=True, description="Whether the release is kept with it, so that the hub can go back.")


class RollbackStatus(StatusModel):
    """A return that was asked for, step by step."""

    revision: int
    phase: ReturnPhase = "Begun"
    copy_id: str = Field(default="", description="Name of the copy that is put in place.")
    aside: str = Field(default="", description="Name of the copy of what was there before.")
    left: int = Field(default=0, description="The revision that was left.")
    taken: str = Field(default="", description="When the copy was made, RFC 3339.")
    at: str = Field(default="", description="When the return began, RFC 3339.")
    message: str = Field(default="", max_length=1024)


class UpgradeStatus(StatusModel):
    """What the operator keeps for the way back."""

    copies: list[DatabaseCopy] = Field(default_factory=list, description="The newest first.")
    rollback: RollbackStatus | None = Field(default=None, description="The return that is under way, or was done last.")
