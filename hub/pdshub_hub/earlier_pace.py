"""How often somebody may ask: a bucket of each kind of question, which fills again with time. Pure."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from pdshub_hub.earlier_asks import What

BURST = {What.LIST: 10, What.BROWSE: 30, What.RESTORE: 5}
"""Questions that may be asked one right after the other."""
EACH_HOUR = {What.LIST: 120, What.BROWSE: 120, What.RESTORE: 10}
"""Those that may be asked in the long run: each look and each restore is a Job."""
MOST = 20_000
"""Buckets that are kept. Whoever is forgotten has full ones."""


@dataclass
class Paces:
    """The buckets of all people."""

    _left: OrderedDict[tuple[str, What], tuple[float, float]] = field(default_factory=OrderedDict)
    """Questions that are left, and the moment at which so many were."""

    def take(self, user: str, what: What, now: float) -> bool:
        """Whether somebody may ask now (seconds of a clock that never goes back); if so, it counts."""
        left, at = self._left.get((user, what), (float(BURST[what]), now))
        left = min(float(BURST[what]), left + (now - at) / 3600 * EACH_HOUR[what])
        asks = left >= 1
        self._left[user, what] = (left - 1 if asks else left), now
        self._left.move_to_end((user, what))
        while len(self._left) > MOST:
            self._left.popitem(last=False)
        return asks
