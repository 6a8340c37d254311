"""What the server has now, not what this machine remembers of it.

An NFS client trusts what it knows of a directory for half a minute and longer (acdirmin, nfs(5)); a survey that
somebody asked for right after a change must not look at that memory. Source: statx(2), AT_STATX_FORCE_SYNC.
What is removed or replaced while it is read answers ESTALE; whether its name is still there is then asked anew.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_AT_FDCWD, _NOFOLLOW, _EMPTY_PATH, _FORCE_SYNC, _BASIC_STATS = -100, 0x100, 0x1000, 0x2000, 0x7FF
_TRIES = 5
"""A thing that was replaced as often while it was read is not a thing to read: an error, as any other."""
_SIZE = 256
"""Bytes of struct statx."""
_statx = getattr(ctypes.CDLL(None), "statx", None)


def lstat(path: str) -> os.stat_result:
    """os.lstat, after the file system was told to ask its server. Raises OSError as os.lstat does."""
    if _statx is not None:
        # what it answers is not looked at: the kernel keeps it, and an error comes again below
        answer = ctypes.create_string_buffer(_SIZE)
        _statx(_AT_FDCWD, os.fsencode(path), _NOFOLLOW | _FORCE_SYNC, _BASIC_STATS, answer)
    return os.lstat(path)


def fstat(descriptor: int) -> os.stat_result:
    """os.fstat of what is open, O_PATH too, after the file system was told to ask its server. Raises OSError."""
    if _statx is not None:
        answer = ctypes.create_string_buffer(_SIZE)
        _statx(descriptor, b"", _EMPTY_PATH | _FORCE_SYNC, _BASIC_STATS, answer)
    return os.fstat(descriptor)


def retry_stale(read: Callable[[], T]) -> T:
    """What `read` answers, which opens something by its name: asked again when that was replaced meanwhile.

    What was removed raises FileNotFoundError then. Raises what `read` raises, ESTALE only after five tries.
    """
    for _ in range(_TRIES - 1):
        try:
            return read()
        except OSError as error:
            if error.errno != errno.ESTALE:
                raise
    return read()
