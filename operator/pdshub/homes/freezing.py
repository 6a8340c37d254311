"""A mounted file system that stands still for a moment, and is trimmed. Sources: ioctl_fs(2), fstrim(8)."""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_FREEZE, _THAW, _TRIM = 0xC0045877, 0xC0045878, 0xC0185879


@contextmanager
def _opened(point: str) -> Iterator[int]:
    directory = os.open(point, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield directory
    finally:
        os.close(directory)


def thaw(point: str) -> None:
    """Let a file system go on that a killed process has left frozen; nothing where it is not. Raises OSError."""
    with _opened(point) as directory:
        _thaw(directory)


def _thaw(directory: int) -> None:
    try:
        fcntl.ioctl(directory, _THAW, 0)
    except OSError as error:
        if error.errno != errno.EINVAL:  # it is not frozen
            raise


@contextmanager
def frozen(point: str) -> Iterator[None]:
    """Nothing is written to the file system at ``point``, and all that was is on its device; who writes waits.

    Only for who holds the volume's lock: one that is frozen already was left so by a process that is gone. Raises
    OSError.
    """
    with _opened(point) as directory:
        try:
            fcntl.ioctl(directory, _FREEZE, 0)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _thaw(directory)
            fcntl.ioctl(directory, _FREEZE, 0)
        try:
            yield
        finally:
            _thaw(directory)


def trim(point: str) -> None:
    """Give the room of removed files back to the device below; nothing where it takes none back."""
    with _opened(point) as directory, suppress(OSError):
        fcntl.ioctl(directory, _TRIM, struct.pack("=QQQ", 0, 2**64 - 1, 0))
