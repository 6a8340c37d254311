"""A machine for the tests of deploy/machine: a real etcd, which a small kubelet starts and ends by its manifest."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.manual import shown_after
from tests.processes import end_group
from tests.programs import built

MACHINE = Path(__file__).parents[2] / "deploy/machine"
WITHIN = 120.0

DYING = """
import os, signal, sys
calls, at = [0], int(sys.argv[1])
def dying(real):
    def do(*args, **kwargs):
        calls[0] += 1
        if calls[0] == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return do
for name in ("rename", "replace", "mkdir", "fsync"):
    setattr(os, name, dying(getattr(os, name)))
from pdshub_machine import main, static_pods
static_pods._EVERY = 0.05
sys.exit(main.main(sys.argv[2:]))
"""
"""The program, which is killed right before its n-th change of the disk (where it comes to so many)."""
NEVER = 10_000


class Machine:
    """Folders of a machine, its etcd's addresses, and the program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data, self.manifests, self.state = folder / "etcd", folder / "manifests", folder / "state"
        self.metrics, self.bin = folder / "metrics", folder / "bin"
        for made in (self.manifests, self.metrics, self.bin):
            made.mkdir()
        for name in ("etcdctl", "etcdutl"):
            (self.bin / name).symlink_to(built("etcdutl", name))
        client, peer = free_ports()
        self.endpoint = f"http://127.0.0.1:{client}"
        self.settings = folder / "pdshub-machine.toml"
        self.settings.write_text(
            f"state = '{self.state}'\nmetrics = '{self.metrics}'\n[etcd]\ndata_dir = '{self.data}'\n"
            f"manifests = '{self.manifests}'\nendpoint = '{self.endpoint}'\nkeep_daily = 3\nkeep_weekly = 0\n"
            "keep_last = 2\nkeep_free_percent = 1\n[root]\nvolume = 'none'\n"
        )
        flags = {
            "name": "one", "data-dir": self.data, "listen-client-urls": self.endpoint,
            "advertise-client-urls": self.endpoint, "listen-peer-urls": f"http://127.0.0.1:{peer}",
            "initial-advertise-peer-urls": f"http://127.0.0.1:{peer}",
            "initial-cluster": f"one=http://127.0.0.1:{peer}",
            "unsafe-no-fsync": "true", "heartbeat-interval": 10, "election-timeout": 100,
        }  # fmt: skip
        lines = "".join(f"    - --{name}={value}\n" for name, value in flags.items())
        self.manifest = self.manifests / "etcd.yaml"
        self.manifest.write_text(f"spec:\n  containers:\n  - command:\n    - etcd\n{lines}")
        (self.manifests / "kube-apiserver.yaml").write_text("spec: {}\n")

    @property
    def _path(self) -> str:
        return os.pathsep.join([str(self.bin), "/usr/bin", "/bin"])

    def by_hand(
        self, words: str, instead: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        """Give the commands that the manual shows behind these words, with this machine's folders."""
        text = shown_after("recover-machine.md", words, instead)
        folders = {
            "/etc/kubernetes/manifests": self.manifests, "/etc/kubernetes": self.manifests,
            "/var/lib/etcd": self.data, "/var/lib/pdshub-machine": self.state, "/root/": f"{self.folder}/root/",
        }  # fmt: skip
        for usual, here in folders.items():
            text = text.replace(usual, str(here))
        start = f"exec {sys.executable} -I {MACHINE}/pdshub-machine --config {self.settings}"
        (self.bin / "pdshub-machine").write_text(f'#!/bin/sh\n{start} "$@"\n')
        (self.bin / "pdshub-machine").chmod(0o755)
        (self.folder / "root").mkdir(exist_ok=True)
        every = {**os.environ, "PATH": self._path, **(environ or {})}
        done = subprocess.run(
            ["sh", "-e", "-x", "-c", text], env=every, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done

    def attempt(self, *words: str, dying_at: int = NEVER, path: Path | None = None) -> subprocess.CompletedProcess[str]:
        """The program, run to whatever end. ``path``: looked into before all others for programs."""
        places = f"{path}{os.pathsep}{self._path}" if path else self._path
        environ = {**os.environ, "PYTHONPATH": str(MACHINE), "PATH": places}
        argv = [sys.executable, "-c", DYING, str(dying_at), "--config", str(self.settings), *words]
        return subprocess.run(argv, env=environ, capture_output=True, text=True, timeout=300, check=False)

    def run(self, *words: str, code: int = 0, path: Path | None = None) -> str:
        """What the program prints; ``code``: the exit code that it must have, -9 when it must have been killed."""
        done = self.attempt(*words, path=path)
        assert done.returncode == code, done
        return done.stdout + done.stderr

    def after_a_kill(self, *words: str) -> str:
        """The same for who comes after one that was killed: a program of that one may be at work for a moment."""
        until = time.monotonic() + WITHIN
        while (done := self.attempt(*words)).returncode == 3 and time.monotonic() < until:
            time.sleep(0.1)
        assert done.returncode == 0, done
        return done.stdout

    def names(self) -> list[str]:
        """Of snapshots that count, the oldest first."""
        return [one["name"] for one in json.loads(self.run("etcd", "list", "-o", "json"))]

    def status(self, code: int = 0) -> dict[str, Any]:
        """What ``status`` says of etcd."""
        found: dict[str, Any] = json.loads(self.run("status", "-o", "json", code=code))["etcd"]
        return found

    def metric(self, name: str, file: str = "etcd") -> float:
        """A value that Prometheus would read."""
        text = (self.metrics / f"pdshub-machine-{file}.prom").read_text()
        (value,) = re.findall(rf'^pdshub_machine_{name}{{what="etcd"}} (\S+)$', text, re.MULTILINE)
        return float(value)

    def etcdctl(self, *words: str) -> str:
        """etcd, asked."""
        argv = [self.bin / "etcdctl", f"--endpoints={self.endpoint}", *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done
        return done.stdout

    def put(self, **values: str) -> None:
        for key, value in values.items():
            self.etcdctl("put", key, value)

    def content(self) -> dict[str, str]:
        """All keys."""
        lines = self.etcdctl("get", "", "--prefix").splitlines()
        return dict(zip(lines[::2], lines[1::2], strict=True))

    def revision(self) -> int:
        found: int = json.loads(self.etcdctl("endpoint", "status", "-w", "json"))[0]["Status"]["header"]["revision"]
        return found

    def answers(self) -> bool:
        try:
            self.etcdctl("endpoint", "health", "--command-timeout=1s")
        except AssertionError:
            return False
        return True


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def eventually(true: Any, what: str) -> None:
    until = time.monotonic() + WITHIN
    while not true():
        assert time.monotonic() < until, f"it did not come to that: {what}"
        time.sleep(0.05)


@contextmanager
def kubelet(machine: Machine) -> Iterator[None]:
    """Runs etcd while its manifest is in place, as the kubelet does: it looks, starts, and ends."""
    over = threading.Event()
    etcd = built("etcd")

    def turn() -> None:
        process: subprocess.Popen[bytes] | None = None
        with (machine.folder / "etcd.log").open("ab") as log:
            while not over.wait(0.05):
                try:
                    flags = re.findall(r"^ +- (--\S+)$", machine.manifest.read_text(), re.MULTILINE)
                except FileNotFoundError:
                    flags = []
                if process is not None and (not flags or process.poll() is not None):
                    end_group(process)
                    process = None
                if flags and process is None:
                    process = subprocess.Popen([etcd, *flags], stdout=log, stderr=log, start_new_session=True)
            if process is not None:
                end_group(process)

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        eventually(machine.answers, "etcd answers")
        yield
    finally:
        over.set()
        thread.join(WITHIN)
        assert not thread.is_alive()
