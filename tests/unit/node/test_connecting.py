"""A source whose first attempt to mount has not ended is connecting, not away; the report says so."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pdshub.node.csi.services import Node
from pdshub.node.health.monitor import Findings
from pdshub.node.layout import Layout
from pdshub.node.mount import worker
from pdshub.node.reconcile import reconciler
from pdshub.node.reconcile.desired import Story, tell
from pdshub.node.reconcile.plan import Want
from pdshub.node.reconcile.source_manager import SourceManager
from pdshub.node.report.document import document
from pdshub.node.source import nfs_requests, source_mount
from pdshub.node.source.nfs_requests import HelperRequests
from pdshub.node.source.policy import Policy, PolicyFile
from pdshub.node.source.source_mount import KernelNFS, MountContext, SourceMount, State
from pdshub.node.spec import Source, View
from pdshub.node.store.cache import GenerationCache
from pdshub.node.store.content_cache import ContentCache
from pdshub.node.store.contents import Contents
from pdshub.node.store.generations import Store
from pdshub.node.store.informer import Informer
from tests.unit.node.views import entry, layer, nfs

WELL, AWAY = Story(True, "", ""), Story(False, "source m: away", "notice")


@pytest.fixture
def port() -> Iterator[int]:
    """A port of this machine where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class Place:
    """A node's folders, a policy that allows this machine as NFS server, and the files of the helper."""

    def __init__(self, folder: Path) -> None:
        self.layout = Layout(folder)
        self.layout.prepare()
        installation = folder / "installation.yaml"
        installation.write_text("archive: {allowed: [{server: 127.0.0.1, exports: [/]}]}\n")
        self.policy = PolicyFile(installation)
        self.requests = HelperRequests(self.layout)
        self.kernel_nfs = KernelNFS()

    def says(self, source: Source, **status: Any) -> None:
        """Answer a request as the helper does."""
        nfs_requests.write(self.layout.helper / f"{source.digest}.status", status)

    def context(self, changed: Callable[[], None] = lambda: None) -> MountContext:
        return MountContext(self.layout, self.policy.current, self.requests, changed, kernel_nfs=self.kernel_nfs)

    def mount(self, source: Source) -> SourceMount:
        return SourceMount(source, self.context())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


async def until(what: Callable[[], object], seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not what():  # noqa: ASYNC110 - the mount tells its state, not the moment it ends
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("server", "says"), [("127.0.0.1", "refused"), ("10.9.9.9", "archive.allowed ")], ids=["no answer", "refused"]
)
def test_the_first_failure_ends_connecting(place: Place, port: int, server: str, says: str) -> None:
    async def test() -> None:
        mount = place.mount(nfs("m", server, "/m", port=port))
        assert mount.connecting
        await until(lambda: not mount.connecting)
        assert says in mount.state.message.lower() or says in mount.state.message
        await mount.stop()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("status", "connecting"),
    [(None, True), ({"ready": True, "message": ""}, True), ({"ready": False, "message": "nobody there"}, False)],
    ids=["not asked yet", "about to be mounted", "could not"],
)
def test_the_helper_decides_where_the_kernel_has_no_nfs(
    place: Place, port: int, monkeypatch: pytest.MonkeyPatch, status: dict[str, Any] | None, connecting: bool
) -> None:
    place.kernel_nfs.absent()
    source = nfs("m", "127.0.0.1", "/m", port=port)
    (place.layout.helper / "alive").touch()
    if status:
        place.says(source, **status)

    async def test() -> None:
        mount = place.mount(source)
        await until(lambda: mount.state.mode)
        assert mount.connecting is connecting
        if status and not status["ready"]:
            assert mount.state.message == status["message"]
        await mount.stop()

    asyncio.run(test())


def test_connecting_is_bounded(place: Place, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    place.kernel_nfs.absent()
    monkeypatch.setattr(source_mount, "CONNECTING_SECONDS", 0.3)

    async def test() -> None:
        mount = place.mount(nfs("m", "127.0.0.1", "/m", port=port))
        await until(lambda: mount.state.mode)
        await until(lambda: not mount.connecting, 2)
        assert "pdshub-nfs-helper" in mount.state.message
        await mount.stop()

    asyncio.run(test())


@pytest.mark.parametrize(("server", "away"), [("127.0.0.1", True), ("10.9.9.9", False)], ids=["no answer", "refused"])
def test_away_is_who_gave_no_answer_twice(
    place: Place, port: int, monkeypatch: pytest.MonkeyPatch, server: str, away: bool
) -> None:
    monkeypatch.setattr(source_mount, "AGAIN_SECONDS", 0.05)
    monkeypatch.setattr(source_mount, "UNHEALTHY_SECONDS", 0.05)
    looks, news = [0], list[State]()

    def policy() -> Policy:
        looks[0] += 1
        return place.policy.current()

    async def test() -> None:
        source = nfs("m", server, "/m", port=port)
        mount = SourceMount(source, replace(place.context(lambda: news.append(mount.state)), policy=policy))
        await until(lambda: looks[0] > 3)
        # what may not be mounted is not away; both are told once
        assert [state.away for state in news] == ([False, True] if away else [False])
        await mount.stop()

    asyncio.run(test())


def test_a_machine_that_is_too_busy_to_look_says_nothing_of_the_server(
    place: Place, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_mount, "UNHEALTHY_SECONDS", 0.02)
    monkeypatch.setattr(source_mount, "AGAIN_SECONDS", 0.02)
    looks: list[type[Exception]] = [TimeoutError, worker.Busy, worker.Busy, TimeoutError]
    met: list[tuple[int, bool]] = []

    async def test() -> None:
        mount = place.mount(nfs("m", "127.0.0.1", "/m", port=port))

        async def look() -> State:
            met.append((len(looks), mount.state.away))
            if not looks:
                return State(True)
            raise looks.pop(0)(110, "")

        mount._look = look  # type: ignore[method-assign]
        await until(lambda: mount.state.ready)
        await mount.stop()

    asyncio.run(test())
    assert met[:5] == [(4, False), (3, False), (2, False), (1, False), (0, True)]


MOUNTING = Story(False, "being mounted", "notice", pending=True)
STORIES: list[tuple[str, Story | None, bool, float, str]] = [
    ("not looked at", None, False, 0, "connecting"),
    ("not looked at, a source connects", None, True, 0, "connecting"),
    ("whole", WELL, False, 0, "ready"),
    ("a source connects", AWAY, True, 0, "connecting"),
    ("was connecting a moment ago", Story(False, "source m: not looked at yet", "", True), False, 0, "connecting"),
    ("being mounted", MOUNTING, False, 0, "connecting"),
    ("being mounted for too long", MOUNTING, False, 31, "failed"),
    ("a source is away", AWAY, False, 0, "failed"),
]


@pytest.mark.parametrize(("story", "connecting", "age", "word"), [c[1:] for c in STORIES], ids=[c[0] for c in STORIES])
def test_the_report_says_how_a_view_stands(
    place: Place,
    port: int,
    monkeypatch: pytest.MonkeyPatch,
    story: Story | None,
    connecting: bool,
    age: float,
    word: str,
) -> None:
    place.kernel_nfs.absent()
    source = nfs("m", "127.0.0.1", "/m", port=port)
    view = View("sbn", 1, "sbn", (source,), (entry("d", layer("m")),))
    if not connecting:
        place.says(source, ready=False, message="nobody there")

    async def test() -> None:
        woken = asyncio.Event()
        cache = GenerationCache(Store(place.layout.generations), Path(), woken.set)
        sources, informer = SourceManager(place.context(woken.set)), Informer(woken.set)
        contents = ContentCache(cache.store, Contents(place.layout.packs), cache.origin, cache.inspect, woken.set)
        found = reconciler.Reconciler(place.layout, sources, cache, contents, informer, woken)
        found.known = {"sbn": view}
        mount = found.sources.mounts[source.digest] = place.mount(source)
        await until(lambda: mount.state.mode)
        if story:
            with monkeypatch.context() as past:
                then = time.monotonic() - age
                past.setattr("time.monotonic", lambda: then)
                found.remember("sbn", story, connecting=False)
        node = cast(Node, SimpleNamespace(publishes=0, last_publish_seconds=0.0))
        said = document("n1", node, found, Findings(3600)).wire()
        assert said["views"]["sbn"]["state"] == word
        assert said["sources"]["sbn"]["m"]["state"] == ("connecting" if connecting else "failed")
        assert said["views"]["sbn"]["ready"] is (word == "ready")
        await found.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("wanted", "failed", "pending"),
    [
        ({"v/a": Want("k")}, {}, True),
        ({"v/a": Want("k")}, {"k": "mounting failed: x"}, False),
        ({"v/a": Want("k"), "v/b": Want(None, reason="source b: away")}, {}, False),
    ],
    ids=["being mounted", "failed", "another is away"],
)
def test_only_what_is_being_mounted_is_pending(wanted: dict[str, Want], failed: dict[str, str], pending: bool) -> None:
    assert tell("v", wanted, "", frozenset(), failed).pending is pending
