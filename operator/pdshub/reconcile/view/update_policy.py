"""Nodes that are behind without anything being wrong: a decision they have not read yet, a catalog on its way.

Users keep what they see meanwhile, so an approval takes nothing from Ready. It does not last: a node that stays behind
is told of as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pdshub.api.view import ArchiveViewSpec, ArchiveViewStatus, observed_tree
from pdshub.reconcile.common.node_reports import NodeReport
from pdshub.reconcile.view.context import ViewMemory

CALM = 60.0
"""Seconds for which a node may be behind before Ready is Unknown."""
LONGEST = 600.0
"""Seconds for which a catalog may be on its way before a node that cannot show the view is unwell."""
_REMEMBERED = 20


@dataclass(frozen=True)
class UpdatePolicy:
    """What nodes may be behind with."""

    same: frozenset[int] = frozenset()
    """Older generations of the spec that ask nodes for the same sources and tree."""
    fetching: Mapping[str, float] = field(default_factory=dict)
    """Nodes that fetch a generation, and for how many seconds."""
    calm: bool = False
    """Ready was True: it stays so for a while."""

    def coming(self, node: str) -> bool:
        """Whether what a node lacks is a catalog on its way."""
        return self.fetching.get(node, LONGEST) < LONGEST

    def excused(self, node: str) -> bool:
        """The same, and it is too early to speak of it."""
        return self.calm and self.fetching.get(node, CALM) < CALM


def update_policy(
    memory: ViewMemory,
    name: str,
    generation: int,
    spec: ArchiveViewSpec,
    before: ArchiveViewStatus,
    reports: Mapping[str, NodeReport],
    now: float,
) -> UpdatePolicy:
    """What ``memory`` knows of the spec's generations and of fetching nodes, with this look in it."""
    tree = observed_tree(spec)
    if generation not in memory.trees:
        if before.observed_tree:  # as an operator before this one wrote it
            memory.trees.setdefault(before.observed_generation, before.observed_tree)
        memory.trees[generation], memory.tree_at = tree, now
        memory.trees = dict(sorted(memory.trees.items())[-_REMEMBERED:])
    memory.fetching = {
        node: (what, memory.fetching[node][1] if memory.fetching.get(node, ("", 0.0))[0] == what else now)
        for node, answer in reports.items()
        if (what := _fetched(name, answer))
    }
    recent = now - memory.tree_at < CALM
    same = frozenset(number for number, its in memory.trees.items() if recent and its == tree)
    ready = next((c.status for c in before.conditions if c.type == "Ready"), "")
    return UpdatePolicy(same, {node: now - since for node, (_, since) in memory.fetching.items()}, ready == "True")


def _fetched(name: str, answer: NodeReport) -> str:
    views = answer.report.get("views")
    mine = views.get(name) if isinstance(views, Mapping) else None
    found = mine.get("fetching") if isinstance(mine, Mapping) else None
    return found if isinstance(found, str) else ""
