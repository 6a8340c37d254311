"""Level-triggered: compare what shall be mounted with the mount table, do the next steps, look again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

from pdshub.node import front, mountinfo, workers
from pdshub.node.feed import Feed
from pdshub.node.layout import Layout
from pdshub.node.plan import Actual, Attach, Build, Content, Detach, Drop, Step, Switch, Want, plan
from pdshub.node.policy import PolicyFile
from pdshub.node.sources import CONNECTING_SECONDS, Helper, Keeper, State
from pdshub.node.spec import View
from pdshub.node.wants import Story, tell, wants

log = logging.getLogger(__name__)


def observe(mounts: list[mountinfo.Mount], layout: Layout, view: str) -> Actual:
    """The actual state of one view, from the mount table."""
    entries: dict[str, Content] = {}
    prefix = f"{layout.entries(view)}/"
    for mount in mounts:
        key, _, rest = mount.point.removeprefix(prefix).partition("/")
        if mount.point.startswith(prefix) and rest == "mnt":
            entries[key] = mount.content
    found: dict[str, dict[str, tuple[Content, ...]]] = {}
    for target, of in front.targets(mounts, layout).items():
        if of != view:
            continue
        points = {m.point for m in mounts if m.point.startswith(target + "/")}
        found[target] = {
            point.removeprefix(target + "/"): tuple(m.content for m in mountinfo.stack(mounts, point))
            for point in points
        }
    return Actual(entries, found)


class Reconciler:
    """Owns the keepers of all sources and one lane for work on targets."""

    def __init__(self, layout: Layout, policy: PolicyFile, helper: Helper, hold_seconds: float = 60) -> None:
        self.layout, self._policy, self._helper, self._hold = layout, policy, helper, hold_seconds
        self.feed: Feed = Feed(self.wake)
        self.keepers: dict[str, Keeper] = {}
        self.stories: dict[str, Story] = {}
        self.target_count: dict[str, int] = {}
        self.last_turn = 0.0  # monotonic
        self.known: dict[str, View] = {}  # with those deleted from the API while pods still use them
        self._busy_since: dict[tuple[str, str], float] = {}
        self._failed: dict[str, str] = {}  # an entry's key -> why it could not be built
        self._arrive_by: dict[str, float] = {}  # a view -> (monotonic) until when what it lacks may be on its way
        self._locks: dict[str, asyncio.Lock] = {}
        self._lane = workers.Lane()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        while True:
            try:
                await self.turn()
            except Exception:
                log.exception("reconcile")
            self.last_turn = time.monotonic()
            try:
                async with asyncio.timeout(0.5 if self._busy_since else 3):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    def states(self, view: View) -> dict[str, State]:
        return {s.name: self.keepers[s.digest].state for s in view.sources if s.digest in self.keepers}

    def connecting(self, view: View) -> frozenset[str]:
        """Names of the sources whose first attempt to mount has not ended."""
        return frozenset(s.name for s in view.sources if s.digest in self.keepers and self.keepers[s.digest].connecting)

    def arriving(self, view: View) -> bool:
        """Not whole yet, but nothing has failed: its sources are connecting, or what they have is being mounted."""
        story = self.stories.get(view.name)
        if story is None or self.connecting(view):
            return story is None or not story.ready
        return story.pending and time.monotonic() < self._arrive_by.get(view.name, 0)

    def remember(self, name: str, story: Story, connecting: bool) -> None:
        """Keep a view's story; what it lacks may take a while once its sources have stopped connecting."""
        if story.ready:
            self._arrive_by.pop(name, None)
        elif connecting or name not in self._arrive_by:
            self._arrive_by[name] = time.monotonic() + CONNECTING_SECONDS
        self.stories[name] = replace(story, pending=not story.ready and (connecting or story.pending))

    async def turn(self) -> None:
        mounts = mountinfo.read()
        published = set(front.targets(mounts, self.layout).values())
        # A deleted view stays as it was for the pods that have it, until the last is gone.
        kept = {name: view for name, view in self.known.items() if name in published}
        self.known = kept | self.feed.views
        await self._keep_sources()
        leftover = {path.name for path in self.layout.views.iterdir()} - self.known.keys() - published
        for name in leftover if self.feed.live else ():
            await self._remove_view(name)
        await asyncio.gather(*(self.settle(name) for name in self.known.keys() | published | self.feed.problems.keys()))

    async def _keep_sources(self) -> None:
        layers: dict[str, set[str]] = {}
        wanted = {}
        for view in self.known.values():
            for source in view.sources:
                wanted[source.digest] = source
                layers.setdefault(source.digest, {"."})
            for entry in view.tree:
                for layer in entry.layers:
                    layers[view.source(layer.source).digest].add(layer.path)
        for digest, source in wanted.items():
            if digest not in self.keepers:
                self.keepers[digest] = Keeper(source, self.layout, self._policy.current, self._helper, self.wake)
            self.keepers[digest].need(frozenset(layers[digest]))
        if not self.feed.live:
            return
        for path in (self.layout.plugin / "sources").iterdir():
            if path.name in wanted:
                continue
            if path.name in self.keepers:
                await self.keepers.pop(path.name).stop()
            self._helper.forget(path.name)
            await self._try("unmount", point=str(path))
        for digest in self.keepers.keys() - wanted.keys():
            await self.keepers.pop(digest).stop()
            self._helper.forget(digest)

    async def settle(self, name: str) -> None:
        """Bring one view as far as it can be brought now."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            view = self.known.get(name) or self.feed.views.get(name)
            problem = self.feed.problems.get(name, "")
            if view is None and not problem:
                problem = (
                    f"ArchiveView {name} does not exist"
                    if self.feed.live
                    else f"ArchiveView {name} is not known here yet: the API server has not answered"
                )
            connecting = view is not None and bool(self.connecting(view))
            wanted = wants(view, self.states(view)) if view else {}
            path = await asyncio.to_thread(front.ensure, self.layout, name)
            self._arrange(path, name, view, wanted, problem)
            held: set[tuple[str, str]] = set()
            for _ in range(4):
                actual = observe(mountinfo.read(), self.layout, name)
                if view is None:
                    break
                steps = plan(wanted, actual, self._overdue())
                progress = [await self._do(name, step, held) for step in steps]
                if not any(progress):
                    break
            actual = observe(mountinfo.read(), self.layout, name)
            self.target_count[name] = len(actual.targets)
            self._forget_busy(actual, held)
            self.remember(name, tell(name, wanted, problem, _mounted(wanted, actual), self._failed), connecting)
            self._arrange(path, name, view, wanted, problem)

    def _arrange(self, path: object, name: str, view: View | None, wanted: Mapping[str, Want], problem: str) -> None:
        story = self.stories.get(name) or tell(name, wanted, problem, frozenset(), self._failed)
        states = self.states(view) if view else {}
        document = (
            {"name": name, "generation": view.generation, "form": "live", "spec": view.raw.get("spec")}
            if view
            else {"name": name}
        )
        health = {
            "ready": story.ready,
            "message": story.message,
            "sources": {n: {"ready": s.ready, "mode": s.mode, "message": s.message} for n, s in states.items()},
            "tree": {at: one.reason or self._failed.get(one.key or "") or "ready" for at, one in wanted.items()},
        }
        front.arrange(self.layout.front(name), list(wanted), document, health, story.notice)

    async def _do(self, view: str, step: Step, held: set[tuple[str, str]]) -> bool:
        """Returns whether the mount table may have changed."""
        match step:
            case Build(key, layers, run_as):
                return await self._build(view, key, layers, run_as)
            case Attach(target, at, key):
                origin = str(self.layout.entry(view, key))
                return await self._try("attach", origin=origin, point=f"{target}/{at}") is not False
            case Switch(target, at, key, depth):
                origin = str(self.layout.entry(view, key))
                done = await self._try("switch", origin=origin, point=f"{target}/{at}", depth=depth)
                return self._moved((target, at), done, held)
            case Detach(target, at, lazy):
                done = await self._try("detach", point=f"{target}/{at}", lazy=lazy)
                return self._moved((target, at), done, held)
            case Drop(key):
                return await self._try("drop", point=str(self.layout.entry(view, key))) is not False

    async def _build(self, view: str, key: str, layers: tuple[object, ...], run_as: tuple[int, int] | None) -> bool:
        described = [asdict(layer) for layer in layers]  # type: ignore[call-overload]
        try:
            how = await workers.once(
                "build", 20,
                layers=[[str(self.layout.source(d["source"])), d["path"], d["identity"]] for d in described],
                run_as=list(run_as) if run_as else None, point=str(self.layout.entry(view, key)),
                empty=str(self.layout.empty), note={"layers": described, "runAs": run_as},
            )  # fmt: skip
        except OSError as error:
            text = f"mounting failed: {error.strerror or error}"
            if self._failed.get(key) != text:
                log.warning("view %s: building %s: %s", view, described, error)
            self._failed[key] = text
            return False
        self._failed.pop(key, None)
        log.info("view %s: built %s as %s", view, key, how)
        return True

    async def _try(self, do: str, **arguments: object) -> object:
        """False if it failed; the next turn tries again."""
        try:
            return await self._lane.call(do, **arguments)
        except OSError as error:
            log.warning("%s %s: %s", do, arguments.get("point"), error)
            return False

    def _moved(self, which: tuple[str, str], done: object, held: set[tuple[str, str]]) -> bool:
        if done == "held":
            held.add(which)
            self._busy_since.setdefault(which, time.monotonic())
        return done == "switched"

    def _overdue(self) -> frozenset[tuple[str, str]]:
        limit = time.monotonic() - self._hold
        return frozenset(which for which, since in self._busy_since.items() if since < limit)

    def _forget_busy(self, actual: Actual, held: set[tuple[str, str]]) -> None:
        """What is not held any more, or is gone, may be held anew later."""
        for which in list(self._busy_since):
            if which not in held and (which[0] in actual.targets or not Path(which[0]).exists()):
                del self._busy_since[which]

    async def _remove_view(self, name: str) -> None:
        entries = self.layout.entries(name)
        for path in list(entries.iterdir()) if entries.is_dir() else ():
            await self._try("drop", point=str(path / "mnt"))
        await self._try("unmount", point=str(self.layout.front(name)))
        for path in (entries, entries.parent):
            try:
                path.rmdir()
            except OSError as error:
                log.debug("%s: %s", path, error)
        for known in (self.stories, self.target_count, self._locks, self._arrive_by):
            known.pop(name, None)

    async def close(self) -> None:
        for keeper in self.keepers.values():
            await keeper.stop()
        await self._lane.close()


def _mounted(wanted: Mapping[str, Want], actual: Actual) -> frozenset[str]:
    """Mount points that show something in every target (or are built, where nothing is published)."""
    return frozenset(
        at
        for at, one in wanted.items()
        if one.key in actual.entries and all(points.get(at) for points in actual.targets.values())
    )
