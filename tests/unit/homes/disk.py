"""Homes on a real disk in miniature: a kubelet's folder and a pool, in namespaces of their own.

The pool lies on this machine's own file system, or on an XFS of its own, which reflinks. All that is mounted goes with
the namespace, and every loop device with its mount.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import grpc

from pdshub.homes.files import FileBackend
from pdshub.homes.locks import Locks
from pdshub.homes.operations import Homes
from pdshub.homes.policy import Limits
from pdshub.node._proto import csi_pb2 as csi
from pdshub.node._proto import csi_pb2_grpc as services
from pdshub.node.mount import mountinfo
from tests.programs import SYSTEM
from tests.unit.node import machine

ROOT = Path(__file__).resolve().parents[3]
APART = (
    *("unshare", "--mount", "--propagation", "private"),
    *("--pid", "--fork", "--kill-child", "--mount-proc"),
)
"""Whatever ends this command, nothing outlives it that was started or mounted in it."""
MI = 1 << 20
SMALL = 320 * MI
"""About the least that XFS takes."""
HOST = 3 << 30
"""Bytes of the file system that a pool of its own lies on; they are holes."""


def why_not() -> str:
    """Why real homes can't be tried here; empty where they can."""
    if os.geteuid() != 0:
        return "mounting needs root"
    if not os.path.exists("/dev/loop-control"):
        return "needs loop devices"
    if not (shutil.which("mkfs.xfs") or shutil.which("mkfs.xfs", path=SYSTEM)):
        return "needs xfsprogs: hack/up installs it"
    if "xfs" not in Path("/proc/filesystems").read_text().split() and not shutil.which("modprobe", path=SYSTEM):
        return "needs a kernel with XFS"
    return ""


def run(name: str, seconds: float = 240) -> None:
    """Run a scenario in namespaces of its own; fails with what it wrote when it fails."""
    paths = f"{ROOT / 'operator'}:{ROOT}:{ROOT / 'hack/lib'}:{os.environ.get('PYTHONPATH', '')}"
    done = subprocess.run(
        [*APART, sys.executable, "-m", "tests.unit.homes.scenarios", name],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": paths, "PATH": f"{os.environ['PATH']}:{SYSTEM}"},
        capture_output=True, text=True, timeout=seconds, check=False,
    )  # fmt: skip
    print(done.stdout, done.stderr)
    assert done.returncode == 0, done.stderr[-3000:]


def eventually(what: Callable[[], Any], seconds: float = 30, text: str = "") -> Any:
    """Devices go a while after their mounts."""
    return machine.eventually(what, seconds, text)


class Disk:
    """Make one only inside of APART: it mounts."""

    def __init__(self, directory: Path, *, reflink: bool) -> None:
        self.directory, self.reflink = directory, reflink
        self.kubelet, self.pool = directory / "kubelet", directory / "host/homes"
        self.kubelet.mkdir()
        (directory / "host").mkdir()
        subprocess.run(["mount", "--bind", self.kubelet, self.kubelet], check=True)
        subprocess.run(["mount", "--make-rshared", self.kubelet], check=True)
        if reflink:
            image = directory / "host.img"
            image.touch()
            os.truncate(image, HOST)
            subprocess.run(["mkfs.xfs", "-q", image], check=True)
            subprocess.run(["mount", "-o", "loop,nouuid", image, directory / "host"], check=True)
        self.clock = [1_800_000_000.0]
        self.driver: subprocess.Popen[bytes] | None = None

    def homes(self, limits: Limits | None = None, copy_most: int = 1 << 30) -> Homes:
        """The homes as a new process finds them."""
        made = Homes(
            FileBackend(self.pool, copy_most),
            Locks(self.pool / "locks"),
            limits or Limits(overcommit=10),
            self.kubelet,
            lambda: self.clock[0],
        )
        made.prepare()
        return made

    # --- places

    def staged(self, volume: str) -> str:
        return str(self.kubelet / "plugins/kubernetes.io/csi" / volume / "globalmount")

    def target(self, pod: str = "one") -> Path:
        return self.kubelet / "pods" / pod / "volumes/kubernetes.io~csi/home/mount"

    def mounted(self, homes: Homes, volume: str, pod: str = "one") -> Path:
        """A volume, shown to a pod."""
        target = self.target(pod)
        target.parent.mkdir(parents=True, exist_ok=True)
        homes.stage(volume, self.staged(volume))
        homes.publish(volume, self.staged(volume), str(target), read_only=False)
        return target

    def unmounted(self, homes: Homes, volume: str, *pods: str) -> None:
        for pod in pods or ("one",):
            homes.unpublish(volume, str(self.target(pod)))
        homes.unstage(volume, self.staged(volume))

    def mounts(self) -> list[mountinfo.Mount]:
        return [m for m in mountinfo.read() if m.point.startswith(f"{self.kubelet}/")]

    def loops(self) -> list[str]:
        """Loop devices over images of the pool. Their names in /sys are those of this mount namespace."""
        found = []
        for path in Path("/sys/block").glob("loop*/loop/backing_file"):
            with suppress(OSError):
                found.append(path.read_text().strip())
        return [name for name in found if "/homes/" in name and str(self.directory) in name]

    # --- the driver as a process

    @property
    def socket(self) -> Path:
        return self.kubelet / "plugins/homes.pdshub.dev/csi.sock"

    def start(self, *more: str) -> None:
        command = [
            sys.executable, "-m", "pdshub.homes.main", "--kubelet-dir", str(self.kubelet), "--node-name", "n1",
            "--folder", str(self.pool), "--no-claims", "--overcommit", "10", "--run-dir", str(self.directory), *more,
        ]  # fmt: skip
        self.driver = subprocess.Popen(command, start_new_session=True)
        eventually(self.answers, 120, "the driver answers")

    def answers(self) -> bool:
        with self.channel() as channel:
            try:
                services.IdentityStub(channel).Probe(csi.ProbeRequest(), timeout=2)
            except grpc.RpcError:
                return False
        return True

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        options = [("grpc.default_authority", "localhost"), ("grpc.use_local_subchannel_pool", 1)]
        with grpc.insecure_channel(f"unix://{self.socket}", options=options) as channel:
            yield channel

    def kill(self) -> None:
        """SIGKILL, as if the node had run out of memory."""
        assert self.driver
        self.driver.kill()
        self.driver.wait()

    def close(self) -> None:
        if self.driver and self.driver.poll() is None:
            os.killpg(self.driver.pid, signal.SIGTERM)
            self.driver.wait(30)
        for mount in sorted(self.mounts(), key=lambda m: -len(m.point)):
            subprocess.run(["umount", "-l", mount.point], check=False, capture_output=True)
        subprocess.run(["umount", "-lR", self.kubelet], check=False)
        if self.reflink:
            subprocess.run(["umount", "-l", self.directory / "host"], check=False)


@contextmanager
def disk(*, reflink: bool) -> Iterator[Disk]:
    """A disk, and nothing of it afterwards."""
    directory = Path(tempfile.mkdtemp(prefix="pdshub-homes-"))
    made = Disk(directory, reflink=reflink)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(directory, ignore_errors=True)
