"""Which generations this node needs, and which directories of the sources they are made of. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pdshub.node.reconcile.view_health import Showing
from pdshub.node.spec import View
from pdshub.node.store.fetch import Where
from pdshub.node.store.generations import Generation


def to_fetch(views: Iterable[View]) -> dict[str, Where]:
    """Released generation -> the surveyor that has it."""
    return {view.released.name: Where(view.surveyor, view.name) for view in views if view.released}


def to_keep(
    views: Iterable[View],
    showing: Mapping[str, Showing],
    stored: Mapping[str, Generation],
    unsure: Collection[str],
    mounted: Collection[str],
) -> set[str]:
    """What is released, shown or mounted.

    Of a view in `unsure` (by name), which is not known for certain now, all that is stored is needed: it is under way,
    looking at it failed or its spec can't be read.
    """
    released = {view.released.name for view in views if view.released}
    seen = {name for one in showing.values() for name in (one.current, *one.targets.values())}
    theirs = {found.name for found in stored.values() if found.view in unsure}
    return released | seen | theirs | set(mounted)


def directories(
    views: Iterable[View], showing: Mapping[str, Showing], stored: Mapping[str, Generation]
) -> dict[str, set[str]]:
    """Digest of a source -> its directories that the catalogs of stored generations join."""
    found: dict[str, set[str]] = {}
    for view in views:
        digests = {source.name: source.digest for source in view.sources}
        said = showing.get(view.name, Showing())
        names = {view.released.name if view.released else "", said.current, *said.targets.values()}
        for generation in stored.values():
            if generation.name not in names and generation.view != view.name:
                continue
            for layer in generation.data:
                if layer.source in digests:
                    found.setdefault(digests[layer.source], set()).add(layer.path)
    return found
