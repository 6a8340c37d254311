"""What people are warned of: that their server is going to be stopped, and when.

The operator says it (warning_api). JupyterLab asks by its server's own token, and the hub's first page shows it. All of
it is in memory, and each warning goes at its moment: after it, it would be about another server.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub_hub.audit import plain

MOST, MOST_EACH = 2000, 5
"""Warnings that are kept, of all people and of one; the oldest go first."""
LONGEST = 300
"""Characters of a warning."""
FURTHEST = 86400.0
"""Seconds ahead for which somebody can be warned."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


@dataclass(frozen=True)
class Warned:
    """One warning. ``end`` is its moment, by the board's clock."""

    id: str
    user: str
    message: str
    end: float


def read(body: Mapping[str, Any], now: float) -> Warned:
    """What the operator says: ``{"id", "user", "seconds", "message"}``. Raises ValueError for what is none."""
    id, user, message, seconds = (body.get(key) for key in ("id", "user", "message", "seconds"))
    if not isinstance(id, str) or not _ID.fullmatch(id):
        raise ValueError("a warning has an id")
    if not isinstance(user, str) or not 0 < len(user) <= 254:
        raise ValueError("a warning is for somebody")
    if not isinstance(message, str) or not message:
        raise ValueError("a warning says something")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= FURTHEST:
        raise ValueError("a warning is of something within a day")
    return Warned(id, user, plain(message)[:LONGEST], now + seconds)


@dataclass
class Board:
    """The warnings of this run of the hub. ``clock``: seconds of a clock that never goes back."""

    clock: Callable[[], float] = time.monotonic
    _kept: OrderedDict[str, Warned] = field(default_factory=OrderedDict)
    """By id: what is said again about the same takes its place."""

    def put(self, body: Mapping[str, Any]) -> None:
        """Take a warning; one whose moment is now takes away what was said under its id. Raises ValueError."""
        found = read(body, self.clock())
        self._kept.pop(found.id, None)
        if found.end > self.clock():
            self._kept[found.id] = found
        while len(self._kept) > MOST:
            self._kept.popitem(last=False)

    def of(self, user: str) -> list[tuple[Warned, float]]:
        """What somebody is warned of now, and in how many seconds it is; the nearest first."""
        now = self.clock()
        for id in [id for id, one in self._kept.items() if one.end <= now]:
            del self._kept[id]
        mine = sorted((one for one in self._kept.values() if one.user == user), key=lambda one: one.end)
        return [(one, one.end - now) for one in mine[:MOST_EACH]]


BOARD = Board()
"""Of this process."""
