"""Keywords of a PDS3 volume description (VOLDESC.CAT): a bounded reader of the few statements that matter.

A full PVL parser rejects many real files (padding, missing END, comments inside values); this one reads
``KEYWORD = value`` at any depth, values being words, quoted text over several lines, or sets and sequences.
Each step is linear in the bytes that are read: no expression backtracks over more than one line, the next closing
character is looked for once, and values may not overlap without end.
Source: PDS3 Standards Reference, chapter 12 (Object Description Language).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import BinaryIO

from pdshub.archive.label_error import LabelError, TooCostly

MAX_BYTES = 1 << 20
MAX_VALUES = MAX_BYTES
"""Characters of all values together: values that do not overlap are shorter than the label."""
MAX_ITEMS = 1000
"""Items of one keyword that are kept."""
MAX_IDS = 16 << 10
"""Characters of all DATA_SET_ID together: they make the volume's name."""
_OPEN, _SHORT = 4096, 256  # characters of a set and of a text that nothing closes
_STATEMENT = re.compile(r"^[ \t]*\^?([A-Za-z][A-Za-z0-9_:]{0,80})[ \t]*=[ \t]*", re.MULTILINE)
_DATA_SET_VERSION = re.compile(r"^(.*?)-V([0-9]{1,4})(?:\.([0-9]{1,4}))?$", re.IGNORECASE)
_WANTED = frozenset({"VOLUME_ID", "VOLUME_SET_ID", "VOLUME_VERSION_ID", "DATA_SET_ID"})
_NUMBER = re.compile(r"([0-9]{1,6})(?:\.([0-9]{1,6}))?")


@dataclass(slots=True)
class Volume:
    """Identity of a PDS3 volume."""

    volume_id: str = ""
    volume_version: str = ""
    data_set_ids: tuple[str, ...] = ()


def split_data_set_id(text: str) -> tuple[str, tuple[int, int] | None]:
    """DATA_SET_ID without its ending -Vn.n, and that version: ("EAR-A-I0046-5-REDDYSPEC", (1, 0))."""
    match = _DATA_SET_VERSION.match(text.strip())
    if not match:
        return text.strip().upper(), None
    return match[1].upper(), (int(match[2]), int(match[3] or 0))


def parse_volume_version(text: str) -> tuple[int, int] | None:
    """``VERSION 2`` or ``2.1`` as integers."""
    match = _NUMBER.search(text)
    return (int(match[1]), int(match[2] or 0)) if match else None


def without_comments(text: str) -> str:
    """The text with a blank for each comment. A comment ends in its line; what nothing closes is none."""
    return "\n".join(map(_without_comments, text.split("\n"))) if "/*" in text else text


def _without_comments(line: str) -> str:
    parts: list[str] = []
    at = 0
    while (begin := line.find("/*", at)) >= 0 and (end := line.find("*/", begin + 2)) >= 0:
        parts += [line[at:begin], " "]
        at = end + 2
    return "".join(parts) + line[at:]


@dataclass(slots=True)
class _Values:
    """The values of one label, asked for from its beginning to its end."""

    text: str
    taken: int = 0  # characters of the values so far
    _next: dict[str, int] = field(default_factory=dict)  # closing character -> where the next one is; -1 none any more

    def _close(self, char: str, start: int) -> int:
        known = self._next.get(char, 0)
        if 0 <= known < start:
            known = self._next[char] = self.text.find(char, start)
        return known

    def _take(self, start: int, end: int) -> str:
        self.taken += end - start
        if self.taken > MAX_VALUES:
            raise TooCostly(f"values that overlap, or of more than {MAX_VALUES >> 10} KiB together")
        return self.text[start:end]

    def at(self, start: int) -> list[str]:
        """The value that starts at ``start``: one text, or the items of a set or sequence. Raises TooCostly."""
        if start >= len(self.text):
            return []
        opening = self.text[start]
        if opening in "{(":
            end = self._close("}" if opening == "{" else ")", start + 1)
            inner = self._take(start + 1, end if end >= 0 else min(start + _OPEN, len(self.text)))
            return [item for item in (_clean(part) for part in inner.split(",", MAX_ITEMS)[:MAX_ITEMS]) if item]
        if opening in "\"'":
            end = self._close(opening, start + 1)
            return [_clean(self._take(start + 1, end if end >= 0 else min(start + _SHORT, len(self.text))))]
        line = self._take(start, min(start + _SHORT, len(self.text)))
        return [_clean(line.split("\n", 1)[0].split("/*", 1)[0])]


def _clean(text: str) -> str:
    return " ".join(text.strip().strip("\"'").split())[:256]


def read_volume(stream: BinaryIO) -> Volume:
    """Parses a VOLDESC.CAT. Raises LabelError where it names neither volume nor data set, TooCostly beyond a bound."""
    raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise TooCostly(f"larger than {MAX_BYTES >> 10} KiB")
    text = without_comments(raw.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n"))
    values = _Values(text)
    found: dict[str, list[str]] = {}
    for match in _STATEMENT.finditer(text):
        keyword = match[1].upper().rpartition(":")[2]
        if keyword in _WANTED and len(kept := found.setdefault(keyword, [])) < MAX_ITEMS:
            kept += [v for v in values.at(match.end()) if v][: MAX_ITEMS - len(kept)]
    data_sets = tuple(
        sorted({v.upper() for v in found.get("DATA_SET_ID", []) if v.upper() not in ("N/A", "UNK", "NULL")})
    )
    if sum(map(len, data_sets)) > MAX_IDS:
        raise TooCostly(f"DATA_SET_ID of more than {MAX_IDS >> 10} KiB")
    volume = Volume(
        volume_id=(found.get("VOLUME_ID") or [""])[0].upper(),
        volume_version=(found.get("VOLUME_VERSION_ID") or [""])[0],
        data_set_ids=data_sets,
    )
    if not volume.volume_id and not volume.data_set_ids:
        raise LabelError("names neither VOLUME_ID nor DATA_SET_ID")
    return volume
