"""A warning before a restore in its place stops a server: when it is given, how long it stands, who hears it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from pdshub import hub_api
from pdshub.hub_api import HubError
from pdshub.kube import POD, SECRET
from pdshub.reconcile.hub.backup import warn
from pdshub.reconcile.hub.backup.decide import of_restore
from pdshub.reconcile.hub.backup.facts import Use
from pdshub.reconcile.hub.backup.steps import Nothing, Start, StopServer, WarnUser
from pdshub.render.keys import TOKEN_KEY
from pdshub_hub.warning import Board
from tests.unit.reconcile.hub.backup.estate import Estate, Killed
from tests.unit.reconcile.hub.backup.given import NOW, READY, facts, restore
from tests.unit.reconcile.hub.people.fake_hub import FakeHub, Person

SERVER = {"claim-ada": (Use("jupyter-ada", "n1"),)}
BEGUN = {"phase": "Running", "started": NOW}
STOPPED = {**READY, "type": "ServerStopped"}


def warned(at: str, status: str = "True") -> dict[str, Any]:
    return {**READY, "type": warn.WARNED, "status": status, "lastTransitionTime": at}


CASES: list[tuple[str, dict[str, Any], list[dict[str, Any]], Any, Any]] = [
    ("a server runs", {}, [], SERVER, WarnUser),
    ("no server runs", {}, [], {}, StopServer),
    ("without a warning, as it was wished", {"warn_seconds": 0}, [], SERVER, StopServer),
    ("it stands", {}, [warned("2026-03-10T11:59:30Z")], SERVER, Nothing),
    ("its time is over", {}, [warned("2026-03-10T11:58:59Z")], SERVER, StopServer),
    ("a longer one stands", {"warn_seconds": 600}, [warned("2026-03-10T11:52:00Z")], SERVER, Nothing),
    ("the clock was set back by days since", {}, [warned("2026-03-13T11:59:30Z")], SERVER, StopServer),
    ("nobody could be warned", {}, [warned(NOW, "False")], SERVER, StopServer),
    ("the user stopped it meanwhile", {}, [warned("2026-03-10T11:59:30Z"), STOPPED], {}, Start),
    ("beside, nobody is warned", {"in_place": False}, [], SERVER, Start),
]


@pytest.mark.parametrize(("spec", "conditions", "uses", "wanted"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_next_step(spec: dict[str, Any], conditions: list[dict[str, Any]], uses: Any, wanted: type) -> None:
    given = restore(status={**BEGUN, "conditions": conditions}, **{"in_place": True, **spec})
    step = of_restore(facts(restores=(given,), uses=uses), given)
    assert isinstance(step, wanted), step


def test_jupyterlab_shows_all_of_it() -> None:
    assert len(f"12:00 PM: {warn.MESSAGE}") <= 140


class Hub(FakeHub):
    """With the board of the hub itself."""

    def __init__(self, **people: Person) -> None:
        super().__init__(**people)
        self.board = Board()

    async def warn(self, user: str, id: str, message: str, seconds: float) -> None:
        await super().warn(user, id, message, seconds)
        self.board.put({"user": user, "id": id, "message": message, "seconds": seconds})


def world(monkeypatch: pytest.MonkeyPatch) -> tuple[Hub, Estate]:
    """A hub at which ada's server runs, and a restore in its place."""
    hub, estate = Hub(ada=Person(servers={"": "ready"})), Estate()
    monkeypatch.setattr(hub_api, "connect", hub.connect)
    estate.hub()
    estate.put(SECRET, "demo-keys", data={TOKEN_KEY: base64.b64encode(b"a token").decode()})
    volume = {"name": "volume", "persistentVolumeClaim": {"claimName": "claim-ada"}}
    labels = {"component": "singleuser-server", "pdshub.dev/hub": "demo"}
    estate.put(POD, "jupyter-ada", meta={"labels": labels}, spec={"nodeName": "n1", "volumes": [volume]})
    estate.ask_back(in_place=True)
    return hub, estate


async def turns(hub: Hub, estate: Estate, seconds: int) -> None:
    for _ in range(seconds // 2):
        await estate.look()
        if not hub.people["ada"].servers:
            estate.kube.objects.pop((POD.plural, "ns", "jupyter-ada"), None)
        estate.kubernetes()
        estate.collect()
        estate.now += 2


def test_who_works_there_is_warned_once_and_has_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        hub, estate = world(monkeypatch)
        await turns(hub, estate, 50)
        assert hub.calls.count("warn ada 60") == 1 and "stop ada " not in hub.calls and estate.jobs == []
        assert "is warned" in estate.status("back")["message"]
        ((said, _),) = hub.board.of("ada")
        assert said.message == warn.MESSAGE and hub.board.of("bela") == []
        await turns(hub, estate, 40)
        assert "stop ada " in hub.calls and hub.calls.count("warn ada 60") == 1
        assert (await estate.finish("back"))["phase"] == "Completed"

    asyncio.run(main())


def test_an_operator_that_is_killed_in_it_warns_of_the_same_and_stops_nobody_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        hub, estate = world(monkeypatch)
        for kills in range(6):
            estate.dies_at = kills
            try:
                await turns(hub, estate, 4)
            except Killed:
                estate.restart()
            estate.dies_at = -1
        assert len(hub.board.of("ada")) == 1 and "stop ada " not in hub.calls
        await turns(hub, estate, 90)
        assert (await estate.finish("back"))["phase"] == "Completed"

    asyncio.run(main())


@pytest.mark.parametrize("status", [0, 403, 404, 500])
def test_a_hub_that_cannot_warn_holds_up_no_restore(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    """As one that runs from an older image."""

    async def main() -> None:
        hub, estate = world(monkeypatch)

        async def refuses(*_: Any) -> None:
            raise HubError("the hub answers that there is no such page", status)

        monkeypatch.setattr(hub, "warn", refuses)
        await turns(hub, estate, 20)
        assert (await estate.finish("back"))["phase"] == "Completed"
        (said,) = [c for c in estate.status("back")["conditions"] if c["type"] == warn.WARNED]
        assert (said["status"], said["reason"]) == ("False", "NotReached") and "no such page" in said["message"]

    asyncio.run(main())
