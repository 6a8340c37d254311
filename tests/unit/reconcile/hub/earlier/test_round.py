"""From the page to the home and back: the hub's own desk, the operator's loops, Jobs that a test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pdshub import hub_api
from pdshub.hub_api import HubError
from pdshub.kube import HUB_RESTORE, PDSHUB
from pdshub.reconcile.hub.earlier import reconcile as earlier
from pdshub.reconcile.hub.earlier.context import EarlierContext
from pdshub.reconcile.hub.people import read as people
from pdshub_hub.earlier import Desk
from pdshub_hub.earlier_asks import Refused, What
from tests.unit.reconcile.hub.backup.estate import Estate


class Hub:
    """The desk of the hub, and the way that the operator takes to it."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.answers: list[dict[str, Any]] = []
        self.away = False
        self.desk.open_now()

    async def questions(self, run: str, after: int, wait: int) -> dict[str, Any]:
        if self.away:
            raise HubError("the hub does not answer")
        asks = self.desk.open_now()
        return {
            "run": self.desk.run,
            "last": max((ask.number for ask in asks), default=after),
            "asks": [ask.wire() for ask in asks],
        }

    async def answer(self, body: dict[str, Any]) -> bool:
        self.answers.append(body)
        return body["run"] == self.desk.run and self.desk.answer(body["id"], body)


class World(Estate):
    """Hubs with homes and backups, whose people ask at the hub's page."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        self.at = Hub()
        self.told: list[tuple[str, str]] = []
        self.hub()
        self.kube.objects[PDSHUB.plural, "ns", "demo"]["status"] = {"revision": 1}

        @asynccontextmanager
        async def connect(*_: Any) -> AsyncIterator[Hub]:
            yield self.at

        async def token(*_: Any) -> str:
            return "token"

        monkeypatch.setattr(hub_api, "connect", connect)
        monkeypatch.setattr(people, "token", token)
        self.begin()

    def begin(self) -> None:
        """The operator begins anew."""
        self.restart()
        self.earlier = EarlierContext(self.context.hubs, self.context, self.told.append)
        audit = self.context.hubs.audit
        self.written: list[tuple[str, dict[str, Any]]] = []
        audit.record = lambda event, hub="", **more: self.written.append((event, more))  # type: ignore[method-assign]

    async def turn(self) -> float | None:
        """Everybody once."""
        pause = await earlier.reconcile(self.earlier, "ns", "demo")
        await self.look()
        self.kubernetes()
        self.collect()
        self.now += 2
        return pause

    async def answered(self, user: str, turns: int = 60) -> None:
        """Until somebody's question is over."""
        for _ in range(turns):
            await self.turn()
            if self.at.desk.waits(user) is None:
                return
        raise AssertionError(self.at.answers[-5:])

    async def asks(self, user: str, what: What, version: str = "", path: str = ".") -> str:
        """Somebody asks, and waits; what was said in the end."""
        self.at.desk.ask(user, what, version, path)
        await self.answered(user)
        said = self.at.desk.said(user)
        return said.text if said else ""

    def says(self, request: dict[str, Any]) -> dict[str, Any] | None:
        if request["action"] == "browse":
            entries = [{"name": f"of-{request['item'].partition('/')[2]}.ipynb", "kind": "File", "sizeBytes": 3}]
            return {"ok": True, "entries": entries}
        return self.saves(request)

    def restores(self) -> dict[str, Any]:
        return {name: item for (kind, _, name), item in self.kube.objects.items() if kind == HUB_RESTORE.plural}


def played(monkeypatch: pytest.MonkeyPatch, play: Callable[[World], Any]) -> World:
    async def run() -> World:
        world = World(monkeypatch)
        world.answers = world.says
        world.ask("first")
        await world.finish("first")
        world.jobs.clear()
        await play(world)
        return world

    return asyncio.run(run())


def versions(world: World, user: str) -> list[str]:
    listing = world.at.desk.listing(user)
    return [one.id for one in listing.versions] if listing else []


def test_a_list_costs_no_job_and_is_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        await world.asks("ada", What.LIST)
        await world.asks("bela", What.LIST)
        await world.asks("nobody", What.LIST)
        assert len(versions(world, "ada")) == len(versions(world, "bela")) == 1 and versions(world, "nobody") == []
        assert versions(world, "ada") != versions(world, "bela") and world.jobs == []

    played(monkeypatch, play)


def test_a_folder_is_looked_into_and_nothing_of_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        before = world.left()
        await world.asks("ada", What.LIST)
        (one,) = versions(world, "ada")
        await world.asks("ada", What.BROWSE, one, "notebooks")
        found = world.at.desk.folder("ada", one, "notebooks")
        assert found is not None and [entry.name for entry in found.entries] == ["of-ada.ipynb"]
        assert [(job["action"], job["item"], job["path"]) for job in world.jobs] == [
            ("browse", "home/ada", "notebooks")
        ]
        await world.turn()
        assert sorted(world.left()) == sorted(before)

    played(monkeypatch, play)


def test_something_is_brought_back_beside_and_written_down(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        await world.asks("ada", What.LIST)
        (one,) = versions(world, "ada")
        said = await world.asks("ada", What.RESTORE, one, "x.ipynb")
        assert "restored-2026-03-01" in said
        (made,) = world.restores().values()
        assert made["spec"]["user"] == "ada" and made["spec"]["path"] == "x.ipynb" and not made["spec"]["inPlace"]
        assert world.told == [("ns", "demo")], "the loop of backups looks at once"
        ((event, more),) = world.written
        assert event == "home-restore" and more["user"] == "ada" and more["restore"] == made["metadata"]["name"]

    played(monkeypatch, play)


@pytest.mark.parametrize("step", range(6))
def test_an_operator_that_begins_anew_goes_on(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    async def play(world: World) -> None:
        await world.asks("ada", What.LIST)
        (one,) = versions(world, "ada")
        world.at.desk.ask("ada", What.RESTORE, one, "x.ipynb")
        for _ in range(step):
            await world.turn()
        world.begin()
        await world.answered("ada")
        assert len(world.restores()) == 1, "nothing is done twice"

    played(monkeypatch, play)


def test_a_hub_that_begins_anew_has_lost_nothing_but_the_question(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        await world.asks("ada", What.LIST)
        (one,) = versions(world, "ada")
        world.at.desk.ask("ada", What.RESTORE, one, "x.ipynb")
        await world.turn()
        world.at.desk = Desk()
        world.at.desk.open_now()
        for _ in range(20):
            await world.turn()
        await world.asks("ada", What.LIST)
        listing = world.at.desk.listing("ada")
        assert listing is not None and [(r.over, r.good) for r in listing.restores] == [(True, True)]

    played(monkeypatch, play)


def test_looks_of_questions_that_are_gone_are_swept(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        before = sorted(world.left())
        await world.asks("ada", What.LIST)
        (one,) = versions(world, "ada")
        world.busy = {"browse"}
        world.at.desk.ask("ada", What.BROWSE, one, "x")
        for _ in range(3):
            await world.turn()
        assert sorted(world.left()) != before
        world.at.desk = Desk()
        world.at.desk.open_now()
        for _ in range(3):
            await world.turn()
        assert sorted(world.left()) == before

    played(monkeypatch, play)


def test_the_loop_of_backups_leaves_looks_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        await world.asks("ada", What.LIST)
        (one,) = versions(world, "ada")
        world.busy = {"browse"}
        world.at.desk.ask("ada", What.BROWSE, one, "x")
        await world.turn()
        world.ask("second")
        await world.finish("second")
        assert any("-look-" in name for name in world.left())

    played(monkeypatch, play)


def test_a_hub_that_asks_for_everybody_gets_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that was taken over: its questions name whom they like."""

    async def play(world: World) -> None:
        rows = [
            {
                "id": f"{n:032x}",
                "number": n + 1,
                "user": f"u{n}",
                "what": "restore",
                "snapshot": "",
                "asOf": "2026-03-01T23:59:59Z",
                "path": ".",
            }
            for n in range(1000)
        ]

        async def questions(run: str, after: int, wait: int) -> dict[str, Any]:
            return {"run": "0f" * 16, "last": 1000, "asks": rows}

        world.at.questions = questions  # type: ignore[method-assign]
        await earlier.reconcile(world.earlier, "ns", "demo")
        assert len(world.restores()) <= 3

    played(monkeypatch, play)


def test_a_hub_that_is_away_is_asked_again_later(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        world.at.away = True
        pauses = [await earlier.reconcile(world.earlier, "ns", "demo") for _ in range(6)]
        assert pauses == [5.0, 10.0, 30.0, 60.0, 60.0, 60.0]
        world.at.away = False
        assert await earlier.reconcile(world.earlier, "ns", "demo") == earlier.PAUSE

    played(monkeypatch, play)


def test_a_hub_without_backups_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        del world.kube.objects[PDSHUB.plural, "ns", "demo"]["spec"]["backup"]
        assert await earlier.reconcile(world.earlier, "ns", "demo") is None

    played(monkeypatch, play)


def test_the_desk_refuses_before_the_operator_hears_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(world: World) -> None:
        await world.asks("ada", What.LIST)
        await world.asks("bela", What.LIST)
        (belas,) = versions(world, "bela")
        with pytest.raises(Refused):
            world.at.desk.ask("ada", What.RESTORE, belas, "x")
        assert world.at.desk.waits("ada") is None

    played(monkeypatch, play)
