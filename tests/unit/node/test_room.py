"""Room on a node's disk: which generations give way, in which order, and what never does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pdshub.api.generation import ReleasedGeneration
from pdshub.api.report import FetchReason
from pdshub.node.layout import Layout
from pdshub.node.mount import mountinfo
from pdshub.node.mount.catalog import LABEL
from pdshub.node.mount.locks import Locks
from pdshub.node.reconcile import needed
from pdshub.node.reconcile.eviction import Eviction
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.spec import View
from pdshub.node.store.cache import Trouble
from pdshub.node.store.generations import Generation

Names = dict[str, str]


def name(word: str) -> str:
    return "sha256:" + word.encode().hex().ljust(64, "0")


def view(of: str, released: str) -> View:
    return View(
        of, 1, of, released=ReleasedGeneration.model_construct(name=name(released), as_of="2026-01-01T00:00:00Z")
    )


def stored(held: Names, ages: Names | None = None) -> dict[str, Generation]:
    """Generation -> view, by words; `ages`: when it was surveyed, if not on the first day."""
    return {
        name(word): Generation(name(word), of, (ages or {}).get(word, "2026-01-01"), False, "", (), (), {})
        for word, of in held.items()
    }


VIEWS = [view("mine", "new"), view("other", "o2"), view("third", "t1")]
AGES = {"o1": "2026-01-02", "o2": "2026-01-03", "t1": "2026-01-01"}
CASES: list[tuple[str, Names, dict[str, int], dict[str, int], dict[str, list[str]]]] = [
    # what it shows, what is stored -> its view, sizes, what is missing, who gives way to whom
    ("enough in one, the oldest", {"o2": "other", "t1": "third"}, {"t1": 5, "o2": 5}, {"new": 4}, {"new": ["t1"]}),
    ("as many as are needed", {"o2": "other", "t1": "third"}, {"t1": 5, "o2": 5}, {"new": 6}, {"new": ["t1", "o2"]}),
    ("not enough: nothing in vain", {"o2": "other", "t1": "third"}, {"t1": 5, "o2": 5}, {"new": 11}, {}),
    ("nothing is short", {"o2": "other", "t1": "third"}, {"t1": 5, "o2": 5}, {}, {}),
    ("what pods have stays", {"old": "mine", "shown": "mine"}, {"old": 9, "shown": 9}, {"new": 1}, {}),
    ("who has no pods takes nothing", {"old": "mine", "t1": "third"}, {"old": 9, "t1": 9}, {"o2": 1}, {}),
    ("by age, whoever had it", {"x": "gone", "t1": "third"}, {"x": 5, "t1": 5}, {"new": 5}, {"new": ["t1"]}),
]  # fmt: skip


@pytest.mark.parametrize(("held", "sizes", "missing", "going"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_who_gives_way(
    held: Names, sizes: dict[str, int], missing: dict[str, int], going: dict[str, list[str]]
) -> None:
    showing = {"mine": Showing(name("shown"), targets={"/a": name("held")})}
    found = needed.to_evict(
        VIEWS, {"mine"}, showing, stored(held, AGES | {"x": "2026-02-01"}),
        {name(w): n for w, n in sizes.items()}, {name(w): n for w, n in missing.items()},
    )  # fmt: skip
    assert found == {name(w): [name(g) for g in many] for w, many in going.items()}


def test_two_that_wait_share_nothing() -> None:
    """What was made free for one is not counted for another."""
    views = [view("mine", "a"), view("yours", "b"), view("other", "o")]
    found = needed.to_evict(
        views, {"mine", "yours"}, {}, stored({"o": "other"}), {name("o"): 5}, {name("a"): 4, name("b"): 5}
    )
    assert found == {name("a"): [name("o")]}


class Node:
    """A node with a catalog of `other` mounted, which no pod has."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.layout, self.done, self.locks = Layout(folder), list[Any](), Locks()
        entry = self.layout.entry("other", "k")
        entry.mkdir(parents=True)
        (entry.parent / "entry.json").write_text(f'{{"generation": "{name("o2")}", "layers": [], "form": "catalog"}}')
        table = mountinfo.parse(f"5 1 0:9 / {entry} ro - overlay {LABEL}{name('o2')[7:]} ro")
        monkeypatch.setattr(mountinfo, "read", lambda: table)
        self.cache = SimpleNamespace(
            failures={name("new"): Trouble("", FetchReason.NO_ROOM, 7, 4)},
            store=SimpleNamespace(sizes=lambda: {name("o2"): 5}, drop=lambda n: self.done.append(("drop", n))),
            room=SimpleNamespace(reserve=lambda n, count: self.done.append(("reserve", n, count))),
            again=lambda n: self.done.append(("again", n)),
        )
        actions = SimpleNamespace(attempt=self.attempt)
        self.eviction = Eviction(self.layout, self.cache, actions, self.locks)  # type: ignore[arg-type]

    async def attempt(self, do: str, **arguments: Any) -> None:
        self.done.append((do, arguments["point"]))

    async def make_room(self, published: Collection[str]) -> list[Any]:
        await self.eviction.make_room(VIEWS, published, {}, stored({"o2": "other"}))
        return self.done


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_mounts_first_then_files_then_the_next(node: Node) -> None:
    assert asyncio.run(node.make_room({"mine"})) == [
        ("drop", str(node.layout.entry("other", "k"))), ("drop", name("o2")), ("reserve", name("new"), 7),
        ("again", name("new")),
    ]  # fmt: skip


def test_nothing_goes_that_pods_have(node: Node) -> None:
    assert asyncio.run(node.make_room({"mine", "other"})) == []


def test_a_view_at_which_somebody_works_is_left_for_now(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdshub.node.reconcile.eviction._PATIENCE", 0.01)

    async def story() -> list[Any]:
        async with node.locks("other"):
            return await node.make_room({"mine"})

    assert asyncio.run(story()) == []
