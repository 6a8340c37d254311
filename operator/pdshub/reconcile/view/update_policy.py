"""Nodes that are behind without anything being wrong: a decision they have not read yet, a catalog on its way. Pure.

Users keep what they see meanwhile, so an approval takes nothing from Ready. It does not last: a node that stays behind
is told of as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pdshub.api.report import CONNECTING
from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus, observed_tree
from pdshub.reconcile.common.node_reports import NodeReport

EXCUSED_SECONDS = 60.0
"""Seconds for which a node may be behind before Ready is Unknown."""
FETCHING_SECONDS = 600.0
"""Seconds for which a catalog may be on its way before a node that cannot show the view is unhealthy."""
_REMEMBERED = 20


@dataclass(frozen=True)
class TakeUp:
    """Which specs of the view were seen, and which catalogs nodes fetch. Times are time.monotonic()."""

    trees: Mapping[int, str] = field(default_factory=dict)
    """metadata.generation -> digest of what Ready speaks of in it."""
    newest_at: float = 0.0
    """When the newest of them was seen first."""
    fetching: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    """Nodes that fetch a generation of the archive, which, and since when."""


def next_take_up(
    before: TakeUp,
    name: str,
    metadata_generation: int,
    spec: ArchiveViewSpec,
    status: ArchiveViewStatus,
    reports: Mapping[str, NodeReport],
    now: float,
) -> TakeUp:
    """What is known after one more look. ``status``: as it was written last, perhaps by an operator before this one."""
    trees, newest_at = dict(before.trees), before.newest_at
    if metadata_generation not in trees:
        if status.observed_tree:
            trees.setdefault(status.observed_generation, status.observed_tree)
        trees[metadata_generation], newest_at = observed_tree(spec), now
        trees = dict(sorted(trees.items())[-_REMEMBERED:])
    fetching = {
        node: (what, before.fetching[node][1] if before.fetching.get(node, ("", 0.0))[0] == what else now)
        for node, answer in reports.items()
        if (what := _coming(name, answer, status.generation.name if status.generation else ""))
    }
    return TakeUp(trees, newest_at, fetching)


@dataclass(frozen=True)
class UpdatePolicy:
    """What nodes may be behind with."""

    same: frozenset[int] = frozenset()
    """Older metadata.generations of the view that ask nodes for the same sources and tree."""
    fetching: Mapping[str, float] = field(default_factory=dict)
    """Nodes that fetch a generation of the archive, and for how many seconds."""
    calm: bool = False
    """Ready was True: it stays so for a while."""

    def coming(self, node: str) -> bool:
        """Whether what a node lacks is a catalog on its way."""
        return self.fetching.get(node, FETCHING_SECONDS) < FETCHING_SECONDS

    def excused(self, node: str) -> bool:
        """The same, and it is too early to speak of it."""
        return self.calm and self.fetching.get(node, EXCUSED_SECONDS) < EXCUSED_SECONDS


def update_policy(known: TakeUp, spec: ArchiveViewSpec, status: ArchiveViewStatus, now: float) -> UpdatePolicy:
    """What nodes may be behind with now, by what is known of specs and of nodes that fetch."""
    tree, recent = observed_tree(spec), now - known.newest_at < EXCUSED_SECONDS
    same = frozenset(number for number, its in known.trees.items() if recent and its == tree)
    ready = next((c.status for c in status.conditions if c.type == "Ready"), "")
    return UpdatePolicy(same, {node: now - since for node, (_, since) in known.fetching.items()}, ready == "True")


def _coming(name: str, answer: NodeReport, released: str) -> str:
    """The generation that a node fetches, or mounts while its users, if any, see something else; empty for none."""
    view = answer.parsed.view(name)
    if view is None or view.fetching:
        return view.fetching if view else ""
    behind = view.shows not in ("", released) or not view.targets
    return released if view.state == CONNECTING and behind else ""
