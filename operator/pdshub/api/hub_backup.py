"""spec.backup: what is saved, where, when, and for how long it is kept."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from pdshub.api.backup_repository import Repository
from pdshub.api.base import Model, SecretKey, rules

_CRON = re.compile(r"^(\S+\s+){4}\S+$")
WORDS = ("@hourly", "@daily", "@weekly", "@monthly", "@hourly-random", "@daily-random", "@weekly-random")
"""Schedules by name; -random: at a moment of the hour, day or week that follows from the hub's name and stays."""


def _checked_schedule(text: str) -> str:
    if text not in WORDS and not _CRON.match(text):
        raise ValueError(
            f"{text!r} is no schedule: write five cron fields as '30 2 * * *', or one of {', '.join(WORDS)}"
        )
    return text


Schedule = Annotated[
    str,
    AfterValidator(_checked_schedule),
    Field(
        max_length=100,
        json_schema_extra=rules(
            (
                f"self in {list(WORDS)} || self.matches('^([^ ]+ +){{4}}[^ ]+$')",
                "not a schedule: write five cron fields as '30 2 * * *', or @daily-random",
            )
        ),
    ),
]
"""Five cron fields in UTC, or one of WORDS."""
Clock = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
"""HH:MM in UTC."""
Pattern = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\n\r\x00]+$")]
"""A pattern of restic's --exclude, below a home."""
CACHES = (".cache", ".npm", ".conda/pkgs", ".local/share/Trash", ".ipynb_checkpoints", "__pycache__", "node_modules")
"""What a program makes again by itself: folder names, anywhere in a home; those with a slash at its top."""
ENVIRONMENTS = (".venv", "venv", ".conda/envs", "miniconda3", "mambaforge", "miniforge3", ".local/lib/python*")
"""Where people install packages: made again from a list of them."""


class Retention(Model):
    """How many snapshots stay, of each kind; whatever any rule keeps stays (restic forget)."""

    keep_last: int = Field(default=3, ge=1, le=1000, description="The newest.")
    keep_daily: int = Field(default=14, ge=0, le=1000, description="The newest of each of so many days.")
    keep_weekly: int = Field(default=8, ge=0, le=1000, description="The newest of each of so many weeks.")
    keep_monthly: int = Field(default=12, ge=0, le=1000, description="The newest of each of so many months.")


class What(Model):
    """What is saved."""

    homes: bool = Field(default=True, description="Users' homes.")
    database: bool = Field(default=True, description="The hub's database of users, tokens and shares.")
    keys: bool = Field(default=True, description="The hub's keys and the Secrets that its sign-in names.")
    objects: bool = Field(default=True, description="The PDSHub, its ArchiveView, the list of homes.")


class Exclude(Model):
    """What of homes is left out."""

    caches: bool = Field(default=True, description=f"Folders that programs fill again: {', '.join(CACHES)}.")
    environments: bool = Field(default=False, description=f"Installed packages: {', '.join(ENVIRONMENTS)}.")
    patterns: list[Pattern] = Field(default_factory=list, max_length=64, description="More, as restic --exclude.")
    larger_than: Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[MGT]$")] | None = Field(
        default=None, description="Files that are larger, as 50G."
    )


class Hours(Model):
    """Hours of the day in which backups may begin. They may cross midnight."""

    begin: Clock = Field(description="From, HH:MM in UTC.")
    end: Clock = Field(description="Until, HH:MM in UTC.")


class Key(Model):
    """The key that encrypts the repository. Whoever loses it loses every backup."""

    secret_ref: SecretKey | None = Field(
        default=None, description="Where it is; by default the operator makes one in Secret <name>-backup-key."
    )
    escrow: Annotated[str, Field(min_length=3, max_length=300)] | None = Field(
        default=None,
        description="Where a copy outside the cluster is and who has it, in words. Until this is said, condition "
        "KeyEscrowed is False.",
    )


class Drill(Model):
    """Restores for practice, which prove that backups can be read."""

    schedule: Schedule = Field(default="@weekly-random", description="When.")
    suspend: bool = Field(default=False, description="No drill by schedule.")
    sample: int = Field(default=3, ge=1, le=100, description="Homes that are restored and compared, in turn.")
    read_percent: int = Field(
        default=10,
        ge=1,
        le=100,
        description="Part of the repository's data that is read: in turn, so that all was read after 100 / this.",
    )
    max_age_days: int = Field(default=14, ge=1, le=366, description="RestoreVerified is False when older than this.")


class Backup(Model):
    """Backups of the hub: what is saved, where, when, and for how long it is kept."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "!has(self.what) || self.what.homes || self.what.database || self.what.keys || self.what.objects",
                "what is empty: leave something to be saved, or take spec.backup away",
            )
        )
    )
    schedule: Schedule = Field(default="@daily-random", description="When: five cron fields in UTC, or @daily-random.")
    suspend: bool = Field(default=False, description="No run by schedule. On demand there still are.")
    repository: Repository = Field(description="Where: exactly one of s3, rest, sftp, nfs, claim.")
    key: Key = Field(default_factory=Key, description="The key that encrypts the repository.")
    retention: Retention = Field(default_factory=Retention, description="How many snapshots stay.")
    what: What = Field(default_factory=What, description="What is saved.")
    exclude: Exclude = Field(default_factory=Exclude, description="What of homes is left out.")
    upload_limit_kib: int | None = Field(default=None, ge=64, description="KiB per second to the repository, at most.")
    hours: Hours | None = Field(default=None, description="Hours in which backups may begin; default: any.")
    deadline_minutes: int = Field(
        default=360, ge=5, le=10080, description="One Job of a run is ended after this; the next run goes on."
    )
    drill: Drill = Field(default_factory=Drill, description="Restores for practice: every week, if nothing is said.")
    history: int = Field(default=30, ge=1, le=1000, description="HubBackups that stay to be read.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not any((self.what.homes, self.what.database, self.what.keys, self.what.objects)):
            raise ValueError("what is empty: leave something to be saved, or take spec.backup away")
        return self


Trigger = Literal["Schedule", "Manual", "PreUpgrade", "Offboard"]
