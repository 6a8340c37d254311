"""Whether a generation may follow another: one that lost many files is refused until somebody accepts it. Pure."""

from __future__ import annotations

from typing import Any


def lost_percent(before: int, after: int) -> float:
    """The share of ``before`` files that ``after`` lacks, from 0 to 100; 0 where there were none or there are more."""
    return max(0.0, (before - after) * 100 / before) if before > 0 else 0.0


def guard(before: int | None, after: int, threshold_percent: int, *, accept: bool = False) -> dict[str, Any]:
    """The verdict as JSON. ``before``: files of the generation that users have, None without one."""
    lost = lost_percent(before or 0, after)
    return {
        "accepted": accept or lost <= threshold_percent,
        "before": before,
        "after": after,
        "lostPercent": round(lost, 3),
        "thresholdPercent": threshold_percent,
    }
