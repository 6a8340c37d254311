"""What a node says of a view: the files in .pdshub for users, a part of the report for the operator. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.node.reconcile.desired import Story
from pdshub.node.reconcile.for_users import UNMOUNTABLE, source_state
from pdshub.node.reconcile.plan import Actual, Want
from pdshub.node.reconcile.select_generation import LIVE, Built, Decision, Known
from pdshub.node.source.source_mount import State
from pdshub.node.spec import View
from pdshub.node.store.generations import Generation


@dataclass(frozen=True)
class Showing:
    """`current`: what targets show unless they keep something else (a generation, LIVE, or empty: nothing yet)."""

    current: str = ""
    form: str = ""  # catalog | catalog-merged | live
    targets: Mapping[str, str] = field(default_factory=dict)  # target -> what it shows
    fetching: str = ""  # the released generation, until it is here
    held: frozenset[str] = frozenset()  # targets whose former tree is in use


def showing_of(
    decision: Decision, known: Known, entries: Collection[str], held: frozenset[str], fetching: str
) -> Showing:
    """Once the decision's catalogs are built, the switch to them is a moment away."""
    catalogs = [want for want in decision.wants.values() if want.generation]
    ready = all(want.key in entries and not want.waits for want in catalogs)
    common = [of for target, of in known.shown.items() if of and target not in decision.own]
    current = decision.generation if ready or not common else common[0]
    forms = [known.built[want.key].form for want in catalogs if want.key and want.key in known.built]
    return Showing(current, forms[0] if forms else "", known.shown, fetching, held)


def document(
    view: View, what: str, form: str, generation: Generation | None, content: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """generation.json of one target. `content`: what travels with it, and is here."""
    base: dict[str, Any] = {"view": view.name, "folder": view.folder, "generation": None, "form": form}
    if what in (LIVE, ""):
        return {**base, "form": what}
    base["generation"] = what
    if generation:
        as_of = view.released.as_of if view.released and view.released.name == what else ""
        base |= {"asOf": as_of or generation.as_of, "counts": generation.counts}
        base |= {"content": dict(content)} if content else {}
    return base


def contents_shown(actual: Actual, catalogs: Mapping[str, Built]) -> dict[str, str]:
    """Generation -> digest of the content that every target has which shows the generation; what is not in all of them
    yet is not said. `catalogs`: those that are built, by key."""
    by_device = {actual.entries[key][0]: one for key, one in catalogs.items() if key in actual.entries}
    found: dict[str, set[str]] = {}
    for points in actual.targets.values():
        for contents in points.values():
            if contents and (one := by_device.get(contents[-1][0])):
                found.setdefault(one.generation, set()).add(one.content)
    return {
        generation: digests.pop() for generation, digests in found.items() if len(digests) == 1 and "" not in digests
    }


def documents(
    view: View, showing: Showing, stored: Mapping[str, Generation], contents: Mapping[str, Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """generation.json of all, and by folder name those of targets that keep something else. `contents`: generation ->
    what travels with it and is mounted."""

    def of(what: str, form: str) -> dict[str, Any]:
        return document(view, what, form, stored.get(what), contents.get(what))

    others = {what for what in showing.targets.values() if what and what != showing.current}
    current = of(showing.current, showing.form)
    return current, {what.removeprefix("sha256:"): of(what, "catalog") for what in sorted(others)}


def view_document(name: str, view: View | None, showing: Showing) -> dict[str, Any]:
    """view.json: the tree by names of sources. Where these are, and who reads them, is not for users."""
    if view is None:
        return {"name": name}
    return {
        "name": name,
        "generation": view.spec_generation,
        "form": report(showing)["form"],
        "folder": view.folder,
        "sources": [source.name for source in view.sources],
        "tree": [
            {
                "path": entry.path,
                "live": entry.live,
                "layers": [{"source": layer.source, "path": layer.path} for layer in entry.layers],
            }
            for entry in view.tree
        ],
    }


def health_document(
    story: Story, states: Mapping[str, State], wants: Mapping[str, Want], failed: Collection[str]
) -> dict[str, Any]:
    """health.json, in words for users. `failed`: keys of entries that could not be built."""
    return {
        "ready": story.ready,
        "message": story.told,
        "sources": {n: {"ready": s.ready, "mode": s.mode, "message": source_state(s)} for n, s in states.items()},
        "tree": {at: one.told or (UNMOUNTABLE if one.key in failed else "ready") for at, one in wants.items()},
    }


def report(showing: Showing) -> dict[str, Any]:
    """The report's part. `shown`: generation (or "live") -> number of targets."""
    return {
        "shows": showing.current,
        "form": showing.form or ("live" if showing.current == LIVE else "catalog"),
        "fetching": showing.fetching,
        "shown": dict(Counter(of for of in showing.targets.values() if of)),
        "held": len(showing.held & showing.targets.keys()),
    }


def mounted_points(decision: Decision, actual: Actual) -> frozenset[str]:
    """Mount points that show something in every target (or are built, where nothing is published)."""
    targets = [points for target, points in actual.targets.items() if target not in decision.own]
    return frozenset(
        at
        for at, one in decision.wants.items()
        if one.key in actual.entries and one.placed and all(points.get(at) for points in targets)
    )
