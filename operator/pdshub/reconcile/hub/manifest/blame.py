"""Which value made an object that Helm must not apply: by what its text holds, else by leaving values out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

from pdshub.reconcile.hub.manifest.rules import Violation

Path = tuple[str | int, ...]
Tries = Callable[[Mapping[str, Any]], Awaitable[Violation | None]]
"""Renders the chart with values, and returns the first object that must not be. Raises HelmError."""
RUNS = 20
"""Runs of helm at most: each halves what may have been it."""


def leaves(values: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value that is no map and no list, with the way to it."""
    inside: Sequence[tuple[str | int, Any]]
    if isinstance(values, Mapping):
        inside = list(values.items())
    elif isinstance(values, list):
        inside = list(enumerate(values))
    else:
        yield path, values
        return
    for key, value in inside:
        yield from leaves(value, (*path, key))


def field(path: Path, top: str = "spec.values") -> str:
    """The way to a value as an admin writes it: ``spec.values.hub.extraVolumes[0].name``."""
    return top + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)


def by_text(values: Any, violation: Violation) -> str:
    """The value whose text holds the object, as a path; empty when none does, or several do.

    Keys count, too: a label's name is as free as its value.
    """
    keys = [(path, part) for path, _ in leaves(values) for part in path if isinstance(part, str)]
    texts = {
        path: text
        for path, text in [*keys, *leaves(values)]
        if isinstance(text, str) and ("\n" in text or "\r" in text)
    }
    words = [word for word in (violation.name, violation.kind) if word]
    held = [path for path, text in texts.items() if words and all(word in text for word in words)]
    if not held and not words:
        held = [path for path, text in texts.items() if "\n---" in text or "\r" in text]
    return field(held[0]) if len(held) == 1 else ""


def without(values: Any, gone: Sequence[Path]) -> Any:
    """The values without those at some paths: a key of a map goes, an item of a list becomes null."""
    if not gone:
        return values
    if () in gone:
        return None
    below: dict[str | int, list[Path]] = {}
    for path in gone:
        below.setdefault(path[0], []).append(path[1:])
    if isinstance(values, Mapping):
        return {
            key: without(value, below.get(key, ())) for key, value in values.items() if () not in below.get(key, ())
        }
    if isinstance(values, list):
        return [without(value, below.get(index, ())) for index, value in enumerate(values)]
    return values


async def by_leaving_out(asked: Any, merged: Mapping[str, Any], tries: Tries) -> str:
    """The value of ``asked`` without which ``merged`` would be well, as a path; empty when there is no single one.

    ``tries`` is called at most RUNS times. Raises HelmError.
    """
    suspects = [path for path, _ in leaves(asked)]
    if not suspects or await tries(without(merged, suspects)) is not None:
        return ""
    for _ in range(RUNS - 2):
        if len(suspects) == 1:
            break
        half = suspects[: len(suspects) // 2]
        suspects = half if await tries(without(merged, half)) is None else suspects[len(half) :]
    return field(suspects[0]) if await tries(without(merged, suspects[:1])) is None else ""
