"""What canary and proof look at: the views that are published on this node, as the mount table shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pdshub.node.health.sample import Known
from pdshub.node.spec import View

#: Of a view that says nothing of it: the API's defaults.
_SETTLE, _WITHIN = View("").survey_seconds


@dataclass(frozen=True)
class Subject:
    """One published view.

    `targets`: published target -> mount points below it (relative). `folder`: the view's folder below a target.
    `generation` is empty in form live; `showing` are the targets that show it (some may keep an older one).
    `reachable`: all its sources answer. `sources`: name -> where it is mounted, and as whom it is read. `settle`:
    seconds for which a dataset must not have changed before a survey takes it up; `survey_within`: within which a
    survey has looked at whatever changed.
    """

    view: str
    folder: str
    targets: Mapping[str, tuple[str, ...]]
    generation: str = ""
    sample: tuple[Known, ...] = field(default=(), repr=False)
    reachable: bool = True
    showing: frozenset[str] | None = None  # None: all
    sources: Mapping[str, tuple[str, tuple[int, int] | None]] = field(default_factory=dict)
    settle: float = _SETTLE
    survey_within: float = _WITHIN

    @property
    def roots(self) -> dict[str, tuple[str, str]]:
        """Path below the folder -> (target, mount point below it), in one target: what examiner_main.Bases wants."""
        for target, points in sorted(self.targets.items()):
            if self.showing is not None and target not in self.showing:
                continue
            inside = f"{self.folder}/"
            found = {
                "." if point == self.folder else point.removeprefix(inside): (target, point)
                for point in points
                if point == self.folder or point.startswith(inside)
            }
            if found:
                return found
        return {}
