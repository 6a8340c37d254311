"""Checkpoints of the root: thin snapshots of its logical volume, and the way back to one.

A checkpoint is named ``ROOT-pdshub-20261126T021000Z`` and carries the tag ``pdshub-checkpoint`` once it was found
whole. Without the tag it does not count, and goes with the next run.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from . import lvm, points
from .config import Config, Root
from .lvm import Volume
from .programs import Programs
from .trouble import Code, Trouble, failed, refused

WHOLE, BEFORE, KERNEL = "pdshub-checkpoint", "pdshub-before-restore", "pdshub-kernel."
_INFIX = "-pdshub-"
_NO_TAG = re.compile(r"[^A-Za-z0-9_+.-]")
BEFORE_DAYS = timedelta(days=7)
"""What a restore replaced is kept so long, however many checkpoints follow it."""
FINISHING_SECONDS = 30.0
"""For LVM to write down a merge that has begun, which it does beside this: no longer than any other change takes."""


@dataclass(frozen=True)
class Checkpoint:
    """One that is whole. ``restorable``: LVM can put it in the root's place.

    A merge takes the former root away, and with it makes all its other snapshots volumes of their own, which LVM merges
    into nothing (``detach_pool_lv`` in its lib/metadata/pool_manip.c): their files can be read, no more.
    """

    name: str
    taken: datetime
    volume: Volume
    restorable: bool

    @property
    def before(self) -> bool:
        """Whether it was made by a restore, of what that replaced."""
        return BEFORE in self.volume.tags

    @property
    def kernel(self) -> str:
        """The release that ran when it was taken; empty where that is not known."""
        return next((tag.removeprefix(KERNEL) for tag in self.volume.tags if tag.startswith(KERNEL)), "")

    def wire(self) -> dict[str, Any]:
        """As JSON."""
        volume = self.volume.full_name
        return {
            "name": self.name,
            "volume": volume,
            "restorable": self.restorable,
            "beforeRestore": self.before,
            "kernel": self.kernel,
            "merging": self.volume.merging,
        }


@dataclass(frozen=True)
class Found:
    """The root's volume, its pool, its checkpoints (the oldest first), and what was left half made."""

    origin: Volume
    pool: Volume
    checkpoints: tuple[Checkpoint, ...]
    halves: tuple[Volume, ...]

    @property
    def fill(self) -> float:
        """Percent of the pool's data or metadata, whichever is more."""
        return max(self.pool.data or 0.0, self.pool.metadata or 0.0)

    @property
    def waiting(self) -> str:
        """The checkpoint that takes the root's place at its next activation; empty when none does."""
        return next((one.name for one in self.checkpoints if one.volume.merging), "")


def sort(origin: Volume, volumes: Sequence[Volume]) -> Found:
    """What of a group's volumes is about this root. Raises Trouble."""
    pools = [one for one in volumes if one.name == origin.pool]
    if not pools:
        raise failed(f"lvs does not show the pool {origin.pool} of {origin.full_name}")
    whole, halves = [], []
    for one in volumes:
        prefix, _, name = one.name.rpartition(_INFIX)
        taken = points.time_of(name)
        if prefix != origin.name or taken is None or not one.is_thin or one.pool != origin.pool:
            continue
        if WHOLE in one.tags:
            whole.append(Checkpoint(name, taken, one, one.origin == origin.name))
        else:
            halves.append(one)
    return Found(origin, pools[0], tuple(sorted(whole, key=lambda one: one.taken)), tuple(halves))


def look(programs: Programs, settings: Root) -> Found:
    """What there is. Raises Trouble: REFUSED where the root is in no thin pool."""
    origin = lvm.root(programs, settings.volume)
    return sort(origin, lvm.volumes(programs, "--all", origin.group))


def settled(programs: Programs, settings: Root) -> Found:
    """The same, after a restore that a boot has done is written down: LVM itself need not have come to that. Raises
    Trouble."""
    found = look(programs, settings)
    if found.waiting:
        lvm.finish(programs, found.origin)
    end = time.monotonic() + FINISHING_SECONDS
    while found.waiting and time.monotonic() < end:
        time.sleep(0.5)
        found = look(programs, settings)
    return found


def not_kept(checkpoints: Sequence[Checkpoint], settings: Root, now: datetime) -> list[Checkpoint]:
    """Which are too old. What a restore replaced counts by itself, and none that waits for a boot goes."""
    usual = [one for one in checkpoints if not one.before]
    numbers = (settings.keep_last, settings.keep_daily, settings.keep_weekly)
    stay = points.kept((one.taken for one in usual), now, *numbers)
    old = [one for one in checkpoints if (now - one.taken > BEFORE_DAYS if one.before else one.taken not in stay)]
    return [one for one in old if not one.volume.merging]


def make(config: Config, programs: Programs, now: datetime, told: Callable[[str], None]) -> Checkpoint:
    """A checkpoint, found whole; then drop what is no longer kept. Raises Trouble."""
    settled(programs, config.root)
    make_room(config, programs, now, told)
    made = _make(config, programs, now, ())
    for one in not_kept(look(programs, config.root).checkpoints, config.root, now):
        lvm.remove(programs, one.volume)
        told(f"dropped {one.name}: no longer kept")
    return made


def _make(config: Config, programs: Programs, now: datetime, tags: Sequence[str]) -> Checkpoint:
    """A checkpoint that drops none. Raises Trouble."""
    found = look(programs, config.root)
    if found.waiting:
        raise refused(f"{found.waiting} takes the root's place at the next boot: nothing is made before that")
    if found.fill >= config.root.pool_percent:
        raise Trouble(
            Code.NO_ROOM,
            f"pool {found.pool.full_name} is {found.fill:.0f} % full: drop checkpoints, extend it (lvextend), or "
            "remove files and run fstrim /",
        )
    taken = [volume.name.rpartition(_INFIX)[2] for volume in lvm.volumes(programs, "--all", found.origin.group)]
    name = points.next_name(now, taken)
    kernel = KERNEL + _NO_TAG.sub("_", os.uname().release)
    lvm.snapshot(programs, found.origin, f"{found.origin.name}{_INFIX}{name}", [kernel, *tags])
    halves = [one for one in look(programs, config.root).halves if one.name.endswith(name)]
    if len(halves) != 1 or halves[0].origin != found.origin.name or halves[0].size != found.origin.size:
        raise failed(f"lvcreate made no whole snapshot {name} of {found.origin.full_name}: lvs shows {halves}")
    lvm.mark(programs, halves[0], WHOLE)
    return named(look(programs, config.root), name)


def tidy(programs: Programs, found: Found, told: Callable[[str], None]) -> None:
    """Drop what a run that was killed left half made. Raises Trouble."""
    for half in found.halves:
        lvm.remove(programs, half)
        told(f"dropped {half.name}: half made")


def make_room(config: Config, programs: Programs, now: datetime, told: Callable[[str], None]) -> Found:
    """Drop what is half made, and the oldest checkpoints while the pool is fuller than the settings want, the last one
    too: a pool that is full stops the machine. Raises Trouble."""
    found = look(programs, config.root)
    tidy(programs, found, told)
    order = points.least_wanted(now)
    while found.fill >= config.root.pool_percent:
        going = sorted((one for one in found.checkpoints if not one.volume.merging), key=lambda one: order(one.taken))
        if not going:
            break
        lvm.remove(programs, going[0].volume)
        told(f"dropped {going[0].name}: pool {found.pool.full_name} is {found.fill:.0f} % full")
        found = look(programs, config.root)
    return found


def named(found: Found, name: str) -> Checkpoint:
    """The checkpoint of that name. Raises Trouble."""
    for one in found.checkpoints:
        if one.name == name:
            return one
    raise failed(f"no checkpoint {name} of {found.origin.full_name}: pdshub-machine root list has their names")


def drop(config: Config, programs: Programs, names: Sequence[str], told: Callable[[str], None]) -> None:
    """Drop checkpoints by name: none of them when one is not there, or waits for a boot. Raises Trouble."""
    found = look(programs, config.root)
    going = [named(found, name) for name in names]
    if found.waiting in names:
        raise refused(f"{found.waiting} takes the root's place at the next boot: LVM does not let it go")
    for one in going:
        lvm.remove(programs, one.volume)
        told(f"dropped {one.name}")


def restore(config: Config, programs: Programs, name: str, now: datetime, told: Callable[[str], None]) -> None:
    """Have a checkpoint take the root's place: at the next boot where the root is in use, else at once.

    What is there now becomes a checkpoint first. The one that is gone back to is used up. Raises Trouble.
    """
    found = settled(programs, config.root)
    wanted = named(found, name)
    if found.waiting:
        raise refused(f"{found.waiting} takes the root's place at the next boot already: LVM can't take that back")
    if not wanted.restorable:
        raise refused(
            f"{name} is older than the last restore, LVM merges it no more: its files can be read, and a rescue system "
            "can put it in the root's place (docs/recover-machine.md, Older than the last restore)"
        )
    image = config.root.boot / f"vmlinuz-{wanted.kernel}"
    if wanted.kernel and config.root.boot.is_dir() and any(config.root.boot.glob("vmlinuz-*")) and not image.exists():
        raise refused(
            f"{image} is not there any more, and kernels are no part of a checkpoint: that root has no modules for "
            "another kernel. Install that kernel's package again first"
        )
    tidy(programs, found, told)
    made = _make(config, programs, now, [BEFORE])  # drops none: the one that is wanted may be the oldest
    told(f"{made.name}: what is there now, to come back to")
    lvm.merge(programs, named(look(programs, config.root), name).volume)
    if look(programs, config.root).waiting == name:
        told(f"{name} takes the root's place at the next boot; what is written until then is in no checkpoint")
        told(f"choose kernel {wanted.kernel or 'of that time'} in the boot menu, then: pdshub-machine status")
    else:
        told(f"{name} has taken the root's place")
