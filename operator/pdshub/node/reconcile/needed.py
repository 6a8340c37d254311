"""Which generations this node needs, and which directories of the sources they are made of. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pdshub.node.reconcile.view_health import Showing
from pdshub.node.spec import View
from pdshub.node.store.content_cache import Wanted
from pdshub.node.store.fetch import Where
from pdshub.node.store.generations import Generation


def to_fetch(views: Iterable[View]) -> dict[str, Where]:
    """Released generation -> the surveyor that has it."""
    return {view.released.name: Where(view.surveyor, view.name) for view in views if view.released}


def to_travel(views: Iterable[View]) -> dict[str, Wanted]:
    """Released generation -> what travels with it, and the surveyor that has that."""
    return {
        view.released.name: Wanted(Where(view.surveyor, view.name), view.released.content.digest)
        for view in views
        if view.released and view.released.content
    }


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


def to_evict(
    views: Iterable[View],
    published: Collection[str],
    showing: Mapping[str, Showing],
    stored: Mapping[str, Generation],
    sizes: Mapping[str, int],
    missing: Mapping[str, int],
) -> dict[str, list[str]]:
    """Released generation of a published view -> the stored ones that give way to it, the oldest first.

    `published`: names of views that pods of this node have. `sizes`: bytes of what is stored. `missing`: bytes that a
    generation lacks to be fetched. What published views have, or shall have, stays. Where the rest is not enough,
    nothing goes in vain.
    """
    wanted = {view.released.name for view in views if view.released and view.name in published}
    seen = {name for view in published for name in _shown(showing.get(view, Showing()))}
    # the last that new pods of a published view could be given, released or not
    own = {found.name for found in stored.values() if found.view in published}
    free = [found for found in stored.values() if found.name not in wanted | seen | own]
    free.sort(key=lambda found: (found.as_of, found.name), reverse=True)
    result: dict[str, list[str]] = {}
    for name in sorted(wanted & missing.keys(), key=lambda name: (missing[name], name)):
        going: list[str] = []
        while free and sum(sizes.get(one, 0) for one in going) < missing[name]:
            going.append(free.pop().name)
        if sum(sizes.get(one, 0) for one in going) < missing[name]:
            break
        result[name] = going
    return result


def _shown(showing: Showing) -> tuple[str, ...]:
    return (showing.current, *showing.targets.values())


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
