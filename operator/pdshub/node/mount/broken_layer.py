"""The layer that stands for a source that is away: every name in it is an error, none is absent.

Standard library only, like worker_main.py.
"""

from __future__ import annotations

import errno
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pdshub.node.mount import syscalls

_FLAGS = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOATIME


@contextmanager
def broken_layer(point: str) -> Iterator[str]:
    """Make `point` a directory in which every lookup fails with ENOTCONN: the last data layer while a source is away.

    Without it a file of that source would not be found at all: ENOENT, as if it were gone. It is a FUSE file system
    without a server; where the kernel has no FUSE, an empty directory.
    """
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
        syscalls.mount("pdshub-away", point, "fuse", _FLAGS, options)
    except OSError:
        yield point
        return
    # It answers until the worker's process ends; from then on the kernel gives the same answer.
    threading.Thread(target=_answer, args=(device,), daemon=True).start()
    try:
        yield point
    finally:
        syscalls.umount(point, lazy=True)


def _answer(device: int) -> None:
    """The two questions that making an overlay asks: <linux/fuse.h>, FUSE_INIT and FUSE_STATFS."""
    while True:
        try:
            question = os.read(device, 1 << 17)
        except OSError:
            return
        _, what, unique = struct.unpack_from("=IIQ", question)
        if what == 26:  # INIT: version 7.31 and no abilities
            body = struct.pack("=IIIIHHIIHHIIHH7I", 7, 31, 0, 0, 0, 0, 4096, 1, 0, 0, 0, 0, 0, 0, *[0] * 7)[:64]
            body = body.ljust(64, b"\0")
        elif what == 17:  # STATFS
            body = struct.pack("=QQQQQIIIII24x", 0, 0, 0, 0, 0, 4096, 255, 4096, 0, 0)[:80]
        elif what in (2, 36, 38):  # FORGET, INTERRUPT, DESTROY are not answered
            continue
        else:
            os.write(device, struct.pack("=IiQ", 16, -errno.ENOTCONN, unique))
            continue
        os.write(device, struct.pack("=IiQ", 16 + len(body), 0, unique) + body)
