"""Where volumes are mounted, from the kernel's table alone; and the few mounts that the driver makes."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from pdshub.homes.errors import InUseError
from pdshub.node.mount import mountinfo, syscalls

_MOST = 64
"""Mounts on one point, of which each is taken away: more are a fault."""


def of(numbers: Collection[str]) -> list[mountinfo.Mount]:
    """Mounts of the devices with these numbers (major:minor)."""
    return [m for m in mountinfo.read() if m.device in numbers] if numbers else []


def at(point: str) -> mountinfo.Mount | None:
    """What is seen at ``point``, if anything is mounted there."""
    return mountinfo.top(mountinfo.read(), point)


def bind(origin: str, target: str, *, read_only: bool) -> None:
    """Show the root of the mount at ``origin`` at ``target``, which is made where it is missing. Raises OSError."""
    Path(target).mkdir(parents=True, exist_ok=True)
    add = syscalls.ATTR_NOSUID | syscalls.ATTR_NODEV | (syscalls.ATTR_RDONLY if read_only else 0)
    copy = syscalls.clone(origin)
    try:
        syscalls.set_attributes(copy, add=add, propagation=syscalls.MS_PRIVATE)
        syscalls.set_attributes(copy, propagation=syscalls.MS_SHARED)
        syscalls.attach(copy, target)
    finally:
        os.close(copy)


def take_away(point: str) -> None:
    """Unmount whatever is at ``point``. Raises InUseError while somebody works in it: nobody loses what they write."""
    for _ in range(_MOST):
        if at(point) is None:
            return
        try:
            syscalls.umount(point)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise InUseError(f"{point} is in use") from error
            if error.errno != errno.EINVAL:  # EINVAL: it went meanwhile
                raise
    raise InUseError(f"{point} has more than {_MOST} mounts")


def remove(point: str) -> None:
    """Take away what is mounted at ``point``, and its directory. Raises InUseError, OSError."""
    take_away(point)
    with suppress(FileNotFoundError):
        Path(point).rmdir()
