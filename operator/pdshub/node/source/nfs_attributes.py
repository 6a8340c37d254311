"""Attributes of files that the user-space NFS client remembers, by path."""

from __future__ import annotations

import math
import stat as modes
import threading
import time
from collections import OrderedDict
from typing import Any


class Attributes:
    """What files were when they were asked for, by path; the longest unused are forgotten first."""

    def __init__(self, most: int, seconds: float) -> None:
        """`seconds`: for so long it is true of a file. A directory is asked for anew unless that is for ever: the
        kernel remembers it, too, and a survey wants to know what it is now."""
        self._most, self._seconds = most, seconds
        self._known: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()
        self._lock = threading.Lock()

    def last(self, path: str) -> dict[str, Any] | None:
        """However old."""
        known = self._known.get(path)
        return known[1] if known else None

    def get(self, path: str) -> dict[str, Any] | None:
        """Attributes that are still true, else None."""
        with self._lock:
            known = self._known.get(path)
            if known is None or time.monotonic() - known[0] > self._seconds:
                return None
            self._known.move_to_end(path)
            return None if modes.S_ISDIR(known[1]["st_mode"]) and self._seconds != math.inf else known[1]

    def put(self, path: str, found: dict[str, Any]) -> None:
        """Remember what `path` is now."""
        with self._lock:
            self._known[path] = (time.monotonic(), found)
            self._known.move_to_end(path)
            while len(self._known) > self._most:
                self._known.popitem(last=False)
