"""Level-triggered: compare what shall be mounted with the mount table, do the next steps, look again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo, volume_root
from pdshub.node.mount.locks import Locks
from pdshub.node.reconcile import needed, view_health
from pdshub.node.reconcile.actions import Actions, Point
from pdshub.node.reconcile.desired import Story, tell
from pdshub.node.reconcile.eviction import Eviction
from pdshub.node.reconcile.failures import Failures
from pdshub.node.reconcile.for_users import FAILED
from pdshub.node.reconcile.hold import Holds
from pdshub.node.reconcile.observe import built, cataloged, leftovers, note_key, observe, replaced, scaffolding, shown
from pdshub.node.reconcile.plan import Actual, Want, plan
from pdshub.node.reconcile.select_generation import Children, Decision, Known, above, choose, decide
from pdshub.node.reconcile.settling import Settling
from pdshub.node.reconcile.source_manager import SourceManager
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.source.source_mount import CONNECTING_SECONDS
from pdshub.node.spec import SOURCES, View, sources_view
from pdshub.node.store.cache import GenerationCache
from pdshub.node.store.content_cache import ContentCache
from pdshub.node.store.informer import Informer

log = logging.getLogger(__name__)

_LISTINGS = 100  # catalogs shown in parts that are remembered
_TURN_SECONDS = 2.0  # for which a turn waits for a view
_SETTLING_SECONDS = 60.0  # of one view, more than all its steps may take: then the turn does not count as whole
_EXPECTED_SECONDS = 60.0  # so long a view that is being published is not taken for a leftover


class Reconciler:
    """Compares and acts view by view; what it has found and told is kept in its attributes, by the view's name."""

    def __init__(
        self,
        layout: Layout,
        sources: SourceManager,
        cache: GenerationCache,
        contents: ContentCache,
        informer: Informer,
        woken: asyncio.Event,
        hold_seconds: float = 60,
        health: Callable[[str], dict[str, Any]] = lambda _: {},
    ) -> None:
        """`woken`: set by whoever has news, which begins the next turn at once.

        `hold_seconds`: how long an old tree in use is kept after a switch, where no hub's policy says so. `health`:
        what else a view's health.json says.
        """
        self.layout = layout
        self.sources, self.cache, self.contents, self.informer = sources, cache, contents, informer
        self.actions = Actions(layout, cache.store, contents.contents)
        self.showing: dict[str, Showing] = {}  # what a view's targets show
        self.stories: dict[str, Story] = {}
        self.target_count: dict[str, int] = {}
        self.travels: dict[str, dict[str, Any]] = {}  # what travels with what a view shows, as users are told
        self.last_turn = 0.0  # monotonic: the end of the last one that came to its end
        self.failing = Failures()
        self._health = health
        self.known: dict[str, View] = {}  # with those deleted from the API while pods still use them
        self.holds = Holds(hold_seconds)
        self._children: dict[tuple[str, tuple[str, ...]], Children] = {}
        self._expected: dict[str, float] = {}
        self._worn: dict[str, set[str]] = {}  # view -> keys of catalogs that are to be mounted anew
        self._renewals: dict[str, int] = {}
        self._catalogs: dict[str, set[str]] = {}  # view -> keys of catalogs that are wanted now
        self._arrive_by: dict[str, float] = {}  # a view -> (monotonic) until when what it lacks may be on its way
        self._locks = Locks()  # by view
        self._eviction = Eviction(layout, cache, self.actions, self._locks)
        self._settling = Settling(self.settle, self.wake)
        self._woken = woken

    def wake(self) -> None:
        """Begin the next turn at once."""
        self._woken.set()

    async def run(self) -> None:
        """Turn after turn, for ever: at once when woken, else every few seconds."""
        while True:
            try:
                await self.turn()
                if self._settling.oldest < _SETTLING_SECONDS:
                    self.last_turn = time.monotonic()
            except Exception:
                log.exception("reconcile")
            try:
                async with asyncio.timeout(0.5 if self.holds.targets else 3):
                    await self._woken.wait()
            except TimeoutError:
                pass
            self._woken.clear()

    def arriving(self, view: View) -> bool:
        """Not whole yet, but nothing has failed: its sources are connecting, or what they have is being mounted."""
        story = self.stories.get(view.name)
        if story is None or self.sources.connecting(view):
            return story is None or not story.ready
        return story.pending and time.monotonic() < self._arrive_by.get(view.name, 0)

    def remember(self, name: str, story: Story, connecting: bool) -> None:
        """Keep a view's story; what it lacks may take a while once its sources have stopped connecting."""
        if story.ready:
            self._arrive_by.pop(name, None)
        elif connecting or name not in self._arrive_by:
            self._arrive_by[name] = time.monotonic() + CONNECTING_SECONDS
        self.stories[name] = replace(story, pending=not story.ready and (connecting or story.pending))

    def expect(self, name: str) -> None:
        """A view is about to be published."""
        self._expected[name] = time.monotonic() + _EXPECTED_SECONDS

    def renew(self, name: str) -> None:
        """Mount a view's catalogs anew and switch to these: overlayfs remembers what was replaced below it."""
        self._worn.setdefault(name, set()).update(self._catalogs.get(name, ()))
        self._renewals[name] = self._renewals.get(name, 0) + 1
        self.wake()

    def view_of(self, name: str) -> View | None:
        """A known view; behind its name `#sources`, the sources themselves."""
        base = name.removesuffix(SOURCES)
        view = self.known.get(base) or self.informer.views.get(base)
        return sources_view(view) if view and base != name else view

    async def turn(self) -> None:
        """Take up what is new, let go what nobody needs, and bring every view as far as it can be brought.

        An error in one view is noted in `failing` and stops no other view. Raises what nobody can foresee elsewhere.
        """
        mounts = mountinfo.read()
        published = set(volume_root.targets(mounts, self.layout).values())
        # A deleted view stays as it was for the pods that have it, until the last is gone.
        bases = {name.removesuffix(SOURCES) for name in published}
        kept = {name: view for name, view in self.known.items() if name in bases}
        self.known = kept | self.informer.views
        with self.failing.noted(""):
            views, stored = self.known.values(), self.cache.store.all()
            self.cache.need(needed.to_fetch(views))
            self.contents.need(needed.to_travel(views))
            if self.informer.synced:
                await self._eviction.make_room(views, bases | self._expected.keys(), self.showing, stored)
            layers = needed.directories(views, self.showing, stored)
            await self.sources.keep(views, layers, self.actions if self.informer.synced else None)
        self._expected = {name: until for name, until in self._expected.items() if until > time.monotonic()}
        in_use = self.known.keys() | published | self._expected.keys()
        left = {path.name for path in self.layout.views.iterdir()} - in_use if self.informer.synced else set()
        for name in left:
            with self.failing.noted(name):
                await self._remove_view(name)
        wanted = self.known.keys() | published | self.informer.problems.keys()
        self.failing.keep_only({"", *wanted, *left})
        # one view's error is that view's: it is told of (failing), and the others go on
        under_way = await self._settling.together(wanted, _TURN_SECONDS)
        if self.informer.synced:
            unsure = {n.removesuffix(SOURCES) for n in (*self.failing.views, *self.informer.problems, *under_way)}
            views, stored = self.known.values(), self.cache.store.all()
            mounted = cataloged(mountinfo.read())
            self.cache.keep_only(needed.to_keep(views, self.showing, stored, unsure, mounted))
            self.contents.keep_only(self.cache.store.names())

    @asynccontextmanager
    async def _alone(self, name: str) -> AsyncIterator[None]:
        """One at a time for each view; an error is told of in the view's own story before it is raised."""
        async with self._locks(name):
            try:
                yield
            except Exception as error:
                self.failing.note(name, error)
                self.remember(name, Story(False, self.failing.said(name), "", told=FAILED), connecting=False)
                raise
            self.failing.clear(name)

    async def settle(self, name: str) -> None:
        """Bring one view as far as it can be brought now."""
        async with self._alone(name):
            view = self.view_of(name)
            problem = self.informer.problems.get(name, "")
            if view is None and not problem:
                problem = (
                    f"ArchiveView {name.removesuffix(SOURCES)} does not exist"
                    if self.informer.synced
                    else f"ArchiveView {name} is not known here yet: the API server has not answered"
                )
            connecting = view is not None and bool(self.sources.connecting(view))
            await asyncio.to_thread(volume_root.ensure, self.layout, name)
            held: set[Point] = set()
            decision, actual = self._look(name, view, problem)
            for _ in range(5):
                if view is None:
                    break
                await self._list(view, decision, actual)
                steps = plan(decision.wants, actual, self.holds.overdue(view, self.showing[name], actual), decision.own)
                moved = await self.actions.do(view, steps, held)
                self.holds.hold(held)
                decision, actual = self._look(name, view, problem)
                if not moved:
                    break
            if view is not None:
                await self._tidy(name, decision, actual)
            self.target_count[name] = len(actual.targets)
            self.holds.forget(actual, held)
            mounted = view_health.mounted_points(decision, actual)
            self.remember(name, self._tell(name, decision, problem, mounted), connecting)
            self._arrange(name, view, decision, problem)

    def _look(self, name: str, view: View | None, problem: str) -> tuple[Decision, Actual]:
        """What is there and what shall be; writes down what the targets show, which the next steps need."""
        mounts = mountinfo.read()
        if view is None:
            actual = observe(mounts, self.layout, name)
            self._arrange(name, None, Decision({}), problem)
            return Decision({}), actual
        directories, before = above(view.tree), self.showing.get(name, Showing())
        live_points = {view.at(entry) for entry in view.tree if entry.live} if view.cataloged else set()
        actual = observe(mounts, self.layout, name)
        catalogs = built(self.layout, name, actual.entries)
        self.holds.lose(name, actual, replaced(mounts, self.layout, catalogs))
        stored = self.cache.store.all()
        known = Known(
            within_grace=self.holds.within_grace(name),
            worn=self._worn.get(name, ()), renewals=self._renewals.get(name, 0),
            states=self.sources.states(view), connecting=self.sources.connecting(view), stored=stored,
            contents=self.contents.held(stored),
            built=catalogs, last=before.current,
            children={key: found for (key, of), found in self._children.items() if of == directories},
            shown=shown(mounts, self.layout, name, live_points),
            fetching=self.cache.progress(view.released.name) if view.released else "",
        )  # fmt: skip
        decision = decide(view, known)
        self._catalogs[name] = decision.keys(catalogs=True)
        held = self.holds.targets
        fetching = view.released.name if view.released and choose(view, known) != view.released.name else ""
        showing = view_health.showing_of(decision, known, actual.entries, held, fetching)
        self.holds.watch(name, decision)
        self.showing[name] = showing
        # A target that keeps another generation for long says so itself.
        own = dict(decision.own)
        for target, of in known.shown.items():
            wanted = own.get(target, decision.wants)
            if of and of != showing.current and wanted is not None and (target in own or target in held):
                own[target] = {**wanted, volume_root.SHOWN: Want(note_key(of))}
        decision = replace(decision, own=own)
        self._arrange(name, view, decision, problem)
        mounted = view_health.contents_shown(actual, catalogs)
        said = view_health.documents(view, showing, known.stored, self.contents.said(mounted))
        here = mounted if actual.targets else self.contents.held([showing.current])
        self.travels[name] = self.contents.said(here).get(showing.current, {})
        volume_root.say_generation(self.layout.volume_root(name), *said)
        return decision, replace(actual, notes=observe(mounts, self.layout, name).notes)

    async def _list(self, view: View, decision: Decision, actual: Actual) -> None:
        """A catalog that is shown in parts has to be listed once, when it is built."""
        directories = above(view.tree)
        for key in {want.key for _, want in decision.all() if not want.placed and want.key}:
            if key in actual.entries and (key, directories) not in self._children:
                point = str(self.layout.entry(view.name, key))
                found = await self.actions.attempt("listing", point=point, directories=list(directories))
                if isinstance(found, dict):
                    self._children = dict(list(self._children.items())[-_LISTINGS:])
                    self._children[key, directories] = {top: tuple(names) for top, names in found.items()}
                    self._woken.set()

    def _tell(self, name: str, decision: Decision, problem: str, mounted: frozenset[str]) -> Story:
        refused = name in self.informer.problems
        return tell(name, decision.wants, problem, mounted, self.actions.failed, refused)

    def _arrange(self, name: str, view: View | None, decision: Decision, problem: str) -> None:
        failed = self.actions.failed
        story = self.stories.get(name) or self._tell(name, decision, problem, frozenset())
        health = view_health.health_document(
            story, self.sources.states(view) if view else {}, decision.wants, failed
        ) | self._health(name)
        document = view_health.view_document(name, view, self.showing.get(name, Showing()))
        points = dict.fromkeys(at for at, _ in decision.all() if not at.startswith(".pdshub/"))
        volume_root.arrange(self.layout.volume_root(name), list(points), document, health, story.notice)

    async def _tidy(self, name: str, decision: Decision, actual: Actual) -> None:
        """Remove what a worker that was killed left: parts of an entry, or of one that is not wanted any more."""
        for point in scaffolding(mountinfo.read(), self.layout, name):
            await self.actions.attempt("unmount", point=point)
        for path in leftovers(self.layout, name, actual.entries, decision.keys()):
            await self.actions.attempt("drop", point=str(path / "mnt"))

    async def _remove_view(self, name: str) -> None:
        async with self._locks(name):
            if name in self._expected:  # since this turn has begun
                return
            entries = self.layout.entries(name)
            for path in list(entries.iterdir()) if entries.is_dir() else ():
                await self.actions.attempt("drop", point=str(path / "mnt"))
            if name in self._expected:
                return
            await self.actions.attempt("unmount", point=str(self.layout.volume_root(name)))
            for path in (entries, entries.parent):
                try:
                    path.rmdir()
                except OSError as error:
                    log.debug("%s: %s", path, error)
            for known in (self.stories, self.showing, self.target_count, self.travels, self._arrive_by, self._worn):
                known.pop(name, None)

    async def close(self) -> None:
        """End what is under way; all mounts stay, because pods use them."""
        await self.sources.close()
        await self._settling.close()
        await self.actions.close()
        await self.contents.close()
        await self.cache.close()
