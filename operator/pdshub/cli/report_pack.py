"""The ZIP of a report: names that lead nowhere, sizes within bounds, readable for its owner alone."""

from __future__ import annotations

import json
import os
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

from pdshub.cli import report_blank

MOST_FILE, MOST_ALL, MOST_FILES = 4 << 20, 64 << 20, 1000
"""Bytes of one file and of all together, unpacked, and how many files there may be."""
_NAME = re.compile(r"[^A-Za-z0-9._-]+")
_CUT = "\n… cut: more than may be in a report\n"


class Pack:
    """Files of a report, in memory until they are written. What is put in was blanked before."""

    def __init__(self, most_file: int = MOST_FILE, most_all: int = MOST_ALL) -> None:
        self._most_file, self._most_all = most_file, most_all
        self.files: dict[str, bytes] = {}
        self.left_out: list[str] = []

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(map(len, self.files.values()))

    def put(self, name: str, text: str) -> None:
        """A file. Its beginning goes where it is too large, all of it where the report is full."""
        where = path(name)
        if len(self.files) >= MOST_FILES or self.size >= self._most_all:
            self.left_out.append(where)
            return
        content = text.encode("utf-8", "backslashreplace")
        room = min(self._most_file, self._most_all - self.size)
        if len(content) > room:
            # of a log its end is what tells
            content = _CUT.encode() + content[-room:]
            self.left_out.append(f"{where} (its beginning)")
        self.files[where] = content

    def put_log(self, name: str, whole: str) -> None:
        """A log, blanked."""
        self.put(name, report_blank.text(whole[-self._most_file :]))

    def put_object(self, name: str, value: Any) -> None:
        """Objects, blanked, as JSON."""
        self.put(name, json.dumps(report_blank.thing(value), indent=1, sort_keys=True))


def path(name: str) -> str:
    """A name as a path inside of the ZIP: no folder above it, nothing hidden, nothing but plain letters."""
    parts = [_NAME.sub("_", part).strip(".")[:120] for part in name.split("/")]
    return "/".join(part for part in parts if part) or "unnamed"


def write(file: Path, pack: Pack, opened: Callable[[Path], BinaryIO] | None = None) -> None:
    """Writes the ZIP where nothing is yet, for its owner alone. Raises OSError."""
    with (opened or _new)(file) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made:
        for name in sorted(pack.files):
            entry = zipfile.ZipInfo(name)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, (stat.S_IFREG | 0o600) << 16
            made.writestr(entry, pack.files[name])


def _new(file: Path) -> BinaryIO:
    found = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return cast(BinaryIO, os.fdopen(found, "wb"))
