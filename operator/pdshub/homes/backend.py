"""What the driver needs of a disk. Two kinds: files.py (images in a folder) and thin.py (a thin pool of LVM).

Every call is synchronous, is made by who holds the volume's lock, and may be repeated after its process was killed
anywhere in it: the disk itself is the record of what is there. Ids were checked by who calls. All raise HomesError or
OSError.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager

from pdshub.homes.model import Checkpoint, Pool, Volume


class Backend(ABC):
    """Volumes and their checkpoints on one node's disk.

    ``freezes``: a checkpoint freezes what is mounted, and a process that is killed meanwhile leaves it so.
    """

    freezes = False

    @abstractmethod
    def prepare(self) -> None:
        """Make what must be there, and remove what a killed process has left half done."""

    @abstractmethod
    def pool(self) -> Pool:
        """How full the disk is, and how much of it is promised."""

    @abstractmethod
    def add_disk(self, device: str) -> None:
        """Let the pool have one more disk, which must be blank. Nothing where it has it already."""

    @abstractmethod
    def volumes(self) -> list[Volume]:
        """All volumes that are whole."""

    @abstractmethod
    def volume(self, volume: str) -> Volume | None:
        """The volume of that id, None where there is none, or where its making was never finished."""

    @abstractmethod
    def create(self, volume: str, size: int, label: str, source: str = "") -> None:
        """Make a volume with a file system on it; ``source``: from that checkpoint, which is not larger."""

    @abstractmethod
    def delete(self, volume: str) -> None:
        """Remove a volume with all that is on it. Nothing where there is none."""

    @abstractmethod
    def grow(self, volume: str, size: int) -> None:
        """Give a volume ``size`` bytes, and tell the device over it. One that is as large stays as it is."""

    @abstractmethod
    def device(self, volume: str) -> AbstractContextManager[str]:
        """The block device of a volume, there at least until the context ends, and then as long as it is mounted."""

    @abstractmethod
    def numbers(self, volume: str) -> frozenset[str]:
        """major:minor of the devices over a volume, or over a checkpoint; none where nobody has it."""

    @abstractmethod
    def checkpoints(self, volume: str = "") -> list[Checkpoint]:
        """All checkpoints, or those of one volume, which may be gone."""

    @abstractmethod
    def checkpoint(self, checkpoint: str, point: str, now: float, *, daily: bool = False, brief: bool = False) -> None:
        """Keep a volume as it is at this moment (Unix time ``now``); ``point``: where it is mounted, or empty."""

    @abstractmethod
    def drop(self, checkpoint: str) -> None:
        """Remove a checkpoint. Nothing where there is none."""

    @abstractmethod
    def checkpoint_device(self, checkpoint: str, *, stays: bool = False) -> AbstractContextManager[str]:
        """The block device of a checkpoint, which cannot be written; ``stays``: as for ``device``, else for now."""
