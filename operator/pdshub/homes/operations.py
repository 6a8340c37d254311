"""What is done with homes: each operation holds its volume's lock, may be repeated, and asks the disk what is there.

The CSI services, the loop over claims, the daily one and the commands in a shell all come through here.
"""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from pdshub.homes import freezing, mounts, names, policy, restore, sizes, xfs
from pdshub.homes.backend import Backend
from pdshub.homes.errors import ArgumentError, FullError, InUseError, MissingError, TakenError
from pdshub.homes.locks import POOL, Locks
from pdshub.homes.model import Checkpoint, Pool, Volume
from pdshub.homes.policy import Limits
from pdshub.node.mount import mountinfo

log = logging.getLogger(__name__)


class Homes:
    """The homes of one node. ``limits``: the pool's bounds; ``now``: the clock, Unix time."""

    def __init__(
        self, backend: Backend, locks: Locks, limits: Limits, kubelet: Path, clock: Callable[[], float] = time.time
    ) -> None:
        """``kubelet``: the folder below which alone anything is mounted. ``clock``: Unix time."""
        self._backend, self._locks, self._kubelet = backend, locks, kubelet
        self.limits, self.now = limits, clock

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

    # --- what is there

    def volumes(self) -> list[Volume]:
        """All volumes. Raises HomesError, OSError, as all below do."""
        return self._backend.volumes()

    def volume(self, volume: str) -> Volume:
        """One volume. Raises MissingError."""
        found = self._backend.volume(volume) if names.is_volume(volume) else None
        if found is None:
            raise MissingError(f"there is no volume {volume[:64]!r}")
        return found

    def checkpoints(self, volume: str = "") -> list[Checkpoint]:
        """All checkpoints, or those of one volume; the oldest first."""
        if volume and not names.is_volume(volume):
            return []
        return sorted(self._backend.checkpoints(volume), key=lambda c: (c.created, c.id))

    def pool(self) -> Pool:
        """How full the pool is."""
        return self._backend.pool()

    def room(self) -> int:
        """Bytes that may still be promised to volumes."""
        return policy.available(self._backend.pool(), self.limits)

    def mounted(self, volume: str) -> list[mountinfo.Mount]:
        """Where a volume is mounted now."""
        return mounts.of(self._backend.numbers(volume))

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

    # --- mounts

    def below_kubelet(self, path: str) -> str:
        """The path, tidied. Raises ArgumentError for one that is not below the kubelet's folder."""
        tidy = os.path.normpath(path)
        if not tidy.startswith(f"{self._kubelet}/"):
            raise ArgumentError(f"{path!r} does not lie in {self._kubelet}")
        return tidy

    def stage(self, volume: str, path: str) -> None:
        """Mount a volume at ``path``. Raises MissingError, and TakenError where something else is mounted."""
        point = self.below_kubelet(path)
        with self._locks(self.volume(volume).id):
            self.volume(volume)
            there = mounts.at(point)
            if there is None:
                with self._backend.device(volume) as device:
                    xfs.mount(device, point)
            elif there.device not in self._backend.numbers(volume):
                raise TakenError(f"{point} is a mount of {there.source}")
            xfs.grow(point)

    def unstage(self, volume: str, path: str) -> None:
        """Take the mount at ``path`` away. Raises InUseError."""
        point = self.below_kubelet(path)
        if not names.is_volume(volume):
            return
        with self._locks(volume):
            mounts.take_away(point)

    def publish(self, volume: str, staged: str, target: str, *, read_only: bool) -> None:
        """Show a staged volume at ``target``. Raises MissingError, InUseError where it is not staged, TakenError."""
        origin, point = self.below_kubelet(staged), self.below_kubelet(target)
        with self._locks(self.volume(volume).id):
            numbers = self._backend.numbers(volume)
            below, there = mounts.at(origin), mounts.at(point)
            if below is None or below.device not in numbers:
                raise InUseError(f"volume {volume} is not staged at {origin}")
            if there is None:
                mounts.bind(origin, point, read_only=read_only)
            elif there.device not in numbers or ("ro" in there.options) != read_only:
                raise TakenError(f"{point} is a mount of {there.source}, or of another kind")

    def unpublish(self, volume: str, target: str) -> None:
        """Take the mount at ``target`` away, and the directory. Raises InUseError."""
        point = self.below_kubelet(target)
        if not names.is_volume(volume):
            return
        with self._locks(volume):
            mounts.remove(point)

    def stats(self, volume: str, path: str) -> os.statvfs_result:
        """Numbers of the file system of a volume that is mounted at `path`. Raises MissingError."""
        self.volume(volume)
        there = mounts.at(os.path.normpath(path))
        if there is None or there.device not in self._backend.numbers(volume):
            raise MissingError(f"volume {volume} is not mounted at {path[:200]!r}")
        return os.statvfs(there.point)

    # --- checkpoints

    def one_checkpoint(self, checkpoint: str) -> Checkpoint:
        """One checkpoint. Raises MissingError."""
        if names.is_checkpoint(checkpoint):
            for found in self._backend.checkpoints(names.volume_of(checkpoint)):
                if found.id == checkpoint:
                    return found
        raise MissingError(f"there is no checkpoint {checkpoint[:64]!r}")

    def checkpoint(self, volume: str, name: str, *, daily: bool = False) -> Checkpoint:
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
            self._backend.checkpoint(wanted, point, self.now(), daily=daily)
            return self.one_checkpoint(wanted)

    def drop(self, checkpoint: str) -> None:
        """Remove a checkpoint; one that is not there is none to remove."""
        if names.is_checkpoint(checkpoint):
            with self._locks(names.volume_of(checkpoint)):
                self._backend.drop(checkpoint)

    def restore(self, checkpoint: str, path: str) -> str:
        """Put one file of a checkpoint back beside what is there now: its new path in the home.

        Raises MissingError, ArgumentError, TakenError, and InUseError while the home is mounted nowhere.
        """
        found = self.one_checkpoint(checkpoint)
        with self._locks(found.volume):
            points = [m.point for m in self.mounted(found.volume) if "ro" not in m.options]
            if not points:
                raise InUseError(f"volume {found.volume} is not mounted: its server has to run")
            with tempfile.TemporaryDirectory(prefix="checkpoint-") as seen:
                with self._backend.checkpoint_device(checkpoint) as device:
                    xfs.mount_frozen(device, seen)
                    try:
                        mark = time.strftime("%Y-%m-%dT%H%MZ", time.gmtime(found.created))
                        return restore.file(seen, points[0], path, mark)
                    finally:
                        mounts.take_away(seen)

    def add_disk(self, device: str) -> Pool:
        """Let the pool have one more disk. Raises ArgumentError."""
        with self._locks(POOL):
            self._backend.add_disk(device)
        return self.pool()
