"""Path patterns of rules and of night directories.

Names on a NAS and patterns in a view come from people who need not be friends of each other: a pattern of many
wildcards takes no more time than one of few. Where an expression could try again and again, it is not used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, Protocol

FEW = 2
"""So many wildcards may a pattern have that becomes an expression, which tries the places of all of them together."""
_STAR, _ANY, _DIRS, _ONE = "[^/]*", ".*", "(?:[^/]+/)*", ""


class Pattern(Protocol):
    """What paths are matched against."""

    def fullmatch(self, string: str) -> object | None:
        """Something where the whole path fits, else None."""


class _Token(NamedTuple):
    kind: str  # _STAR, _ANY, _DIRS, or _ONE: a single character
    text: str  # its expression


def _tokens(pattern: str) -> Iterator[_Token]:
    i = 0
    while i < len(pattern):
        char = pattern[i]
        if pattern.startswith("**/", i):
            yield _Token(_DIRS, _DIRS)
            i += 3
        elif pattern.startswith("**", i):
            yield _Token(_ANY, _ANY)
            i += 2
        elif char == "*":
            yield _Token(_STAR, _STAR)
            i += 1
        elif char == "?":
            yield _Token(_ONE, "[^/]")
            i += 1
        elif char == "[" and (end := pattern.find("]", i + 2)) > 0:
            inner = pattern[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            yield _Token(_ONE, "[" + ("^" + inner[1:] if inner[0] == "!" else inner.replace("^", "\\^")) + "]")
            i = end + 1
        else:
            yield _Token(_ONE, re.escape(char))
            i += 1


class _Automaton:
    """All places of a pattern at once, a bit for each: a path costs one step for each of its characters.

    Bit n stands before token n. ``**/`` has a second bit, inside of a directory's name.
    """

    def __init__(self, tokens: list[_Token]) -> None:
        self._ones: list[tuple[int, re.Pattern[str]]] = []
        self._names = self._all = self._skip = self._outside = 0
        bit = 1
        for token in tokens:
            if token.kind == _ONE:
                self._ones.append((bit, re.compile(token.text, re.DOTALL)))
            elif token.kind == _DIRS:
                self._outside |= bit
                bit <<= 1
                self._skip |= bit >> 1
            else:
                self._skip |= bit
                if token.kind == _STAR:
                    self._names |= bit
                else:
                    self._all |= bit
            bit <<= 1
        self._inside, self._end = self._outside << 1, bit
        self._moves = lru_cache(maxsize=512)(self._fits)

    def _fits(self, char: str) -> int:
        return sum(bit for bit, fits in self._ones if fits.fullmatch(char))

    def _settle(self, at: int) -> int:
        """With the places that are reached without a character."""
        while True:
            skipping = at & self._skip
            # over the second bit of **/ , which is no place to be without a name
            reached = at | ((skipping & ~self._outside) << 1) | ((skipping & self._outside) << 2)
            if reached == at:
                return at
            at = reached

    def fullmatch(self, string: str) -> object | None:
        """Whether the whole path fits."""
        at = self._settle(1)
        for char in string:
            moved = ((at & self._moves(char)) << 1) | (at & self._all)
            if char == "/":
                moved |= (at & self._inside) >> 1
            else:
                moved |= (at & self._names) | ((at & self._outside) << 1) | (at & self._inside)
            at = self._settle(moved)
            if not at:
                return None
        return self if at & self._end else None


@lru_cache(maxsize=1024)
def glob(pattern: str) -> Pattern:
    """A pattern for ``fullmatch`` against a whole path.

    ``*`` and ``?`` stay inside one name, ``**`` crosses directories, ``[…]`` is a set of characters and ``[!…]`` all
    others. What makes no expression is taken letter by letter.
    """
    tokens = list(_tokens(pattern))
    try:
        if sum(token.kind != _ONE for token in tokens) > FEW:
            return _Automaton(tokens)
        return re.compile("".join(token.text for token in tokens), re.DOTALL)
    except re.error:
        return re.compile(re.escape(pattern))
