"""Copies of image files: by reflink, where the file system below can, else only what is not empty.

Sources: ioctl_ficlonerange(2), lseek(2) (SEEK_DATA), copy_file_range(2).
"""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

_CLONE = 0x40049409
_CANNOT = (errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS)
REFLINK, COPY = "reflink", "copy"


def allocated(path: Path) -> int:
    """Bytes that a file takes on the disk. Raises OSError."""
    return path.stat().st_blocks * 512


def can_clone(folder: Path) -> bool:
    """Whether the file system below can reflink: tried with a file of one block. Raises OSError."""
    one, other = folder / ".reflink-1.partial", folder / ".reflink-2.partial"
    try:
        one.write_bytes(bytes(4096))
        return copy(one, other) == REFLINK
    finally:
        one.unlink(missing_ok=True)
        other.unlink(missing_ok=True)


def copy(source: Path, target: Path) -> str:
    """Make ``target`` (mode 0600, replaced if it is there) the same as ``source``: how it was done.

    It is not forced to the disk yet. Raises OSError.
    """
    read = os.open(source, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
        written = os.open(target, flags, 0o600)
        try:
            return _filled(read, written)
        finally:
            os.close(written)
    finally:
        os.close(read)


def _filled(read: int, written: int) -> str:
    try:
        fcntl.ioctl(written, _CLONE, read)
    except OSError as error:
        if error.errno not in _CANNOT:
            raise
        _copy_data(read, written)
        return COPY
    return REFLINK


def _copy_data(read: int, written: int) -> None:
    size = os.fstat(read).st_size
    os.ftruncate(written, size)
    at = 0
    while at < size:
        try:
            begin = os.lseek(read, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole is left
                return
            raise
        at = os.lseek(read, begin, os.SEEK_HOLE)
        while begin < at:
            done = os.copy_file_range(read, written, at - begin, begin, begin)
            if done == 0:  # it became shorter meanwhile
                return
            begin += done
