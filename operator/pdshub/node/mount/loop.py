"""Loop devices: an image file as a block device, for kernels that can't mount the file itself.

Source: loop(4), <linux/loop.h>. Standard library only, like worker_main.py.
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

_LOOP_CONFIGURE, _LOOP_GET_FREE, _LOOP_MAJOR = 0x4C0A, 0x4C82, 7
_LOOP_FLAGS = 1 | 4  # read-only, gone with its last user


@contextmanager
def loop_device(path: str) -> Iterator[str]:
    """A read-only loop device over a file; it goes when the last mount of it does."""
    image = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(64):
            number = fcntl.ioctl(control, _LOOP_GET_FREE)
            device = f"/dev/loop{number}"
            if not Path(device).exists():  # a container's /dev does not follow the host's
                os.mknod(device, stat.S_IFBLK | 0o600, os.makedev(_LOOP_MAJOR, number))
            handle = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
            try:
                # struct loop_config: fd, block size, then loop_info64 with its flags at byte 52
                info = bytearray(232)
                struct.pack_into("=I", info, 52, _LOOP_FLAGS)
                try:
                    fcntl.ioctl(handle, _LOOP_CONFIGURE, struct.pack("=II", image, 0) + bytes(info) + bytes(64))
                except OSError as error:
                    if error.errno == errno.EBUSY:  # somebody else was quicker
                        continue
                    raise
                yield device
                return
            finally:
                os.close(handle)
        raise OSError(errno.EBUSY, "no loop device is free")
    finally:
        os.close(control)
        os.close(image)
