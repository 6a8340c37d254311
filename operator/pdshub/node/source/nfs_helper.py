"""`pdshub-node nfs-helper`: keeps one process (nfs_fuse.py) per requested source.

It runs in a pod of its own, so that a restart of the node plugin disturbs no reader. If it is restarted
itself, its mounts die with it (ENOTCONN); the new helper mounts anew and the node plugin switches the pods.
"""

from __future__ import annotations

import json
import logging
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pdshub.files import read_json
from pdshub.node import instance_lock
from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo, syscalls

log = logging.getLogger(__name__)

TURN_SECONDS = 1.0
RETRY_SECONDS = 3.0


class Child:
    """The process of one source and when it may be started again."""

    def __init__(self, command: Sequence[str], request_file: Path, request: dict[str, Any]) -> None:
        """`command`: what serves one source; the path of the request is its last argument."""
        self._command, self._file, self.request = command, request_file, request
        self.process: subprocess.Popen[bytes] | None = None
        self.not_before = 0.0

    def keep(self) -> None:
        """Start the process unless it runs; after its end RETRY_SECONDS pass first."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            log.warning("source %s: its process ended with %s", self.request["device"], code)
            self.process = None
            self.not_before = time.monotonic() + RETRY_SECONDS
            unmount(self.request)
        if time.monotonic() >= self.not_before:
            self.process = subprocess.Popen([*self._command, str(self._file)])

    def stop(self) -> None:
        """Take the mount away and end the process, within seconds."""
        unmount(self.request)
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def unmount(request: dict[str, Any]) -> None:
    """Take the mount of a request away, at once; what is not the helper's stays."""
    there = mountinfo.top(mountinfo.read(), request["point"])
    if there is not None and there.fstype == "fuse.pdshub-nfs":
        with suppress(OSError):
            syscalls.umount(request["point"], lazy=True)


def run(layout: Layout, command: Sequence[str]) -> None:
    """Keep a process for every requested source, until SIGTERM or SIGINT.

    `command` starts one that serves one source until it ends (nfs_fuse.run); the path of its request is added.
    """
    layout.prepare()
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: stopping.append(got))
    if not instance_lock.turn(layout.helper_lock, lambda: bool(stopping)):
        return
    children: dict[str, Child] = {}
    for status in layout.helper.glob("*.status"):  # of a former helper
        status.unlink(missing_ok=True)
    log.info("helper for user-space NFS, requests in %s", layout.helper)
    while not stopping:
        (layout.helper / "alive").touch()
        _turn(layout.helper, children, command)
        time.sleep(TURN_SECONDS)
    for child in children.values():
        child.stop()


def _turn(directory: Path, children: dict[str, Child], command: Sequence[str]) -> None:
    found = {path.stem: path for path in directory.glob("*.json")}
    for digest in children.keys() - found.keys():
        children.pop(digest).stop()
    for digest, path in found.items():
        request = read_json(path)
        if request is None:
            continue
        child = children.get(digest)
        if child is not None and json.dumps(child.request) != json.dumps(request):
            child.stop()
            child = None
        if child is None:
            child = children[digest] = Child(command, path, request)
        child.keep()
