"""What happened on this node since the plugin started, counted by view: the counters of metrics.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

SWITCHES, HOLDS, RENEWALS = "switches", "holds", "renewals"
FETCHES, FETCH_FAILURES, FETCH_BYTES, FETCH_SECONDS = "fetches", "fetch_failures", "fetch_bytes", "fetch_seconds"


class Tally:
    """Numbers that only grow."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def add(self, what: str, view: str, amount: float = 1) -> None:
        """`what`: one of this module's names."""
        self._counts[what, view] += amount  # type: ignore[assignment]

    def of(self, what: str) -> Iterator[tuple[str, float]]:
        """(view, number)."""
        return ((view, number) for (name, view), number in sorted(self._counts.items()) if name == what)
