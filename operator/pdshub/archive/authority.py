"""Who wins: datasets and rules in, one decision with its reason for each dataset out. Pure.

Order: explicit rules; then label versions within one identity; then the order of layers. A dataset that lost
disappears whole, with what lies inside it, except a nested dataset that is itself the newest of its identity, or
that the newer bundle still lists as a member and that exists nowhere else.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from pdshub.api.authority import Authority
from pdshub.archive.datasets import Dataset
from pdshub.archive.decision import Decision, rank
from pdshub.archive.findings import Findings
from pdshub.archive.refs import resolve
from pdshub.archive.versions import decide_versions


def decide(
    datasets: Sequence[Dataset], authority: Authority, sources: Sequence[str], findings: Findings
) -> list[Decision]:
    """One decision for each dataset, in their order."""
    decisions = [Decision() for _ in datasets]
    children: dict[int, list[int]] = defaultdict(list)
    for dataset in datasets:
        if dataset.parent is not None:
            children[dataset.parent].append(dataset.index)
    keep = _explicit(datasets, authority, sources, decisions, findings)
    for dataset in datasets:  # parents come before children
        if dataset.parent is None or dataset.index in keep:
            continue
        above = decisions[dataset.parent]
        if above.state == "hidden" and decisions[dataset.index].state != "hidden":
            decisions[dataset.index] = _inherited(datasets, dataset.parent, above)
    decide_versions(datasets, decisions, findings)
    while _places(datasets, decisions, findings):
        pass  # a copy took the home of one that lost its place; it may meet another there
    if authority.superseded == "sibling":
        for decision in decisions:
            if decision.state == "hidden" and decision.superseded:
                decision.state = "sibling"
        for dataset in datasets:  # what lies inside goes with it
            decision = decisions[dataset.index]
            if decision.by == "inherited" and dataset.parent is not None:
                above = decisions[dataset.parent]
                if above.state == "sibling":
                    decision.state, decision.winner = "sibling", above.winner
    return decisions


def _inherited(datasets: Sequence[Dataset], parent: int, above: Decision) -> Decision:
    return Decision(
        "hidden", "inherited", f"inside {datasets[parent].name}, which is hidden", above.winner, final=above.final
    )


def _explicit(
    datasets: Sequence[Dataset],
    authority: Authority,
    sources: Sequence[str],
    decisions: list[Decision],
    findings: Findings,
) -> set[int]:
    """Applies the rules; returns the datasets that a rule names as winner (they outlive an enclosing loser)."""
    beaten: dict[int, dict[int, int]] = defaultdict(dict)  # loser -> {winner: rule}
    keep: set[int] = set()
    for number, rule in enumerate(authority.rules):
        what = f"rule {number + 1}"
        if rule.supersedes:
            winners = resolve(rule.supersedes.winner, datasets, sources)
            losers = resolve(rule.supersedes.loser, datasets, sources) - winners
            if not winners or not losers:
                side = "winner" if not winners else "loser"
                findings.add(
                    "warning",
                    "rule-without-effect",
                    f"{what}: no dataset is its {side} ({getattr(rule.supersedes, side)})",
                )
                continue
            for loser in losers:
                for winner in winners:
                    beaten[loser].setdefault(winner, number)
        elif rule.hide:
            hidden = resolve(rule.hide, datasets, sources)
            if not hidden:
                findings.add("warning", "rule-without-effect", f"{what}: nothing to hide ({rule.hide})")
            for index in hidden:
                decisions[index] = Decision("hidden", "rule", _why(f"{what} hides it", rule.reason), final=True)
        elif rule.pin:
            named = resolve(rule.pin.dataset, datasets, sources)
            held = {
                i
                for i in named
                if rule.pin.version in (None, datasets[i].version_text)
                and rule.pin.source in (None, datasets[i].layer.source)
            }
            if not held:
                findings.add(
                    "warning",
                    "rule-without-effect",
                    f"{what}: nothing has {rule.pin.version or rule.pin.source} ({rule.pin.dataset})",
                )
                continue
            best = min(held, key=lambda i: rank(datasets[i]))
            for index in named - held:
                decisions[index] = Decision(
                    "hidden", "rule", _why(f"{what} pins {datasets[best].name}", rule.reason), best, True
                )
            keep |= held
    circular = _circular(beaten)
    if circular:
        findings.add(
            "error",
            "rules-contradict",
            "rules supersede each other in a circle and were not applied",
            sorted({datasets[i].name for i in circular}),
        )
    for loser, by in sorted(beaten.items()):
        real = {
            w: n
            for w, n in by.items()
            if not (loser in circular and w in circular) and not (decisions[w].final and not decisions[w].superseded)
        }
        if real:
            winner = min(real, key=lambda i: rank(datasets[i]))
            number = real[winner]
            reason = _why(f"rule {number + 1}: {datasets[winner].name} supersedes it", authority.rules[number].reason)
            if decisions[loser].state == "shown":
                decisions[loser] = Decision("hidden", "rule", reason, winner, True, True)
            keep |= set(real)
    return {i for i in keep if decisions[i].state == "shown"}


def _why(text: str, reason: str) -> str:
    return f"{text} ({reason})" if reason else text


def _circular(beaten: dict[int, dict[int, int]]) -> set[int]:
    """Datasets that, over any number of rules, supersede themselves (nodes of cycles; Tarjan, iterative)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found: set[int] = set()
    for start in beaten:
        if start in order:
            continue
        work: list[tuple[int, list[int]]] = [(start, sorted(beaten[start]))]
        order[start] = low[start] = len(order)
        stack.append(start)
        on_stack.add(start)
        while work:
            node, rest = work[-1]
            if rest:
                nxt = rest.pop()
                if nxt not in order:
                    order[nxt] = low[nxt] = len(order)
                    stack.append(nxt)
                    on_stack.add(nxt)
                    work.append((nxt, sorted(beaten.get(nxt, {}))))
                elif nxt in on_stack:
                    low[node] = min(low[node], order[nxt])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[node])
            if low[node] == order[node]:
                members: list[int] = []
                while True:
                    members.append(stack.pop())
                    on_stack.discard(members[-1])
                    if members[-1] == node:
                        break
                if len(members) > 1:
                    found.update(members)
    return found


def _places(datasets: Sequence[Dataset], decisions: list[Decision], findings: Findings) -> bool:
    """Two different datasets at one place of the tree: the earlier layer's is shown, the other hidden whole.

    True when another copy of a hidden dataset was promoted, so that places must be looked at again.
    """
    promoted = False
    at: dict[str, list[int]] = defaultdict(list)
    for dataset in datasets:
        if dataset.key and decisions[dataset.index].state == "shown":
            at[dataset.place].append(dataset.index)
    for place, indexes in sorted(at.items()):
        if len(indexes) < 2:
            continue
        first, *rest = sorted(indexes, key=lambda i: rank(datasets[i]))
        for index in rest:
            if _related(datasets[first].key, datasets[index].key):
                continue
            decisions[index] = Decision(
                "hidden", "precedence", f"{datasets[first].name} has its place by the order of layers", first
            )
            findings.add(
                "error",
                "place-taken",
                f"{datasets[index].name} from {datasets[index].layer.source} is hidden:"
                f" {datasets[first].name} from {datasets[first].layer.source} has the same place; "
                "write a rename rule to show both",
                [place],
            )
            for child in _below(datasets, index):
                if decisions[child].state == "shown":
                    decisions[child] = _inherited(datasets, index, decisions[index])
            copies = [
                d.index for d in datasets if decisions[d.index].state == "merged" and decisions[d.index].winner == index
            ]
            for number, copy in enumerate(sorted(copies, key=lambda i: rank(datasets[i]))):
                if number == 0:
                    decisions[copy], heir, promoted = Decision(), copy, True
                else:
                    decisions[copy].winner = heir
    return promoted


def _below(datasets: Sequence[Dataset], top: int) -> Iterable[int]:
    inside = {top}
    for dataset in datasets[top + 1 :]:
        if dataset.parent in inside:
            inside.add(dataset.index)
            yield dataset.index


def _related(a: str, b: str) -> bool:
    """The same identity, or a bundle and a collection of it."""
    return a == b or a.startswith(b + ":") or b.startswith(a + ":")
