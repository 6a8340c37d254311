"""What is waited for, and since when: trees that are in use, servers that keep what they began with, sources that are
away. Known to this process only: after a restart the time begins anew, so nothing waits less than it should."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from pdshub.node.reconcile.actions import Point
from pdshub.node.reconcile.plan import Actual
from pdshub.node.reconcile.select_generation import LIVE, Decision
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.spec import View


class Moment(NamedTuple):
    """``ticks``: monotonic, for how long it is; ``at``: Unix time, to be told."""

    ticks: float
    at: float

    @classmethod
    def now(cls) -> Moment:
        """This one."""
        return cls(time.monotonic(), time.time())


@dataclass(frozen=True)
class HeldTarget:
    """A target that shows something else than its view's current generation. Unix times."""

    target: str
    generation: str
    """A generation, or LIVE."""
    since: float
    until: float | None
    """When it is taken away at the latest; None: its server keeps what it began with."""


class Holds:
    """Since when trees are in use, and since when a view's catalog would have to do without a source."""

    def __init__(self, seconds: float) -> None:
        """`seconds`: for all but changes of a generation, whose time hubs set."""
        self._seconds = seconds
        self._busy: dict[Point, Moment] = {}
        self._keeping: dict[str, dict[str, Moment]] = {}  # view -> target, by the hub's policy
        self._partial: dict[str, float] = {}
        self._lost: dict[str, frozenset[str]] = {}  # view -> devices

    @property
    def targets(self) -> frozenset[str]:
        """Those with a tree that is in use."""
        return frozenset(target for target, _ in self._busy)

    def hold(self, points: Collection[Point]) -> None:
        """Note that the old trees at these points are in use; the time of those that are noted already goes on."""
        for point in points:
            self._busy.setdefault(point, Moment.now())

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
            if now - since.ticks >= self._bound(view, showing, target):
                late.add((target, at))
        return frozenset(late)

    def _bound(self, view: View, showing: Showing, target: str) -> float:
        hold = view.hold_seconds(target, self._seconds)
        renewed = showing.targets.get(target, "") in (showing.current, LIVE)
        return min(hold, self._seconds) if renewed else hold

    def servers(self, view: View, showing: Showing) -> list[HeldTarget]:
        """The targets of a view that are held at something else than what the others show, by their names."""
        keeping, busy, found = self._keeping.get(view.name, {}), dict[str, list[float]](), list[HeldTarget]()
        for (target, _), moment in self._busy.items():
            busy.setdefault(target, []).append(moment.at)
        for target, of in sorted(showing.targets.items()):
            if not of or not showing.current or of == showing.current:
                continue
            if target in keeping:
                found.append(HeldTarget(target, of, keeping[target].at, None))
            elif target in busy:
                until = max(busy[target]) + self._bound(view, showing, target)
                found.append(HeldTarget(target, of, min(busy[target]), until))
        return found

    def forget(self, actual: Actual, held: Collection[Point]) -> None:
        """What is not held any more, or is gone, may be held anew later."""
        for which in list(self._busy):
            if which not in held and (which[0] in actual.targets or not Path(which[0]).exists()):
                del self._busy[which]

    def watch(self, name: str, decision: Decision) -> None:
        """Note since when a view's catalog would have to do without a source, and servers keep what they began with."""
        before = self._keeping.get(name, {})
        self._keeping[name] = {target: before.get(target) or Moment.now() for target in decision.own}
        if any(want.generation and want.reason for _, want in decision.all()):
            self._partial.setdefault(name, time.monotonic())
        else:
            self._partial.pop(name, None)

    def within_grace(self, name: str) -> bool:
        """Whether that is not long ago."""
        now = time.monotonic()
        return now < self._partial.get(name, now) + self._seconds
