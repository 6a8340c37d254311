"""What the operator asks a backup Job to do, and what the Job answers. Both sides treat the other's text as untrusted.

The request is one JSON file at ``REQUEST`` of a mounted ConfigMap. The answer is the container's termination message
(Kubernetes: at most 4096 bytes), which the operator reads from the pod's status; a Job that was killed has none.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pdshub.api.backup import Item, ItemStatus
from pdshub.api.base import Model, RelativePath, StatusModel

REQUEST = "/etc/pdshub-backup/request.json"
SECRETS = "/run/pdshub-backup"
"""Mounted Secrets: ``SECRETS/key/key`` (the repository's password), ``SECRETS/repository/*`` (keys of secretRef),
``SECRETS/ca/ca.crt``. Never in environment variables or argv."""
PRIVATE = "/run/pdshub-backup-private"
"""A folder in memory, for keys that programs want in files of their own form."""
REPOSITORY = "/repository"
"""Where an NFS share or claim that is the repository is mounted."""
DATA = "/data"
"""What is saved, mounted read-only: ``DATA/home`` (one home), ``DATA/database``, ``DATA/keys``, ``DATA/objects``."""
TARGET = "/target"
"""The home that is restored into, mounted read-write, for action restore only."""
MEMORY = "PDSHUB_MEMORY"
"""The environment variable with the bytes of memory that the container may have."""
PROCESSORS = "PDSHUB_PROCESSORS"
"""The environment variable with how many processors the container may have, rounded up."""
LONGEST_ANSWER = 4096
"""Bytes. Source: Kubernetes, Determine the Reason for Pod Failure."""

Action = Literal["init", "backup", "forget", "check", "restore", "list", "browse", "drill", "plan", "recover", "keys"]
READING = ("restore", "list", "browse", "plan", "recover", "keys")
"""Actions that read the repository, and for which it is mounted so."""


class Keep(Model):
    """Retention of one item's snapshots, in restic's numbers."""

    last: int = 3
    daily: int = 14
    weekly: int = 8
    monthly: int = 12
    upgrades: int = 3
    """The newest snapshots from before upgrades stay whatever the rest says. No number of restic's."""


class JobRequest(Model):
    """What one Job does. One item a Job, as homes are claims of their own."""

    action: Action
    hub: str = Field(
        description="NAMESPACE/NAME of the hub: restic's host, by which hubs in one repository are told apart."
    )
    run: str = Field(description="Name of the HubBackup or HubRestore. It is the tag run=NAME.")
    location: str = Field(
        description="restic's repository, as s3:https://host/bucket/prefix, rest:https://host/path, "
        "sftp:user@host:/path or /repository/prefix."
    )
    kind: Literal["s3", "rest", "sftp", "nfs", "claim"]
    port: int = 0
    region: str = ""
    ca: bool = Field(default=False, description="SECRETS/ca/ca.crt is there and is what the server is believed by.")
    item: Item | None = None
    source: str = Field(default="", description="Folder below DATA.")
    how: Literal["", "Snapshot", "InUse", "Stopped", "SQLite"] = ""
    exclude: list[str] = Field(default_factory=list, max_length=200)
    larger_than: str = ""
    upload_limit_kib: int = 0
    keep: Keep = Field(default_factory=Keep)
    keep_always: bool = Field(default=False, description="The snapshot gets tag keep, which forget leaves.")
    before_upgrade: bool = Field(
        default=False, description="The snapshot gets tag upgrade, of which forget leaves the newest keep.upgrades."
    )
    append_only: bool = False
    unlock: bool = Field(
        default=False,
        description="Nothing else runs under this pod's host name: locks that were made under it are a killed Job's, "
        "and go.",
    )
    deadline_seconds: int = Field(default=21600, description="After which the Job ends by itself, in order.")
    snapshot: Annotated[str, Field(pattern=r"^([0-9a-f]{8,64}|latest)$")] = "latest"
    as_of: str = Field(default="", description="RFC 3339; with snapshot latest: the newest not after it.")
    path: RelativePath = "."
    to: RelativePath | None = None
    in_place: bool = False
    read_subset: str = Field(default="", description="For check: n/t, as restic --read-data-subset.")
    of_run: Annotated[str, Field(max_length=253)] = Field(
        default="", description="For plan: what there was when this run ended; its name, or the id of a snapshot of it."
    )
    after: Annotated[str, Field(max_length=260)] = Field(
        default="", description="For plan: the last item of the answer before."
    )
    paths: list[Annotated[str, Field(max_length=512)]] = Field(
        default_factory=list, max_length=16, description="For keys: the files that are wanted, below the item."
    )
    public_key: Annotated[str, Field(max_length=64)] = Field(
        default="", description="For keys: of whom alone can read the answer (pdshub.sealed)."
    )


class JobSnapshot(StatusModel):
    """A snapshot of the repository, as action list tells it."""

    id: str
    item: str
    time: str = Field(description="RFC 3339.")
    run: str = ""
    size_bytes: int = 0
    files: int = 0
    digest: str = ""
    claim: str = Field(default="", description="Of a home, for plan: the claim that it was in.")


class JobEntry(StatusModel):
    """An entry of a folder in a snapshot, as action browse tells it."""

    name: str = Field(max_length=255)
    kind: Literal["Folder", "File", "Link"] = "File"
    size_bytes: int = 0
    modified: str = Field(default="", description="RFC 3339.")


class JobAnswer(StatusModel):
    """What became of it."""

    ok: bool
    reason: str = Field(
        default="",
        description="CamelCase: NoRepository, WrongKey, Locked, Unreachable, Full, ReadOnly, Damaged, Deadline, "
        "NotFound, NotEmpty, BadRequest, Failed.",
    )
    message: str = Field(default="", max_length=1024, description="For people; no secret.")
    item: ItemStatus | None = None
    snapshots: list[JobSnapshot] = Field(default_factory=list, description="As many as fit.")
    entries: list[JobEntry] = Field(default_factory=list, description="Of action browse, as many as fit.")
    more: int = Field(default=0, description="Snapshots or entries that did not fit.")
    place: str = ""
    replaced: str = ""
    files: int = 0
    size_bytes: int = 0
    sealed: str = Field(default="", max_length=3000, description="Of keys: for the eyes of who asked (pdshub.sealed).")
    unlocked: int = Field(default=0, description="Own stale locks that were taken away.")
    seconds: float = 0
