"""The backend `lvm-thin`: one thin logical volume for each volume, thin snapshots as checkpoints.

Tags are the record: what is not whole carries one that says so from its first moment (lvm.MAKING), and is removed and
made anew. LVM's own metadata is its journal, so a command that was killed has happened or has not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

from pdshub.homes import lvm, names, xfs
from pdshub.homes.backend import Backend
from pdshub.homes.command import ProgramError, run
from pdshub.homes.errors import ArgumentError, MissingError
from pdshub.homes.model import Checkpoint, Pool, Volume

_NOTHING_FOUND = 2
"""Exit code of blkid(8) for a device that holds nothing it knows."""


class ThinBackend(Backend):
    """Thin volumes of the pool ``pool`` in the volume group ``vg``, which an administrator made."""

    def __init__(self, vg: str, pool: str) -> None:
        """Raises ArgumentError for what can't be a name of LVM's."""
        self._vg, self._pool = lvm.checked_name(vg), lvm.checked_name(pool)

    def _lvs(self) -> list[lvm.LV]:
        return lvm.parse_lvs(run(lvm.list_lvs(self._vg)))

    def _find(self, lv: str) -> lvm.LV | None:
        return next((found for found in self._lvs() if found.name == lv), None)

    def prepare(self) -> None:
        """Activate the pool. Raises ProgramError, ReportError where it is not there."""
        run(lvm.activate(self._vg, self._pool))
        self.pool()

    def pool(self) -> Pool:
        """The thin pool, data and metadata."""
        return lvm.pool_of(self._lvs(), self._pool)

    def volumes(self) -> list[Volume]:
        """All logical volumes of homes that are whole."""
        return lvm.volumes(self._lvs(), self._pool)

    def volume(self, volume: str) -> Volume | None:
        """The one of that id."""
        return next((found for found in self.volumes() if found.id == volume), None)

    def create(self, volume: str, size: int, label: str, source: str = "") -> None:
        """Make a thin volume, from nothing or from a snapshot; what was never finished is removed before."""
        found = self._lvs()
        if any(lv.name == lvm.home_lv(volume) for lv in found):  # a process was killed while it made this
            run(lvm.remove(self._vg, lvm.home_lv(volume)))
        if source:
            if not any(checkpoint.id == source for checkpoint in lvm.checkpoints(found, self._pool)):
                raise MissingError(f"there is no checkpoint {source}")
            run(lvm.create_from(self._vg, volume, source, label))
            self._extend(lvm.home_lv(volume), size)
        else:
            run(lvm.create(self._vg, self._pool, volume, size, label))
            with self._active(lvm.home_lv(volume)) as device:
                # blank, whatever it looks like: blocks of a thin volume that nobody wrote are zeros
                xfs.make(device, again=True)
        run(lvm.whole(self._vg, volume))

    def _extend(self, lv: str, size: int) -> None:
        found = self._find(lv)
        if found is None:
            raise MissingError(f"there is no logical volume {lv}")
        if found.size < size:
            run(lvm.extend(self._vg, lv, size))

    def delete(self, volume: str) -> None:
        """Remove a home's logical volume."""
        self._remove(lvm.home_lv(volume), lvm.HOME)

    def drop(self, checkpoint: str) -> None:
        """Remove a snapshot."""
        self._remove(lvm.checkpoint_lv(checkpoint), lvm.CHECKPOINT)

    def _remove(self, lv: str, tag: str) -> None:
        found = self._find(lv)
        if found is not None and tag in found.tags:
            run(lvm.remove(self._vg, lv))

    def grow(self, volume: str, size: int) -> None:
        """Extend a logical volume; its device grows at once."""
        self._extend(lvm.home_lv(volume), size)

    def device(self, volume: str) -> AbstractContextManager[str]:
        """Its device, which stays active."""
        return self._active(lvm.home_lv(volume))

    @contextmanager
    def _active(self, lv: str, *, after: bool = True) -> Iterator[str]:
        """The device of a logical volume; ``after``: it stays when the context ends."""
        run(lvm.activate(self._vg, lv))
        try:
            yield f"/dev/{self._vg}/{lv}"
        finally:
            if not after:
                with suppress(ProgramError):  # somebody else looks at it
                    run(lvm.deactivate(self._vg, lv))

    def numbers(self, volume: str) -> frozenset[str]:
        """That of the device, while it is active."""
        found = self._find(lvm.checkpoint_lv(volume) if names.is_checkpoint(volume) else lvm.home_lv(volume))
        return frozenset([found.number] if found and found.number else [])

    def checkpoints(self, volume: str = "") -> list[Checkpoint]:
        """All snapshots."""
        found = lvm.checkpoints(self._lvs(), self._pool)
        return [checkpoint for checkpoint in found if not volume or checkpoint.volume == volume]

    def checkpoint(self, checkpoint: str, point: str, now: float, *, daily: bool = False, brief: bool = False) -> None:
        """A thin snapshot; LVM itself freezes what is mounted."""
        run(lvm.snapshot(self._vg, checkpoint, int(now), daily=daily, brief=brief))

    def checkpoint_device(self, checkpoint: str, *, stays: bool = False) -> AbstractContextManager[str]:
        """A snapshot's device; it goes when it is no longer looked at, or with the snapshot."""
        return self._active(lvm.checkpoint_lv(checkpoint), after=stays)

    def add_disk(self, device: str) -> None:
        """Raises ArgumentError for what is no block device of its own, or holds something already."""
        if not device.startswith("/dev/") or not _is_block_device(device):
            raise ArgumentError(f"{device} is no block device below /dev")
        present = {row["pv_name"]: row["vg_name"] for row in self._pvs()}
        belongs = present.get(device)
        if belongs is None:
            said = run(["blkid", "--probe", device], fine=(0, _NOTHING_FOUND))
            if said.strip():
                raise ArgumentError(f"{device} is not blank: {said.strip()[:300]}")
            run(["pvcreate", "--config", lvm.CONFIG, device])
        if not belongs:  # also where a process was killed after pvcreate
            run(["vgextend", "--config", lvm.CONFIG, self._vg, device])
        elif belongs != self._vg:
            raise ArgumentError(f"{device} belongs to volume group {belongs}")
        self._enlarge()

    def _pvs(self) -> list[dict[str, str]]:
        return lvm.rows(run(lvm.report("pvs", ("pv_name", "vg_name"))), "pv")

    def _enlarge(self) -> None:
        """Give the pool what is free in its group: first the metadata that the larger pool needs, then the rest."""
        (group,) = lvm.rows(run(lvm.report("vgs", ("vg_free",), self._vg)), "vg")
        free = int(group["vg_free"])
        if free < lvm.EXTENT:
            return
        pool = self._find(self._pool)
        if pool is None:
            raise MissingError(f"the volume group {self._vg} has no pool {self._pool}")
        wanted = lvm.metadata_wanted(pool.size + free)
        # its spare copy grows along
        if pool.metadata_size < wanted and 2 * (wanted - pool.metadata_size) < free:
            run(lvm.extend_metadata(self._vg, self._pool, wanted))
        run(lvm.extend_to_the_end(self._vg, self._pool))


def _is_block_device(path: str) -> bool:
    try:
        return stat.S_ISBLK(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return False
