"""The state of a directory as the server has it now, not as this machine remembers it.

An NFS client trusts what it knows of a directory for half a minute and longer (acdirmin, nfs(5)); a survey that
somebody asked for right after a change must not look at that memory. Source: statx(2), AT_STATX_FORCE_SYNC.
"""

from __future__ import annotations

import ctypes
import os

_AT_FDCWD, _NOFOLLOW, _FORCE_SYNC, _BASIC_STATS = -100, 0x100, 0x2000, 0x7FF
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
