"""The files of the log: numbered, one after the other, read line by line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_NAME = re.compile(r"audit-([0-9]{8})\.jsonl")
LOCK = ".lock"
READ = 1 << 20
"""Bytes of a line as it is read: what is longer was not written by this program."""


def path(folder: Path, number: int) -> Path:
    """The file of a number, which begins with 1."""
    return folder / f"audit-{number:08d}.jsonl"


def numbers(folder: Path) -> list[int]:
    """Numbers of the files that are there, in order. Raises OSError."""
    found = (_NAME.fullmatch(each.name) for each in folder.iterdir())
    return sorted(int(match[1]) for match in found if match)


def lines(file: Path) -> Iterator[bytes]:
    """The lines of a file with their ends; the last may have none. Raises OSError."""
    with file.open("rb") as stream:
        while read := stream.readline(READ):
            yield read
