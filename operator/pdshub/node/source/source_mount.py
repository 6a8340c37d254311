"""One source: mounted, probed, and what was found there. Whatever may hang runs in a child process."""

from __future__ import annotations

import asyncio
import errno
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

from pdshub.node import nfs_versions
from pdshub.node.layout import Layout
from pdshub.node.mount import distance, mountinfo, worker
from pdshub.node.source.identity import IdentityCheck
from pdshub.node.source.keys import Keys, NoKeys
from pdshub.node.source.nfs_requests import FUSE_TYPE, FUSE_TYPES, S3_TYPE
from pdshub.node.source.policy import Policy
from pdshub.node.spec import Source

log = logging.getLogger(__name__)

HEALTHY_SECONDS, UNHEALTHY_SECONDS = 10.0, 3.0
#: After the first look that got no answer: one more, and its limit. Both are over within 30 s of a server's end.
AGAIN_SECONDS, AGAIN_LIMIT = 1.0, 5.0
CONNECTING_SECONDS = 30.0
"""A source whose first attempt to mount has not ended is connecting for so long, then it counts as away."""
DISTANCES = 6
"""Looks by which a server's distance is known: the nearest of them is what the network takes."""
ABSENT_SECONDS = 600.0
"""After the kernel said that it has no NFS client, it is not asked again for so long."""
KERNEL, USER_SPACE, LOCAL, RCLONE = "kernel-nfs", "user-space-nfs", "local", "rclone"
KEYS_SECONDS = 300.0
"""So often keys of a source in S3 are read from their Secret: others take the place of those that go."""


class Lack(Enum):
    """Why a source is not ready."""

    REFUSED = "refused"
    """This installation does not allow it."""
    SILENT = "silent"
    """It gives no answer within its time."""
    WRONG = "wrong"
    """Something else is in its place: its marker says so."""
    UNREACHED = "unreached"


@dataclass(frozen=True)
class State:
    """What is known of a source. `layers`: path -> identity of that directory, None if it does not exist."""

    ready: bool = False
    mode: str = ""
    message: str = "not looked at yet"
    latency: float = 0.0
    layers: dict[str, str | None] = field(default_factory=dict)
    pending: bool = False
    """An attempt to mount it is under way elsewhere: in the user-space helper."""
    away: bool = False
    """An NFS server did not answer twice in a row: whoever asks it waits in vain."""
    lack: Lack = Lack.UNREACHED
    """What is in the way of a source that is not ready, without its message's words."""
    direct: bool = False
    """A directory of it may be shown as it is: who reads it there is who may read it, see `direct`."""
    round_trip: float = field(default=0.0, compare=False)
    """Seconds to the server and back; 0 where that is not known."""
    read_ahead: int = field(default=0, compare=False)
    """Bytes; 0 where the kernel does not say, or it is no mount of its NFS client."""
    connections: int = field(default=0, compare=False)
    at: float = field(default=0.0, compare=False)
    """Monotonic time: when the last look that was answered began, or the first of those that were not."""


class Helper(Protocol):
    """The user-space NFS helper as the plugin sees it: nfs_requests.HelperRequests."""

    def ask(self, source: Source) -> None:
        """Ask for the source to be mounted, or to stay so."""

    def answer(self, source: Source) -> str:
        """Why the source is not mounted yet."""

    def tried(self, source: Source) -> bool:
        """Whether the helper has tried to mount the source and could not."""

    def forget(self, source_digest: str) -> None:
        """Ask for the source's mount to be taken away."""


def mismatch(source: Source, mount: mountinfo.Mount) -> str:
    """Why a mount that is already there must not be used; empty if it is what the source asks for."""
    missing = {"ro", "nosuid", "nodev"} - mount.options
    if missing:
        return f"the mount at {mount.point} lacks {', '.join(sorted(missing))}"
    if source.local:
        return ""  # compared by device and inode, see worker.probe
    if mount.fstype not in ((S3_TYPE,) if source.s3 else ("nfs", "nfs4", FUSE_TYPE)):
        return f"{mount.point} is a mount of type {mount.fstype}, not of {source.device_name}"
    if mount.source != source.device_name:
        return f"{mount.point} shows {mount.source}, not {source.device_name}"
    if mount.fstype not in FUSE_TYPES:
        options = dict(part.partition("=")[::2] for part in mount.super_options.split(","))
        if options.get("port", "2049") not in (str(source.port), "0"):
            return f"{mount.point} is mounted from port {options.get('port')}, not {source.port}"
        allowed = nfs_versions.up_to(source.version)
        if options.get("vers") not in allowed:
            return f"{mount.point} is mounted with NFS {options.get('vers')}, not {' or '.join(allowed)}"
    return ""


def mode_of(source: Source, mount: mountinfo.Mount) -> str:
    """How the source is read: LOCAL, RCLONE, USER_SPACE or KERNEL, as status and report name it."""
    if source.local:
        return LOCAL
    if source.s3:
        return RCLONE
    return USER_SPACE if mount.fstype == FUSE_TYPE else KERNEL


def direct(source: Source, mode: str, policy: Policy) -> bool:
    """Whether users may be shown a directory of a source as it is, and not through an overlay that reads as `run_as`.

    A process that opens a file of it is who the NAS sees: so it may where the installation says so, where the client
    of NFS speaks for one identity only, and in local directories, which only an administrator of the cluster names.
    A source whose view names its reader is read by nobody else.
    """
    if source.names_reader:
        return False
    return mode in (LOCAL, USER_SPACE, RCLONE) or (mode == KERNEL and policy.read_by_users(source))


class KernelNFS:
    """Whether this node's kernel has an NFS client; what one source learns of it holds for all of them."""

    def __init__(self) -> None:
        """Nothing is known yet: the kernel is asked."""
        self._asked_again_at = 0.0  # monotonic

    @property
    def worth_asking(self) -> bool:
        """False for ABSENT_SECONDS after the kernel has said that it has none."""
        return time.monotonic() >= self._asked_again_at

    def absent(self) -> None:
        """Note that the kernel has none (ENODEV of mount(2))."""
        self._asked_again_at = time.monotonic() + ABSENT_SECONDS


@dataclass(frozen=True)
class MountContext:
    """What the mounts of all sources share. `changed` is called whenever one source's state differs.

    `probe_seconds`: how long a mounted source may take to answer a probe.
    """

    layout: Layout
    policy: Callable[[], Policy]
    helper: Helper
    changed: Callable[[], None]
    probe_seconds: float = 8.0
    kernel_nfs: KernelNFS = field(default_factory=KernelNFS)
    keys: Keys = field(default_factory=NoKeys)


class SourceMount:
    """Keeps one source mounted; `state` is what is known of it. Construct it in a running event loop."""

    def __init__(self, source: Source, context: MountContext) -> None:
        """Begins to mount and to probe at once, until `stop`."""
        self.source = source
        self.state = State()
        self.layers: frozenset[str] = frozenset({"."})
        self._layout, self._policy, self._helper = context.layout, context.policy, context.helper
        self._keys, self._keys_at = context.keys, 0.0
        self._changed, self._kernel_nfs = context.changed, context.kernel_nfs
        self._probe_seconds = context.probe_seconds
        self._since, self._tried = time.monotonic(), False
        self._unanswered = 0  # looks in a row
        self._distances: list[float] = []  # seconds that connecting took, of the last looks
        self.identity_check = IdentityCheck(source, context.layout.plugin / "canary")
        self._flight = worker.SingleFlight()
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    @property
    def point(self) -> str:
        """Where the source is mounted on the node."""
        return str(self._layout.source(self.source.digest))

    @property
    def connecting(self) -> bool:
        """The first attempt to mount it has not ended, and has time left: no reason to alarm anybody."""
        return not self._tried and time.monotonic() - self._since < CONNECTING_SECONDS

    def need(self, layers: frozenset[str]) -> None:
        """Look at these directories of the source, relative to its root ("."), from now on."""
        if layers != self.layers:
            self.layers = layers
            self._wake.set()

    def wake(self) -> None:
        """Probe now instead of at the next turn."""
        self._wake.set()

    async def stop(self) -> None:
        """Probe no more; the mount itself stays."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            unanswered, at = 0, time.monotonic()
            try:
                state = await self._look()
            except worker.Busy as error:
                log.warning("source %s: %s", self.source.device_name, error.strerror)
                state, unanswered, at = self.state, self._unanswered, self.state.at
            except (OSError, TimeoutError) as error:
                unanswered = self._unanswered + 1
                text, lack = error.strerror or str(error), Lack.UNREACHED
                if isinstance(error, TimeoutError):
                    text, lack = f"{self.source.device_name} does not answer ({text})", Lack.SILENT
                state = State(False, self.state.mode, text, 0.0, self.state.layers, lack=lack)
            except Exception as error:
                log.exception("source %s", self.source.device_name)
                state = State(False, self.state.mode, repr(error), 0.0, self.state.layers)
            self._unanswered = unanswered
            away = bool(self.source.server) and unanswered > 1
            shown_as_is = direct(self.source, state.mode, self._policy()) if state.mode else self.state.direct
            state = replace(state, away=away, direct=shown_as_is, at=self.state.at if unanswered > 1 else at)
            old, self.state = self.state, state
            ended, self._tried = not (self._tried or state.pending), self._tried or not state.pending
            if ended or replace(old, latency=0.0, pending=False) != replace(state, latency=0.0, pending=False):
                if (old.ready, old.message) != (state.ready, state.message):
                    log.info("source %s: %s %s", self.source.device_name, state.mode, state.message or "ready")
                self._changed()
            try:
                unhealthy = AGAIN_SECONDS if self._unanswered == 1 else UNHEALTHY_SECONDS
                pause = HEALTHY_SECONDS if state.ready else unhealthy
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    async def _look(self) -> State:
        source, policy = self.source, self._policy()
        refusal = policy.refusal(source)
        if refusal:
            return State(False, "", refusal, lack=Lack.REFUSED)
        mount = mountinfo.top(mountinfo.read(), self.point)
        if mount is None:
            await self._mount(policy)
            mount = mountinfo.top(mountinfo.read(), self.point)
            if mount is None:
                mode = RCLONE if source.s3 else USER_SPACE
                return State(False, mode, self._helper.answer(source), pending=not self._helper.tried(source))
        wrong = mismatch(source, mount)
        if wrong:
            return State(False, "", wrong)
        if mount.fstype in FUSE_TYPES:
            try:
                await self._write_keys()
            except OSError as error:  # it is mounted with those of before
                log.warning("source %s: %s", source.device_name, error.strerror)
                self._keys_at = time.monotonic() + KEYS_SECONDS
            self._helper.ask(source)
        started = time.monotonic()
        nfs: dict[str, str | int] = {"server": source.server, "port": source.port} if source.server else {}
        nfs |= {"what": "S3 service"} if source.s3 else {}
        local = {"local": source.local, "prefix": policy.prefix_for(source.local)} if source.local else {}
        try:
            limit = min(self._probe_seconds, AGAIN_LIMIT) if self._unanswered == 1 else self._probe_seconds
            layers = sorted(self.layers)
            found = await self._flight.once("probe", limit, point=self.point, layers=layers, **nfs, **local)
            wrong = "" if found.get("replaced") else await self.identity_check.look(self.point, found["layers"])
        except OSError as error:
            if error.errno != errno.ESTALE or mode_of(source, mount) != KERNEL:
                raise
            # the server has another directory there now: this mount's root is gone for good
            await worker.once("unmount", 10, point=self.point)
            text = f"{source.device_name} was replaced on the server; mounting it anew"
            return State(False, KERNEL, text, 0.0, self.state.layers)
        if found.get("replaced"):
            await worker.once("unmount", 10, point=self.point)
            return State(False, LOCAL, f"{source.local} was replaced by another directory; mounting it anew")
        if wrong:
            return State(False, mode_of(source, mount), wrong, 0.0, self.state.layers, lack=Lack.WRONG)
        state = State(True, mode_of(source, mount), "", time.monotonic() - started, found["layers"])
        return await self._tuned(state, mount, float(found["roundTrip"])) if state.mode == KERNEL else state

    async def _tuned(self, state: State, mount: mountinfo.Mount, seconds: float) -> State:
        """With the read-ahead that fits the server's distance, where that is known for certain by now."""
        self._distances = [*self._distances, seconds][-DISTANCES:]
        least, present = min(self._distances), distance.of(mount.device)
        wanted = distance.read_ahead(least)
        if not self.source.read_ahead and len(self._distances) == DISTANCES and distance.differs(wanted, present):
            log.info("source %s: %.1f ms away, read-ahead %d KiB", self.source.device_name, least * 1e3, wanted >> 10)
            await worker.once("tune", 10, point=self.point, read_ahead=wanted)
            present = distance.of(mount.device)
        there = distance.connections_of(mount.super_options)
        return replace(state, round_trip=least, read_ahead=present, connections=there)

    async def _write_keys(self) -> None:
        """The source's keys, where the helper's process reads them. Raises OSError."""
        if self.source.s3 and time.monotonic() >= self._keys_at:
            await self._keys.put(self.source)
            self._keys_at = time.monotonic() + KEYS_SECONDS

    async def _mount(self, policy: Policy) -> None:
        source = self.source
        if source.local:
            await worker.once(
                "mount_local", 10, prefix=policy.prefix_for(source.local), path=source.local, point=self.point
            )
            return
        if source.s3:
            await self._write_keys()
        elif self._kernel_nfs.worth_asking:
            try:
                await worker.once(
                    "mount_nfs", 20, server=source.server, export=source.export, port=source.port,
                    version=source.version, point=self.point, device=source.device_name,
                    read_ahead=source.read_ahead, connections=source.connections,
                )  # fmt: skip
                return
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise
                log.info("this kernel has no NFS client: asking the user-space helper")
                self._kernel_nfs.absent()
        self._helper.ask(source)
