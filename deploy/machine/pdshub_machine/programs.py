"""The door to other programs, and the lock that keeps two of ours from the same work."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .trouble import Code, Trouble, failed

SHOWN = 2000
"""Characters of a program's complaint that are passed on: the last ones."""
_ENVIRONMENT = {"LC_ALL": "C", "LVM_SUPPRESS_FD_WARNINGS": "1"}
_OTHERS = ("ETCD_", "ETCDCTL_", "ETCDUTL_")
"""Variables that would change what etcd's programs do."""


@dataclass(frozen=True)
class Programs:
    """Runs programs found on PATH. ``lock``: a descriptor that they inherit.

    So the lock is held until the last of them has ended, also where only this program was killed. LVM closes what it
    inherits (``_close_stray_fds`` in its tools/lvmcmdline.c), and has a lock of its own for each group.
    """

    lock: int | None = None

    def run(self, *argv: str | Path, timeout: float, kill: bool = True, max_file: int | None = None) -> str:
        """A program's standard output. Raises Trouble when it is missing, ends with another code than 0, or takes
        longer than ``timeout`` seconds.

        ``kill``: it is killed then; otherwise it goes on by itself, with the lock. ``max_file``: the largest file that
        it may write, in bytes.
        """
        words = [str(word) for word in argv]

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (max_file or 0, max_file or 0))

        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**{n: v for n, v in os.environ.items() if not n.startswith(_OTHERS)}, **_ENVIRONMENT},
                pass_fds=() if self.lock is None else (self.lock,),
                preexec_fn=None if max_file is None else limit,
            )
        except FileNotFoundError:
            raise failed(f"{words[0]} is not on PATH: docs/recover-machine.md says where it comes from") from None
        except OSError as error:
            raise failed(f"{words[0]}: {error.strerror}") from None
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            said = f"{' '.join(words)}: no end after {timeout:.0f} s"
            if not kill:
                raise failed(f"{said}; it goes on and was left alone: look at it") from None
            process.kill()
            process.communicate()
            raise failed(f"{said}, killed") from None
        if process.returncode:
            complaint = (err or out).decode(errors="replace").strip()[-SHOWN:]
            raise failed(f"{' '.join(words)}: exit code {process.returncode}: {complaint}")
        return out.decode(errors="replace")


@contextlib.contextmanager
def only_one(file: Path) -> Iterator[Programs]:
    """Run programs while nobody else has ``file`` locked; who is second does not wait. Raises Trouble (BUSY)."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = f"another one is at work, or a program that it started: {file} is locked"
            raise Trouble(Code.BUSY, text) from None
        yield Programs(lock)
    finally:
        os.close(lock)


def synced(folder: Path) -> None:
    """Return when the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
