"""What is waited for, and since when: trees that are in use, sources that are away. Known to this process only: after
a restart the time begins anew, so nothing waits less than it should."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

from pdshub.node.reconcile.actions import Point
from pdshub.node.reconcile.plan import Actual
from pdshub.node.reconcile.select_generation import LIVE, Decision
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.spec import View


class Holds:
    """Since when trees are in use, and since when a view's catalog would have to do without a source."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: for all but changes of a generation, whose time hubs set."""
        self._seconds = seconds
        self._busy: dict[Point, float] = {}
        self._partial: dict[str, float] = {}
        self._lost: dict[str, frozenset[str]] = {}  # view -> devices

    @property
    def targets(self) -> frozenset[str]:
        """Those with a tree that is in use."""
        return frozenset(target for target, _ in self._busy)

    def hold(self, points: Collection[Point]) -> None:
        """Note that the old trees at these points are in use; the time of those that are noted already goes on."""
        for point in points:
            self._busy.setdefault(point, time.monotonic())

    def lose(self, name: str, actual: Actual, keys: Collection[str]) -> None:
        """Note the view's catalogs, by key, whose bytes are gone for good. Targets show them when they are entries no
        more."""
        shown = {one[0] for points in actual.targets.values() for here in points.values() for one in here}
        lost = self._lost.get(name, frozenset()) | {actual.entries[key][0] for key in keys if key in actual.entries}
        self._lost[name] = lost & shown

    def overdue(self, view: View, showing: Showing, actual: Actual) -> frozenset[Point]:
        """Points that were in use for longer than they may. A mount that is only renewed, its generation the same, is
        not worth as long a wait as a change of what is shown; and one whose bytes are gone is worth none."""
        now, late = time.monotonic(), set()
        lost = self._lost.get(view.name, ())
        for target, points in actual.targets.items():
            late |= {(target, at) for at, here in points.items() if here and here[-1][0] in lost}
        for (target, at), since in self._busy.items():
            hold = view.hold_seconds(target, self._seconds)
            if showing.targets.get(target, "") in (showing.current, LIVE):
                hold = min(hold, self._seconds)
            if now - since >= hold:
                late.add((target, at))
        return frozenset(late)

    def forget(self, actual: Actual, held: Collection[Point]) -> None:
        """What is not held any more, or is gone, may be held anew later."""
        for which in list(self._busy):
            if which not in held and (which[0] in actual.targets or not Path(which[0]).exists()):
                del self._busy[which]

    def watch(self, name: str, decision: Decision) -> None:
        """Note since when a view's catalog would have to do without a source."""
        if any(want.generation and want.reason for _, want in decision.all()):
            self._partial.setdefault(name, time.monotonic())
        else:
            self._partial.pop(name, None)

    def within_grace(self, name: str) -> bool:
        """Whether that is not long ago."""
        now = time.monotonic()
        return now < self._partial.get(name, now) + self._seconds
