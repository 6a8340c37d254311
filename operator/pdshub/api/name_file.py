"""Lists of people as text: a name a line, blank lines, comments. Pure.

``#`` begins a comment at the beginning of a line and after white space; elsewhere it is a part of the name.
"""

from __future__ import annotations

import re

COMMENT = re.compile(r"(?:^|(?<=\s))#.*")
"""A comment in a line."""
MARK = "\ufeff"
"""What some editors put before the first character of a file, and which is no part of it."""


def bare(line: str) -> str:
    """The name in a line as it is written; empty for a line without one."""
    return COMMENT.sub("", line).strip()


def names(text: str) -> list[str]:
    """The names of a list as they are written, in their order."""
    return [name for line in text.removeprefix(MARK).split("\n") if (name := bare(line))]
