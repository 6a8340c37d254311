"""Versions within one identity: the highest wins, equal ones merge by the order of layers. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pdshub.archive.datasets import Dataset
from pdshub.archive.decision import Decision, rank
from pdshub.archive.findings import Findings
from pdshub.archive.label_pds4 import split_lidvid


def decide_versions(datasets: Sequence[Dataset], decisions: list[Decision], findings: Findings) -> None:
    """Decides every dataset that no rule decided. Outer datasets first: what is nested depends on them."""
    depth = [0] * len(datasets)
    for dataset in datasets:
        depth[dataset.index] = 0 if dataset.parent is None else depth[dataset.parent] + 1
    order = {"bundle": 0, "volume": 0, "collection": 1}
    groups: dict[tuple[int, str], list[int]] = defaultdict(list)
    for dataset in datasets:
        if dataset.key:
            groups[(order.get(dataset.kind, 2), dataset.key)].append(dataset.index)
    for _, indexes in sorted(groups.items(), key=lambda g: (g[0][0], min(depth[i] for i in g[1]), g[0][1])):
        undecided = [i for i in indexes if not decisions[i].final and decisions[i].state == "shown"]
        _group(undecided, datasets, decisions, findings)
    for dataset in datasets:  # nights and declared directories have no versions of their own
        if dataset.parent is None or dataset.key or decisions[dataset.index].state != "shown":
            continue
        above = decisions[dataset.parent]
        if above.state == "hidden":
            _inherit(datasets, decisions, dataset.index, dataset.parent)


def _inherit(datasets: Sequence[Dataset], decisions: list[Decision], index: int, parent: int) -> None:
    decision = decisions[index]
    decision.state, decision.by, decision.winner = "hidden", "inherited", decisions[parent].winner
    decision.reason = f"inside {datasets[parent].name}, which is hidden"


def _lost_ancestor(datasets: Sequence[Dataset], decisions: list[Decision], index: int) -> int | None:
    parent = datasets[index].parent
    while parent is not None:
        if decisions[parent].state == "hidden":
            return parent
        parent = datasets[parent].parent
    return None


def _listed(datasets: Sequence[Dataset], decisions: list[Decision], index: int, ancestor: int) -> bool:
    """The bundle that won still lists this dataset as a member."""
    winner = decisions[ancestor].winner
    if winner is None or datasets[winner].kind != "bundle":
        return False
    dataset = datasets[index]
    for member in datasets[winner].members:
        lid, version = split_lidvid(member)
        if lid == dataset.key and version in ("", dataset.version_text):
            return True
    return False


def _group(indexes: list[int], datasets: Sequence[Dataset], decisions: list[Decision], findings: Findings) -> None:
    """All copies of one identity that rules left."""
    shadows = {i: a for i in indexes if (a := _lost_ancestor(datasets, decisions, i)) is not None}
    live = [i for i in indexes if i not in shadows]
    floor = max((datasets[i].version or (-1,) for i in live), default=None)
    for index, ancestor in shadows.items():
        version = datasets[index].version
        newer = floor is not None and version is not None and version > floor
        orphan = floor is None and _listed(datasets, decisions, index, ancestor)
        if newer or orphan:
            live.append(index)
            findings.add(
                "info",
                "kept-from-superseded",
                f"{datasets[index].name} is shown although {datasets[ancestor].name} around it is superseded: "
                + ("it is newer than the copy elsewhere" if newer else "the newer bundle lists it and has no copy"),
                [f"{datasets[index].layer.source}:{datasets[index].root}"],
            )
        else:
            _inherit(datasets, decisions, index, ancestor)
    known = [i for i in live if datasets[i].version is not None]
    if not known:
        return
    best = max(datasets[i].version or () for i in known)
    top = sorted((i for i in known if datasets[i].version == best), key=lambda i: rank(datasets[i]))
    for index in known:
        if datasets[index].version != best:
            decision = decisions[index]
            decision.state, decision.by, decision.winner = "hidden", "version", top[0]
            decision.reason, decision.superseded = f"{datasets[top[0]].name} is newer", True
            findings.add(
                "info",
                "superseded",
                f"{datasets[index].name} is superseded by {datasets[top[0]].name}",
                [f"{datasets[index].layer.source}:{datasets[index].root}"],
            )
    parts: dict[str, list[int]] = defaultdict(list)
    for index in top:
        parts[datasets[index].part].append(index)
    for members in parts.values():
        _merge(members, datasets, decisions, findings)


def _merge(members: list[int], datasets: Sequence[Dataset], decisions: list[Decision], findings: Findings) -> None:
    """Copies of one version, in order of precedence: the newest edition of a volume, else merged into the first."""
    edition = max(datasets[i].edition for i in members)
    newest = [i for i in members if datasets[i].edition == edition]
    first = newest[0]
    for index in members:
        decision = decisions[index]
        if index == first:
            continue
        decision.winner = first
        if datasets[index].edition != edition:
            decision.state, decision.by, decision.superseded = "hidden", "version", True
            decision.reason = f"another copy of {datasets[first].name} is a newer edition of the volume"
        else:
            decision.state, decision.by = "merged", "precedence"
            decision.reason = (
                f"the same version as the copy from {datasets[first].layer.source}: files merge, the earlier layer wins"
            )
    if len(newest) > 1:
        findings.add(
            "info",
            "overlap",
            f"{datasets[first].name} is in {len(newest)} places and merged in {datasets[first].place or '.'}",
            [f"{datasets[i].layer.source}:{datasets[i].root}" for i in newest],
        )
