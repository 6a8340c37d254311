"""What is done with homes: each operation holds its volume's lock, may be repeated, and asks the disk what is there.

The CSI services, the loop over claims, the daily one and the commands in a shell all come through here.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pdshub import rfc3339
from pdshub.homes import freezing, mounts, names, policy, restore, sizes, xfs
from pdshub.homes.backend import Backend
from pdshub.homes.errors import FullError, InUseError, MissingError, TakenError
from pdshub.homes.locks import POOL, Locks
from pdshub.homes.model import Checkpoint, Pool, Volume
from pdshub.homes.policy import Limits
from pdshub.homes.shown import Shown

log = logging.getLogger(__name__)


class Homes(Shown):
    """The homes of one node. ``now``: the clock, Unix time."""

    def __init__(
        self, backend: Backend, locks: Locks, limits: Limits, kubelet: Path, clock: Callable[[], float] = time.time
    ) -> None:
        """``kubelet``: as for Shown. ``clock``: Unix time."""
        super().__init__(backend, locks, limits, kubelet)
        self.now = clock

    def prepare(self) -> None:
        """Before anything else, once a start. Raises HomesError, OSError."""
        self._locks.prepare()
        self._backend.prepare()
        self.go_on()

    def go_on(self) -> None:
        """Let homes go on that a process has left standing still when it was killed. Raises HomesError, OSError."""
        for volume in self._backend.volumes() if self._backend.freezes else ():
            with self._locks(volume.id):
                for mount in self.mounted(volume.id)[:1]:
                    freezing.thaw(mount.point)

    # --- volumes

    def create(self, name: str, required: int, limit: int, source: str = "") -> Volume:
        """The volume of that name, made where there is none; bounds in bytes, 0 for none.

        ``source``: the checkpoint that it begins as. Raises RangeError, FullError, MissingError, and TakenError for one
        that is there and is not of such a size.
        """
        volume = names.volume_id(name)
        with self._locks(volume):
            found = self._backend.volume(volume)
            if found is not None:
                if not sizes.fulfils(found.size, required, limit):
                    raise TakenError(f"the volume {volume} is there already, with {found.size} bytes")
                return found
            least = self.one_checkpoint(source).size if source else 0
            size = sizes.chosen(max(required, least), limit)
            with self._locks(POOL):
                self._promise(size)
                self._backend.create(volume, size, names.label(name), source)
            log.info("volume %s made for %r: %d bytes", volume, names.label(name), size)
            return self.volume(volume)

    def _promise(self, more: int) -> None:
        if why := policy.why_no_room(self._backend.pool(), self.limits, more):
            raise FullError(why)

    def delete(self, volume: str) -> None:
        """Remove a volume and its daily checkpoints; those that somebody asked for by name stay.

        One that is not there is none to remove. Raises InUseError while it is mounted anywhere on this node.
        """
        if not names.is_volume(volume):
            return
        with self._locks(volume):
            if there := self.mounted(volume):
                raise InUseError(f"volume {volume} is mounted at {there[0].point}")
            was = self._backend.volume(volume) is not None
            self._backend.delete(volume)
            for checkpoint in self._backend.checkpoints(volume):
                if checkpoint.daily:
                    self._backend.drop(checkpoint.id)
            if was:
                log.info("volume %s removed", volume)
            self._locks.forget(volume)

    def grow(self, volume: str, required: int, limit: int = 0) -> Volume:
        """Give a volume at least so many bytes, and its file system too where it is mounted; it never shrinks."""
        with self._locks(self.volume(volume).id):
            found = self.volume(volume)
            size = max(found.size, sizes.chosen(required, limit)) if required > found.size else found.size
            if limit and size > limit:
                raise TakenError(f"volume {volume} has {size} bytes already, more than the limit of {limit}")
            if size > found.size:
                with self._locks(POOL):
                    self._promise(size - found.size)
                    self._backend.grow(volume, size)
                log.info("volume %s grown from %d to %d bytes", volume, found.size, size)
            else:
                self._backend.grow(volume, size)  # one that was killed had told the device nothing yet
            for mount in self.mounted(volume):
                if "ro" not in mount.options:
                    xfs.grow(mount.point)
                    break
            return self.volume(volume)

    # --- checkpoints

    def checkpoint(self, volume: str, name: str, *, daily: bool = False, brief: bool = False) -> Checkpoint:
        """Keep a volume as it is now; one of that name that is there stays as it is.

        Raises MissingError, FullError, and TakenError for a name that a checkpoint of another volume has.
        """
        wanted = names.checkpoint_id(self.volume(volume).id, name)
        mark = names.checkpoint_mark(name)
        if not daily:  # CSI: a name is one snapshot's in the whole driver; days have the same name for all
            for other in self._backend.checkpoints():
                if other.id.endswith(f"-{mark}") and other.id != wanted:
                    raise TakenError(f"volume {other.volume} has a checkpoint of that name")
        with self._locks(volume):
            self.volume(volume)
            with suppress(MissingError):
                return self.one_checkpoint(wanted)
            pool = self._backend.pool()
            if pool.fill > self.limits.drop_above:
                raise FullError(f"the pool of homes is {pool.fill:.0%} full: no checkpoint is made")
            point = next((m.point for m in self.mounted(volume) if "ro" not in m.options), "")
            if point:
                freezing.trim(point)
            else:
                self._settle(volume)
            self._backend.checkpoint(wanted, point, self.now(), daily=daily, brief=brief)
            return self.one_checkpoint(wanted)

    def _settle(self, volume: str) -> None:
        """Let the kernel play back the log of a home that is mounted nowhere: checkpoints are read as they lie.

        A home whose node was cut off has in its log what is in no other place.
        """
        with self._backend.device(volume) as device, _aside() as seen:
            xfs.mount_still(device, seen)

    def drop(self, checkpoint: str) -> None:
        """Remove a checkpoint; one that is not there is none to remove. Raises InUseError while somebody sees it."""
        if names.is_checkpoint(checkpoint):
            with self._locks(names.volume_of(checkpoint)):
                if there := mounts.of(self._backend.numbers(checkpoint)):
                    raise InUseError(f"checkpoint {checkpoint} is mounted at {there[0].point}")
                self._backend.drop(checkpoint)

    def restore(self, checkpoint: str, path: str) -> str:
        """Put one file of a checkpoint back beside what is there now: its new path in the home.

        Raises MissingError, ArgumentError, TakenError, and InUseError while the home is mounted nowhere.
        """
        found = self.one_checkpoint(checkpoint)
        mark = rfc3339.text(found.created)[:16].replace(":", "") + "Z"  # as 2026-11-25T0230Z
        with self._locks(found.volume):
            points = [m.point for m in self.mounted(found.volume) if "ro" not in m.options]
            if not points:
                raise InUseError(f"volume {found.volume} is not mounted: its server has to run")
            with self._backend.checkpoint_device(checkpoint) as device, _aside() as seen:
                xfs.mount_frozen(device, seen)
                return restore.file(seen, points[0], path, mark)

    def add_disk(self, device: str) -> Pool:
        """Let the pool have one more disk. Raises ArgumentError."""
        with self._locks(POOL):
            self._backend.add_disk(device)
        return self.pool()


@contextmanager
def _aside() -> Iterator[str]:
    """A point of this process's own for one mount, which is taken away at the end. Nothing below it is ever removed."""
    point = tempfile.mkdtemp(prefix="pdshub-home-")
    try:
        yield point
    finally:
        mounts.take_away(point)
        os.rmdir(point)  # noqa: PTH106 - of an empty directory, and of nothing else
