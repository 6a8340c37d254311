"""The one way from the cluster's words to a person's terminal.

Names of files, findings, conditions and whatever a surveyor answers were written by people who are not trusted: they
may hold what moves the cursor, changes colours, turns the direction of writing, or begins a line that looks like ours.
All that is printed goes through ``write`` or ``complain``; what becomes part of sentences and tables, ``safe`` first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TextIO

from pdshub.archive.findings import printable


def safe(value: Any) -> Any:
    """A copy of what JSON holds, with every text in it on one line and without control characters; keys too."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, Mapping):
        return {safe(key): safe(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [safe(held) for held in value]
    return value


def write(stream: TextIO, text: str) -> None:
    """Prints lines of our own making, with whatever is left of control characters as escapes."""
    stream.write("".join(f"{printable(line)}\n" for line in text.split("\n")))


def agreed(asked: TextIO, answer: TextIO, question: str) -> bool:
    """Whether a person answers a question with yes."""
    write(asked, f"{question} Write yes to go on:")
    asked.flush()
    return answer.readline(64).strip().lower() in ("y", "yes")


def complain(stream: TextIO, text: str) -> None:
    """Prints an error; what follows its first line is indented, so that none of it looks like a line of its own."""
    write(stream, text.replace("\n", "\n  "))
