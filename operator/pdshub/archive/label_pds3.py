"""Keywords of a PDS3 volume description (VOLDESC.CAT): a bounded reader of the few statements that matter.

A full PVL parser rejects many real files (padding, missing END, comments inside values); this one reads
``KEYWORD = value`` at any depth, values being words, quoted text over several lines, or sets and sequences.
Source: PDS3 Standards Reference, chapter 12 (Object Description Language).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import BinaryIO

from pdshub.archive.label_pds4 import LabelError

MAX_BYTES = 1 << 20
_STATEMENT = re.compile(r"^[ \t]*\^?([A-Za-z][A-Za-z0-9_:]{0,80})[ \t]*=[ \t]*", re.MULTILINE)
_COMMENT = re.compile(r"/\*[^\n]*?\*/")
_DATA_SET_VERSION = re.compile(r"^(.*?)-V(\d{1,4})(?:\.(\d{1,4}))?$", re.IGNORECASE)
_WANTED = frozenset({"VOLUME_ID", "VOLUME_SET_ID", "VOLUME_VERSION_ID", "DATA_SET_ID"})
_NUMBER = re.compile(r"(\d{1,6})(?:\.(\d{1,6}))?")


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


def _value(text: str, start: int) -> list[str]:
    """The value that starts at ``start``: one text, or the items of a set or sequence."""
    if start >= len(text):
        return []
    opening = text[start]
    if opening in "{(":
        end = text.find("}" if opening == "{" else ")", start)
        inner = text[start + 1 : end if end >= 0 else start + 4096]
        return [item for item in (_clean(part) for part in inner.split(",")[:1000]) if item]
    if opening in "\"'":
        end = text.find(opening, start + 1)
        return [_clean(text[start + 1 : end if end >= 0 else start + 256])]
    line = text[start : start + 256].split("\n", 1)[0].split("/*", 1)[0]
    return [_clean(line)]


def _clean(text: str) -> str:
    return " ".join(text.strip().strip("\"'").split())[:256]


def read_volume(stream: BinaryIO) -> Volume:
    """Parses a VOLDESC.CAT. Raises LabelError when it is too large or names neither volume nor data set."""
    raw = stream.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise LabelError(f"larger than {MAX_BYTES >> 10} KiB")
    text = _COMMENT.sub(" ", raw.decode("latin-1").replace("\r\n", "\n").replace("\r", "\n"))
    found: dict[str, list[str]] = {}
    for match in _STATEMENT.finditer(text):
        keyword = match[1].upper().rpartition(":")[2]
        if keyword in _WANTED:
            found.setdefault(keyword, []).extend(v for v in _value(text, match.end()) if v)
    data_sets = tuple(
        sorted({v.upper() for v in found.get("DATA_SET_ID", []) if v.upper() not in ("N/A", "UNK", "NULL")})
    )
    volume = Volume(
        volume_id=(found.get("VOLUME_ID") or [""])[0].upper(),
        volume_version=(found.get("VOLUME_VERSION_ID") or [""])[0],
        data_set_ids=data_sets[:1000],
    )
    if not volume.volume_id and not volume.data_set_ids:
        raise LabelError("names neither VOLUME_ID nor DATA_SET_ID")
    return volume
