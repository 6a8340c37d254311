"""Values of a configuration: what is known of them, what is not and why, and how much there is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

LONGEST, MOST, DEEPEST = 1 << 16, 10_000, 150
"""Characters of a text, values in a list with all that is in it, and values or expressions inside of each other."""
LARGEST = 1e30
"""What no number reaches: nothing here can be too large for a calculation, and none is infinite."""


@dataclass(frozen=True)
class Unknown:
    """What can not be known without running the file."""

    why: str


@dataclass(frozen=True)
class Absent(Unknown):
    """What is in a file that is not among those that are read: what the line does is known, and the value is not."""


@dataclass(frozen=True)
class Reference:
    """A class or a function by its dotted name."""

    name: str


@dataclass(frozen=True)
class Random:
    """What is made anew each time the file is run."""

    by: str


def weight(value: Any, most: int = MOST, depth: int = 0) -> int:
    """How many values there are in one, itself included; texts count by their length. It stops above ``most``."""
    if depth > DEEPEST:
        return most + 1
    if isinstance(value, str):
        return 1 + len(value) * MOST // LONGEST // 2
    total = 1
    for held in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        total += weight(held, most - total, depth + 1) if isinstance(held, list | dict) else 1
        if total > most:
            break
    return total


def together(parts: Iterable[Any]) -> Any:
    """Parts as one text, unless one is no text or number, or all are too long."""
    made, length = list[str](), 0
    for part in parts:
        if not isinstance(part, str | int | float):
            return Unknown(why(part) or "what is put into a text is no text")
        made.append(str(part))
        length += len(made[-1])
        if length > LONGEST:
            return Unknown("a value is too large")
    return "".join(made)


def known(value: Any) -> bool:
    """Whether nothing in a value is unknown."""
    if isinstance(value, list):
        return all(map(known, value))
    if isinstance(value, dict):
        return all(known(key) and known(held) for key, held in value.items())
    return not isinstance(value, Unknown)


def absent(value: Any) -> bool:
    """Whether all that is unknown in a value is in files that are not here."""
    if isinstance(value, list):
        return all(map(absent, value))
    if isinstance(value, dict):
        return all(absent(key) and absent(held) for key, held in value.items())
    return isinstance(value, Absent) or not isinstance(value, Unknown)


def why(value: Any) -> str:
    """Why something in a value is unknown; empty where all is known."""
    if isinstance(value, Unknown):
        return value.why
    inside = [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return next((words for part in inside if (words := why(part))), "")


def once(values: list[Any]) -> list[Any]:
    """A set, in the order in which it was written."""
    found: list[Any] = []
    texts: set[Any] = set()
    for value in values:
        if isinstance(value, str | int | float):
            if value in texts:
                continue
            texts.add(value)
        found.append(value)
    return found


def without(values: list[Any], others: list[Any]) -> list[Any]:
    """The values that are not among the others."""
    texts = {each for each in others if isinstance(each, str)}
    rest = [each for each in others if not isinstance(each, str)]
    return [each for each in values if each not in (texts if isinstance(each, str) else rest)]
