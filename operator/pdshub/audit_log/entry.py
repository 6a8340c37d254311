"""An entry of the audit log: one line of JSON in ASCII, within bounds, whoever wrote what is in it.

Each line holds the SHA-256 of the line before (``prev``), so that a line that was changed, added or taken out between
others shows. Pure.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

Entry = Mapping[str, Any]

LIST_CHANGE = "list-change"
"""Who may sign in was changed: ``added`` and ``removed`` by kind, ``by`` or ``person``, the field ``manager``."""
REMOVAL = "removal"
"""Somebody was removed from a hub: ``step`` says how far it is."""
HOME_RESTORE = "home-restore"
"""Somebody who asked at the hub gets something of their home back: ``restore`` names the HubRestore."""
HUB_FOLLOWED, HUB_RESTARTED = "hub-followed", "hub-restarted"
"""A hub's spool is read for the first time; a new run of it began, and what the old one wrote last may be missing."""
GAP = "gap"
"""``missing`` entries of a hub were never seen, for ``reason``."""
OPENED, PRUNED, MENDED = "log-opened", "log-pruned", "log-mended"
"""A file begins; an old one is taken away, since the log may be no longer; a line that a crash tore was cut off."""
FAILED = "log-failed"
"""Entries could not be written for a while; ``lost``: so many of the operator's own are not kept."""
UNREADABLE = "unreadable"
"""A hub wrote an entry that is none."""
OWN = frozenset({LIST_CHANGE, REMOVAL, HOME_RESTORE, HUB_FOLLOWED, HUB_RESTARTED, GAP, OPENED, PRUNED, MENDED, FAILED})
"""Events that no hub may write."""

ELSEWHERE = "see the API server's audit log"
"""Who a person is, where only the program is known that wrote something."""

LONGEST, MOST_KEYS, MOST_ITEMS = 300, 32, 100
"""Characters of a text, fields of an entry, items of a list."""
LINE = 128 << 10
"""Bytes of a line; no line is longer."""
_KEY = 40


def digest(line: bytes) -> str:
    """The SHA-256 of a line without its end, as 64 hexadecimal digits."""
    return hashlib.sha256(line.removesuffix(b"\n")).hexdigest()


def text(value: str) -> str:
    """A text within bounds, on one line."""
    line = "".join(c if c.isprintable() else "\ufffd" for c in value[: LONGEST + 1])
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return text(value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)[:40] if abs(value) < 2**200 else "a large number"
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return f"a {type(value).__name__}"


def _list(value: Iterable[Any]) -> list[Any]:
    items = list(value)
    rest = len(items) - MOST_ITEMS
    return [_scalar(item) for item in items[:MOST_ITEMS]] + ([f"… {rest} more"] if rest > 0 else [])


def bounded(fields: Entry) -> dict[str, Any]:
    """The same within bounds: scalars, and lists of scalars."""
    found: dict[str, Any] = {}
    for key, value in list(fields.items())[:MOST_KEYS]:
        found[str(key)[:_KEY]] = _list(value) if isinstance(value, list | tuple) else _scalar(value)
    return found


def line(number: int, time: str, fields: Entry, prev: str) -> bytes:
    """A line with its end. ``prev``: digest of the line before; ``time``: RFC 3339, by the operator's clock."""
    made = _json({**bounded(fields), "n": number, "time": time, "prev": prev})
    if len(made) > LINE:
        kept = {key: value for key, value in bounded(fields).items() if not isinstance(value, list)}
        made = _json({**kept, "cut": True, "n": number, "time": time, "prev": prev})
    return made


def header(
    number: int, time: str, positions: Mapping[str, tuple[str, int]], lists: Mapping[str, str], prev: str
) -> bytes:
    """The first line of a file: it says how far each hub's spool was read, so that no older file need be."""
    known: dict[str, Any] = {"positions": {hub: list(at) for hub, at in positions.items()}, "lists": dict(lists)}
    return _json({"event": OPENED, "from": "operator", **known, "n": number, "time": time, "prev": prev})


def _json(fields: Entry) -> bytes:
    return json.dumps(fields, separators=(",", ":"), sort_keys=True).encode() + b"\n"


def read(line_: bytes) -> dict[str, Any] | None:
    """A line as a dictionary; None for what is none."""
    try:
        found = json.loads(line_)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
