"""Files that say they are larger than the storage that they are in.

A file with holes has any size on any storage (`truncate -s 15T x`). restic reads holes as zeros, and the digest does so
too: a Job would read until its deadline, each day, and nothing of that home would ever be saved, nor in time what comes
after it. So what a home says that it holds is compared with what its file system can hold. Where that is more than
``TIMES`` as much, the largest files are left out until the rest could be there. They are named as not saved.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from pdshub.api.backup import Unread
from pdshub.backup.digest import walk
from pdshub.backup.patterns import Chosen

TIMES = 4
"""There are file systems that compress."""
SHOWN = 20
WHY = "it has holes, and says that it is larger than its storage"


@dataclass(frozen=True)
class LeftOut:
    """What is not saved of a home."""

    beyond: int | None = None
    """Bytes that a file has at most; None: any."""
    count: int = 0
    paths: list[Unread] = field(default_factory=list)
    """The first of them."""


def most(top: str) -> int:
    """Bytes that a home may say it holds. Raises OSError."""
    found = os.statvfs(top)
    return TIMES * found.f_blocks * found.f_frsize


def limit(sizes: Iterable[int], bytes: int) -> int | None:
    """The size beyond which files are left out, so that all others are no more than so many bytes; None: none is.

    Sizes are counted by powers of two, so that a million files need no memory.
    """
    by_length: Counter[int] = Counter()
    for size in sizes:
        by_length[size.bit_length()] += size
    total, found = sum(by_length.values()), None
    for length in sorted(by_length, reverse=True):
        if total <= bytes:
            break
        total -= by_length[length]
        found = (1 << (length - 1)) - 1
    return found


def left_out(top: str, chosen: Chosen, bytes: int, show: Callable[[str], str], check: Callable[[], None]) -> LeftOut:
    """Which files below ``top`` are not saved, so that the rest says it is no more than so many bytes. ``show``: a path
    as it may be shown. Raises OSError."""
    beyond = limit((entry.size for entry in walk(top, chosen, check) if entry.kind == "file"), bytes)
    if beyond is None:
        return LeftOut()
    count, paths = 0, list[Unread]()
    for entry in walk(top, chosen, check):
        if entry.kind == "file" and entry.size > beyond:
            count += 1
            if len(paths) < SHOWN:
                paths.append(Unread(path=show(entry.path), why=WHY))
    return LeftOut(beyond, count, paths)
