"""The child process of staleness.py and integrity.py: looks at views, and may hang or be killed while it does.

The operations answer to the same protocol as worker_main.py's. Standard library only.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pdshub.archive import synced_stat
from pdshub.node import unprivileged
from pdshub.node.health import write_probe
from pdshub.node.mount import syscalls, worker_main
from pdshub.node.mount.reader import acting
from pdshub.node.mount.reading import REPLACED, digest, open_file


def check_file(base: int, path: str, size: int, algorithm: str, expected: str) -> tuple[str, int]:
    """How a file of a generation is found: (word, bytes read). Words: same, gone, stale, size, bytes, private, or
    the name of the error that reading ended with. Without `algorithm` only the size is looked at."""
    try:
        file = open_file(base, path)
        try:
            # the catalog answers stat(2) with the size it recorded; the end is where the source says it is
            if os.lseek(file, 0, os.SEEK_END) != size:
                return "size", 0
            if not algorithm:
                return "same", 0
            os.lseek(file, 0, os.SEEK_SET)
            return ("same" if digest(file, algorithm, size) == expected else "bytes"), size
        finally:
            os.close(file)
    except OSError as error:
        number = error.errno or errno.EIO
        if number == errno.EFBIG:
            return "size", 0
        return REPLACED.get(number) or errno.errorcode.get(number, str(number)), 0


class Sources:
    """Private copies of the sources' mounts: what a file's source says of it, beside what the view does."""

    def __init__(self, sources: Mapping[str, tuple[str, list[int] | None]]) -> None:
        """`sources`: name -> where it is mounted, and [uid, gid] to read it with."""
        self._open: dict[str, tuple[int, tuple[int, int] | None]] = {}
        for name, (point, run_as) in sources.items():
            with suppress(OSError):  # not mounted now: `look` says so
                copy = syscalls.clone(point)
                syscalls.set_attributes(copy, propagation=syscalls.MS_PRIVATE)
                self._open[name] = (copy, (run_as[0], run_as[1]) if run_as else None)

    def look(self, source: str, path: str) -> dict[str, Any]:
        """{size, mtime, ctime} of the file; {level, mtime, ctime} of the nearest directory that is left where it is
        gone, `level` above its own; {error: name} where the source does not answer. Nanoseconds."""
        if source not in self._open:
            return {"error": "ENODEV"}
        base, run_as = self._open[source]
        try:
            with acting(run_as):
                return self._look(base, path)
        except OSError as error:
            return {"error": errno.errorcode.get(error.errno or errno.EIO, str(error.errno))}

    def _look(self, base: int, path: str) -> dict[str, Any]:
        try:
            file = synced_stat.retry_stale(lambda: open_file(base, path))
        except OSError as error:
            if REPLACED.get(error.errno or 0) != "gone":
                raise
        else:
            try:
                info = synced_stat.fstat(file)
            finally:
                os.close(file)
            return {"size": info.st_size, "mtime": info.st_mtime_ns, "ctime": info.st_ctime_ns}
        folder = path.rpartition("/")[0]
        for level in range(path.count("/") + 1):
            try:
                directory = syscalls.open_beneath(base, folder or ".")
            except OSError as error:
                if REPLACED.get(error.errno or 0) != "gone":
                    raise
                folder = folder.rpartition("/")[0]
                continue
            try:
                info = synced_stat.fstat(directory)
            finally:
                os.close(directory)
            return {"level": level, "mtime": info.st_mtime_ns, "ctime": info.st_ctime_ns}
        raise OSError(errno.ENOENT, "the source's root is gone")


class Bases:
    """Private copies of a view's mounts, by the path prefix that each holds: looking keeps no target busy, so that
    a switch under way need not wait for it."""

    def __init__(self, roots: Mapping[str, tuple[str, str]]) -> None:
        """`roots`: path below the view's folder ("." for itself) -> (target, mount point below it). Another mount of
        the target may lie over the way to the point: a link of it is not followed. Raises OSError."""
        self._open: dict[str, int] = {}
        for prefix, (target, point) in roots.items():
            with syscalls.opened(target, point) as directory:
                self._open[prefix] = syscalls.clone("", directory)
        for copy in self._open.values():
            syscalls.set_attributes(copy, propagation=syscalls.MS_PRIVATE)

    def check(self, path: str, size: int, algorithm: str, expected: str) -> tuple[str, int]:
        """`check_file` in the mount that holds `path`."""
        parts = path.split("/")
        for length in range(len(parts) - 1, -1, -1):
            prefix = "/".join(parts[:length]) or "."
            if prefix in self._open:
                return check_file(self._open[prefix], "/".join(parts[length:]), size, algorithm, expected)
        return "gone", 0


def files(roots: Mapping[str, tuple[str, str]], names: Iterable[tuple[str, int, str, str]]) -> dict[str, str]:
    """Path -> word of check_file, for (path, size, algorithm or "", digest) below a view's folder."""
    bases = Bases(roots)
    return {path: bases.check(path, size, algorithm, expected)[0] for path, size, algorithm, expected in names}


def prove(
    targets: dict[str, list[str]],
    roots: Mapping[str, tuple[str, str]],
    names: list[tuple[str, int, str, str]],
    reading: float,
    sources: dict[str, tuple[str, list[int] | None]],
    places: dict[str, tuple[str, str]],
) -> dict[str, Any]:
    """Try to write in every mount of the targets, and digest a sample of files, as a user.

    `targets`: target -> mount points below it. `roots`, `names`: as for `files`. After `reading` seconds no further
    file is begun. `sources`: as for `Sources`; `places`: path -> source and path there. What is not found as it should
    be is looked at in its source, as who reads it: the catalog shows the times of the survey, whatever the NAS has.
    """
    who: dict[str, Any] = {}
    tried: list[dict[str, Any]] = []
    for target, points in targets.items():
        with write_probe.InMounts(target, [".", *points]) as work:
            who, found = unprivileged.as_user(work)
        tried += found

    def read() -> dict[str, Any]:
        words, total, until = {}, 0, time.monotonic() + reading
        for path, size, algorithm, expected in names:
            if time.monotonic() > until:
                break
            words[path], count = bases.check(path, size, algorithm, expected)
            total += count
        return {"words": words, "bytes": total}

    if names:
        bases = Bases(roots)
        who, sample = unprivileged.as_user(read)
    else:
        sample = {"words": {}, "bytes": 0}
    words = sample["words"]
    odd = [path for path, word in words.items() if word not in ("same", "private") and path in places]
    origins = Sources(sources) if odd else None
    sample["sources"] = {path: origins.look(*places[path]) for path in odd if origins}
    for path, there in sample["sources"].items():
        if "level" in there:  # overlayfs says EIO of a name whose bytes are not there
            words[path] = "gone"
    return {"identity": who, "tried": tried, "files": sample}


def main() -> None:
    """The child process of staleness.py and integrity.py, at a low priority."""
    os.nice(10)
    worker_main.serve({"ready": worker_main.ready, "files": files, "prove": prove})
