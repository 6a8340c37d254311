"""What comments and README files say to people, beside what the configuration does. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pdshub.dockerspawner.source import Folder, SourceError

_SIZE = re.compile(r"\b(\d{1,5})\s?([GT])i?B\b", re.IGNORECASE)
_OF_HOMES = re.compile(r"home|storage|quota|disk|persist|workspace|per[- ]user|each user", re.IGNORECASE)
_NOT_OF_HOMES = re.compile(r"\b(ram|memory|vram|mem)\b", re.IGNORECASE)
_COMMENT = re.compile(r"(?:^|\s)#(.*)")
MOST = 5000
"""Lines of a file that are looked at."""
README = ("README.md", "README.rst", "README.txt", "README", "readme.md", "docs/README.md")


def lines(folder: Folder, files: Sequence[str]) -> list[tuple[str, int, str]]:
    """File, number and text of every line that speaks to people: of README files, and comments of ``files``."""
    found: list[tuple[str, int, str]] = []
    for name in dict.fromkeys((*README, *files)):
        try:
            text = folder.text(name) if folder.has(name) else ""
        except SourceError:
            continue
        for number, line in enumerate(text.split("\n")[:MOST], 1):
            if name in files:
                if comment := _COMMENT.search(line):
                    # with what stands before it: the line says what the comment is about
                    found.append((name, number, f"{line[: comment.start()]} {comment[1]}"))
            else:
                found.append((name, number, line))
    return found


def home_size(said: Sequence[tuple[str, int, str]]) -> tuple[str, str, int, str] | None:
    """The size that homes are said to have: as a quantity, where, and the words."""
    for file, number, text in said:
        size = _SIZE.search(text)
        if size and _OF_HOMES.search(text) and not _NOT_OF_HOMES.search(text):
            return f"{int(size[1])}{size[2].upper()}i", file, number, size[0]
    return None
