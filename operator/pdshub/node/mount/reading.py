"""Files below a mount: opened without following links, digested in pieces. For child processes that may hang.

Standard library only, like worker_main.py.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import suppress

from pdshub.node.mount import syscalls

_CHUNK = 1 << 20
#: errno -> the word for a file that can't be opened because of what is there. Other errors are the source's own.
REPLACED = {
    errno.ENOENT: "gone", errno.ENOTDIR: "gone", errno.ELOOP: "gone", errno.EISDIR: "gone",
    errno.EXDEV: "gone", errno.ESTALE: "stale", errno.EACCES: "private",
}  # fmt: skip


def open_file(base: int, path: str) -> int:
    """Open a regular file below `base` for reading, following no link. Raises OSError (EISDIR: no regular file)."""
    folder, _, name = path.rpartition("/")
    parent = syscalls.open_beneath(base, folder or ".")
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    finally:
        os.close(parent)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EISDIR, "not a regular file")
    return file


def digest(file: int, algorithm: str, limit: int) -> str:
    """Hexadecimal digest of an open file, read from its source and not from this machine's memory where possible."""
    with suppress(OSError):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    made = hashlib.new(algorithm, usedforsecurity=False)
    while chunk := os.read(file, min(_CHUNK, limit + 1)):
        limit -= len(chunk)
        if limit < 0:
            raise OSError(errno.EFBIG, "larger than it may be")
        made.update(chunk)
    return made.hexdigest()
