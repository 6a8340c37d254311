"""What a hub answers when it is asked what happened, and what of it is written. Pure.

Whoever rules a hub's namespace rules its answers. They can say what they like of their own hub; they can not fill the
log, write as somebody else, or make anybody believe that nothing is missing where their numbers have a gap.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub import rfc3339
from pdshub.audit_log import entry
from pdshub.audit_log.log import Position

_RUN = re.compile(r"[0-9a-f]{32}")
_EVENT = re.compile(r"[a-z][a-z-]{0,39}")
_KEY = re.compile(r"[a-z][a-z_]{0,19}")
_MOST_NUMBER = 2**62
_MOST_DETAILS = 12
_OURS = frozenset(
    {"n", "prev", "time", "hub", "run", "seq", "at", "from", "event", "user", "by", "person", "manager", "digest"}
)
"""Fields that say what the operator knows; no hub writes them by a detail of that name."""


class SpoolError(ValueError):
    """An answer that is no spool; the text says why."""


@dataclass(frozen=True)
class Spool:
    """An answer: the run of the hub, the numbers that it keeps, and entries."""

    run: str
    first: int
    last: int
    entries: tuple[Mapping[str, Any], ...] = ()


def _number(found: Any) -> int:
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < _MOST_NUMBER:
        raise SpoolError("a number of its answer is none")
    return found


def read(answer: Any, limit: int) -> Spool:
    """An answer within bounds. ``limit``: entries that were asked for. Raises SpoolError."""
    if not isinstance(answer, dict):
        raise SpoolError("its answer is no object")
    run, found = answer.get("run"), answer.get("entries")
    if not isinstance(run, str) or not _RUN.fullmatch(run):
        raise SpoolError("its answer names no run")
    if not isinstance(found, list) or len(found) > limit:
        raise SpoolError("its answer has no entries, or more than were asked for")
    entries = []
    for each in found:
        if not isinstance(each, dict):
            raise SpoolError("an entry of its answer is no object")
        _number(each.get("seq"))
        entries.append(each)
    return Spool(run, _number(answer.get("first")), _number(answer.get("last")), tuple(entries))


def _moment(found: Any) -> str:
    """The hub's own time, as it says it."""
    if isinstance(found, bool) or not isinstance(found, int | float) or not math.isfinite(found):
        return "an impossible time"
    return rfc3339.for_people(found)


def _entry(hub: str, run: str, found: Mapping[str, Any]) -> dict[str, Any]:
    event, user = found.get("event"), found.get("user")
    known = isinstance(event, str) and _EVENT.fullmatch(event) and event not in entry.OWN and isinstance(user, str)
    details = {
        key: value
        for key, value in found.items()
        if isinstance(key, str) and _KEY.fullmatch(key) and key not in _OURS and isinstance(value, str | int | bool)
    }
    ours = {"hub": hub, "from": "hub", "run": run, "seq": found["seq"], "at": _moment(found.get("time"))}
    if not known:
        return {**ours, "event": entry.UNREADABLE}
    return {**dict(list(details.items())[:_MOST_DETAILS]), **ours, "event": event, "user": user}


@dataclass
class Reader:
    """Makes entries of the log from answers, one after the other."""

    hub: str
    """NAMESPACE/NAME."""
    at: Position | None = None
    """Run and number of what is in the log."""
    _said: set[str] = field(default_factory=set)

    def entries(self, spool: Spool) -> list[dict[str, Any]]:
        """What is to be written after an answer; nothing where it holds nothing new."""
        made = list(self._made(spool))
        return made

    def _made(self, spool: Spool) -> Iterator[dict[str, Any]]:
        run, last = self.at or ("", 0)
        common = {"hub": self.hub, "run": spool.run}
        if run != spool.run:
            event = entry.HUB_RESTARTED if run else entry.HUB_FOLLOWED
            yield {**common, "event": event, "seq": 0, **({"after": last} if run else {})}
            last = 0
        elif spool.last < last and "backwards" not in self._said:
            self._said.add("backwards")
            yield {**common, "event": entry.GAP, "seq": last, "missing": 0, "reason": "numbers-went-back"}
        for found in sorted(spool.entries, key=lambda each: int(each["seq"])):
            seq = int(found["seq"])
            if seq <= last:
                continue
            if seq > last + 1:
                reason = "overrun" if seq == spool.first else "not-told"
                yield {**common, "event": entry.GAP, "seq": seq - 1, "missing": seq - last - 1, "reason": reason}
            yield _entry(self.hub, spool.run, found)
            last = seq

    def written(self, entries: list[dict[str, Any]]) -> None:
        """They are in the log."""
        if entries:
            self.at = str(entries[-1]["run"]), int(entries[-1]["seq"])


@dataclass
class Budget:
    """How many entries a hub may write: a log of bounded size would else forget others for a hub that talks."""

    burst: int = 20_000
    each_minute: int = 100
    _left: float = -1.0
    _at: float = 0.0

    def take(self, now: float, most: int) -> int:
        """How many entries may be asked for now (seconds of any clock), ``most`` at most."""
        if self._left < 0:
            self._left, self._at = float(self.burst), now
        self._left = min(float(self.burst), self._left + (now - self._at) / 60 * self.each_minute)
        self._at = now
        return min(most, int(self._left))

    def spend(self, entries: int) -> None:
        """So many were written."""
        self._left = max(0.0, self._left - entries)
