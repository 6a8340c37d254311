"""A disk that is only remembered: the same calls as a real one, without mounts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pdshub.homes import names
from pdshub.homes.backend import Backend
from pdshub.homes.locks import Locks
from pdshub.homes.model import Checkpoint, Pool, Volume
from pdshub.homes.operations import Homes
from pdshub.homes.policy import Limits

GI = 1 << 30
NOW = 1_800_000_000.0


class Memory(Backend):
    """``total``: bytes of the pool. ``each``: what a checkpoint takes of it. ``fails``: what every creation raises."""

    def __init__(self, total: int = 100 * GI, each: int = GI) -> None:
        self.total, self.each = total, each
        self.used = 0
        self.kept: dict[str, Volume] = {}
        self.copies: dict[str, Checkpoint] = {}
        self.did: list[str] = []
        self.fails: Exception | None = None

    def prepare(self) -> None:
        self.did.append("prepare")

    def pool(self) -> Pool:
        promised = sum(v.size for v in self.kept.values())
        return Pool(self.total, self.used + self.each * len(self.copies), promised)

    def add_disk(self, device: str) -> None:
        self.total += 100 * GI

    def volumes(self) -> list[Volume]:
        return list(self.kept.values())

    def volume(self, volume: str) -> Volume | None:
        return self.kept.get(volume)

    def create(self, volume: str, size: int, label: str, source: str = "") -> None:
        if self.fails:
            raise self.fails
        self.did.append(f"create {volume} {size} {source}".strip())
        self.kept[volume] = Volume(volume, size, 0, label)

    def delete(self, volume: str) -> None:
        if self.kept.pop(volume, None):
            self.did.append(f"delete {volume}")

    def grow(self, volume: str, size: int) -> None:
        self.did.append(f"grow {volume} {size}")
        self.kept[volume] = Volume(volume, size, 0, self.kept[volume].label)

    @contextmanager
    def device(self, volume: str) -> Iterator[str]:
        yield "/dev/null"

    def numbers(self, volume: str) -> frozenset[str]:
        return frozenset()

    def checkpoints(self, volume: str = "") -> list[Checkpoint]:
        return [c for c in self.copies.values() if volume in ("", c.volume)]

    def checkpoint(self, checkpoint: str, point: str, now: float, *, daily: bool = False, brief: bool = False) -> None:
        size = self.kept[names.volume_of(checkpoint)].size
        self.copies[checkpoint] = Checkpoint(checkpoint, now, size, daily, "thin", brief)

    def drop(self, checkpoint: str) -> None:
        self.copies.pop(checkpoint, None)

    @contextmanager
    def checkpoint_device(self, checkpoint: str, *, stays: bool = False) -> Iterator[str]:
        yield "/dev/null"


class Remembered(Homes):
    """Homes without a kernel, so without a log that it could play back."""

    def _settle(self, volume: str) -> None:
        pass


def homes(folder: Path, disk: Memory, limits: Limits | None = None, now: list[float] | None = None) -> Homes:
    """Homes on such a disk; ``now``: a list whose first number is the time."""
    clock = now or [NOW]
    made = Remembered(disk, Locks(folder / "locks"), limits or Limits(), folder / "kubelet", lambda: clock[0])
    made.prepare()
    return made
