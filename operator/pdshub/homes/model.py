"""What a disk holds: volumes, checkpoints of them, and the pool that both take their room from."""

from __future__ import annotations

from dataclasses import dataclass

from pdshub.homes import names


@dataclass(frozen=True)
class Volume:
    """A home's volume. ``size`` in bytes is the home's own limit; ``used`` is what it takes of the pool now."""

    id: str
    size: int
    used: int
    label: str = ""
    changed: float | None = None
    """Unix time of the last write to it; None where that is not known."""


@dataclass(frozen=True)
class Checkpoint:
    """A volume as it was at a moment. ``how``: reflink, copy or thin (docs/storage.md).

    ``brief``: made for one look, as a backup is, and removed after it.
    """

    id: str
    created: float
    size: int
    daily: bool
    how: str
    brief: bool = False

    @property
    def volume(self) -> str:
        """The id of the volume that it is of; that may be gone."""
        return names.volume_of(self.id)


@dataclass(frozen=True)
class Pool:
    """The room that all share, in bytes. ``promised``: the sizes of all volumes together, of which most take less.

    ``metadata``: the part of a thin pool's metadata that is used, 0 to 1; 0 where there is none. ``others``: what
    belongs to neither homes nor checkpoints, on a file system that is not theirs alone; it can be promised to nobody.
    """

    total: int
    used: int
    promised: int
    metadata: float = 0.0
    others: int = 0

    @property
    def fill(self) -> float:
        """How full it is, 0 to 1: the data, or the metadata where that is nearer to its end."""
        return max(self.used / self.total if self.total else 1.0, self.metadata)
