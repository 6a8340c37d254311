"""Whose home a drill takes, and which part of the repository it reads: in turn, so that no luck is needed. Pure.

**Homes** stand in a queue. A drill takes the first of it, and those that were compared go to its end; a new home comes
behind all others. So of H homes in the queue each is taken within ceil(H / sample) drills that succeed with it, whoever
comes meanwhile.

**Data.** ``restic check --read-data-subset=n/t`` reads the packs whose names fall into part n of t: a pack is in the
same part for ever. With t = ceil(100 / readPercent), and the part next that was read the longest ago, bytes that are
overwritten in a pack are found within t drills at most; a drill whose sample needs the pack finds them at once. With
readPercent 100 it is the next drill. Damage of the index, and a pack that is missing or cut short, is found by each.
Source: restic, cmd_check.go (selectPacksByBucket).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

MOST_PARTS = 256
"""restic tells packs apart by the first byte of their names."""


def queue(before: Sequence[str], there: Collection[str]) -> list[str]:
    """The queue with those whose homes are saved now: who is gone is left out, who is new comes last."""
    kept = [user for user in before if user in there]
    return [*kept, *sorted(set(there) - set(kept))]


def sample(waiting: Sequence[str], how_many: int) -> list[str]:
    """Whose homes are taken."""
    return list(waiting[:how_many])


def done(waiting: Sequence[str], compared: Collection[str]) -> list[str]:
    """The queue after a drill: whoever was compared goes to its end, in the same order."""
    return [*(user for user in waiting if user not in compared), *(user for user in waiting if user in compared)]


def rounds(homes: int, how_many: int) -> int:
    """Drills after which each of so many homes was taken."""
    return math.ceil(homes / how_many) if homes else 0


def parts(read_percent: int) -> int:
    """Into how many parts the data is divided: drills after which all of it was read."""
    return min(MOST_PARTS, math.ceil(100 / read_percent))


def next_part(read: Mapping[str, str], total: int) -> int:
    """The part that is read next, from 1: the first that never was, or else the one that was the longest ago.

    ``read``: by part ``n/t`` when it was read last, RFC 3339. Parts of another division count for nothing.
    """
    return min(range(1, total + 1), key=lambda n: (read.get(part(n, total), ""), n))


def part(number: int, total: int) -> str:
    """A part as restic names it."""
    return f"{number}/{total}"


def kept(read: Mapping[str, str], total: int) -> dict[str, str]:
    """What is remembered of parts of this division."""
    return {name: when for name, when in read.items() if name.endswith(f"/{total}")}


def all_since(read: Mapping[str, str], total: int) -> str:
    """The moment since which each byte was read at least once, RFC 3339; empty while some never was."""
    times = [read.get(part(n, total), "") for n in range(1, total + 1)]
    return "" if "" in times else min(times)
