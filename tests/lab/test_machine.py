"""deploy/machine, checkpoints of a root: a real LVM thin pool on a loop device, with a file system that is in use.

The machine's own root is not in it, but a volume that is treated as one: mounted, checkpointed, changed, and activated
anew as a boot does it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nas import sh

PROJECT = Path(__file__).parents[2]
PROGRAM, MANUAL = PROJECT / "deploy/machine/pdshub-machine", PROJECT / "docs/recover-machine.md"
GROUP, NAME, WITHIN = "vg0", "20261126T021000Z", 300.0
"""The group and the checkpoint that the manual's commands name."""
BUSY, NO_ROOM, REFUSED = 3, 4, 5
LVM = """
devices { dir = "/dev" scan = [ "/dev" ] use_devicesfile = 0 obtain_device_list_from_udev = 0 hints = "none"
          filter = [ "a|^/dev/loop|", "r|.*|" ] }
activation { udev_sync = 0 udev_rules = 0 monitoring = 0 }
global { use_lvmpolld = 0 event_activation = 0 }
backup { backup = 0 archive = 0 }
"""
"""Without udev, which the lab has not; LVM makes its nodes itself."""
CHROOT = """
cd "$1"; shift
for entry in /*; do
  if [ -L "$entry" ]; then [ -L ".$entry" ] || ln -s "$(readlink "$entry")" ".$entry"
  elif [ -d "$entry" ]; then mkdir -p ".$entry"; mount --rbind "$entry" ".$entry"; fi
done
exec chroot . "$@"
"""
"""Runs a command whose root is a folder, with all of this machine below it; mounts go with its namespace."""


def manual(before: str) -> str:
    """The commands that the manual shows behind these words."""
    (shown,) = re.findall(rf"{re.escape(before)}.*?\n```bash\n(.*?)```", MANUAL.read_text(), re.DOTALL)
    return str(shown)


class Machine:
    """A machine whose root is ``vg0/root``, in a pool of 240 MB."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.mount, self.boot, self.metrics = (folder / n for n in (".", "mnt", "boot", "metrics"))
        self.bin, self.settings = folder / "bin", folder / "settings.toml"
        for made in (self.mount, self.boot, self.metrics, self.bin, folder / "lvm"):
            made.mkdir(parents=True)
        (folder / "lvm/lvm.conf").write_text(LVM)
        (self.boot / f"vmlinuz-{os.uname().release}").touch()
        self.environ = {**os.environ, "LVM_SYSTEM_DIR": str(folder / "lvm"), "DM_DISABLE_UDEV": "1"}
        self.configure()
        disk = folder / "disk"
        with disk.open("wb") as made_disk:
            made_disk.truncate(272 << 20)
        self.device = sh("losetup", "--find", "--show", disk).strip()
        self.lvm("pvcreate", "--quiet", self.device)
        self.lvm("vgcreate", "--quiet", GROUP, self.device)
        pool = ("--type", "thin-pool", "--size", "240m", "--poolmetadatasize", "4m", "--name", "pool", GROUP)
        self.lvm("lvcreate", "--yes", *pool)
        self.lvm("lvcreate", "--type", "thin", "--virtualsize", "220m", "--thinpool", "pool", "--name", "root", GROUP)
        sh("mkfs.ext4", "-q", f"/dev/{GROUP}/root")
        self.attach()

    def configure(self, pool_percent: int = 80, volume: str = f"{GROUP}/root") -> None:
        self.settings.write_text(
            f"state = '{self.folder}/state'\nmetrics = '{self.metrics}'\n[root]\nvolume = '{volume}'\n"
            f"boot = '{self.boot}'\nkeep_last = 50\npool_percent = {pool_percent}\n"
        )

    def close(self) -> None:
        for words in (["umount", self.mount], ["vgchange", "-an", GROUP], ["losetup", "--detach", self.device]):
            subprocess.run([str(word) for word in words], env=self.environ, capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def lvm(self, *words: str) -> str:
        done = subprocess.run(words, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done
        return done.stdout

    def by_hand(self, commands: str, name: str) -> None:
        """Give the manual's commands, for the checkpoint of that name."""
        assert NAME in commands
        self.lvm("sh", "-e", "-x", "-c", commands.replace(NAME, name).replace("/root/\n", f"{self.folder}\n"))

    def attach(self) -> None:
        sh("mount", "-t", "ext4", "-o", "discard", f"/dev/{GROUP}/root", self.mount)

    def reboot(self) -> None:
        """What a boot does to the root: it is activated anew, and mounted."""
        sh("umount", self.mount)
        self.lvm("lvchange", "-an", f"{GROUP}/root")
        self.lvm("lvchange", "-ay", f"{GROUP}/root")
        self.attach()

    def attempt(
        self, *words: str, path: Path | None = None, before: tuple[str, ...] = ()
    ) -> subprocess.CompletedProcess[str]:
        environ = {**self.environ, "PATH": f"{path}:{self.environ['PATH']}" if path else self.environ["PATH"]}
        argv = [*before, sys.executable, "-I", str(PROGRAM), "--config", str(self.settings), *words]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)

    def as_root(self, *words: str) -> str:
        """The program, started by who has the volume as the root."""
        before = ("unshare", "--mount", "sh", "-e", "-c", CHROOT, "sh", str(self.mount))
        done = self.attempt(*words, before=before)
        assert done.returncode == 0, done
        return done.stdout

    def run(self, *words: str, code: int = 0, path: Path | None = None) -> str:
        """What the program prints. Who comes after one that was killed waits for what that one started."""
        until = time.monotonic() + WITHIN
        while (done := self.attempt(*words, path=path)).returncode == BUSY and time.monotonic() < until:
            time.sleep(0.2)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def checkpoint(self) -> str:
        """Make one; its name."""
        return self.run("root", "checkpoint").splitlines()[-1].removesuffix(": made")

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("root", "list", "-o", "json"))
        return found

    def names(self) -> list[str]:
        return [one["name"] for one in self.listed()]

    def volumes(self) -> set[str]:
        """All of the group, hidden ones too, but for the pool's own."""
        said = self.lvm("lvs", "--all", "--noheadings", "-o", "lv_name", GROUP).split()
        names = {name.strip("[]") for name in said}
        return {name for name in names if not name.startswith(("pool", "lvol0"))}

    def status(self) -> dict[str, Any]:
        done = self.attempt("status", "-o", "json")
        assert done.returncode in (0, 7), done  # there is no etcd here
        found: dict[str, Any] = json.loads(done.stdout)["root"]
        return found

    def write(self, name: str, megabytes: int = 1) -> None:
        """Bytes that no other file has, on the disk."""
        with (self.mount / name).open("wb") as file:
            for _ in range(megabytes):
                file.write(os.urandom(1 << 20))
            file.flush()
            os.fsync(file.fileno())

    def content(self) -> dict[str, str]:
        files = [path for path in self.mount.rglob("*") if path.is_file()]
        return {str(p.relative_to(self.mount)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}

    def killing(self, program: str, *, after: bool) -> Path:
        """A folder for PATH in which a program of LVM kills who started it, before or after what it does itself."""
        real = shutil.which(program)
        assert real
        (self.bin / program).write_text(
            f'#!/bin/sh\n[ {int(after)} = 0 ] || {real} "$@"\nkill -9 $PPID\n',
        )
        (self.bin / program).chmod(0o755)
        return self.bin


@pytest.fixture
def machine() -> Iterator[Machine]:
    folder = Path(tempfile.mkdtemp(prefix="machine-", dir="/run/lab"))
    sh("mount", "-t", "tmpfs", "-o", "size=400m", "machine", folder)
    made = Machine(folder)
    yield made
    made.close()
    subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_a_root_goes_back_at_its_next_activation(machine: Machine) -> None:
    (machine.mount / "etc").mkdir()
    for name in ("etc/fstab", "etc/changed", "gone"):
        machine.write(name)
    before = machine.content()
    name = machine.checkpoint()
    machine.write("etc/changed")
    machine.write("new")
    (machine.mount / "gone").unlink()
    os.sync()
    later = machine.content()
    (only,) = machine.listed()
    assert only["name"] == name and only["kernel"] == os.uname().release and not only["beforeRestore"]

    kernel = machine.boot / f"vmlinuz-{os.uname().release}"
    kernel.rename(machine.boot / "vmlinuz-other")
    assert "Install that kernel's package" in machine.run("root", "restore", name, code=REFUSED)
    (machine.boot / "vmlinuz-other").rename(kernel)
    assert machine.names() == [name]

    said = machine.run("root", "restore", name)
    assert f"{name} takes the root's place at the next boot" in said
    assert machine.status()["waitsForBoot"] == name
    assert machine.content() == later, "nothing changes under who is at work"
    for words in (["checkpoint"], ["restore", name], ["drop", name]):
        machine.run("root", *words, code=REFUSED)
    machine.reboot()
    assert machine.content() == before
    machine.write("after")
    newest = machine.checkpoint()  # which has LVM write down what the boot did
    assert machine.status()["waitsForBoot"] is None
    found = {one["name"]: one["beforeRestore"] for one in machine.listed()}
    assert len(found) == 2 and name not in found and found.pop(newest) is False

    # and forward again, to what the restore replaced: LVM merges it no more, a rescue system can rename
    ((back, is_before),) = found.items()
    assert is_before is True and machine.status()["filesOnly"] == [back]
    assert "LVM merges it no more" in machine.run("root", "restore", back, code=REFUSED)
    machine.by_hand(manual("**One file of it.**"), back)
    assert hashlib.sha256((machine.folder / "fstab").read_bytes()).hexdigest() == later["etc/fstab"]
    sh("umount", machine.mount)
    machine.by_hand(manual("### Older than the last restore"), back)
    machine.lvm("lvchange", "-ay", f"{GROUP}/root")
    sh("e2fsck", "-f", "-n", f"/dev/{GROUP}/root")
    machine.attach()
    assert machine.content() == later
    machine.checkpoint()
    assert machine.status()["kept"] == 1


def test_a_root_that_nobody_uses_goes_back_at_once(machine: Machine) -> None:
    """From a rescue system."""
    machine.write("a")
    before = machine.content()
    name = machine.checkpoint()
    machine.write("b")
    sh("umount", machine.mount)
    machine.lvm("lvchange", "-an", f"{GROUP}/root")
    assert f"{name} has taken the root's place" in machine.run("root", "restore", name)
    machine.lvm("lvchange", "-ay", f"{GROUP}/root")
    machine.attach()
    assert machine.content() == before


def test_the_root_is_found_by_itself(machine: Machine) -> None:
    machine.configure(volume="auto")
    machine.run("root", "checkpoint", code=REFUSED)  # the lab's own root is no volume of LVM
    assert machine.as_root("root", "checkpoint").endswith(": made\n")
    (only,) = json.loads(machine.as_root("root", "list", "-o", "json"))
    assert only["volume"].startswith(f"{GROUP}/root-pdshub-") and only["restorable"]


def test_the_oldest_go_before_the_pool_is_full(machine: Machine) -> None:
    machine.configure(pool_percent=55)
    made: list[str] = []
    for _ in range(7):
        machine.write("big", 25)  # what it replaces stays in the last checkpoint
        made.append(machine.checkpoint())
    left = machine.names()
    assert 3 <= len(left) < 7 and left == made[-len(left) :], "the oldest went"
    assert machine.status()["poolDataPercent"] < 80
    before = machine.content()
    machine.run("root", "drop", left[1])  # there has to be room for what a restore replaces
    machine.run("root", "restore", left[0])
    machine.reboot()
    assert machine.content().keys() == before.keys() and machine.content() != before

    machine.lvm("lvchange", "--poll", "y", f"{GROUP}/root")
    until = time.monotonic() + WITHIN
    while machine.status()["waitsForBoot"] and time.monotonic() < until:
        time.sleep(0.2)
    machine.run("root", "drop", *machine.names()[1:])

    # files alone fill it: the last checkpoint goes, then there is nothing more to do, and that is said
    machine.write("bigger", 120)
    said = machine.run("root", "drop", "--for-space", code=NO_ROOM)
    assert "no checkpoint is left to drop" in said and machine.names() == []
    assert "% full" in machine.run("root", "checkpoint", code=NO_ROOM)
    text = (machine.metrics / "pdshub-machine-root.prom").read_text()
    assert 'pdshub_machine_last_good_timestamp_seconds{what="root"} 0\n' in text
    assert 'last_run_ok{what="root"} 0\n' in (machine.metrics / "pdshub-machine-root-run.prom").read_text()
    machine.write("still-written", 5)
    (machine.mount / "bigger").unlink()
    os.sync()  # blocks are the file system's again, and it can say so
    sh("fstrim", machine.mount)
    until = time.monotonic() + WITHIN
    while machine.status()["poolDataPercent"] >= 55 and time.monotonic() < until:
        time.sleep(0.2)
    machine.checkpoint()
    assert len(machine.names()) == 1


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_checkpoint_that_was_killed_is_none(machine: Machine, after: bool) -> None:
    machine.write("a")
    first = machine.checkpoint()
    for program in ("lvcreate", "lvchange"):
        path = machine.killing(program, after=after)
        assert machine.attempt("root", "checkpoint", path=path).returncode == -9
        (path / program).unlink()
        counted = machine.names()
        marked = after and program == "lvchange"  # which adds the tag
        assert counted[0] == first and len(counted) == 1 + marked, "what was found whole, and nothing else"
        newest = machine.checkpoint()
        assert machine.names()[-1] == newest
        assert machine.volumes() == {"root", *(f"root-pdshub-{name}" for name in machine.names())}, "no half is left"
        for name in machine.names()[1:]:
            machine.run("root", "drop", name)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_restore_that_was_killed(machine: Machine, after: bool) -> None:
    machine.write("a")
    before = machine.content()
    name = machine.checkpoint()
    machine.write("b")
    path = machine.killing("lvconvert", after=after)
    assert machine.attempt("root", "restore", name, path=path).returncode == -9
    (path / "lvconvert").unlink()
    if after:
        machine.run("root", "restore", name, code=REFUSED)  # it waits for the boot already
    else:
        machine.run("root", "restore", name)
    machine.reboot()
    assert machine.content() == before
    machine.checkpoint()
    assert machine.status()["waitsForBoot"] is None and name not in machine.names()
