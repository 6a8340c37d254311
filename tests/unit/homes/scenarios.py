"""What happens to homes on a real disk; each function is one test of test_disk.py, in namespaces of its own."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from pdshub.homes import freezing, images, names
from pdshub.homes.errors import ArgumentError, FullError, InUseError, MissingError, TakenError
from pdshub.homes.operations import Homes
from pdshub.homes.policy import Limits, Schedule
from pdshub.homes.upkeep import Upkeep
from tests.programs import go_program
from tests.unit.homes.disk import MI, ROOT, SMALL, Disk, disk, eventually

DAY = 86_400.0


def refused(error: type[Exception], call: Callable[[], object]) -> str:
    try:
        call()
    except error as failure:
        return str(failure)
    raise AssertionError(f"not refused with {error.__name__}")


def fill(folder: Path, name: str = "full") -> int:
    """Write until there is no room: bytes that went in."""
    written = 0
    with (folder / name).open("wb", buffering=0) as file:
        try:
            while True:
                written += file.write(b"x" * MI)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
    return written


def life(d: Disk) -> None:
    """Made, mounted, shown, grown while in use, taken away, removed; each twice."""
    homes = d.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    assert homes.create("pvc-1", SMALL, 0).size == SMALL
    image = d.pool / f"volumes/{volume}.img"
    assert image.stat().st_size == SMALL and image.stat().st_mode & 0o777 == 0o600
    assert images.allocated(image) < SMALL // 2, "sparse"
    for _ in range(2):
        target = d.mounted(homes, volume)
    assert len(d.mounts()) == 2
    for mount in d.mounts():
        assert {"nosuid", "nodev"} <= mount.options and mount.fstype == "xfs", mount
    (target / "notes.txt").write_text("mine")
    before = os.statvfs(target).f_blocks
    for _ in range(2):
        assert homes.grow(volume, 2 * SMALL).size == 2 * SMALL
    assert os.statvfs(target).f_blocks * 4096 > before * 4096 + SMALL // 2, "while it is in use"
    assert (target / "notes.txt").read_text() == "mine"
    assert homes.stats(volume, str(target)).f_blocks == os.statvfs(target).f_blocks
    second = d.target("two")
    homes.publish(volume, d.staged(volume), str(second), read_only=True)
    assert (second / "notes.txt").read_text() == "mine"
    refused(OSError, lambda: (second / "x").write_text(""))
    refused(InUseError, lambda: homes.delete(volume))
    for _ in range(2):
        d.unmounted(homes, volume, "one", "two")
    assert not d.mounts() and not target.exists()
    eventually(lambda: not d.loops(), text="devices go with their mounts")
    homes.grow(volume, 3 * SMALL)
    target = d.mounted(homes, volume)
    assert os.statvfs(target).f_blocks * 4096 > 2 * SMALL, "a home that grew while nobody used it"
    d.unmounted(homes, volume)
    for _ in range(2):
        homes.delete(volume)
    assert not list((d.pool / "volumes").iterdir())
    refused(MissingError, lambda: homes.stage(volume, d.staged(volume)))


def full_home(d: Disk) -> None:
    """A home meets its own limit, and nobody else's home is touched by it."""
    homes = d.homes()
    one, other = (homes.create(name, SMALL, 0).id for name in ("pvc-1", "pvc-2"))
    mine, theirs = d.mounted(homes, one, "one"), d.mounted(homes, other, "two")
    assert SMALL // 2 < fill(mine) < SMALL
    (theirs / "work.txt").write_text("goes on")
    assert os.statvfs(theirs).f_bavail * 4096 > SMALL // 2
    homes.grow(one, 2 * SMALL)
    with (mine / "more").open("wb") as file:
        file.write(b"y" * 50 * MI)
    (mine / "full").unlink()
    os.sync()
    image = d.pool / f"volumes/{one}.img"
    before = images.allocated(image)
    freezing.trim(str(mine))
    assert images.allocated(image) < before - SMALL // 2, "what was removed is the pool's again"


def reboot(d: Disk) -> None:
    """Only files are left of a node that was cut off: the next start stages from them."""
    homes = d.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = d.mounted(homes, volume)
    (target / "notes.txt").write_text("mine")
    with (target / "notes.txt").open() as file:
        os.fsync(file.fileno())
    for mount in sorted(d.mounts(), key=lambda m: -len(m.point)):
        subprocess.run(["umount", "-l", mount.point], check=True)
    eventually(lambda: not d.loops(), text="the device goes with its mount")
    for left in (".x.img.partial", f".{volume}.img.gone", f".{volume}.json.partial"):
        (d.pool / "volumes" / left).write_bytes(b"half")
    after = d.homes()
    assert [v.id for v in after.volumes()] == [volume]
    assert (d.mounted(after, volume) / "notes.txt").read_text() == "mine"
    assert not [p for p in (d.pool / "volumes").iterdir() if p.name.startswith(".")]


def checkpoints(d: Disk) -> None:
    """As it was, while somebody writes: one file comes back beside what is there now."""
    homes = d.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = d.mounted(homes, volume)
    (target / "work").mkdir()
    (target / "work/x.ipynb").write_text("yesterday")
    os.chown(target / "work/x.ipynb", 1000, 1000)
    over = threading.Event()

    def busy() -> None:
        n = 0
        while not over.is_set():
            (target / "busy").write_text(str(n))
            n += 1

    writer = threading.Thread(target=busy)
    writer.start()
    try:
        kept = homes.checkpoint(volume, "yesterday")
        assert kept.how == (images.REFLINK if d.reflink else images.COPY)
        assert homes.checkpoint(volume, "yesterday") == kept
    finally:
        over.set()
        writer.join(30)
    (target / "work/x.ipynb").write_text("today")
    new = homes.restore(kept.id, "work/x.ipynb")
    assert new == "work/x.2027-01-15T0800Z.ipynb"
    assert (target / new).read_text() == "yesterday" and (target / "work/x.ipynb").read_text() == "today"
    assert (target / new).stat().st_uid == 1000
    refused(TakenError, lambda: homes.restore(kept.id, "work/x.ipynb"))
    refused(MissingError, lambda: homes.restore(kept.id, "work/nothing"))
    refused(ArgumentError, lambda: homes.restore(kept.id, "work"))
    refused(ArgumentError, lambda: homes.restore(kept.id, "../x"))
    # the whole of it as a volume of its own, with more room
    again = homes.create("pvc-2", 2 * SMALL, 0, kept.id).id
    copy = d.mounted(homes, again, "two")
    assert (copy / "work/x.ipynb").read_text() == "yesterday"
    assert os.statvfs(copy).f_blocks * 4096 > SMALL
    d.unmounted(homes, again, "two")
    homes.drop(kept.id)
    assert homes.checkpoints() == [] and not list((d.pool / "checkpoints").iterdir())
    eventually(lambda: len(d.loops()) == 1, text="that of the home itself")


def links(d: Disk) -> None:
    """What a user puts into a home leads nowhere: not out of the checkpoint, not out of the home."""
    homes = d.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = d.mounted(homes, volume)
    secret = d.directory / "secret"
    secret.mkdir()
    (secret / "key").write_text("root's")
    (target / "passwd").symlink_to("/etc/passwd")
    (target / "away").symlink_to(secret)
    os.mkfifo(target / "pipe")
    (target / "folder").mkdir()
    (target / "folder/f").write_text("f")
    kept = homes.checkpoint(volume, "x")
    for path in ("passwd", "away/key", "pipe"):
        refused(ArgumentError, lambda path=path: homes.restore(kept.id, path))  # type: ignore[misc]
    (target / "folder/f").unlink()
    (target / "folder").rmdir()
    (target / "folder").symlink_to(secret)
    refused(ArgumentError, lambda: homes.restore(kept.id, "folder/f"))
    assert [p.name for p in secret.iterdir()] == ["key"]


def daily(d: Disk) -> None:
    """Days are kept and go; a home in which nothing changed pushes none out; the rest goes before the pool is full."""
    homes = d.homes()
    busy, idle = (homes.create(name, SMALL, 0).id for name in ("pvc-1", "pvc-2"))
    target = d.mounted(homes, busy)
    (target / "work").write_text("done")
    d.unmounted(homes, busy)
    d.clock[0] = time.time() + 60
    for _ in range(4):
        assert Upkeep(homes, Schedule(keep=2)).daily() == []
        d.clock[0] += DAY
        # as if somebody had worked in the one home, a minute ago
        os.utime(d.pool / f"volumes/{busy}.img", (d.clock[0] - 60, d.clock[0] - 60))
    assert len(homes.checkpoints(busy)) == 2 and len(homes.checkpoints(idle)) == 1
    strict = d.homes(Limits(overcommit=10, drop_above=1e-6, refuse_above=1.0))
    assert Upkeep(strict, Schedule()).make_room() == 3 and strict.checkpoints() == []
    full = d.homes(Limits(overcommit=10, drop_above=0.9, refuse_above=1e-6))
    refused(FullError, lambda: full.create("pvc-3", SMALL, 0))
    assert (d.mounted(homes, busy) / "work").read_text() == "done"


def shown(d: Disk) -> None:
    """A checkpoint that a pod sees: nobody can write it, it does not change, and it stays while it is seen."""
    homes = d.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = d.mounted(homes, volume)
    (target / "x").write_text("before")
    kept = homes.checkpoint(volume, "pvc-look", brief=True)
    (target / "x").write_text("after")
    for _ in range(2):
        seen = d.mounted(homes, kept.id, "look")
    assert (seen / "x").read_text() == "before" and (target / "x").read_text() == "after"
    refused(OSError, lambda: (seen / "y").write_text(""))
    refused(OSError, lambda: (seen / "x").chmod(0o777))
    (found,) = [m for m in d.mounts() if m.point == str(seen)]
    assert {"ro", "nosuid", "nodev", "noexec"} <= found.options, found
    assert homes.stats(kept.id, str(seen)).f_blocks == os.statvfs(target).f_blocks
    assert "mounted" in refused(InUseError, lambda: homes.drop(kept.id))
    refused(TakenError, lambda: homes.stage(volume, d.staged(kept.id)))
    again = d.homes()  # as after a restart of the driver
    d.unmounted(again, volume)
    assert (d.mounted(again, volume) / "x").read_text() == "after", "a home that shares blocks is mounted as any other"
    d.unmounted(again, kept.id, "look")
    again.drop(kept.id)
    assert again.checkpoints() == []
    refused(MissingError, lambda: again.stage(kept.id, d.staged(kept.id)))
    eventually(lambda: len(d.loops()) == 1, text="that of the home itself")


def _aside() -> set[Path]:
    """Folders in which homes are mounted aside; a run that was killed may have left some."""
    return set(Path(tempfile.gettempdir()).glob("pdshub-home-*"))


def cut_off(d: Disk) -> None:
    """What a node that was cut off had only in a home's log is in the checkpoint that is made before the next mount."""
    homes = d.homes()
    left = _aside()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = d.mounted(homes, volume)
    (target / "before").write_text("x")
    os.sync()
    for n in range(50):
        (target / f"after-{n}").write_text(str(n))
    folder = os.open(target, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    image, aside = d.pool / f"volumes/{volume}.img", d.directory / "host/as-it-was.img"
    images.copy(image, aside)  # while it is mounted: the disk of a node that has no power any more
    d.unmounted(homes, volume)
    eventually(lambda: not d.loops(), text="the device goes with its mount")
    aside.replace(image)
    kept = homes.checkpoint(volume, "pvc-look", brief=True)
    seen = d.mounted(homes, kept.id, "look")
    assert len(list(seen.iterdir())) == 51, sorted(p.name for p in seen.iterdir())
    d.unmounted(homes, kept.id, "look")
    assert not d.mounts() and _aside() <= left


def full_disk(d: Disk) -> None:
    """The disk below sparse images is full: what was written before stays, and goes on once there is room."""
    homes = d.homes(Limits(overcommit=20))
    volume = homes.create("pvc-1", 2 * SMALL, 0).id
    target = d.mounted(homes, volume)
    (target / "kept").write_text("safe")
    with (target / "kept").open() as file:
        os.fsync(file.fileno())
    about = os.statvfs(d.pool)
    others = d.directory / "host/others"
    with others.open("wb") as file:  # somebody else's, on the same file system
        os.posix_fallocate(file.fileno(), 0, about.f_bavail * about.f_frsize - 40 * MI)
    pool = homes.pool()
    assert pool.fill > 0.95 and pool.others >= others.stat().st_size
    refused(FullError, lambda: homes.create("pvc-2", SMALL, 0))
    refused(FullError, lambda: homes.grow(volume, 3 * SMALL))
    refused(FullError, lambda: homes.checkpoint(volume, "x"))
    with suppress(OSError), (target / "more").open("wb", buffering=0) as file:
        for _ in range(80):
            file.write(b"x" * MI)
        os.fsync(file.fileno())
    others.unlink()
    eventually(lambda: homes.pool().fill < 0.9, text="XFS gives room back a while after the file is gone")
    d.unmounted(homes, volume)
    target = d.mounted(homes, volume)
    assert (target / "kept").read_text() == "safe"
    (target / "goes").write_text("on")


def not_root_s_alone(d: Disk) -> None:
    """Where somebody else could put an image, or put another in its place, nothing is mounted."""
    homes = d.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    image = d.pool / f"volumes/{volume}.img"
    for folder in (d.pool, d.pool / "volumes"):
        folder.chmod(0o777)
        assert "nobody else" in refused(ArgumentError, d.homes)
        folder.chmod(0o700)
    os.chown(d.pool / "volumes", 1000, 1000)
    refused(ArgumentError, d.homes)
    os.chown(d.pool / "volumes", 0, 0)
    aside = d.directory / "host/aside.img"
    image.rename(aside)
    image.symlink_to(aside)
    refused(MissingError, lambda: d.mounted(homes, volume))
    assert not d.mounts() and homes.volumes() == []
    other = homes.create("pvc-2", SMALL, 0).id
    kept = d.mounted(homes, other, "two")
    image.unlink()
    image.symlink_to(d.pool / f"volumes/{other}.img")
    refused(MissingError, lambda: d.mounted(homes, volume))
    homes.delete(volume)
    assert kept.is_dir() and (d.pool / f"volumes/{other}.img").exists(), "and it takes nobody else's along"


def too_large_to_copy(d: Disk) -> None:
    """Without reflink a home never stands still for long: a large one gets no checkpoint, and that is said."""
    homes = d.homes(copy_most=MI)
    volume = homes.create("pvc-1", SMALL, 0).id
    target = d.mounted(homes, volume)
    assert "reflink" in refused(FullError, lambda: homes.checkpoint(volume, "x"))
    assert len(Upkeep(homes, Schedule()).daily()) == 1
    (target / "goes").write_text("on")
    assert not list((d.pool / "checkpoints").iterdir())


def left_frozen(d: Disk) -> None:
    """A process that is killed while a home stands still: the next one lets it go on."""
    homes = d.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    target = d.mounted(homes, volume)
    script = (
        "import os, signal, sys\nfrom pdshub.homes import freezing\n"
        "with freezing.frozen(sys.argv[1]):\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, target], check=False)
    assert done.returncode == -signal.SIGKILL
    d.homes()
    (target / "goes").write_text("on")
    subprocess.run([sys.executable, "-c", script, target], check=False)
    assert homes.checkpoint(volume, "x").volume == volume, "whoever holds the lock knows that nobody else froze it"
    (target / "goes").write_text("on again")


STEP = """
import sys
from pathlib import Path
from tests.unit.homes import kill_steps
kill_steps.run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
"""


def killed_at_any_step(d: Disk) -> None:
    """Each operation, killed before its first, second, ... change of the disk, and then done by another process."""
    homes = d.homes()
    for operation in ("create", "grow", "checkpoint", "delete", "drop"):
        step = 0
        while True:
            name = f"pvc-{operation}-{step}"
            volume = names.volume_id(name)
            if operation != "create":
                homes.create(name, SMALL, 0)
            if operation == "drop":
                homes.checkpoint(volume, name)
            command = [sys.executable, "-c", STEP, str(d.pool), str(d.kubelet), f"{operation}:{name}", str(step)]
            code = subprocess.run(command, cwd=ROOT, check=False).returncode
            assert code in (0, -signal.SIGKILL), (operation, step, code)
            after = d.homes()
            _again(after, operation, name)
            for left in (d.pool / "volumes", d.pool / "checkpoints"):
                assert not [p.name for p in left.iterdir() if p.name.startswith(".")], (operation, step)
            after.delete(volume)
            for kept in after.checkpoints(volume):
                after.drop(kept.id)
            assert not list((d.pool / "volumes").iterdir()), (operation, step)
            if code == 0:
                assert step >= 2, f"{operation} was never killed within"
                break
            step += 1


def _again(homes: Homes, operation: str, name: str) -> None:
    """Done once more, it ends as if nobody had been killed."""
    volume = names.volume_id(name)
    if operation == "create":
        assert homes.create(name, SMALL, 0).size == SMALL
    elif operation == "grow":
        assert homes.grow(volume, 2 * SMALL).size == 2 * SMALL
    elif operation == "checkpoint":
        assert homes.checkpoint(volume, name).size == SMALL
    elif operation == "delete":
        homes.delete(volume)
        assert homes.volumes() == []
    else:
        homes.drop(names.checkpoint_id(volume, name))
        assert homes.checkpoints() == []


def many_at_once(d: Disk) -> None:
    """Everybody asks for the same at the same time, in threads and through processes."""
    homes = d.homes()
    volume = names.volume_id("pvc-1")
    errors: list[BaseException] = []

    def ask(call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:
            errors.append(error)

    def together(*calls: Callable[[], Any]) -> None:
        threads = [threading.Thread(target=ask, args=(call,)) for call in calls]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not errors, errors

    together(*[lambda: homes.create("pvc-1", SMALL, 0)] * 4)
    together(*[lambda: d.mounted(homes, volume)] * 4)
    assert len(d.mounts()) == 2 and len(d.loops()) == 1
    other = d.homes()
    together(
        lambda: homes.grow(volume, 2 * SMALL),
        lambda: other.grow(volume, 2 * SMALL),
        lambda: homes.checkpoint(volume, "x"),
        lambda: other.checkpoint(volume, "x"),
        lambda: d.mounted(other, volume),
    )
    assert len(homes.checkpoints()) == 1 and homes.volume(volume).size == 2 * SMALL
    together(*[lambda: d.unmounted(homes, volume)] * 3)
    together(*[lambda: homes.delete(volume)] * 3)
    assert not d.mounts() and homes.volumes() == []


def driver_restarts(d: Disk) -> None:
    """The driver is killed and starts again while somebody works: mounts stay, and what was asked for is answered."""
    homes = d.homes()
    volume = homes.create("pvc-1", SMALL, 0).id
    d.start()
    target = d.mounted(homes, volume)
    with (target / "open").open("w") as file:
        d.kill()
        file.write("still ")
        file.flush()
        d.start()
        file.write("here")
    assert (target / "open").read_text() == "still here" and len(d.mounts()) == 2
    listed = subprocess.run(
        [sys.executable, "-m", "pdshub.homes.main", "--folder", str(d.pool), "--kubelet-dir", str(d.kubelet), "list"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert volume in listed and '"name": "pvc-1"' in listed
    eventually(lambda: "pdshub_homes_volumes 1.0" in (d.directory / "metrics.prom").read_text())
    eventually(lambda: (d.directory / "health").read_text().startswith("ok"))


def sanity(d: Disk) -> None:
    """csi-sanity, the conformance suite of CSI, against the driver."""
    program = go_program("csi-sanity")
    assert program
    d.start("--checkpoint-keep", "0")
    (d.kubelet / "pods").mkdir()
    command = [
        str(program), "-csi.endpoint", f"unix://{d.socket}", "-csi.mountdir", str(d.kubelet / "pods/sanity"),
        "-csi.stagingdir", str(d.kubelet / "sanity-staging"), "-csi.testvolumesize", str(SMALL),
        "-csi.testvolumeexpandsize", str(2 * SMALL), "-csi.testnodevolumeattachlimit=false", "-ginkgo.no-color",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    print(done.stdout[-12000:], done.stderr[-2000:])
    assert done.returncode == 0
    found = re.search(r"(\d+) Passed \| (\d+) Failed", done.stdout)
    assert found and int(found[1]) >= 50, found
    assert not d.mounts()
    eventually(lambda: not d.loops(), text="devices go with their mounts")


BOTH = (life, checkpoints, daily, killed_at_any_step, shown, cut_off)
"""With reflink and without."""
REFLINK = (full_home, full_disk, not_root_s_alone, reboot, links, left_frozen, many_at_once, driver_restarts, sanity)
PLAIN = (too_large_to_copy,)
ALL: dict[str, tuple[Callable[[Disk], None], bool]] = {
    **{f"{f.__name__}-reflink": (f, True) for f in (*BOTH, *REFLINK)},
    **{f"{f.__name__}-plain": (f, False) for f in (*BOTH, *PLAIN)},
}

if __name__ == "__main__":
    scenario, with_reflink = ALL[sys.argv[1]]
    with disk(reflink=with_reflink) as made, suppress(KeyboardInterrupt):
        scenario(made)
