"""Content-addressed artefacts: what is built once is found again by the digest of its inputs.

An artefact is a folder ``<cache>/artefacts/<name>/<key>``. It is built under a temporary name and
renamed, so an interrupted build never looks like a finished one, and a lock held by the building process
(released by the kernel when that process dies) keeps two commands from building the same thing twice.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .machine import unmount_below
from .settings import ROOT, Paths


def digest(parts: Iterable[str | bytes]) -> str:
    """12 hex digits over ``parts``; each part is framed by its length, so that joints matter."""
    h = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        h.update(f"{len(data)}:".encode())
        h.update(data)
    return h.hexdigest()[:12]


def files_digest(paths: Iterable[Path], root: Path = ROOT) -> str:
    """Digest over names (relative to ``root``), executable bits and contents of files and trees.

    Byte code and tool caches don't count. A path that does not exist counts as absent.
    """
    parts: list[str | bytes] = []
    for path in sorted(paths):
        found = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in found:
            relative = file.relative_to(root) if file.is_relative_to(root) else file
            if any(p == "__pycache__" or p.endswith((".egg-info", "_cache")) for p in relative.parts):
                continue
            if file.is_file():
                parts += [str(relative), "x" if os.access(file, os.X_OK) else "-", file.read_bytes()]
            else:
                parts += [str(relative), "absent"]
    return digest(parts)


@contextmanager
def lock(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold an exclusive lock on ``path``; ``waiting`` is called once if another process has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting:
                waiting()
            fcntl.flock(f, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Artefact:
    """A folder in the cache and the recipe that fills it.

    ``in_place`` is for what can't be renamed (a Python venv holds its own path): the finished folder then
    has a marker file, and a folder without it is built again. ``keep``: how many keys of this name stay in the
    cache; the least recently used go first.
    """

    name: str
    key: str
    build: Callable[[Path], None]
    in_place: bool = False
    keep: int = 2

    def path(self, paths: Paths) -> Path:
        return paths.artefacts / self.name / self.key

    def exists(self, paths: Paths) -> bool:
        path = self.path(paths)
        return (path / ".complete").exists() if self.in_place else path.is_dir()

    def ensure(self, paths: Paths) -> tuple[Path, bool]:
        """The finished folder, and whether it had to be built."""
        path = self.path(paths)
        with lock(paths.locks / f"{self.name}-{self.key}"):
            if self.exists(paths):
                os.utime(path)
                return path, False
            path.parent.mkdir(parents=True, exist_ok=True)
            work = path if self.in_place else path.parent / f".building-{self.key}"
            if work.exists():  # whoever built here died: we hold the lock
                unmount_below(work)  # debootstrap leaves /proc mounted when it is killed
                shutil.rmtree(work)
            work.mkdir()
            self.build(work)
            if self.in_place:
                (work / ".complete").touch()
            else:
                os.sync()  # a name must not reach the disk before its contents do
                work.rename(path)
            self._forget_old(path.parent)
        return path, True

    def _forget_old(self, folder: Path) -> None:
        done = sorted(
            (p for p in folder.iterdir() if not p.name.startswith(".")),
            key=lambda p: p.stat().st_mtime,
            reverse=True,
        )
        for old in done[self.keep :]:
            if old.name != self.key:
                shutil.rmtree(old, ignore_errors=True)
