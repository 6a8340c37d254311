"""XFS on a volume: made once, mounted once, grown while in use. Sources: mkfs.xfs(8), xfs(5), xfs_growfs(8)."""

from __future__ import annotations

from pathlib import Path

from pdshub.homes.command import run
from pdshub.node.mount import syscalls

TYPE = "xfs"
SECTOR = 4096
"""Bytes. A loop device over a file that shares blocks with another has no smaller ones (Linux 6.18, direct I/O on XFS):
a home with sectors of 512 bytes could not be mounted any more once it has a checkpoint."""
_SAFE = syscalls.MS_NOSUID | syscalls.MS_NODEV


def make(path: str, *, again: bool = False) -> None:
    """Make a file system on a blank device or file. ``again``: also over what a killed mkfs has begun there.

    Without it mkfs.xfs refuses whatever has a file system already. Raises ProgramError.
    """
    # without 64-bit extent counters, which kernels before 5.19 do not know
    options = ["-s", f"size={SECTOR}", "-i", "nrext64=0", *(["-f"] if again else [])]
    run(["mkfs.xfs", "-q", "-K", *options, path], seconds=300)


def mount(device: str, point: str) -> None:
    """Mount for writing. A copy has the identity of its original, so that is not looked at. Raises OSError."""
    Path(point).mkdir(parents=True, exist_ok=True)
    syscalls.mount(device, point, TYPE, _SAFE, "nouuid")


def mount_frozen(device: str, point: str) -> None:
    """Mount a checkpoint, read-only and without touching it. Raises OSError.

    What was frozen when it was copied has nothing in its log that is not in its place as well.
    """
    Path(point).mkdir(parents=True, exist_ok=True)
    flags = _SAFE | syscalls.MS_RDONLY | syscalls.MS_NOEXEC
    syscalls.mount(device, point, TYPE, flags, "nouuid,norecovery")


def mount_still(device: str, point: str) -> None:
    """Mount so that nobody writes, once the kernel has played back the log of a device that was cut off.

    Source: xfs(5): without norecovery a read-only mount recovers, too. Raises OSError.
    """
    syscalls.mount(device, point, TYPE, _SAFE | syscalls.MS_RDONLY | syscalls.MS_NOEXEC, "nouuid")


def grow(point: str) -> None:
    """Let the file system have all of its device; nothing where it has. Raises ProgramError."""
    run(["xfs_growfs", "-d", point])
