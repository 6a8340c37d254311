"""The folder of a deployment: what is read of it, within bounds, and nothing beside it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

LARGEST = 1 << 20
"""Bytes of the largest file that is read as text: a configuration has a few thousand."""
_DEEPEST, _ENTRIES = 3, 5000
_SKIPPED = frozenset({".git", "node_modules", "__pycache__", ".venv", "venv"})


class SourceError(Exception):
    """Something of a deployment can not be read; the text names the file and the reason."""


@dataclass(frozen=True)
class Folder:
    """A folder on this machine. Names are looked up in it, and none leads out of it."""

    root: Path

    def path(self, name: str) -> Path:
        """Where a name of the folder leads, links followed. Raises SourceError for what lies outside."""
        if "\0" in name or len(name) > 4096:
            raise SourceError(f"{name[:80]!r} is no name of a file")
        try:
            top = self.root.resolve(strict=True)
            found = (top / name).resolve()
        except (OSError, RuntimeError) as error:
            raise SourceError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
        if found != top and top not in found.parents:
            raise SourceError(f"{name} leads out of {self.root}: it was not read")
        return found

    def text(self, name: str, largest: int = LARGEST) -> str:
        """The text of a file. Raises SourceError where it is none, or no regular file, or too large."""
        path = self.path(name)
        try:
            # a FIFO would never be read to its end
            descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            with os.fdopen(descriptor, "rb") as opened:
                if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                    raise SourceError(f"{name} is no regular file")
                content = opened.read(largest + 1)
        except OSError as error:
            raise SourceError(f"{name}: {error.strerror}") from None
        if len(content) > largest:
            raise SourceError(f"{name} has more than {largest >> 10} KiB: it is no configuration")
        try:
            decoded = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SourceError(f"{name} is no text in UTF-8") from None
        if "\0" in decoded:
            raise SourceError(f"{name} is no text")
        return decoded.replace("\r\n", "\n")

    def has(self, name: str) -> bool:
        """Whether a name is a file of the folder."""
        try:
            return self.path(name).is_file()
        except (OSError, SourceError):
            return False

    def first(self, names: Sequence[str]) -> str:
        """The first of some names that is there; empty where none is."""
        return next((name for name in names if self.has(name)), "")

    def named(self, *endings: str) -> list[str]:
        """Files below the folder whose names end so, nearest first; links are not followed, and the search is short."""
        found = [name for name in self._below() if name.endswith(endings)]
        return sorted(found, key=lambda name: (name.count("/"), name))

    def _below(self) -> Iterator[str]:
        folders, seen = [(self.root, "", 0)], 0
        while folders:
            at, prefix, depth = folders.pop()
            try:
                entries = sorted(os.scandir(at), key=lambda entry: entry.name)
            except OSError:
                continue
            for entry in entries:
                seen += 1
                if seen > _ENTRIES:
                    return
                if entry.is_dir(follow_symlinks=False):
                    if depth < _DEEPEST and entry.name not in _SKIPPED:
                        folders.append((Path(entry.path), f"{prefix}{entry.name}/", depth + 1))
                elif entry.is_file(follow_symlinks=False):
                    yield prefix + entry.name
