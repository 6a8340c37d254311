"""Homes on a thin pool of LVM, where device-mapper is: made, full, grown, kept, given back, killed, started again.

Disks are files of this machine's memory, over loop devices.
"""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pdshub.homes import freezing, lvm, names
from pdshub.homes.command import run
from pdshub.homes.errors import ArgumentError, FullError, InUseError
from pdshub.homes.locks import Locks
from pdshub.homes.operations import Homes
from pdshub.homes.policy import Limits, Schedule
from pdshub.homes.thin import ThinBackend
from pdshub.homes.upkeep import ROOM, Upkeep
from pdshub.node.mount import mountinfo

MI = 1 << 20
SMALL = 320 * MI
DISK, POOL_SIZE = 1200 * MI, 1000 * MI
VG, POOL = "labhomes", "homes"
CHANGES = ("lvcreate", "lvchange", "lvextend", "lvremove", "mkfs.xfs")
"""Programs by which the backend changes something."""
STUB = """#!/bin/sh
# the {number}th program that changes something takes whoever called it along, before it or after it has done its work
n=$(cat "$LAB_COUNT"); echo $((n + 1)) >"$LAB_COUNT"
if [ "$n" != "$LAB_AT" ]; then exec {program} "$@"; fi
if [ "$LAB_WHEN" = after ]; then {program} "$@" >/dev/null 2>&1; fi
kill -9 "$PPID"
"""
DO = """
import sys
from pathlib import Path
from pdshub.homes import names
from pdshub.homes.locks import Locks
from pdshub.homes.operations import Homes
from pdshub.homes.policy import Limits
from pdshub.homes.thin import ThinBackend
folder, vg, pool, operation, name, size = sys.argv[1:]
homes = Homes(ThinBackend(vg, pool), Locks(Path(folder) / "locks"), Limits(overcommit=10), Path(folder) / "kubelet")
volume = names.volume_id(name)
if operation == "create":
    homes.create(name, int(size), 0)
elif operation == "grow":
    homes.grow(volume, 2 * int(size))
elif operation == "checkpoint":
    homes.checkpoint(volume, name)
elif operation == "delete":
    homes.delete(volume)
else:
    homes.drop(names.checkpoint_id(volume, name))
"""


class Machine:
    """A volume group with a thin pool on one disk, a second disk beside it, and the homes on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.kubelet = folder, folder / "kubelet"
        self.kubelet.mkdir()
        self.now = [1_800_000_000.0]
        self.disks = [self.disk(n) for n in range(2)]
        self.lvm("pvcreate", self.disks[0])
        self.lvm("vgcreate", VG, self.disks[0])
        sizes = ["--size", f"{POOL_SIZE}b", "--poolmetadatasize", "8m"]
        self.lvm("lvcreate", "--yes", "--type", "thin-pool", *sizes, "--name", POOL, VG)

    def disk(self, number: int) -> str:
        image = self.folder / f"disk{number}"
        if not image.exists():
            image.touch()
            os.truncate(image, DISK)
        return run(["losetup", "--find", "--show", str(image)]).strip()

    @staticmethod
    def lvm(program: str, *words: str) -> str:
        return run([program, "--config", lvm.CONFIG, *words])

    def homes(self, limits: Limits | None = None) -> Homes:
        """The homes as a new process finds them."""
        backend, locks = ThinBackend(VG, POOL), Locks(self.folder / "locks")
        made = Homes(backend, locks, limits or Limits(overcommit=10), self.kubelet, lambda: self.now[0])
        made.prepare()
        return made

    def staged(self, volume: str) -> str:
        return str(self.kubelet / "staged" / volume)

    def mounted(self, homes: Homes, volume: str) -> Path:
        target = self.kubelet / "pods" / volume / "mount"
        target.parent.mkdir(parents=True, exist_ok=True)
        homes.stage(volume, self.staged(volume))
        homes.publish(volume, self.staged(volume), str(target), read_only=False)
        return target

    def unmounted(self, homes: Homes, volume: str) -> None:
        homes.unpublish(volume, str(self.kubelet / "pods" / volume / "mount"))
        homes.unstage(volume, self.staged(volume))

    def mounts(self) -> list[mountinfo.Mount]:
        return [m for m in mountinfo.read() if m.point.startswith(f"{self.kubelet}/")]

    def unplugged(self) -> None:
        """As a machine that went down: nothing is mounted, active or attached."""
        for mount in sorted(self.mounts(), key=lambda m: -len(m.point)):
            subprocess.run(["umount", mount.point], check=True)
        self.lvm("vgchange", "--activate", "n", VG)
        for device in self.disks:
            run(["losetup", "--detach", device])

    def plugged_in(self) -> None:
        self.disks = [self.disk(n) for n in range(2)]

    def close(self) -> None:
        for mount in sorted(self.mounts(), key=lambda m: -len(m.point)):
            subprocess.run(["umount", "-l", mount.point], check=False)
        with contextlib.suppress(Exception):
            self.lvm("vgremove", "--force", "--force", "--yes", VG)
        for device in self.disks:
            subprocess.run(["losetup", "--detach", device], check=False)


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="homes-", dir="/run/lab"))
    made = Machine(folder)
    try:
        yield made
    finally:
        made.close()
        for n in range(2):
            (folder / f"disk{n}").unlink(missing_ok=True)  # memory


def fill(folder: Path, most: int = 1 << 40, name: str = "full") -> int:
    """Write up to ``most`` bytes: how many there was room for."""
    written = 0
    with (folder / name).open("wb", buffering=0) as file:
        while written < most:
            try:
                written += file.write(b"x" * MI)
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                break
        os.fsync(file.fileno())
    return written


def test_the_life_of_a_home(machine: Machine) -> None:
    """Its own limit and nobody else's; grown while in use; repeated at every step; gone in the end."""
    homes = machine.homes()
    one, other = (homes.create(name, SMALL, 0).id for name in ("pvc-1", "pvc-2"))
    assert homes.create("pvc-1", SMALL, 0).size == SMALL
    for _ in range(2):
        mine, theirs = machine.mounted(homes, one), machine.mounted(homes, other)
    assert len(machine.mounts()) == 4
    assert all({"nosuid", "nodev"} <= m.options and m.fstype == "xfs" for m in machine.mounts())
    assert SMALL // 2 < fill(mine) < SMALL
    (theirs / "work").write_text("goes on")
    for _ in range(2):
        assert homes.grow(one, SMALL + 64 * MI).size == SMALL + 64 * MI
    assert fill(mine, 32 * MI, "more") == 32 * MI, "while it is in use"
    used = homes.pool().used
    (mine / "full").unlink()
    until = time.monotonic() + 120
    while (
        homes.pool().used >= used - SMALL // 3
    ):  # XFS frees extents behind a removal, and only then they can be given back
        assert time.monotonic() < until, "what was removed is the pool's again"
        os.sync()
        freezing.trim(str(mine))
        time.sleep(1)
    with pytest.raises(InUseError):
        homes.delete(one)
    for _ in range(2):
        machine.unmounted(homes, one)
        machine.unmounted(homes, other)
    assert not machine.mounts() and (theirs.parent).exists()
    for _ in range(2):
        homes.delete(one)
    assert [v.id for v in homes.volumes()] == [other]
    assert (machine.mounted(homes, other) / "work").read_text() == "goes on"


def test_a_checkpoint_gives_one_file_back(machine: Machine) -> None:
    homes = machine.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = machine.mounted(homes, volume)
    (target / "x.ipynb").write_text("yesterday")
    kept = homes.checkpoint(volume, "yesterday")
    assert kept.how == "thin" and homes.checkpoint(volume, "yesterday") == kept
    (target / "x.ipynb").write_text("today")
    new = homes.restore(kept.id, "x.ipynb")
    assert (target / new).read_text() == "yesterday" and (target / "x.ipynb").read_text() == "today"
    again = homes.create("pvc-2", SMALL + 64 * MI, 0, kept.id).id
    copy = machine.mounted(homes, again)
    assert (copy / "x.ipynb").read_text() == "yesterday"
    assert os.statvfs(copy).f_blocks > os.statvfs(target).f_blocks, "larger than what it came from"
    for _ in range(4):
        assert Upkeep(homes, Schedule(keep=2)).daily() == []
        machine.now[0] += 86_400
    assert len([c for c in homes.checkpoints(volume) if c.daily]) == 2
    homes.drop(kept.id)
    machine.unmounted(homes, volume)
    homes.delete(volume)
    assert homes.checkpoints(volume) == []


def test_a_checkpoint_is_shown_and_stays_while_it_is_seen(machine: Machine) -> None:
    """As a backup's Job sees it: nobody writes it, it does not change, and LVM removes it once nobody looks."""
    homes = machine.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = machine.mounted(homes, volume)
    (target / "x").write_text("before")
    kept = homes.checkpoint(volume, "pvc-look", brief=True)
    assert kept.brief and not kept.daily
    (target / "x").write_text("after")
    for _ in range(2):
        seen = machine.mounted(homes, kept.id)
    assert (seen / "x").read_text() == "before" and (target / "x").read_text() == "after"
    with pytest.raises(OSError, match="Read-only"):
        (seen / "y").write_text("")
    with pytest.raises(InUseError):
        homes.drop(kept.id)
    machine.unmounted(homes, kept.id)
    homes.drop(kept.id)
    assert homes.checkpoints() == [] and [v.id for v in homes.volumes()] == [volume]
    machine.unmounted(homes, volume)
    at_rest = homes.checkpoint(volume, "pvc-again", brief=True)
    assert (machine.mounted(homes, at_rest.id) / "x").read_text() == "after", "of a home that nobody has mounted"
    machine.unmounted(homes, at_rest.id)


def test_the_pool_grows_by_one_more_disk(machine: Machine) -> None:
    homes = machine.homes()
    before = homes.pool()
    with pytest.raises(FullError):
        machine.homes(Limits(overcommit=1)).create("pvc-large", 1100 * MI, 0)
    for wrong in ("/etc/passwd", "--yes", "/dev/null", machine.disks[0] + "x"):
        with pytest.raises(ArgumentError):
            homes.add_disk(wrong)
    run(["mkfs.xfs", "-q", machine.disks[1]])
    with pytest.raises(ArgumentError, match="not blank"):
        homes.add_disk(machine.disks[1])
    run(["wipefs", "--all", machine.disks[1]])
    machine.lvm("pvcreate", machine.disks[1])  # and there it was killed
    for _ in range(2):
        grown = homes.add_disk(machine.disks[1])
    assert grown.total > before.total + DISK * 3 // 4
    machine.homes(Limits(overcommit=1)).create("pvc-large", 1100 * MI, 0)


def test_a_checkpoint_goes_before_the_pool_is_full(machine: Machine) -> None:
    """A home writes more than the pool has room for beside its checkpoints; no write fails."""
    homes = machine.homes(Limits(overcommit=10, drop_above=0.5, refuse_above=0.95))
    upkeep = Upkeep(homes, Schedule())
    volume = homes.create("pvc-1", 2 * SMALL, 0).id
    target = machine.mounted(homes, volume)
    for n in range(4):
        assert fill(target, 150 * MI, "changing") == 150 * MI
        upkeep.make_room()
        homes.checkpoint(volume, f"day{n}", daily=True)
        machine.now[0] += 86_400
        (target / "changing").unlink()
        assert homes.pool().fill < 0.95, homes.pool()
    assert upkeep.dropped[ROOM] >= 1
    kept = homes.checkpoints(volume)
    assert not kept or min(c.created for c in kept) > 1_800_000_000.0, "the oldest went first"
    assert fill(target, 100 * MI, "last") == 100 * MI


def done_again(homes: Homes, operation: str, name: str) -> bool:
    """An operation once more: whether it ends as if nobody had been killed."""
    volume = names.volume_id(name)
    if operation == "create":
        return homes.create(name, SMALL, 0).size == SMALL
    if operation == "grow":
        return homes.grow(volume, 2 * SMALL).size == 2 * SMALL
    if operation == "checkpoint":
        return homes.checkpoint(volume, name).size == SMALL
    if operation == "delete":
        homes.delete(volume)
        return not homes.volumes()
    homes.drop(names.checkpoint_id(volume, name))
    return not homes.checkpoints()


@pytest.mark.parametrize("operation", ["create", "grow", "checkpoint", "delete", "drop"])
def test_killed_in_the_middle(machine: Machine, operation: str) -> None:
    """SIGKILL before and after every program that changes something; another process then does it again."""
    stubs = machine.folder / "stubs"
    stubs.mkdir()
    for program in CHANGES:
        real = run(["sh", "-c", f"command -v {program}"]).strip()
        (stubs / program).write_text(STUB.format(number="LAB_AT", program=real))
        (stubs / program).chmod(0o755)
    count = machine.folder / "count"
    homes = machine.homes()
    killed = 0
    for step in range(12):
        for when in ("before", "after"):
            name = f"pvc-{step}-{when}"
            volume = names.volume_id(name)
            if operation != "create":
                homes.create(name, SMALL, 0)
            if operation == "drop":
                homes.checkpoint(volume, name)
            count.write_text("0")
            words = [str(machine.folder), VG, POOL, operation, name, str(SMALL)]
            environment = {
                **os.environ, "PATH": f"{stubs}:{os.environ['PATH']}", "LAB_COUNT": str(count), "LAB_AT": str(step),
                "LAB_WHEN": when,
            }  # fmt: skip
            code = subprocess.run([sys.executable, "-c", DO, *words], env=environment, check=False).returncode
            assert code in (0, -signal.SIGKILL), (step, when, code)
            killed += code != 0
            after = machine.homes()
            assert done_again(after, operation, name), (step, when)
            if operation in ("create", "grow"):
                (machine.mounted(after, volume) / "x").write_text("usable")
                machine.unmounted(after, volume)
            for kept in after.checkpoints():
                after.drop(kept.id)
            after.delete(volume)
            left = [lv.name for lv in lvm.parse_lvs(run(lvm.list_lvs(VG))) if lv.name != POOL]
            assert left == [], (step, when)
        if code == 0:
            break
    assert killed >= 2


def restarted(machine: Machine, work: Callable[[Homes], None]) -> None:
    """Down and up again, with whatever is done while it is down."""
    machine.unplugged()
    machine.plugged_in()
    work(machine.homes())


def test_a_machine_that_went_down(machine: Machine) -> None:
    """After a restart nothing is active: the next stage finds the home and all checkpoints of it."""
    homes = machine.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = machine.mounted(homes, volume)
    (target / "notes").write_text("mine")
    kept = homes.checkpoint(volume, "before")

    def work(after: Homes) -> None:
        found = machine.mounted(after, volume)
        assert (found / "notes").read_text() == "mine"
        (found / "notes").write_text("changed")
        assert (found / after.restore(kept.id, "notes")).read_text() == "mine"
        assert [c.id for c in after.checkpoints()] == [kept.id]

    restarted(machine, work)
