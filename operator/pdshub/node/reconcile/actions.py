"""Steps of the plan -> calls of the worker. What may hang is a process of its own; what is quick shares one worker."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pdshub.node.layout import Layout
from pdshub.node.mount import volume_root, worker
from pdshub.node.reconcile.plan import Attach, Build, Detach, Drop, Step, Switch
from pdshub.node.spec import Source, View
from pdshub.node.store.contents import Contents
from pdshub.node.store.generations import Generation, Store

log = logging.getLogger(__name__)

Point = tuple[str, str]  # target, mount point below it
_BUILD_SECONDS = 20.0


class Actions:
    """Does steps; `failed` says why an entry (by its key) could not be built."""

    def __init__(self, layout: Layout, store: Store, contents: Contents) -> None:
        """`store`: the generations whose catalogs are built; `contents`: what travels with them."""
        self._layout, self._store, self._contents = layout, store, contents
        self._worker = worker.PersistentWorker()
        self.failed: dict[str, str] = {}
        self.switches = 0  # of targets

    async def do(self, view: View, steps: Sequence[Step], held: set[Point]) -> bool:
        """Returns whether the mount table may have changed. `held` gets the points whose old tree is in use."""
        progress = False
        for kind, group in itertools.groupby(steps, _alike):
            if kind is not None:
                progress |= await self._together(view, list(group), held)  # type: ignore[arg-type]
                continue
            for step in group:
                progress |= await self._one(view, step, held)
        return progress

    def _origin(self, view: View, key: str) -> str:
        if key.startswith("note-"):
            return str(self._layout.volume_root(view.name) / volume_root.GENERATIONS / key.removeprefix("note-"))
        return str(self._layout.entry(view.name, key))

    async def _one(self, view: View, step: Step, held: set[Point]) -> bool:
        above = str(self._layout.volume_root(view.name))
        match step:
            case Build():
                return await self._build(view, step)
            case Attach(target, at, key, sub):
                origin = self._origin(view, key)
                done = await self.attempt("attach", origin=origin, target=target, at=at, root=above, sub=sub)
                return done is not False
            case Drop(key):
                return await self.attempt("drop", point=str(self._layout.entry(view.name, key))) is not False
        return False

    async def _together(self, view: View, steps: Sequence[Switch | Detach], held: set[Point]) -> bool:
        """The same for many targets, in one call."""
        first, above = steps[0], str(self._layout.volume_root(view.name))
        if isinstance(first, Switch):
            points: list[list[object]] = [[s.target, s.at, s.depth] for s in steps if isinstance(s, Switch)]
            origin, sub = self._origin(view, first.key), first.sub
            results = await self.attempt("switch", origin=origin, points=points, root=above, lazy=first.lazy, sub=sub)
        else:
            points = [[s.target, s.at] for s in steps]
            results = await self.attempt("detach", points=points, root=above, lazy=first.lazy)
        if not isinstance(results, list):
            return False
        for step, result in zip(steps, results, strict=True):
            if result == "held":
                held.add((step.target, step.at))
            elif result == "switched":
                self.switches += 1
            else:
                log.warning("%s: %s", type(first).__name__.lower(), result)
        return "switched" in results

    async def _build(self, view: View, step: Build) -> bool:
        described = [asdict(layer) for layer in step.layers]
        point = str(self._layout.entry(view.name, step.key))
        try:
            if step.generation:
                how = await self._build_catalog(view, step, described, point)
            else:
                how = await worker.once(
                    "build", _BUILD_SECONDS,
                    layers=[
                        [str(self._layout.source(d["source"])), d["path"], d["identity"], d["run_as"]]
                        for d in described
                    ],
                    point=point, empty=str(self._layout.empty), note={"layers": described},
                )  # fmt: skip
        except OSError as error:
            text = f"mounting failed: {error.strerror or error}"
            if self.failed.get(step.key) != text:
                log.warning("view %s: building %s: %s", view.name, step.generation or described, error)
            self.failed[step.key] = text
            return False
        self.failed.pop(step.key, None)
        log.info("view %s: built %s as %s %s", view.name, step.key, how, step.generation)
        return True

    async def _build_catalog(self, view: View, step: Build, layers: list[dict[str, Any]], point: str) -> str:
        generation = self._store.get(step.generation)
        if generation is None:
            raise OSError(f"generation {step.generation} is not here any more")
        folder, images, packs = self._store.path(generation.name), generation.images, tuple[Path, ...]()
        if step.content:
            held = self._contents.get(folder)
            if held is None or held.digest != step.content:
                raise OSError(f"what travels with generation {step.generation} is not here any more")
            folder, images, packs = held.folder, held.content.images, held.packs
        done = await worker.once(
            "build_catalog", _BUILD_SECONDS, point=point, generation=generation.name, nested=generation.nested,
            top=generation.top, empty=str(self._layout.empty), cover=step.cover,
            note={"generation": generation.name, "layers": layers, "cover": step.cover, "content": step.content},
            images=[{"path": str(folder / i.name), "source": i.source} for i in images],
            data=self._data(view, generation, layers), packs=[str(path) for path in packs],
        )  # fmt: skip
        return str(done)

    def _data(self, view: View, generation: Generation, layers: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        sources = {source.digest: source for source in view.sources}
        return [
            {
                "source": layer.source, "base": str(self._layout.source(at["source"])), "path": at["path"],
                "identity": at["identity"], **_mounted_as(sources.get(at["source"])),
            }
            for layer, at in zip(generation.data, layers, strict=True)
        ]  # fmt: skip

    async def attempt(self, do: str, **arguments: object) -> object:
        """False if it failed; the next turn tries again."""
        try:
            return await self._worker.call(do, **arguments)
        except OSError as error:
            log.warning("%s %s: %s", do, arguments.get("point") or arguments.get("target"), error)
            return False

    async def close(self) -> None:
        """End the worker."""
        await self._worker.close()


def _mounted_as(source: Source | None) -> dict[str, Any]:
    """How a source's directory is mounted once more, for a catalog alone."""
    if source is None:
        return {}
    nfs = {
        "server": source.server, "export": source.export, "port": source.port, "version": source.version,
        "device": source.device_name,
    }  # fmt: skip
    return {"runAs": source.run_as, "nfs": nfs if source.nfs else None}


def _alike(step: Step) -> object:
    """Switches to one content go together, and what is taken away."""
    match step:
        case Switch():
            return (step.key, step.sub, step.lazy)
        case Detach():
            return step.lazy
    return None
