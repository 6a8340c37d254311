"""`pdshub-node nfs-helper`: keeps one process per requested source: of NFS (nfs_mount.py), of S3 (s3_mount.py).

It runs in a pod of its own, so that a restart of the node plugin disturbs no reader. If it is restarted itself, its
mounts die with it (ENOTCONN); the new helper mounts anew and the node plugin switches the pods.

This process may mount and reads nothing but the plugin's requests. Those that speak to servers have no rights: each
gets an open /dev/fuse and says when the server has answered, and what is mounted then is that descriptor.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import selectors
import signal
import socket
import stat
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
from pdshub.node.source import nfs_requests, s3_mount
from pdshub.node.source.nfs_requests import FUSE_TYPE, FUSE_TYPES, S3_TYPE

log = logging.getLogger(__name__)

TURN_SECONDS = 1.0
RETRY_SECONDS = 3.0
IDLE_SECONDS = 60.0
"""Without a request for so long it ends: whoever started it waits for the next one with less (charts/pdshub)."""
LEAVING_SECONDS = 86_400.0
"""A source that nobody asks for any more is served for as long as something of it is open, but no longer than this."""
_FLAGS = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV | syscalls.MS_NOATIME
_ANSWER = 4096  # bytes
_WORDS = 300  # characters of a reason


class Child:
    """The process of one source and when it may be started again."""

    def __init__(self, command: Sequence[str], status: Path, request: dict[str, Any]) -> None:
        """`command`: what serves one source (nfs_mount.run). `status`: the file that says how it goes."""
        self._command, self._status, self.request = command, status, request
        self.process: subprocess.Popen[bytes] | None = None
        self.channel: socket.socket | None = None
        self._fuse, self._heard = -1, b""
        self.not_before = 0.0
        self._left_at: float | None = None

    def keep(self) -> None:
        """Start the process unless it runs; after its end RETRY_SECONDS pass first. Raises OSError."""
        if self.process is not None:
            code = self.process.poll()
            if code is None:
                return
            log.warning("source %s: its process ended with %s", self.request["device"], code)
            self.process = None
            self.not_before = time.monotonic() + RETRY_SECONDS
            self._let_go()
            unmount(self.request)
        if time.monotonic() >= self.not_before:
            self._start()

    def _start(self) -> None:
        command = self._command if "s3" not in self.request else (*self._command[:-1], "s3-mount")
        ours, theirs = socket.socketpair()
        with theirs:
            self._fuse = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
            self.process = subprocess.Popen(
                command, stdin=theirs.fileno(), pass_fds=[self._fuse], start_new_session=True, cwd="/"
            )
        ours.setblocking(False)
        self.channel, self._heard = ours, b""
        ours.sendall(json.dumps({"request": self.request, "fuse": self._fuse}).encode() + b"\n")

    def hear(self) -> None:
        """Take what the process says. A server has answered it, or is away; it may be that server's by now."""
        if self.channel is None:
            return
        try:
            heard = self.channel.recv(_ANSWER)
        except BlockingIOError:
            return
        except ConnectionError:
            heard = b""
        self._heard += heard
        line, end, _ = self._heard.partition(b"\n")
        if not end:
            if not heard or len(self._heard) > _ANSWER:
                self._fail("its process gave no answer")
            return
        try:
            answer = json.loads(line)
            ready, message = answer["ready"] is True, str(answer.get("message", ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._fail("its process gave no answer")
            return
        if not ready:
            self._fail("".join(c for c in message if c.isprintable())[:_WORDS])
            return
        try:
            mount(self.request, self._fuse)
            self.channel.sendall(b"{}\n")
        except OSError as error:
            self._fail(error.strerror or str(error))
            return
        self._let_go()
        nfs_requests.write(self._status, {"ready": True, "message": "", "at": time.time()})

    def _fail(self, why: str) -> None:
        """Say why it is not mounted, and let the process end."""
        self._let_go()
        if self.process is not None:
            self.process.kill()
        text = f"{self.request['device']}{'' if 's3' in self.request else ' over user-space NFS'}: {why}"
        nfs_requests.write(self._status, {"ready": False, "message": text, "at": time.time()})

    def _let_go(self) -> None:
        """Close what is shared with the process: a mount whose server is gone must not wait for this process."""
        if self.channel is not None:
            self.channel.close()
            self.channel = None
        if self._fuse >= 0:
            os.close(self._fuse)
            self._fuse = -1

    def leave(self) -> None:
        """Nobody asks for the source any more: its mount goes at once, its process when nothing of it is open.

        A source that became another place is still read by servers that were not switched yet, and by open files.
        """
        if self.channel is not None:  # it is not mounted
            self.stop()
            return
        self._left_at = time.monotonic()
        unmount(self.request)

    def left(self) -> bool:
        """Whether the process of a source that was left has ended; one that is used for too long is ended."""
        if self.process is None or self.process.poll() is not None:
            return True
        if self._left_at is None or time.monotonic() - self._left_at < LEAVING_SECONDS:
            return False
        self._end()  # by now another process may be mounted where this one was
        return True

    def stop(self) -> None:
        """Take the mount away and end the process, within seconds."""
        self._let_go()
        unmount(self.request)
        self._end()

    def _end(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def mount(request: dict[str, Any], fuse: int) -> None:
    """Mount an open /dev/fuse at the request's point, as fusermount3(1) does. Raises OSError."""
    point = Path(request["point"])
    _clear(point)  # first: nothing can be made of a point whose mount is dead
    point.mkdir(parents=True, exist_ok=True)
    mode = stat.S_IFMT(point.stat().st_mode)
    options = f"fd={fuse},rootmode={mode:o},user_id=0,group_id=0,default_permissions,allow_other"
    syscalls.mount(request["device"], str(point), S3_TYPE if "s3" in request else FUSE_TYPE, _FLAGS, options)
    there = mountinfo.top(mountinfo.read(), str(point))
    if there is not None:
        # the kernel reads 1 MiB ahead instead of 128 KiB, where /sys may be written
        with suppress(OSError):
            Path(f"/sys/class/bdi/{there.device}/read_ahead_kb").write_text("1024")


def _clear(point: Path) -> None:
    """Take a mount of a former helper away. Anything else on the point is an error, not ours to remove."""
    while (there := mountinfo.top(mountinfo.read(), str(point))) is not None:
        if there.fstype not in FUSE_TYPES:
            raise OSError(errno.EBUSY, f"{point} is a mount of {there.source} ({there.fstype})")
        syscalls.umount(str(point), lazy=True)


def unmount(request: dict[str, Any]) -> None:
    """Take the mount of a request away, at once; what is not the helper's stays."""
    there = mountinfo.top(mountinfo.read(), request["point"])
    if there is not None and there.fstype in FUSE_TYPES:
        with suppress(OSError):
            syscalls.umount(request["point"], lazy=True)


def run(layout: Layout, command: Sequence[str], idle_seconds: float = IDLE_SECONDS) -> None:
    """Keep a process for every requested source, until SIGTERM or SIGINT, or until nothing was requested for so long.

    `command` starts one that serves one source until it ends (nfs_mount.run).
    """
    layout.prepare()
    stopping: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: stopping.append(got))
    if not instance_lock.turn(layout.helper_lock, lambda: bool(stopping)):
        return
    children: dict[str, Child] = {}
    leaving: list[Child] = []
    for status in layout.helper.glob("*.status"):  # of a former helper
        status.unlink(missing_ok=True)
    log.info("helper for user-space NFS, requests in %s", layout.helper)
    needed_at = time.monotonic()
    while not stopping and time.monotonic() - needed_at < idle_seconds:
        (layout.helper / "alive").touch()
        leaving = [child for child in (*leaving, *_turn(layout.helper, children, command)) if not child.left()]
        if children or leaving:
            needed_at = time.monotonic()
        _listen(list(children.values()))
    for child in (*children.values(), *leaving):
        child.stop()


def _listen(children: Sequence[Child]) -> None:
    """Until the next turn, or until a process has said something."""
    with selectors.DefaultSelector() as selector:
        for child in children:
            if child.channel is not None:
                selector.register(child.channel, selectors.EVENT_READ, child)
        if not selector.get_map():
            time.sleep(TURN_SECONDS)
            return
        for key, _ in selector.select(TURN_SECONDS):
            key.data.hear()


def _turn(directory: Path, children: dict[str, Child], command: Sequence[str]) -> list[Child]:
    """What is asked for is kept; those that nobody asks for any more are left, and answered."""
    found = {path.stem: path for path in directory.glob("*.json")}
    leaving = [children.pop(digest) for digest in children.keys() - found.keys()]
    for one in leaving:
        one.leave()
    for digest, path in found.items():
        request = read_json(path)
        if request is None:
            continue
        child = children.get(digest)
        if child is not None and json.dumps(child.request) != json.dumps(request):
            child.stop()
            child = None
        if child is None:
            child = children[digest] = Child(command, path.with_suffix(".status"), request)
        try:
            if "s3" in request:
                s3_mount.refresh(request)
            child.keep()
        except OSError as error:
            log.warning("source %s: %s", request["device"], error)
    return leaving
