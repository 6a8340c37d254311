"""Opens what lies below a directory, and nothing that a link on the way leads to.

Somebody who writes to a source may put a link in the place of a directory at any moment. So no path is looked up from
the root of this machine: each is opened below its source's directory, without links, and what is listed, looked at or
read afterwards is what was opened. Source: openat2(2), RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import BinaryIO

_OPENAT2 = 437  # on every architecture
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_RESOLVE = _BENEATH | _NO_SYMLINKS | _NO_MAGICLINKS
_libc = ctypes.CDLL(None, use_errno=True)
_absent: list[bool] = []
"""Not empty: this machine has no openat2, or does not let this program use it."""


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def _with_openat2(directory: int, path: str, flags: int) -> int:
    how = _How(flags, 0, _RESOLVE)
    done = _libc.syscall(_OPENAT2, directory, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
    if done < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return int(done)


def _by_component(directory: int, path: str, flags: int) -> int:
    """As openat2 does it, name by name."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    at = os.dup(directory)
    try:
        for part in parts[:-1]:
            below = os.open(part, os.O_PATH | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = below
        return os.open(parts[-1] if parts else ".", flags | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)


def _open(directory: int, path: str, flags: int) -> int:
    if not _absent:
        try:
            return _with_openat2(directory, path, flags)
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM):
                raise
            found = _by_component(directory, path, flags)  # EPERM: of the file, or of a filter of system calls
            if error.errno == errno.ENOSYS:
                _absent.append(True)
            return found
    return _by_component(directory, path, flags)


def open_below(root: str, path: str, flags: int) -> int:
    """A descriptor of ``path`` below the directory ``root``, which itself may be a link. ``flags`` as of open(2).

    Raises OSError: ELOOP or ENOTDIR for a link on the way or at the end, EXDEV for what leaves ``root``.
    """
    if "\0" in path:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _open(top, path or ".", flags | os.O_CLOEXEC)
    finally:
        os.close(top)


def open_regular(root: str, path: str) -> BinaryIO:
    """A regular file below ``root``, to be read. Waits for no writer of a FIFO. Raises OSError; ENXIO for others."""
    descriptor = open_below(root, path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.ENXIO, "no regular file", path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


@contextmanager
def scan_below(root: str, path: str) -> Iterator[Iterator[os.DirEntry[str]]]:
    """os.scandir of a directory below ``root``: the directory that was opened, whatever has its name later."""
    descriptor = open_below(root, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NONBLOCK)
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    finally:
        os.close(descriptor)


def list_below(root: str, path: str, most: int) -> list[str]:
    """The names in a directory below ``root``, at most ``most`` of them. Raises OSError."""
    with scan_below(root, path) as entries:
        return [entry.name for entry in islice(entries, most)]


def stat_below(root: str, path: str, look: Callable[[int], os.stat_result] = os.fstat) -> os.stat_result:
    """Status of a file, link or directory below ``root``: what ``look`` says of its descriptor. Raises OSError."""
    descriptor = open_below(root, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return look(descriptor)
    finally:
        os.close(descriptor)


def readlink_below(root: str, path: str) -> str:
    """The target of a link below ``root``, as it is written. Raises OSError."""
    descriptor = open_below(root, path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return os.readlink("", dir_fd=descriptor)
    finally:
        os.close(descriptor)
