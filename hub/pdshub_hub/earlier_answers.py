"""What the operator answers about earlier versions, read within bounds. Pure.

The operator is believed, but names of files in it are whatever people called them, and a backup may hold what a taken
over server wrote. Texts are short and on one line; the page escapes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pdshub_hub.audit import plain
from pdshub_hub.earlier_asks import LONGEST, Ask, Refused, What, Why

SNAPSHOT = re.compile(r"[0-9a-f]{64}")
MOST_VERSIONS, MOST_ENTRIES, MOST_RESTORES = 400, 200, 5
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_REASON = re.compile(r"[A-Z][A-Za-z]{0,39}")
_UNITS = ("bytes", "KB", "MB", "GB", "TB")


def amount(size: int) -> str:
    """A size in words, in steps of a thousand."""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{size} {_UNITS[0]}" if not unit else f"{value:.1f} {_UNITS[unit]}"


def end_of_day(text: str) -> str:
    """The last second of a day, RFC 3339 in UTC. Raises Refused for what is no day."""
    try:
        if not _DAY.fullmatch(text):
            raise ValueError(text)
        return f"{date.fromisoformat(text).isoformat()}T23:59:59Z"
    except ValueError:
        raise Refused(Why.BAD_VERSION) from None


@dataclass(frozen=True)
class Version:
    """A snapshot of somebody's home."""

    id: str
    at: str
    """When the backup began, RFC 3339."""
    files: int
    size: int
    partial: bool
    """Whether something in it could not be read."""

    @property
    def words(self) -> str:
        """When it was, for people."""
        return f"{self.at[:10]} {self.at[11:16]} UTC"

    @property
    def amount(self) -> str:
        """Its size in words."""
        return amount(self.size)


@dataclass(frozen=True)
class Returned:
    """A restore that was asked for."""

    at: str
    path: str
    over: bool
    good: bool
    place: str
    message: str

    @property
    def words(self) -> str:
        """When it was asked for, for people."""
        return f"{self.at[:10]} {self.at[11:16]} UTC"


@dataclass(frozen=True)
class Listing:
    """Somebody's earlier versions, the newest first."""

    at: float
    """When it was answered, by the hub's clock."""
    versions: tuple[Version, ...] = ()
    restores: tuple[Returned, ...] = ()

    def has(self, version: str) -> Version | None:
        """The version of an id."""
        return next((one for one in self.versions if one.id == version), None)


@dataclass(frozen=True)
class Entry:
    """Something in a folder of a version."""

    name: str
    kind: str
    """Folder, File or Link."""
    size: int
    modified: str

    @property
    def amount(self) -> str:
        """Its size in words; nothing for a folder."""
        return "" if self.kind == "Folder" else amount(self.size)


@dataclass(frozen=True)
class Folder:
    """What lies in a folder of a version."""

    taken: str
    """When the backup was made, RFC 3339."""
    entries: tuple[Entry, ...] = ()
    more: int = 0
    """So many are not named: there are too many."""


@dataclass(frozen=True)
class Answer:
    """An answer. ``done``: whether the question is over."""

    done: bool
    ok: bool
    reason: str = ""
    words: str = ""
    listing: Listing | None = None
    folder: Folder | None = None


def _text(found: Any, longest: int = 300) -> str:
    return plain(found)[:longest] if isinstance(found, str) else ""


def _path(found: Any) -> str:
    line = found if isinstance(found, str) else ""
    return "".join(c if c.isprintable() else "\ufffd" for c in line[:LONGEST])


def _number(found: Any) -> int:
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**62 else 0


def _moment(found: Any) -> str:
    return found if isinstance(found, str) and _MOMENT.fullmatch(found) else ""


def _objects(found: Any, most: int) -> Iterable[Mapping[str, Any]]:
    rows = found if isinstance(found, list) else []
    return [row for row in rows[:most] if isinstance(row, dict)]


def _versions(found: Any) -> tuple[Version, ...]:
    rows = [
        Version(row["snapshot"], _moment(row.get("at")), _number(row.get("files")), _number(row.get("sizeBytes")),
                row.get("partial") is True)
        for row in _objects(found, MOST_VERSIONS)
        if isinstance(row.get("snapshot"), str) and SNAPSHOT.fullmatch(row["snapshot"])
    ]  # fmt: skip
    return tuple(row for row in rows if row.at)


def _restores(found: Any) -> tuple[Returned, ...]:
    return tuple(
        Returned(_moment(row.get("at")), _path(row.get("path")), row.get("over") is True, row.get("ok") is True,
                 _path(row.get("place")), _text(row.get("message")))
        for row in _objects(found, MOST_RESTORES)
    )  # fmt: skip


def _entries(found: Any) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            _path(row["name"]),
            row["kind"] if row.get("kind") in ("Folder", "File", "Link") else "File",
            _number(row.get("sizeBytes")),
            _text(row.get("modified"), 20),
        )
        for row in _objects(found, MOST_ENTRIES)
        if isinstance(row.get("name"), str) and row["name"] not in ("", ".", "..") and "/" not in row["name"]
    )


def read(body: Mapping[str, Any], ask: Ask, now: float) -> Answer:
    """The answer to a question. Raises ValueError for one that is none, or about something else."""
    done, ok = body.get("done"), body.get("ok")
    if not isinstance(done, bool) or not isinstance(ok, bool):
        raise ValueError("an answer says done and ok")
    reason = _text(body.get("reason"), 40)
    listing = folder = None
    if done and ok and ask.what is What.LIST:
        listing = Listing(now, _versions(body.get("versions")), _restores(body.get("restores")))
    if done and ok and ask.what is What.BROWSE:
        folder = Folder(_moment(body.get("taken")), _entries(body.get("entries")), _number(body.get("more")))
    words = "" if listing is not None or folder is not None else _text(body.get("message"))
    return Answer(done, ok, reason if _REASON.fullmatch(reason) else "", words, listing, folder)
