"""A short look at sources beside a survey: whether a path is there now. A source that hangs is not waited for."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Callable, Mapping
from itertools import islice
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
SECONDS = 5.0
MANY = 1000
"""Entries that are counted of a directory."""


class Look:
    """Looks below ``roots`` (source -> directory), each time for at most ``seconds``; a source that did not answer is
    not asked again. Nothing is raised: what can not be told is None."""

    def __init__(self, roots: Mapping[str, Path], seconds: float = SECONDS) -> None:
        self._roots, self._seconds = roots, seconds
        self.silent: set[str] = set()

    def kind(self, source: str, path: str) -> str | None:
        """``directory``, ``file``, ``link`` or ``special``; "" where there is nothing, None where it is not known."""
        return self._ask(source, path, lambda full: _kind(full.lstat().st_mode), "")

    def entries(self, source: str, path: str) -> int | None:
        """How many entries a directory has, at most ``MANY``; None where it is not known."""

        def count(full: Path) -> int:
            with os.scandir(full) as found:
                return sum(1 for _ in islice(found, MANY))

        return self._ask(source, path, count, 0)

    def _ask(self, source: str, path: str, look: Callable[[Path], T], gone: T) -> T | None:
        if source not in self._roots or source in self.silent or "\0" in path:
            return None
        full = self._roots[source] / path
        found: list[T] = []

        def work() -> None:
            try:
                found.append(look(full))
            except (FileNotFoundError, NotADirectoryError):
                found.append(gone)
            except (OSError, ValueError):
                return

        thread = threading.Thread(target=work, name=f"look-{source}", daemon=True)
        thread.start()
        thread.join(self._seconds)
        if thread.is_alive():
            self.silent.add(source)
        return found[0] if found else None


def mounted(folder: Path) -> dict[str, Path]:
    """The sources below the surveyor's folder of them, each by its name; none where there is no such folder."""
    try:
        return {path.name: path for path in folder.iterdir()}
    except OSError:
        return {}


def _kind(mode: int) -> str:
    kinds = {stat.S_IFDIR: "directory", stat.S_IFREG: "file", stat.S_IFLNK: "link"}
    return kinds.get(stat.S_IFMT(mode), "special")
