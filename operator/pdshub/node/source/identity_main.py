"""The child process of identity.py: looks at a source, and may hang or be killed while it does.

Its one operation answers to the same protocol as worker_main.py's. Standard library only.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from pdshub.node.mount import syscalls, worker_main
from pdshub.node.mount.reading import REPLACED, digest, open_file

MARKER_LIMIT = 16 << 20  # bytes of a marker file


def file_system(directory: int) -> str:
    """What names the file system that is mounted, on every mount of it: the NFS server's fsid, or statfs's."""
    info = os.fstat(directory)
    device = f"{os.major(info.st_dev)}:{os.minor(info.st_dev)}"
    with suppress(OSError):
        for line in Path("/proc/fs/nfsfs/volumes").read_text().splitlines()[1:]:
            fields = line.split()
            if len(fields) > 4 and fields[3] == device:
                return f"nfs {fields[4]}"
    return f"{os.fstatvfs(directory).f_fsid & (2**64 - 1):x}"


def source(point: str, marker: list[str] | None, run_as: list[int]) -> dict[str, Any]:
    """Which file system is it, and is the marker there? `marker`: path, SHA-256 in hexadecimal digits.

    Answers identity (file system and inode of the root), seconds, and `wrong`, why it is not the right export
    (empty if nothing is against it).
    """
    started = time.monotonic()
    base = os.open(point, os.O_PATH | os.O_DIRECTORY)
    os.statvfs(base)  # always a call to the server
    identity = f"{file_system(base)} {os.fstat(base).st_ino}"
    wrong = ""
    syscalls.set_filesystem_ids(*run_as)
    if marker:
        path, expected = marker
        try:
            file = open_file(base, path)
        except OSError as error:
            if REPLACED.get(error.errno or 0) != "gone":
                raise OSError(error.errno, f"marker {path}: {os.strerror(error.errno or 0)}") from None
            wrong = f"the marker {path} is not there"
        else:
            try:
                if digest(file, "sha256", MARKER_LIMIT) != expected:
                    wrong = f"the marker {path} has another content"
            finally:
                os.close(file)
    return {"identity": identity, "seconds": time.monotonic() - started, "wrong": wrong}


def main() -> None:
    """The child process of identity.py, at a low priority."""
    os.nice(10)
    worker_main.serve({"ready": worker_main.ready, "source": source})
