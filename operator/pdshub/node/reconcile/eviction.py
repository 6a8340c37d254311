"""Makes room on the disk: what no pod of this node has gives way to a generation that pods shall see."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping

from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo
from pdshub.node.mount.locks import Locks
from pdshub.node.reconcile import needed
from pdshub.node.reconcile.actions import Actions
from pdshub.node.reconcile.observe import built, observe
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.spec import View
from pdshub.node.store.cache import GenerationCache
from pdshub.node.store.generations import Generation

log = logging.getLogger(__name__)

_PATIENCE = 2.0  # seconds for a view that something is done with


class Eviction:
    """Takes catalogs away that are mounted for nobody, and their images."""

    def __init__(self, layout: Layout, cache: GenerationCache, actions: Actions, locks: Locks) -> None:
        """`locks`: by view, of whoever changes what is mounted for it."""
        self._layout, self._cache, self._actions, self._locks = layout, cache, actions, locks

    async def make_room(
        self,
        views: Collection[View],
        published: Collection[str],
        showing: Mapping[str, Showing],
        stored: Mapping[str, Generation],
    ) -> None:
        """Drop what has to go, if that is enough, and let those that wait try again.

        `published`: names of views that pods of this node have, or are about to. Raises OSError.
        """
        short = {name: failed for name, failed in self._cache.failures.items() if failed.missing}
        if not short:
            return
        missing = {name: failed.missing for name, failed in short.items()}
        sizes = self._cache.store.sizes()
        for name, going in needed.to_evict(views, published, showing, stored, sizes, missing).items():
            others = [view.name for view in views if view.name not in published]
            if all([await self._drop(one, others) for one in going]):
                self._cache.room.reserve(name, short[name].needed)
                self._cache.again(name)

    async def _drop(self, generation: str, views: Collection[str]) -> bool:
        """Whether it is gone: its catalogs of these views, then its files."""
        try:
            for view in views:
                async with asyncio.timeout(_PATIENCE), self._locks(view):
                    entries = observe(mountinfo.read(), self._layout, view).entries
                    for key, one in built(self._layout, view, entries).items():
                        if one.generation == generation:
                            await self._actions.attempt("drop", point=str(self._layout.entry(view, key)))
        except TimeoutError:
            return False
        log.info("generation %s gives way: no pod of this node has its view", generation)
        self._cache.store.drop(generation)
        return True
