"""Where backups are kept: exactly one place, spoken to by restic."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from pdshub.api.base import DNS_HOST, AbsolutePath, Model, ObjectName, rules
from pdshub.api.hub_acme import CaBundle

_FOLDER = "[A-Za-z0-9_-][A-Za-z0-9._-]*"
Prefix = Annotated[str, Field(max_length=256, pattern=rf"^{_FOLDER}(/{_FOLDER})*$")]
"""A folder below a bucket, an account or a directory. No part begins with a dot: ``..`` would lead out of it, and with
``.`` one place would have two names."""
HttpsUrl = Annotated[str, Field(max_length=512, pattern=r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")]


class S3(Model):
    """A bucket of an S3 service."""

    endpoint: HttpsUrl = Field(
        default="https://s3.amazonaws.com",
        description="URL of the service. Plain http:// in a development namespace only.",
    )
    bucket: str = Field(
        min_length=3, max_length=63, pattern=r"^[a-z0-9][a-z0-9.-]*[a-z0-9]$", description="Name of the bucket."
    )
    prefix: Prefix | None = Field(default=None, description="Folder in the bucket; default: NAMESPACE/NAME of the hub.")
    region: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,32}$")] | None = Field(default=None, description="Region.")
    secret_ref: ObjectName = Field(description="Secret with keys access-key-id and secret-access-key.")
    ca_bundle: CaBundle | None = Field(default=None, description="Certificates of a private CA.")


class Rest(Model):
    """A REST server, as `rclone serve restic --append-only`: a target that a taken-over hub cannot empty."""

    url: HttpsUrl = Field(description="URL of the repository. Plain http:// in a development namespace only.")
    secret_ref: ObjectName | None = Field(default=None, description="Secret with keys username and password.")
    ca_bundle: CaBundle | None = Field(default=None, description="Certificates of a private CA.")
    append_only: bool = Field(
        default=False,
        description="The server refuses to delete. What is older than the retention goes by a prune on that machine.",
    )


class Sftp(Model):
    """A directory on a machine that is reached by SSH."""

    host: Annotated[str, Field(max_length=253, pattern=rf"^{DNS_HOST}$")] = Field(description="Name or IPv4 address.")
    port: int = Field(default=22, ge=1, le=65535, description="Port of the SSH server.")
    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = Field(description="Account there.")
    path: AbsolutePath = Field(description="Directory of the repository.")
    secret_ref: ObjectName = Field(description="Secret with keys ssh-privatekey and known_hosts.")


class NfsShare(Model):
    """A directory of an NFS server that the installation allows for backups."""

    server: Annotated[str, Field(max_length=253, pattern=rf"^{DNS_HOST}$")] = Field(description="The NFS server.")
    path: AbsolutePath = Field(description="Exported directory.")


class Claim(Model):
    """A PersistentVolumeClaim of the hub's namespace."""

    name: ObjectName = Field(description="Name of the PersistentVolumeClaim.")
    prefix: Prefix | None = Field(default=None, description="Folder in it; default: its top.")


RepositoryKind = Literal["s3", "rest", "sftp", "nfs", "claim"]
KINDS: tuple[RepositoryKind, ...] = ("s3", "rest", "sftp", "nfs", "claim")
"""Kinds of repositories, as their fields are called."""
_ONE = "choose exactly one repository: s3, rest, sftp, nfs or claim"


class Repository(Model):
    """Where backups are kept: exactly one place."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("[" + ", ".join(f"has(self.{kind})" for kind in KINDS) + "].filter(x, x).size() == 1", _ONE)
        )
    )
    s3: S3 | None = Field(default=None, description="A bucket of an S3 service.")
    rest: Rest | None = Field(default=None, description="A REST server, as rclone serve restic.")
    sftp: Sftp | None = Field(default=None, description="A directory that is reached by SSH.")
    nfs: NfsShare | None = Field(default=None, description="A directory of an NFS server.")
    claim: Claim | None = Field(default=None, description="A PersistentVolumeClaim of the hub's namespace.")

    @property
    def kind(self) -> RepositoryKind:
        """Which one is chosen."""
        return next(kind for kind in KINDS if getattr(self, kind) is not None)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in KINDS) != 1:
            raise ValueError(_ONE)
        return self


__all__ = ["KINDS", "S3", "Claim", "NfsShare", "Repository", "Rest", "Sftp"]
