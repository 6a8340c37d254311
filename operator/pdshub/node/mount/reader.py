"""Access files as another user for a moment. Runs in child processes; standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pdshub.node.mount import syscalls


@contextmanager
def acting(reader: Sequence[int] | None) -> Iterator[None]:
    """As that uid and gid; None: as root. Whoever creates an overlay is who reads its layers. Raises OSError."""
    if not reader:
        yield
        return
    uid, gid = reader
    syscalls.set_filesystem_ids(uid, gid)
    try:
        yield
    finally:
        syscalls.set_filesystem_ids(0, 0)
