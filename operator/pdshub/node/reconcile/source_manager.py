"""The keepers of all sources that known views name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pdshub.node.layout import Layout
from pdshub.node.reconcile.actions import Actions
from pdshub.node.source.policy import Policy
from pdshub.node.source.source_mount import Helper, Keeper, State
from pdshub.node.spec import View


class Keepers:
    def __init__(
        self, layout: Layout, policy: Callable[[], Policy], helper: Helper, changed: Callable[[], None]
    ) -> None:
        self.keepers: dict[str, Keeper] = {}  # by the source's digest
        self._layout, self._policy, self._helper, self._changed = layout, policy, helper, changed

    def states(self, view: View) -> dict[str, State]:
        return {s.name: self.keepers[s.digest].state for s in view.sources if s.digest in self.keepers}

    def connecting(self, view: View) -> frozenset[str]:
        """Names of the sources whose first attempt to mount has not ended."""
        return frozenset(s.name for s in view.sources if s.digest in self.keepers and self.keepers[s.digest].connecting)

    async def keep(self, views: Collection[View], more: Mapping[str, set[str]], actions: Actions | None) -> None:
        """`more`: directories to look at beside those of the views' trees, by the source's digest. With `actions`
        sources that no view has any more are let go."""
        layers: dict[str, set[str]] = {}
        wanted = {}
        for view in views:
            for source in view.sources:
                wanted[source.digest] = source
                layers.setdefault(source.digest, {"."}).update(more.get(source.digest, ()))
            for entry in view.tree:
                for layer in entry.layers:
                    layers[view.source(layer.source).digest].add(layer.path)
        for digest, source in wanted.items():
            if digest not in self.keepers:
                self.keepers[digest] = Keeper(source, self._layout, self._policy, self._helper, self._changed)
            self.keepers[digest].need(frozenset(layers[digest]))
        if actions is None:
            return
        for path in (self._layout.plugin / "sources").iterdir():
            if path.name in wanted:
                continue
            if path.name in self.keepers:
                await self.keepers.pop(path.name).stop()
            self._helper.forget(path.name)
            await actions.attempt("unmount", point=str(path))
        for digest in self.keepers.keys() - wanted.keys():
            await self.keepers.pop(digest).stop()
            self._helper.forget(digest)

    async def close(self) -> None:
        for keeper in self.keepers.values():
            await keeper.stop()
