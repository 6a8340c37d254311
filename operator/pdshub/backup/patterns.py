"""What is left out of a home: patterns of restic's --exclude, below the home and nowhere else.

restic matches a pattern without a leading slash anywhere in the absolute path, so ``data`` or ``home`` would match the
mount point and leave out everybody's everything. So each pattern is put below the home's own path first: ``/x`` is x at
its top, ``x`` is x anywhere in it.

The same patterns are matched here, as the digest (digest.py) has to know what restic will leave out. The rules are
those of restic's internal/filter and of Go's path/filepath.Match; where the two should ever differ, the seal tells, and
nothing that is false is believed.

restic tries a pattern with ``**`` only on paths that have at most one part less than the pattern (filter.go, match:
``i <= len(strs)-len(pattern.parts)+1``). So ``work/**``, which has two of them once ``**/`` stands before it, leaves
out what is in a folder work, and not the folder.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from pdshub.backup.verdict import Failed

_SPECIAL = re.compile(r"[\\\[\]*?]")
_SIZE = re.compile(r"([1-9][0-9]{0,15})([kKmMgGtT]?)")
MOST = 256
"""Patterns, more than a request has."""


def _bad(pattern: str, why: str) -> Failed:
    return Failed("BadRequest", f"exclude pattern {pattern!r}: {why}")


def _class(text: str, at: int) -> tuple[str, int]:
    """A character class of filepath.Match, whose ``[`` was read, as one of a regular expression, and where it ends.
    Raises ValueError."""
    negated = text[at : at + 1] == "^"
    at += negated
    parts: list[str] = []

    def one(at: int) -> tuple[str, int]:
        c = text[at : at + 1]
        if c in ("", "-", "]"):
            raise ValueError("a class of characters is not complete")
        if c == "\\":
            at += 1
            c = text[at : at + 1]
        if not c or at + 1 >= len(text):
            raise ValueError("a class of characters has no end")
        return c, at + 1

    while not (parts and text[at : at + 1] == "]"):
        low, at = one(at)
        high = low
        if text[at : at + 1] == "-":
            high, at = one(at + 1)
        # Go's range with its ends the wrong way round matches nothing
        parts.append(f"{re.escape(low)}-{re.escape(high)}" if low <= high else "")
    inner = "".join(parts)
    if not inner:
        return (r"[^/]" if negated else r"(?!)"), at + 1
    return f"(?!/)[{'^' if negated else ''}{inner}]", at + 1


def _component(text: str) -> str:
    """One part of a path of a pattern, as a regular expression. Raises ValueError."""
    if not _SPECIAL.search(text):
        return re.escape(text)
    made, at = "", 0
    while at < len(text):
        c = text[at]
        at += 1
        if c == "*":
            made += "[^/]*"
        elif c == "?":
            made += "[^/]"
        elif c == "[":
            part, at = _class(text, at)
            made += part
        elif c == "\\":
            if at >= len(text):
                raise ValueError("it ends in a backslash")
            made += re.escape(text[at])
            at += 1
        else:
            made += re.escape(c)
    return made


def _expression(parts: Sequence[str]) -> re.Pattern[str]:
    made = ""
    for n, part in enumerate(parts):
        if part == "**":  # any number of folders, none as well
            made += "(?:[^/]+/)*" if n + 1 < len(parts) else ""
        else:
            made += _component(part) + ("/" if n + 1 < len(parts) else "")
    if parts[-1] == "**":
        made = made.removesuffix("/")
    return re.compile(made + "(?:/.*)?", re.DOTALL)


class _Rule(NamedTuple):
    negated: bool
    expression: re.Pattern[str]
    least: int
    """Parts that a path has to have to be looked at."""

    def matches(self, path: str) -> bool:
        return path.count("/") + 1 >= self.least and bool(self.expression.fullmatch(path))


class Excluded:
    """Patterns below one folder. ``arguments`` is what restic gets; called with a path below the folder it says whether
    restic leaves that out. Raises Failed(BadRequest) for what is no pattern."""

    def __init__(self, top: str, patterns: Sequence[str]) -> None:
        if len(patterns) > MOST:
            raise Failed("BadRequest", f"there are more than {MOST} exclude patterns")
        self.arguments: list[str] = []
        self._rules: list[_Rule] = []
        literal = _SPECIAL.sub(lambda m: "\\" + m[0], top)
        for pattern in patterns:
            negated, body = pattern.startswith("!"), pattern.removeprefix("!")
            if not body or "\0" in body:
                raise _bad(pattern, "it is empty" if not body else "it holds a zero byte")
            body = "/" + posixpath.normpath(body).lstrip("/") if body.startswith("/") else posixpath.normpath(body)
            body = body.removeprefix(top) if body.startswith(top + "/") else body
            parts = [p for p in body.split("/") if p]
            if ".." in parts or parts in ([], ["."]) or body == top or all(p == "**" for p in parts):
                raise _bad(pattern, "it would leave out all of the home, or something outside of it")
            if not body.startswith("/"):
                parts = ["**", *parts]
            try:
                self._rules.append(_Rule(negated, _expression(parts), len(parts) - 1))
            except (ValueError, re.error) as error:
                raise _bad(pattern, str(error)) from None
            self.arguments.append(f"--exclude={'!' if negated else ''}{literal}/{'/'.join(parts)}")

    def __call__(self, path: str) -> bool:
        """Whether restic leaves it out: a path below the folder."""
        found = False
        for rule in self._rules:
            if found == rule.negated and rule.matches(path):
                found = not rule.negated
        return found


def size(text: str) -> int | None:
    """Bytes of a size as restic reads it: 50G is 50·1024³; None for ''. Raises Failed(BadRequest)."""
    if not text:
        return None
    match = _SIZE.fullmatch(text)
    if not match:
        raise Failed("BadRequest", f"{text!r} is no size: write for example 50G")
    return int(match[1]) << {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}[match[2].lower()]


Chosen = Callable[[str, int | None], bool]
"""Whether something is saved: its path below the top, and its size, None for a folder."""


def chosen(excluded: Excluded, largest: int | None) -> Chosen:
    """Both rules in one."""
    return lambda path, bytes: not excluded(path) and (bytes is None or largest is None or bytes <= largest)


def everything(path: str, bytes: int | None) -> bool:
    """Nothing is left out."""
    return True
