"""Somebody is taken out of a hub, whatever step the operator ends at, and whoever else is slow."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pdshub.hub_api import HubClient, HubError
from pdshub.reconcile.hub.people.removal import Removed, Step, remove
from pdshub.reconcile.hub.people.removals import AT_ONCE, Removals
from tests.unit.reconcile.hub.people.fake_hub import FakeHub, Killed, Person, busy
from tests.unit.waiting import eventually


async def taken_out(hub: FakeHub, name: str, steps: list[Step] | None = None) -> Removed:
    told = (steps if steps is not None else []).append
    return await remove(cast(HubClient, hub), name, told, asyncio.Semaphore(4), pause=0.001)


def test_everything_is_taken_away_before_the_record() -> None:
    async def main() -> None:
        hub, steps = FakeHub(ada=busy(), bela=busy()), list[Step]()
        done = await taken_out(hub, "ada", steps)
        assert (done.servers, done.tokens, done.found) == (2, 2, True)
        assert set(hub.people) == {"bela"} and hub.people["bela"].tokens == {"t1", "t2"}
        last = [call for call in hub.calls if "ada" in call]
        assert last[-2:] == ["delete ada", "user ada"]
        assert {"stop ada ", "stop ada two", "end_token ada t1", "end_token ada t2", "leave ada g"} < set(last)
        assert "end_share ada bela" in last
        assert len(steps) == len(dict.fromkeys(steps)), "each step is said once"

    asyncio.run(main())


CALLS = 10
"""Calls of one removal of somebody who has everything."""


@pytest.mark.parametrize("after", range(1, CALLS + 1))
def test_a_removal_goes_on_from_whatever_step_it_was_killed_at(after: int) -> None:
    async def main() -> None:
        hub = FakeHub(ada=busy(), bela=busy())
        hub.dies_after = after
        with pytest.raises(Killed):
            await taken_out(hub, "ada")
        hub.dies_after = None
        await taken_out(hub, "ada")
        assert set(hub.people) == {"bela"}

    asyncio.run(main())


def test_there_is_no_step_after_the_last_that_was_tried() -> None:
    async def main() -> int:
        hub = FakeHub(ada=busy())
        await taken_out(hub, "ada")
        return len(hub.calls)

    assert asyncio.run(main()) == CALLS + 1, "the look that finds nobody is the last"


def test_who_is_unknown_was_not_removed() -> None:
    assert asyncio.run(taken_out(FakeHub(), "ada")).found is False


def test_slow_ones_hold_up_nobody() -> None:
    """As many whose servers never end as may call at once, and one more whose servers do."""

    async def main() -> None:
        slow = {f"slow{number}": busy() for number in range(2 * AT_ONCE)}
        hub, removals, over = FakeHub(**slow, ada=busy()), Removals(), asyncio.Event()
        hub.slow = set(slow)

        async def work(name: str, told: Any) -> None:
            await remove(cast(HubClient, hub), name, told, removals.slots, pause=0.001)

        removals.begin([*slow, "ada"], work, over.set)
        await asyncio.wait_for(over.wait(), 30)
        assert "ada" not in hub.people and removals.under_way == slow.keys()
        await eventually("no tokens", lambda: not any(person.tokens for person in hub.people.values()))
        assert "and 27 more" in removals.words()
        hub.slow = set()
        await eventually("all are over", lambda: not removals.under_way)
        assert not hub.people and removals.words() == ""

    asyncio.run(main())


def test_a_hub_that_is_away_delays_and_loses_nothing() -> None:
    async def main() -> None:
        hub, removals, ended = FakeHub(ada=busy()), Removals(), list[int]()
        hub.away = HubError("the hub does not answer")

        async def work(name: str, told: Any) -> None:
            await remove(cast(HubClient, hub), name, told, removals.slots, pause=0.001)

        for away in (hub.away, None):
            hub.away = away
            removals.begin(["ada"], work, lambda: ended.append(1))
            await eventually("all are over", lambda: not removals.under_way)
            assert bool(removals.troubles) is bool(away) and ("does not answer" in removals.words()) is bool(away)
        assert not hub.people and len(ended) == 2

    asyncio.run(main())


def test_who_is_let_in_again_is_not_removed_any_further() -> None:
    async def main() -> None:
        hub, removals = FakeHub(ada=Person(servers={"": "ready"})), Removals()
        hub.slow = {"ada"}

        async def work(name: str, told: Any) -> None:
            await remove(cast(HubClient, hub), name, told, removals.slots, pause=0.001)

        removals.begin(["ada"], work, lambda: None)
        removals.keep_to(set())  # before it has begun
        await eventually("all are over", lambda: not removals.under_way)
        assert removals.words() == "" and hub.calls == []
        removals.begin(["ada"], work, lambda: None)
        await eventually("it is under way", lambda: "stop ada " in hub.calls)
        removals.keep_to(set())
        await eventually("all are over", lambda: not removals.under_way)
        assert "ada" in hub.people

    asyncio.run(main())
