"""Snapshots as restic lists them, what their tags say, and which one is meant. Nothing is read here.

A snapshot is of one item of one hub: its host is NAMESPACE/NAME of the hub, its tags are

- ``item=home/USER``, ``item=database``, ``item=keys`` or ``item=objects``,
- ``run=NAME`` of the HubBackup,
- ``digest=SHA256`` and ``seal=SHA256`` (digest.py), ``keep`` for one that the retention leaves, and ``upgrade`` for one
  that was made before an upgrade, of which it leaves the newest.

restic separates tags by commas and strips blanks around them, and a user's name may hold both; so whatever is not a
letter, digit or one of a few signs is percent-encoded (RFC 3986).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

from pdshub.backup.verdict import Failed

KEEP, UPGRADE = "keep", "upgrade"
AHEAD = 600.0
"""Seconds by which clocks of nodes may differ. A snapshot that lies further ahead was made by a clock that was
wrong."""
_SAFE = "/@:+="


def tag(name: str, value: str) -> str:
    """A tag of restic. Different values have different tags."""
    return f"{name}={quote(value, safe=_SAFE)}"


@dataclass(frozen=True)
class Snapshot:
    """One snapshot of the repository."""

    id: str
    host: str
    at: float
    """Seconds since 1970, by the clock of the node that made it."""
    time: str
    """The same, RFC 3339."""
    tags: tuple[str, ...] = ()
    size: int = 0
    files: int = 0

    def tagged(self, name: str) -> str:
        """The value of a tag; '' when it has none or several."""
        found = [t[len(name) + 1 :] for t in self.tags if t.startswith(f"{name}=")]
        return unquote(found[0]) if len(found) == 1 else ""

    @property
    def item(self) -> str:
        """What it holds; '' for a snapshot that is none of ours."""
        return self.tagged("item")

    @property
    def kept(self) -> bool:
        """Whether the retention leaves it."""
        return KEEP in self.tags

    @property
    def before_upgrade(self) -> bool:
        """Whether it was made because an upgrade was about to come."""
        return UPGRADE in self.tags


def moment(text: Any) -> float:
    """Seconds since 1970 of a moment, RFC 3339 with up to nine digits of a fraction. Raises ValueError."""
    whole, _, rest = str(text).partition(".")
    if rest:
        digits = len(rest) - len(rest.lstrip("0123456789"))
        whole, rest = whole + rest[digits:], rest[:digits]
    found = datetime.fromisoformat(whole)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: write for example 2026-01-31T00:00:00Z")
    return found.timestamp() + (float(f"0.{rest}") if rest else 0.0)


def _number(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def snapshot(found: Any) -> Snapshot | None:
    """A snapshot from restic's JSON; None for what is none."""
    if not isinstance(found, dict) or not isinstance(found.get("id"), str):
        return None
    tags, summary = found.get("tags") or [], found.get("summary") or {}
    if not isinstance(tags, list) or not isinstance(summary, dict):
        return None
    try:
        at = moment(found.get("time"))
    except (ValueError, OverflowError):
        return None
    return Snapshot(
        found["id"],
        str(found.get("hostname", "")),
        at,
        str(found["time"]),
        tuple(t for t in tags if isinstance(t, str)),
        _number(summary.get("total_bytes_processed")),
        _number(summary.get("total_files_processed")),
    )


def of(found: Iterable[Snapshot], hub: str, item: str | None) -> list[Snapshot]:
    """Those of a hub and, when one is named, of an item; the newest first."""
    mine = [s for s in found if s.host == hub and s.item and item in (None, s.item)]
    return sorted(mine, key=lambda s: (s.at, s.id), reverse=True)


def choose(
    found: Iterable[Snapshot],
    hub: str,
    item: str,
    wanted: str,
    as_of: str = "",
    now: Callable[[], float] = time.time,
) -> Snapshot:
    """The snapshot that is meant, which is one of this hub and of this item or none at all.

    ``wanted``: its id or the beginning of it, or ``latest``: the newest that is not of the future, and not after
    ``as_of``. So a clock that once ran ahead does not hide what was saved since. Raises Failed: NotFound, BadRequest.
    """
    mine = of(found, hub, item)
    if wanted != "latest":
        named = [s for s in mine if s.id.startswith(wanted)]
        if len(named) == 1:
            return named[0]
        # the same words for a snapshot of somebody else as for one that is not there
        raise Failed("NotFound", f"{item} has {'no snapshot' if not named else 'several snapshots'} {wanted}")
    try:
        until = moment(as_of) if as_of else None
    except (ValueError, OverflowError) as error:
        raise Failed("BadRequest", f"asOf is no moment of RFC 3339: {error}") from None
    past = [s for s in mine if s.at <= (now() + AHEAD if until is None else until)]
    if past:
        return past[0]
    if mine and until is None:
        return mine[0]
    raise Failed("NotFound", f"{item} has no snapshot" + (f" of {as_of} or before" if mine and as_of else ""))
