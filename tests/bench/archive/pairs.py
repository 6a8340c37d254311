"""Two contenders in turn, so that a drift of the machine meets both; what their ratio may be."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from math import comb
from typing import Any


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of the median by order statistics (the sign test's): no assumption about the distribution."""
    ordered, n = sorted(values), len(values)
    rank, tail = 0, 0.0
    while rank < n // 2:
        tail += comb(n, rank) / 2**n
        if 2 * tail > 1 - confidence:
            break
        rank += 1
    low = max(rank - 1, 0)
    return ordered[low], ordered[n - 1 - low]


def summary(plain: Sequence[float], other: Sequence[float]) -> dict[str, Any]:
    """Speed of ``other`` as a share of ``plain``'s, over pairs of times in seconds."""
    speed = [p / o for p, o in zip(plain, other, strict=True)]
    low, high = interval(speed)
    return {
        "pairs": len(speed),
        "median": round(statistics.median(speed), 3),
        "bounds95": [round(low, 3), round(high, 3)],
        "seconds": {"NFS": [round(x, 4) for x in plain], "catalog": [round(x, 4) for x in other]},
    }


def in_turn(measure: Callable[[str], float], count: int, late: Callable[[], bool]) -> dict[str, Any]:
    """``count`` pairs after one that only warms up, or fewer when it gets late; each pair begins with the other."""
    names = ("NFS", "catalog")
    times: dict[str, list[float]] = {name: [] for name in names}
    for n in range(-1, count):
        if n > 2 and late():
            break
        for name in names if n % 2 else names[::-1]:
            seconds = measure(name)
            if n >= 0:
                times[name].append(seconds)
        print(f"    pair {n + 1}: {', '.join(f'{k} {v[-1]:.2f} s' for k, v in times.items() if v)}", flush=True)
    return summary(times["NFS"], times["catalog"])
