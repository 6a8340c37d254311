"""A copy that is fed with kopf's events: what it has, when it counts, and what lists do with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pdshub.cached_kube import CachedKube, Informers
from pdshub.kube import CLAIM, PDSHUB, Object
from pdshub.loops import EARLY, RESYNC, next_resync
from pdshub.object_cache import Changed, FedCache, Scope
from tests.unit.apiserver import ApiServer, serving
from tests.unit.settled import eventually


def hub(version: int, name: str = "a", uid: str = "u") -> Object:
    return {"metadata": {"namespace": "ns", "name": name, "uid": uid, "resourceVersion": str(version)}}


def copy_of(*events: tuple[str | None, Object]) -> tuple[FedCache, list[str]]:
    """A copy after events, and what it told: + came, ~ changed, - went."""
    told: list[str] = []

    def tell(old: Object | None, new: Object | None, own: bool) -> None:
        told.append("+" if old is None else "-" if new is None else "~")

    cache = FedCache(Scope(PDSHUB), tell)
    for kind, item in events:
        cache.feed(kind, item)
    return cache, told


def known(cache: FedCache) -> dict[str, str]:
    return {name: item["metadata"]["resourceVersion"] for (_, name), item in cache.objects.items()}


EVENTS: list[tuple[str, list[tuple[str | None, Object]], dict[str, str], str]] = [
    ("kopf's first list", [(None, hub(1)), (None, hub(2, "b"))], {"a": "1", "b": "2"}, "++"),
    ("it listed again, and nothing changed", [(None, hub(1)), (None, hub(1))], {"a": "1"}, "+"),
    ("it listed again after a change", [(None, hub(1)), (None, hub(3))], {"a": "3"}, "+~"),
    ("one that was made", [("ADDED", hub(1))], {"a": "1"}, "+"),
    ("one that was changed", [("ADDED", hub(1)), ("MODIFIED", hub(2))], {"a": "2"}, "+~"),
    ("one that was deleted", [("ADDED", hub(1)), ("DELETED", hub(2))], {}, "+-"),
    ("one that nobody knew of was deleted", [("DELETED", hub(2))], {}, ""),
    ("an event that comes late", [("MODIFIED", hub(3)), ("MODIFIED", hub(2))], {"a": "3"}, "+"),
    (
        "the end of an older one of that name comes after the new one: kopf has a worker for each uid",
        [("ADDED", hub(1)), ("ADDED", hub(4, uid="new")), ("DELETED", hub(3))],
        {"a": "4"},
        "+~",
    ),
]


@pytest.mark.parametrize(("events", "has", "told"), [e[1:] for e in EVENTS], ids=[e[0] for e in EVENTS])
def test_events(events: list[tuple[str | None, Object]], has: dict[str, str], told: str) -> None:
    cache, heard = copy_of(*events)
    assert known(cache) == has and "".join(heard) == told


LISTS: list[tuple[str, list[Object], list[Object], bool, dict[str, str]]] = [
    ("nothing was told yet", [], [hub(1)], False, {}),
    ("there is nothing", [], [], True, {}),
    ("all was told", [hub(1), hub(2, "b")], [hub(1), hub(2, "b")], True, {"a": "1", "b": "2"}),
    ("one is still to be told", [hub(1)], [hub(1), hub(2, "b")], False, {"a": "1"}),
    ("a change is still to be told", [hub(1)], [hub(5)], False, {"a": "1"}),
    ("more is known already", [hub(9)], [hub(5)], True, {"a": "9"}),
    ("a deletion was missed", [hub(1), hub(2, "b")], [hub(1)], True, {"a": "1"}),
    ("one was made after the list", [hub(1), hub(11, "b")], [hub(1)], True, {"a": "1", "b": "11"}),
]


@pytest.mark.parametrize(("told", "listed", "current", "has"), [e[1:] for e in LISTS], ids=[e[0] for e in LISTS])
def test_a_list_of_version_10(told: list[Object], listed: list[Object], current: bool, has: dict[str, str]) -> None:
    cache, _ = copy_of(*((None, item) for item in told))
    assert not cache.current, "nobody knows yet whether kopf has told all"
    cache.compare(listed, 10)
    assert cache.current is current and known(cache) == has


def test_it_does_not_count_in_doubt_and_counts_again_when_a_list_agrees() -> None:
    cache, _ = copy_of((None, hub(1)))
    cache.compare([hub(1)], 10)
    cache.doubt()
    assert not cache.current
    cache.compare([hub(1), hub(11, "b")], 12)
    assert not cache.current
    cache.feed("ADDED", hub(11, "b"))
    cache.compare([hub(1), hub(11, "b")], 13)
    assert cache.current


def test_a_list_of_whole_objects_is_taken_over_and_older_only_where_the_store_was_brought_back() -> None:
    cache, told = copy_of((None, hub(50)), (None, hub(60, "gone")))
    cache.fill([hub(7)], 8)
    assert known(cache) == {"a": "50", "gone": "60"}
    cache.doubt(afresh=True)
    cache.fill([hub(7)], 8)
    assert known(cache) == {"a": "7"} and cache.current and sorted(told) == ["+", "+", "-", "~"]


async def fed(server: ApiServer, kube: Any, *always: tuple[Scope, Changed]) -> tuple[CachedKube, Informers]:
    server.put(PDSHUB, {"metadata": {"namespace": "ns", "name": "a"}})
    informers = Informers(kube, always, lambda _: [], [(Scope(PDSHUB), lambda *_: None)])
    return CachedKube(kube, informers), informers


async def compare(kube: CachedKube, informers: Informers) -> bool:
    """One resync's list; whether the watch seems to be silent."""
    listed, version = await kube.live.snapshot(PDSHUB, "", labels="", metadata_only=True)
    behind = informers.behind(PDSHUB, listed)
    informers.compare(PDSHUB, listed, version)
    return behind


def test_before_the_first_list_was_told_everything_is_asked_and_nothing_is_called_silent() -> None:
    async def main() -> None:
        async with serving() as (server, kube):
            cached, informers = await fed(server, kube)
            assert [await compare(cached, informers) for _ in range(3)] == [False] * 3 and not informers.agreed
            informers.doubt()  # readers wait no longer
            server.asked.clear()
            assert await cached.get(PDSHUB, "a", "ns") and len(server.requests()) == 1
            informers.feed(PDSHUB, None, server.objects[PDSHUB.path("ns", "a")])
            await compare(cached, informers)
            server.asked.clear()
            assert await cached.get(PDSHUB, "a", "ns") and await cached.items(PDSHUB) and server.requests() == []

    asyncio.run(main())


@pytest.mark.parametrize(
    "brought_back", [False, True], ids=["it went silent", "the API server's store was brought back"]
)
def test_a_watch_of_kopf_that_is_behind_is_replaced_by_a_list(brought_back: bool) -> None:
    async def main() -> None:
        async with serving() as (server, kube):
            cached, informers = await fed(server, kube)
            path = PDSHUB.path("ns", "a")
            stored = server.objects[path]
            first = (
                {**stored, "metadata": {**stored["metadata"], "resourceVersion": "9999"}} if brought_back else stored
            )
            informers.feed(PDSHUB, None, first)
            assert await compare(cached, informers) is False and informers.agreed
            server.put(PDSHUB, {**stored, "spec": {"n": 1}})
            said = [await compare(cached, informers) for _ in range(2)]
            assert said == ([True, True] if brought_back else [False, True])
            informers.restart()
            assert not informers.agreed
            await informers.refill()
            assert informers.agreed and informers.objects(PDSHUB) == [server.objects[path]]
            assert [await compare(cached, informers) for _ in range(2)][-1] is False

    asyncio.run(main())


def test_it_is_not_believed_while_every_watch_of_our_own_has_ended() -> None:
    """Kopf does not say that its watch is away; those watches go to the same API server."""

    async def main() -> None:
        async with serving() as (server, kube):
            cached, informers = await fed(server, kube, (Scope(CLAIM), lambda *_: None))
            informers.start()
            (watching,) = informers.of(CLAIM, "")
            informers.feed(PDSHUB, None, server.objects[PDSHUB.path("ns", "a")])
            await compare(cached, informers)
            await eventually("claims are watched", lambda: watching.current)
            server.asked.clear()
            assert await cached.get(PDSHUB, "a", "ns") and server.requests() == []
            await informers.close()
            watching._ended = -1e9  # type: ignore[attr-defined]
            assert await cached.get(PDSHUB, "a", "ns") and len(server.requests()) == 1

    asyncio.run(main())


def test_until_kopf_has_told_its_first_list_the_resync_comes_early_and_ever_later() -> None:
    pauses, early = [], EARLY
    for _ in range(9):
        pause, early = next_resync(False, early)
        pauses.append(pause)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60] and next_resync(True, 4.0) == (RESYNC, EARLY)
