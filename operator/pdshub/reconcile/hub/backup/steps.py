"""What can be done next for a hub's backups: one of these at a time."""

from __future__ import annotations

from dataclasses import dataclass

from pdshub.api.backup import HubBackupStatus, HubRestoreStatus
from pdshub.reconcile.common.objects import Step as Write
from pdshub.reconcile.hub.backup.asked import Asked, Restore
from pdshub.reconcile.hub.backup.progress import Stage


@dataclass(frozen=True)
class Nothing:
    """Nothing is to be done for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Sweep:
    """Jobs that nobody waits for are taken away, and VolumeSnapshots for such."""

    jobs: tuple[str, ...]


@dataclass(frozen=True)
class Prepare:
    """What a Job needs is written: the key, and the volume of an NFS share."""

    key: bool
    steps: tuple[Write, ...]


@dataclass(frozen=True)
class MakeRun:
    """A run is due: a HubBackup is made."""

    name: str


@dataclass(frozen=True)
class Prune:
    """HubBackups beyond the history are deleted; their snapshots stay."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Tell:
    """A status is written. The Job that it no longer names has said what it had to say, and goes."""

    about: Asked
    status: HubBackupStatus | HubRestoreStatus


@dataclass(frozen=True)
class WarnUser:
    """A user is warned that their server will be stopped, for a restore in its home."""

    restore: Restore


@dataclass(frozen=True)
class StopServer:
    """The server of a user is stopped, for a restore in its home."""

    restore: Restore


@dataclass(frozen=True)
class Start:
    """A Job is made, if it is this hub's turn at the repository."""

    about: Asked
    stage: Stage
    attempt: int
    item: str = ""
    why: str = ""
    """Why a home that might be saved from a checkpoint is not."""


Step = Nothing | Sweep | Prepare | MakeRun | Prune | Tell | WarnUser | StopServer | Start
