"""A large tree as several images: which directories lie in which. Pure, but for the files that hold the parts' lines.

The directories at one depth are *units*: each, with all below it, lies in the part that a digest of its path names.
What is above them is a part of its own, which alone has their attributes and times: a new night changes the part of the
night and the uppermost one, and no other. Equal parts are equal images, and images are known by their digests: what has
not changed is neither written nor moved again.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SPLIT = 2_000_000
"""Entries of a plan from which on it becomes several images."""
ENTRIES = 400_000
"""Of one image, about; mkfs.erofs holds 900 bytes of memory for each."""
LEAST, MOST = 32, 256
"""Images of a tree: with fewer a new night moves more than is new; each is a mount, and overlayfs has 500 layers."""
DEEPEST = 8
UNEVEN = 2.0
"""So many times the mean the largest part may be before the tree is cut anew."""
_PATH = b'"path":"'


@dataclass(frozen=True, slots=True)
class Layout:
    """How a tree is cut: ``depth`` is that of its units (1: the top directories), ``count`` a power of two."""

    depth: int
    count: int

    def part(self, path: str) -> int | None:
        """The part of a directory; None for what is above the units."""
        parts = path.split("/", self.depth) if path else []
        if len(parts) < self.depth:
            return None
        return bucket("/".join(parts[: self.depth]), self.count)

    def above(self, path: str) -> bool:
        """Whether a directory is above the units."""
        return self.part(path) is None


def bucket(unit: str, count: int) -> int:
    """The part that a unit lies in: the same for the same path, whatever else there is."""
    digest = hashlib.sha256(unit.encode("utf-8", "surrogateescape")).digest()
    return int.from_bytes(digest[:4], "big") % count


def path_of(line: bytes) -> str:
    """The directory that a line of a plan is about. The keys of a line are sorted, so its path comes last; inside of a
    text quotes are escaped, so this text is no part of a name."""
    return str(json.loads(line[line.rindex(_PATH) + len(_PATH) - 1 : line.rindex(b"}")]))


def weights(lines: Iterator[bytes]) -> list[Counter[str]]:
    """By depth (from 1): unit -> bytes of its lines in the plan, which is about how many entries it has."""
    found: list[Counter[str]] = [Counter() for _ in range(DEEPEST)]
    for line in lines:
        parts = path_of(line).split("/")
        for depth in range(1, min(len(parts), DEEPEST) + 1):
            found[depth - 1]["/".join(parts[:depth])] += len(line)
    return found


def largest(units: Counter[str], count: int) -> int:
    """Weight of the heaviest part."""
    sums: Counter[int] = Counter()
    for unit, weight in units.items():
        sums[bucket(unit, count)] += weight
    return max(sums.values(), default=0)


def choose(found: list[Counter[str]], entries: int, before: Layout | None = None) -> Layout:
    """The layout for a tree: that of ``before`` while it serves, as every other one is moved as a whole.

    Else the fewest parts that are small enough, of the uppermost units by which they are about even.
    """
    count = LEAST
    while count < MOST and entries > count * ENTRIES:
        count *= 2
    total = sum(found[0].values())
    if (
        before
        and before.depth <= DEEPEST
        and before.count in (count // 2, count, 2 * count)
        and largest(found[before.depth - 1], before.count) <= 2 * UNEVEN * total / before.count
    ):
        return before
    best = min(range(1, DEEPEST + 1), key=lambda depth: (largest(found[depth - 1], count) or total, depth))
    for depth in range(1, best):
        if found[depth - 1] and largest(found[depth - 1], count) <= UNEVEN * total / count:
            return Layout(depth, count)
    return Layout(best, count)


@dataclass(frozen=True, slots=True)
class Cut:
    """The lines of one part, in the order of the plan. ``number`` None: what is above the units."""

    number: int | None
    lines: Path
    digest: str
    """Of the lines, hexadecimal: equal parts of equal layouts are equal images."""


def cut(lines: Iterator[bytes], layout: Layout, folder: Path) -> list[Cut]:
    """Writes each part's lines into a file in ``folder``; a part without lines is left out. Raises OSError."""
    digests: dict[int | None, Any] = {}
    with ExitStack() as stack:
        files: dict[int | None, Any] = {}
        for line in lines:
            number = layout.part(path_of(line))
            if number not in files:
                files[number] = stack.enter_context(_place(folder, number).open("wb"))
                digests[number] = hashlib.sha256()
            text = line.rstrip(b",\n") + b"\n"
            files[number].write(text)
            digests[number].update(text)
    numbers = sorted(digests, key=lambda number: -1 if number is None else number)
    return [Cut(number, _place(folder, number), digests[number].hexdigest()) for number in numbers]


def _place(folder: Path, number: int | None) -> Path:
    return folder / f"lines-{'top' if number is None else f'{number:03d}'}"
