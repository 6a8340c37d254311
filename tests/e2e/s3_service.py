"""A real S3 service (versitygw) on this machine, its bucket on a file system of its own, and what goes wrong with it.

The file system is mounted in the service's own mount namespace: it goes with the process, however that ends.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.google_hub import machine_address

ACCESS, SECRET = "e2e-access", "e2e-secret-words"
BUCKET = "backups"
FILLER = "filler"


@dataclass
class S3Service:
    """The service. ``folder`` is where it keeps the bucket, as this machine sees it."""

    cluster: Cluster
    program: str
    root: Path
    port: int
    size: str
    keeper: subprocess.Popen[bytes] | None = None
    process: subprocess.Popen[bytes] | None = None
    paused: bool = field(default=False)

    @property
    def url(self) -> str:
        """As pods reach it."""
        return f"http://{machine_address(self.cluster)}:{self.port}"

    @property
    def bucket(self) -> Path:
        """The bucket's files."""
        assert self.keeper is not None
        return Path(f"/proc/{self.keeper.pid}/root{self.root}") / BUCKET

    def open(self) -> None:
        """Mount, and serve."""
        script = (
            f"mount -t tmpfs -o size={self.size} none {self.root} && mkdir {self.root}/{BUCKET} && exec sleep 86400"
        )
        self.keeper = subprocess.Popen(["unshare", "-m", "--propagation", "private", "sh", "-c", script])
        deadline = time.monotonic() + 30
        while not self.bucket.is_dir():
            assert self.keeper.poll() is None and time.monotonic() < deadline, "no file system for the bucket"
            time.sleep(0.1)
        self.start()

    def _inside(self, *argv: str) -> list[str]:
        assert self.keeper is not None
        return ["nsenter", "-t", str(self.keeper.pid), "-m", *argv]

    def start(self) -> None:
        """Serve again what is there."""
        words = {**os.environ, "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
        argv = self._inside(self.program, "--port", f":{self.port}", "posix", str(self.root))
        self.process = subprocess.Popen(argv, env=words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            assert self.process.poll() is None and time.monotonic() < deadline, "the S3 service does not start"
            time.sleep(0.1)

    def kill(self) -> None:
        """It is gone, its data is not."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(30)
            self.process = None

    def pause(self) -> None:
        """It takes connections and never answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """It answers again."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def fill(self, leave: int) -> None:
        """Fill the file system until so many bytes are left."""
        found = os.statvfs(self.bucket)
        with (self.bucket.parent / FILLER).open("wb") as out:
            os.posix_fallocate(out.fileno(), 0, max(1, found.f_bavail * found.f_frsize - leave))

    def empty(self) -> None:
        """Room again."""
        (self.bucket.parent / FILLER).unlink(missing_ok=True)

    def mode(self, mode: str) -> None:
        """``ro`` or ``rw``."""
        subprocess.run(self._inside("mount", "-o", f"remount,{mode}", str(self.root)), check=True)

    def files(self, kind: str) -> list[Path]:
        """Files of a restic repository in the bucket: data, index, snapshots, locks. The largest first."""
        found = [p for p in self.bucket.rglob(f"{kind}/**/*") if p.is_file()]
        return sorted(found, key=lambda p: -p.stat().st_size)

    def heal(self) -> None:
        """Everything that was done to it is taken back."""
        self.mode("rw")
        self.empty()
        if self.process is None:
            self.start()
        self.go_on()

    def close(self) -> None:
        """The service and its file system go."""
        if self.process is not None:
            self.go_on()
        self.kill()
        if self.keeper is not None:
            self.keeper.kill()
            self.keeper.wait(30)


@contextmanager
def s3_service(cluster: Cluster, root: Path, port: int, size: str = "1g") -> Iterator[S3Service]:
    """A service while the block runs; skips where it was not built."""
    gateway = shutil.which("versitygw", path=cluster.environ["PATH"])
    if gateway is None:
        pytest.skip("no versitygw: hack/tools builds it")
    root.mkdir(parents=True, exist_ok=True)
    service = S3Service(cluster, gateway, root, port, size)
    try:
        service.open()
        yield service
    finally:
        service.close()


def keys(space: str) -> dict[str, Any]:
    """The Secret that a repository in it names."""
    data = {"access-key-id": ACCESS, "secret-access-key": SECRET}
    meta = {"name": "s3-keys", "namespace": space}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": data}


def place(service: S3Service, prefix: str = "") -> dict[str, Any]:
    """The repository of a PDSHub."""
    found = {"endpoint": service.url, "bucket": BUCKET, "region": "us-east-1", "secretRef": "s3-keys"}
    return {"s3": {**found, **({"prefix": prefix} if prefix else {})}}
