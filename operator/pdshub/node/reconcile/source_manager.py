"""The mounts of all sources that known views name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from pdshub.node.reconcile.actions import Actions
from pdshub.node.source.source_mount import MountContext, SourceMount, State
from pdshub.node.spec import View


class SourceManager:
    """One SourceMount for each source, whatever number of views call it. `mounts`: by the source's digest."""

    def __init__(self, context: MountContext) -> None:
        """`context`: what all mounts are made with."""
        self.mounts: dict[str, SourceMount] = {}
        self._context = context

    def states(self, view: View) -> dict[str, State]:
        """Name of a source of the view -> its state, for those that are mounted or being so."""
        return {s.name: self.mounts[s.digest].state for s in view.sources if s.digest in self.mounts}

    def connecting(self, view: View) -> frozenset[str]:
        """Names of the sources whose first attempt to mount has not ended."""
        return frozenset(s.name for s in view.sources if s.digest in self.mounts and self.mounts[s.digest].connecting)

    async def keep(self, views: Collection[View], more: Mapping[str, set[str]], actions: Actions | None) -> None:
        """Mount what the views name. `more`: directories to look at beside those of the views' trees, by the source's
        digest. With `actions` sources that no view has any more are let go."""
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
            if digest not in self.mounts:
                self.mounts[digest] = SourceMount(source, self._context)
            self.mounts[digest].need(frozenset(layers[digest]))
        if actions is None:
            return
        helper = self._context.helper
        for path in (self._context.layout.plugin / "sources").iterdir():
            if path.name in wanted:
                continue
            if path.name in self.mounts:
                await self.mounts.pop(path.name).stop()
            helper.forget(path.name)
            self._context.keys.forget(path.name)
            await actions.attempt("unmount", point=str(path))
        for digest in self.mounts.keys() - wanted.keys():
            await self.mounts.pop(digest).stop()
            helper.forget(digest)

    async def close(self) -> None:
        """Probe no source any more; mounts stay."""
        for mount in self.mounts.values():
            await mount.stop()
