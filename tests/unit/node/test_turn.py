"""A turn of the reconciler in which things fail that nobody foresaw: what goes on, what is kept, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pdshub.api.report import Report
from pdshub.node.health.monitor import Findings
from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo
from pdshub.node.reconcile.plan import Actual
from pdshub.node.reconcile.reconciler import Reconciler
from pdshub.node.reconcile.select_generation import Decision
from pdshub.node.reconcile.source_manager import SourceManager
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.report import heartbeat, metrics
from pdshub.node.report.document import document
from pdshub.node.source.source_mount import MountContext
from pdshub.node.spec import View
from pdshub.node.store.informer import Informer
from tests.unit.node.views import released

STORED = {  # generation -> the view that it is of
    "good-released": "good", "good-shown": "good", "good-old": "good",
    "bad-released": "bad", "bad-old": "bad",
    "unreadable-old": "unreadable",
    "gone-mounted": "gone", "gone-old": "gone",
}  # fmt: skip


def name(word: str) -> str:
    """A generation's name that begins with what it is called here."""
    return "sha256:" + word.encode().hex().ljust(64, "0")


class GenerationCache:
    """Holds STORED."""

    def __init__(self) -> None:
        self.store = SimpleNamespace(
            all=lambda: {name(word): SimpleNamespace(name=name(word), view=of, data=()) for word, of in STORED.items()},
            names=lambda: set(map(name, STORED)),
        )
        self.kept: set[str] | None = None
        self.failures: dict[str, Any] = {}
        self.room = SimpleNamespace(used=0, most=0)

    def need(self, wanted: Any) -> None: ...

    def get(self, generation: str) -> Any:
        return self.store.all().get(generation)

    def keep_only(self, names: Collection[str]) -> None:
        self.kept = {word for word in STORED if name(word) in names}


class ContentCache:
    """Nothing travels."""

    contents = None

    def need(self, wanted: Any) -> None: ...

    def keep_only(self, names: Collection[str]) -> None: ...


class Node:
    """A reconciler over views whose looks can be made to fail. `looked`: views that were looked at to the end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cache, self.looked, self.broken = GenerationCache(), set[str](), {"bad"}
        for path in (folder / "plugins/archive.pdshub.dev/views", folder / "plugins/archive.pdshub.dev/sources"):
            path.mkdir(parents=True)
        policy, helper = SimpleNamespace(current=lambda: None), SimpleNamespace()
        context = MountContext(Layout(folder), policy.current, helper, lambda: None)  # type: ignore[arg-type]
        informer, sources = Informer(lambda: None), SourceManager(context)
        self.reconciler = Reconciler(
            Layout(folder),
            sources,
            self.cache,
            ContentCache(),
            informer,
            asyncio.Event(),  # type: ignore[arg-type]
        )
        informer.synced = True
        for view in ("good", "bad"):
            informer.views[view] = View(view, 1, view, released=released(name(f"{view}-released")))
        informer.problems["unreadable"] = "spec.folder: one plain name is needed"
        label = f"pdshub-generation:{name('gone-mounted').removeprefix('sha256:')}"
        table = mountinfo.parse(f"5 1 0:9 / /elsewhere/mnt ro - overlay {label} ro")
        monkeypatch.setattr(mountinfo, "read", lambda: table)
        monkeypatch.setattr(Reconciler, "_look", lambda _, *arguments: self.look(*arguments))
        monkeypatch.setattr(Reconciler, "_arrange", lambda *_: None)
        monkeypatch.setattr("pdshub.node.mount.volume_root.ensure", lambda layout, view: None)

    def look(self, view: str, *_: Any) -> tuple[Decision, Actual]:
        if view in self.broken:
            raise KeyError(f"what nobody thought of in {view}")
        self.looked.add(view)
        self.reconciler.showing[view] = Showing(name("good-shown") if view == "good" else "")
        return Decision({}), Actual()

    async def turns(self, number: int) -> None:
        for _ in range(number):
            await self.reconciler.turn()

    def report(self) -> Any:
        plugin: Any = SimpleNamespace(publishes=0, last_publish_seconds=0)
        return document("n", plugin, self.reconciler, Findings(3600)).wire()


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_one_view_fails_and_the_others_go_on(node: Node) -> None:
    asyncio.run(node.turns(1))
    assert node.looked == {"good", "unreadable"}
    assert node.cache.kept == set(STORED) - {"good-old", "gone-old"}, (
        "dropped is what nobody needs for certain: nothing of a view of which that is not known, nor what is mounted"
    )


def test_when_all_is_well_only_what_is_needed_is_kept(node: Node) -> None:
    node.broken.clear()
    del node.reconciler.informer.problems["unreadable"]
    asyncio.run(node.turns(1))
    assert node.cache.kept == {"good-released", "good-shown", "bad-released", "gone-mounted"}


def test_the_failing_view_says_so(node: Node) -> None:
    asyncio.run(node.turns(3))
    views = node.report()["views"]
    assert (views["bad"]["ready"], views["bad"]["state"]) == (False, "failed")
    assert views["bad"]["message"].startswith("the node plugin fails at this view, its log says where: KeyError(")
    assert views["good"]["ready"] and not views["good"]["message"]
    assert counted(node) == {"bad": 3}
    node.broken.clear()
    asyncio.run(node.turns(1))
    assert node.report()["views"]["bad"]["ready"] and counted(node) == {"bad": 3}


def test_the_log_has_a_lasting_failure_once(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(node.turns(5))
    said = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1 and said[0].exc_info and "view bad" in said[0].message


def counted(node: Node) -> dict[str, float]:
    text = metrics.text(lambda: metrics.families(Report.model_validate(node.report()), {})).decode()
    return {
        sample.labels["view"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "pdshub_node_reconcile_failures_total"
    }


@pytest.mark.parametrize(
    ("case", "healthy", "says"),
    [
        ("all is well", True, "ok"),
        ("a view fails", True, "ok, but failing: bad: KeyError("),
        ("sources fail", True, "ok, but failing: reconcile: OSError("),
        ("a turn ends with an error", False, "no whole reconcile turn for "),
        ("a turn does not end", False, "no whole reconcile turn for "),
        ("the socket is dead", False, "the CSI socket does not answer"),
    ],
)
def test_health(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str, healthy: bool, says: str
) -> None:
    """Not healthy is what a restart may cure. `STUCK_SECONDS` pass at once here."""
    reconciler, ended = node.reconciler, asyncio.Event()
    if case != "a view fails":
        node.broken.clear()

    async def fails(*_: Any) -> None:
        raise OSError(5, "disk")

    async def hangs(*_: Any) -> None:
        await ended.wait()

    async def alive() -> bool:
        return case != "the socket is dead"

    match case:
        case "sources fail":
            monkeypatch.setattr(reconciler.sources, "keep", fails)
        case "a turn ends with an error":
            monkeypatch.setattr(reconciler, "turn", fails)
        case "a turn does not end":
            monkeypatch.setattr(reconciler, "turn", hangs)

    monkeypatch.setattr(heartbeat, "EVERY", 0.01)
    file = tmp_path / heartbeat.FILE
    file.write_text("ok, says the plugin of before\n")

    async def story() -> str:
        loop = asyncio.create_task(reconciler.run())
        beating = asyncio.create_task(heartbeat.beat(file, partial(heartbeat.said, reconciler, alive)))
        try:
            async with asyncio.timeout(30):
                while True:
                    text = file.read_text() if file.exists() else ""
                    if says in text:
                        return text
                    await asyncio.sleep(0.01)
        finally:
            for task in (loop, beating):
                task.cancel()
            await asyncio.gather(loop, beating, return_exceptions=True)

    found = asyncio.run(story())
    assert found.startswith(says) and found.startswith(heartbeat.OK) is healthy


def test_a_view_is_not_removed_while_it_is_settled(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """A settling of a view is under way and another one waits when it is found that nobody has the view any more: the
    removal has its turn among them, and the lock is theirs until the last has gone."""
    reconciler, inside = node.reconciler, list[str]()
    (reconciler.layout.entries("gone") / "key").mkdir(parents=True)
    let = {"settle": asyncio.Event(), "remove": asyncio.Event()}

    async def busy(what: str) -> None:
        assert not inside, f"{what} began while {inside} was under way"
        inside.append(what)
        await let[what].wait()
        inside.remove(what)

    async def attempt(do: str, **_: Any) -> object:
        await busy("remove")
        return None

    monkeypatch.setattr(reconciler.actions, "attempt", attempt)
    monkeypatch.setattr(asyncio, "to_thread", lambda *_: busy("settle"))

    async def idle() -> None:
        for _ in range(50):
            await asyncio.sleep(0)

    async def story() -> None:
        calls = [asyncio.create_task(reconciler.settle("gone"))]
        await idle()
        calls.append(asyncio.create_task(reconciler._remove_view("gone")))
        await idle()
        assert inside == ["settle"]
        let["settle"].set()
        await idle()
        assert inside == ["remove"]
        let["settle"].clear()
        calls.append(asyncio.create_task(reconciler.settle("gone")))
        await idle()
        assert inside == ["remove"]
        let["remove"].set()
        await idle()
        calls.append(asyncio.create_task(reconciler.settle("gone")))
        await idle()
        let["settle"].set()
        await asyncio.gather(*calls)

    asyncio.run(story())
