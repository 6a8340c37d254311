"""Lines for people: without secrets, without control characters, no longer than they may be.

File names, restic's lines and servers' answers all come from outside. A name may hold newlines, escape sequences of
terminals or bytes that are no text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TextIO
from urllib.parse import quote, quote_plus

LONGEST_LINE = 2000
SHORTEST_SECRET = 4
"""Characters; what is shorter would cut up every line."""
HIDDEN = "***"


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    if "\udc80" <= character <= "\udcff":  # a byte that is no text, as Python keeps it in a name
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


def plain(text: str, most: int = LONGEST_LINE) -> str:
    """A text as one line of printable characters, cut with an ellipsis."""
    shown = "".join(map(_shown, text[: most + 1]))
    return shown if len(shown) <= most else shown[: most - 1] + "…"


class Words:
    """Says lines on stdout, and hides what is secret in them."""

    def __init__(self, secrets: Iterable[str] = (), out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._secrets: list[str] = []
        self.hide(secrets)

    def hide(self, secrets: Iterable[str]) -> None:
        """From now on these are not shown, neither as they are nor as they stand in URLs."""
        found = {form for s in secrets for form in (s, quote(s, safe=""), quote_plus(s)) if len(s) >= SHORTEST_SECRET}
        self._secrets = sorted({*self._secrets, *found}, key=len, reverse=True)

    def clean(self, text: str, most: int = LONGEST_LINE) -> str:
        """A line that may be shown."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return plain(text, most)

    def say(self, text: str) -> None:
        """One line of progress."""
        self._out.write(self.clean(text) + "\n")
        self._out.flush()
