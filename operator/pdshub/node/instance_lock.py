"""One node plugin, and one NFS helper, at a time on a node.

A pod that was removed by force, or that its kubelet lost sight of, may still run when the next one starts. Two
plugins would mount over each other, and the sockets of the second would go with the first: gRPC removes a
socket's path when its server ends, whoever made it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger(__name__)

_POLL_SECONDS = 0.2


def turn(path: Path, stopped: Callable[[], bool]) -> bool:
    """Wait until no other process holds the lock at `path`, and hold it until this process ends.

    False if `stopped()` came first. The record lock is POSIX's (fcntl(2), "Advisory record locking"): it goes with
    its process, however that ends, and children do not inherit it.
    """
    held = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)  # never closed: that would let go of it
    told = False
    while not stopped():
        try:
            fcntl.lockf(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: somebody has it
            if not told:
                log.warning("the one before still runs on this node: waiting for its end (%s)", path)
                told = True
            time.sleep(_POLL_SECONDS)
        else:
            return True
    return False
