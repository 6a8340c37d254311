"""Loop devices that can be written to: image files as block devices that grow with their file.

Each has the kernel's autoclear flag: it goes with its last user, so that one whose maker was killed before the mount
is gone at once. Sources: loop(4), <linux/loop.h>.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CONFIGURE, _GET_STATUS, _SET_CAPACITY, _GET_FREE, _MAJOR = 0x4C0A, 0x4C05, 0x4C07, 0x4C82, 7
_READ_ONLY, _AUTOCLEAR, _DIRECT = 1, 4, 16
_INFO, _FLAGS_AT = 232, 52  # sizeof(struct loop_info64), offset of lo_flags
_TRIES = 64
_SYS = Path("/sys/block")


def _node(number: int) -> str:
    """The device's file; a container's /dev does not follow the host's."""
    device = f"/dev/loop{number}"
    try:
        if not Path(device).exists():
            os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(_MAJOR, number))
    except FileExistsError:
        pass  # somebody else was quicker
    return device


def _backing(device: int) -> tuple[int, int] | None:
    """Device and inode of the file behind an open loop device; None where there is none (ENXIO)."""
    info = bytearray(_INFO)
    try:
        fcntl.ioctl(device, _GET_STATUS, info)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise
    held, inode = struct.unpack_from("=QQ", info)
    return held, inode


def _numbers() -> list[int]:
    """Loop devices that have a file behind them."""
    found = (p.parent.parent.name.removeprefix("loop") for p in _SYS.glob("loop*/loop/backing_file"))
    return sorted(int(n) for n in found if n.isdigit())


@contextmanager
def _over(image: str) -> Iterator[tuple[str, int] | None]:
    """The loop device over a file and an open descriptor of it, which keeps it there; None where there is none."""
    about = os.stat(image, follow_symlinks=False)  # noqa: PTH116 - a link is no image, and leads to nobody else's
    for number in _numbers():
        try:
            device = os.open(_node(number), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            continue  # gone meanwhile
        try:
            if _backing(device) == (about.st_dev, about.st_ino):
                yield _node(number), device
                return
        finally:
            os.close(device)
    yield None


def number_of(image: str) -> str:
    """``major:minor`` of the loop device over a file, as the mount table has it; empty where there is none."""
    with _over(image) as found:
        if found is None:
            return ""
        about = os.fstat(found[1]).st_rdev
        return f"{os.major(about)}:{os.minor(about)}"


def refresh(image: str) -> None:
    """Tell the loop device over a file, where there is one, that the file has grown. Raises OSError."""
    with _over(image) as found:
        if found is not None:
            fcntl.ioctl(found[1], _SET_CAPACITY, 0)


@contextmanager
def attached(image: str, *, read_only: bool = False) -> Iterator[str]:
    """The loop device over a file, made where there is none; after the end it lives as long as what mounts it.

    Raises OSError; EBUSY when no device is free.
    """
    with _over(image) as found:
        if found is not None:
            yield found[0]
            return
    name, device = _made(image, read_only)
    try:
        yield name
    finally:
        os.close(device)


def _made(image: str, read_only: bool) -> tuple[str, int]:
    access = os.O_RDONLY if read_only else os.O_RDWR
    # the device's own way to the file is O_DIRECT: what a home writes is not kept in memory twice
    flags = _AUTOCLEAR | _DIRECT | (_READ_ONLY if read_only else 0)
    file = os.open(image, access | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
        try:
            for _ in range(_TRIES):
                name = _node(fcntl.ioctl(control, _GET_FREE))
                device = os.open(name, access | os.O_CLOEXEC)
                if _configured(device, file, flags):
                    return name, device
                os.close(device)
        finally:
            os.close(control)
    finally:
        os.close(file)
    raise OSError(errno.EBUSY, "no loop device is free")


def _configured(device: int, file: int, flags: int) -> bool:
    """Put a file behind a device; False when somebody else was quicker. Raises OSError, and closes the device then."""
    info = bytearray(_INFO)
    struct.pack_into("=I", info, _FLAGS_AT, flags)
    try:
        # struct loop_config: fd, block size (the usual one), loop_info64, reserved
        fcntl.ioctl(device, _CONFIGURE, struct.pack("=II", file, 0) + bytes(info) + bytes(64))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        os.close(device)
        raise
    return True
