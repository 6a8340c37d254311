"""The child process of inspection.py: walks through an image as nobody, with nothing but the image itself.

The image is its standard input; its answer is one JSON line: {"ok": counts} or {"unsound": text}. Whatever the image
does to it, it has no rights, no network, no files, no memory or time without an end. Standard library only.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import resource
import sys
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pdshub.node import unprivileged
from pdshub.node.image.erofs import Image, Unsound

UID = GID = 65534
"""nobody, nogroup."""
MEMORY = 256 << 20
"""Bytes of address space beside the image's own."""
ANSWER = 4096
"""Bytes that it may write."""
_CLONE_NEWIPC, _CLONE_NEWNET = 0x08000000, 0x40000000


def confine(size: int, seconds: int) -> None:
    """Give up everything for good: the network, root, files, other processes. `size`: bytes of the image; `seconds` of
    the processor: the kernel ends a process that takes more (SIGXCPU).

    Raises PermissionError, OSError, ValueError: then nothing is read.
    """
    with suppress(OSError):
        # a kernel without these has only the rights to take away; who has no rights has no use for a network either
        ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET | _CLONE_NEWIPC)
    os.nice(10)
    unprivileged.become(UID, GID)
    for limit, most in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, ANSWER),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_NOFILE, 4),  # of which mmap(2), as Python calls it, takes one
        (resource.RLIMIT_AS, size + MEMORY),
    ):
        resource.setrlimit(limit, (most, most))
    # SIGXCPU at the first, SIGKILL at the second: that could be anybody's
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))


def look(size: int, top: str) -> dict[str, Any]:
    """The answer for the image on standard input."""
    try:
        with mmap.mmap(0, size, prot=mmap.PROT_READ) as data, memoryview(data) as view:
            return {"ok": asdict(Image(view).check(top))}
    except Unsound as error:
        return {"unsound": str(error)}
    except MemoryError:
        return {"unsound": f"looking at it takes more than {MEMORY >> 20} MiB of memory"}


def main() -> None:
    """Arguments: the image's size in bytes, seconds of the processor, the folder that it has to have."""
    size, seconds, top = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    confine(size, seconds)
    print(json.dumps(look(size, top)), flush=True)
    # at once: what Python tidies up at its end takes longer than a small image
    os._exit(0)
