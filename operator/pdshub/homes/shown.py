"""What is on the disk, and where it is mounted: volumes of homes, and checkpoints that somebody looks at, read-only."""

from __future__ import annotations

import os
from pathlib import Path

from pdshub.homes import mounts, names, policy, xfs
from pdshub.homes.backend import Backend
from pdshub.homes.errors import ArgumentError, InUseError, MissingError, TakenError
from pdshub.homes.locks import Locks
from pdshub.homes.model import Checkpoint, Pool, Volume
from pdshub.homes.policy import Limits
from pdshub.node.mount import mountinfo


class Shown:
    """The homes of one node as they are seen. ``limits``: the pool's bounds."""

    def __init__(self, backend: Backend, locks: Locks, limits: Limits, kubelet: Path) -> None:
        """``kubelet``: the folder below which alone anything is mounted for others."""
        self._backend, self._locks, self._kubelet = backend, locks, kubelet
        self.limits = limits

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

    def one_checkpoint(self, checkpoint: str) -> Checkpoint:
        """One checkpoint. Raises MissingError."""
        if names.is_checkpoint(checkpoint):
            for found in self._backend.checkpoints(names.volume_of(checkpoint)):
                if found.id == checkpoint:
                    return found
        raise MissingError(f"there is no checkpoint {checkpoint[:64]!r}")

    # --- mounts

    def below_kubelet(self, path: str) -> str:
        """The path, tidied. Raises ArgumentError for one that is not below the kubelet's folder."""
        tidy = os.path.normpath(path)
        if not tidy.startswith(f"{self._kubelet}/"):
            raise ArgumentError(f"{path!r} does not lie in {self._kubelet}")
        return tidy

    def stage(self, volume: str, path: str) -> None:
        """Mount a volume at ``path``, or a checkpoint, which nobody can write.

        Raises MissingError, and TakenError where something else is mounted.
        """
        point = self.below_kubelet(path)
        with self._locks(self._known(volume)):
            self._known(volume)
            there = mounts.at(point)
            if there is not None and there.device not in self._backend.numbers(volume):
                raise TakenError(f"{point} is a mount of {there.source}")
            if names.is_checkpoint(volume):
                if there is None:
                    with self._backend.checkpoint_device(volume, stays=True) as device:
                        xfs.mount_frozen(device, point)
                return
            if there is None:
                with self._backend.device(volume) as device:
                    xfs.mount(device, point)
            xfs.grow(point)

    def _known(self, identity: str) -> str:
        """The volume whose lock is that of a volume or of a checkpoint. Raises MissingError."""
        if names.is_checkpoint(identity):
            return self.one_checkpoint(identity).volume
        return self.volume(identity).id

    def unstage(self, volume: str, path: str) -> None:
        """Take the mount at ``path`` away. Raises InUseError."""
        point = self.below_kubelet(path)
        if not names.is_volume(volume) and not names.is_checkpoint(volume):
            return
        with self._locks(names.volume_of(volume)):
            mounts.take_away(point)

    def publish(self, volume: str, staged: str, target: str, *, read_only: bool) -> None:
        """Show a staged volume at ``target``. Raises MissingError, InUseError where it is not staged, TakenError."""
        origin, point = self.below_kubelet(staged), self.below_kubelet(target)
        read_only = read_only or names.is_checkpoint(volume)
        with self._locks(self._known(volume)):
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
        if not names.is_volume(volume) and not names.is_checkpoint(volume):
            return
        with self._locks(names.volume_of(volume)):
            mounts.remove(point)

    def stats(self, volume: str, path: str) -> os.statvfs_result:
        """Numbers of the file system of a volume that is mounted at `path`. Raises MissingError."""
        self._known(volume)
        there = mounts.at(os.path.normpath(path))
        if there is None or there.device not in self._backend.numbers(volume):
            raise MissingError(f"volume {volume} is not mounted at {path[:200]!r}")
        return os.statvfs(there.point)
