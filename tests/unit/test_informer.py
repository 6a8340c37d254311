"""Informers and the door over them: what a copy knows, when it answers, and when it must not."""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pdshub.cached_kube import CachedKube, Informers
from pdshub.kube import ARCHIVE_VIEW, CLAIM, CONFIG_MAP, POD, SECRET, KubeError, Object, Resource
from pdshub.object_cache import Scope
from pdshub.selector import Selector
from pdshub.watch import READ_BUFFER, small_buffers
from tests.unit.apiserver import ApiServer, Asked, serving
from tests.unit.settled import eventually


def thing(name: str, namespace: str | None = "ns", labels: dict[str, str] | None = None, **more: Any) -> Object:
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), "labels": labels or {}}
    return {"metadata": {**meta, **more.pop("metadata", {})}, **more}


SCOPES = (
    Scope(CLAIM, "ns"),
    Scope(POD, "ns", "component in (hub,proxy)"),
    Scope(SECRET, "ns", metadata_only=True),
)


class Bench:
    """Informers of views and of namespace ns, and what they told."""

    def __init__(self, server: ApiServer, kube: Any) -> None:
        self.server = server
        self.told: list[tuple[str, str, bool]] = []
        self.informers = Informers(
            kube, [(Scope(ARCHIVE_VIEW), self._tell)], lambda _: [(scope, self._tell) for scope in SCOPES]
        )
        self.kube = CachedKube(kube, self.informers)

    def _tell(self, old: Object | None, new: Object | None, own: bool) -> None:
        item = new or old or {}
        self.told.append((item["metadata"]["name"], "+" if old is None else "-" if new is None else "~", own))

    def known(self, resource: Resource, namespace: str = "ns") -> dict[str, Object]:
        (informer,) = self.informers.of(resource, namespace)
        return {name: item for (_, name), item in informer.objects.items()}

    def current(self) -> bool:
        return all(informer.current for informer in self.informers.caches)

    async def heard(self) -> None:
        """Every watch has told of all changes."""
        last = f"last-{self.server.version}"
        for resource, labels in ((CLAIM, {}), (POD, {"component": "hub"}), (SECRET, {})):
            self.server.put(resource, thing(last, labels=labels))
            await eventually("all is heard", lambda resource=resource: last in self.known(resource))  # type: ignore[misc]
        self.told = [entry for entry in self.told if not entry[0].startswith("last-")]
        self.server.asked.clear()


@asynccontextmanager
async def following(*objects: tuple[Resource, Object]) -> AsyncIterator[Bench]:
    async with serving() as (server, kube):
        for resource, body in objects:
            server.put(resource, body)
        bench = Bench(server, kube)
        bench.informers.start()
        bench.informers.follow({"ns"})
        await eventually("everything is listed", bench.current)
        await bench.heard()
        bench.told.clear()
        try:
            yield bench
        finally:
            await bench.informers.close()


def within(test: Callable[[Bench], Awaitable[None]], *objects: tuple[Resource, Object]) -> None:
    async def run() -> None:
        async with following(*objects) as bench:
            await test(bench)

    asyncio.run(run())


HUB_POD = thing("hub-1", labels={"component": "hub"})
THINGS = (
    (CLAIM, thing("a", labels={"x": "1"})),
    (CLAIM, thing("b", labels={"x": "2"})),
    (CLAIM, thing("elsewhere", "other")),
    (POD, HUB_POD),
    (POD, thing("jupyter-ada", labels={"component": "singleuser-server"})),
    (SECRET, thing("s", data={"password": "c2VjcmV0"})),
    (CONFIG_MAP, thing("c")),
    (ARCHIVE_VIEW, thing("v", None)),
)

# --- who answers

Call = Callable[[CachedKube], Awaitable[Any]]
READS: list[tuple[str, Call, Any, int]] = [
    ("an object", lambda k: k.get(CLAIM, "a", "ns"), "a", 0),
    ("an object without namespace", lambda k: k.get(ARCHIVE_VIEW, "v"), "v", 0),
    ("an object of a selection", lambda k: k.get(POD, "hub-1", "ns"), "hub-1", 0),
    ("metadata", lambda k: k.get_metadata(SECRET, "s", "ns"), "s", 0),
    ("an object that is not there is asked for", lambda k: k.get(CLAIM, "nowhere", "ns"), None, 1),
    ("one that the selection leaves out", lambda k: k.get(POD, "jupyter-ada", "ns"), "jupyter-ada", 1),
    ("a Secret's content", lambda k: k.get(SECRET, "s", "ns"), "s", 1),
    ("a namespace that is not followed", lambda k: k.get(CLAIM, "elsewhere", "other"), "elsewhere", 1),
    ("a kind that is not watched", lambda k: k.get(CONFIG_MAP, "c", "ns"), "c", 1),
    ("live", lambda k: k.live.get(CLAIM, "a", "ns"), "a", 1),
    ("a list by labels", lambda k: k.items(CLAIM, "ns", labels="x=1"), ["a"], 0),
    ("a list within the selection", lambda k: k.items(POD, "ns", labels="component=hub,component2"), [], 0),
    ("a list of the selection", lambda k: k.items(POD, "ns", labels="component=proxy"), [], 0),
    ("a list of metadata", lambda k: k.metadata(SECRET, "ns", labels=""), ["s"], 0),
    ("a list beyond the selection", lambda k: k.items(POD, "ns", labels="component"), ["hub-1", "jupyter-ada"], 1),
    ("a list of all namespaces", lambda k: k.items(CLAIM, labels="x"), ["a", "b"], 1),
    ("a list by fields", lambda k: k.items(CLAIM, "ns", labels="x=2", fields="metadata.name=b"), ["b"], 1),
    ("a list of Secrets with content", lambda k: k.items(SECRET, "ns"), ["s"], 1),
    ("a live list", lambda k: k.live.items(CLAIM, "ns", labels="x=1"), ["a"], 1),
]


@pytest.mark.parametrize(("read", "found", "requests"), [r[1:] for r in READS], ids=[r[0] for r in READS])
def test_who_answers(read: Call, found: Any, requests: int) -> None:
    async def test(bench: Bench) -> None:
        said = await read(bench.kube)
        names = [i["metadata"]["name"] for i in said] if isinstance(said, list) else said and said["metadata"]["name"]
        if isinstance(names, list):
            names = [name for name in names if not name.startswith("last-")]
        assert names == found
        assert len(bench.server.requests()) == requests

    within(test, *THINGS)


def test_an_object_is_as_a_read_would_have_it_and_of_a_secret_only_metadata() -> None:
    async def test(bench: Bench) -> None:
        known = await bench.kube.get(CLAIM, "a", "ns")
        assert known == await bench.kube.live.get(CLAIM, "a", "ns")
        assert set(bench.known(SECRET)["s"]) == {"metadata"}
        await bench.kube.patch(SECRET, "s", {"data": {"password": "bmV3"}}, "ns")
        assert set(bench.known(SECRET)["s"]) == {"metadata"}, "nor of one that was written here"

    within(test, *THINGS)


# --- own writes

WRITES: list[tuple[str, Call, str | None]] = [
    ("patch", lambda k: k.patch(CLAIM, "a", {"spec": {"n": 1}}, "ns"), "1"),
    ("patch of the status", lambda k: k.patch(CLAIM, "a", {"spec": {"n": 1}}, "ns", "status"), "1"),
    ("apply", lambda k: k.apply(CLAIM, thing("a", spec={"n": 1}), "me"), "1"),
    ("delete", lambda k: k.delete(CLAIM, "a", "ns"), None),
    ("a write by the live door", lambda k: k.live.patch(CLAIM, "a", {"spec": {"n": 1}}, "ns"), "1"),
]


@pytest.mark.parametrize(("write", "spec"), [w[1:] for w in WRITES], ids=[w[0] for w in WRITES])
def test_own_writes_are_read_at_once(write: Call, spec: str | None) -> None:
    """Though the watch says nothing yet."""

    async def test(bench: Bench) -> None:
        bench.server.silent = True
        await write(bench.kube)
        found = await bench.kube.get(CLAIM, "a", "ns")
        assert (found and str(found["spec"]["n"])) == spec
        listed = [i for i in await bench.kube.items(CLAIM, "ns", labels="x=1")]
        assert [str(i["spec"]["n"]) for i in listed] == ([] if spec is None else [spec])

    within(test, *THINGS)


def test_what_was_made_is_read_at_once() -> None:
    async def test(bench: Bench) -> None:
        bench.server.silent = True
        assert await bench.kube.create(CLAIM, thing("new")) and not await bench.kube.create(CLAIM, thing("a"))
        bench.server.asked.clear()
        assert await bench.kube.get(CLAIM, "new", "ns")
        assert bench.server.requests() == []

    within(test, *THINGS)


@pytest.mark.parametrize("early", [False, True], ids=["told after the answer", "told before the answer"])
def test_own_writes_are_told_as_such_and_once(early: bool) -> None:
    async def test(bench: Bench) -> None:
        async def wait(_: Asked) -> None:
            # every other object's change has been heard when the answer comes
            await bench.heard()

        if early:
            bench.server.before_answer = wait
        await bench.kube.patch(CLAIM, "a", {"spec": {"n": 1}}, "ns")
        bench.server.before_answer = None
        await bench.heard()
        assert bench.told == [("a", "~", True)]

    within(test, *THINGS)


def test_what_somebody_else_writes_meanwhile_is_told_as_theirs() -> None:
    async def test(bench: Bench) -> None:
        async def interfere(_: Asked) -> None:
            bench.server.put(CLAIM, thing("a", spec={"n": 2}))
            await bench.heard()

        bench.server.before_answer = interfere
        await bench.kube.patch(CLAIM, "a", {"spec": {"n": 1}}, "ns")
        assert bench.told == [("a", "~", True), ("a", "~", False)]
        assert bench.known(CLAIM)["a"]["spec"] == {"n": 2}

    within(test, *THINGS)


def test_an_own_write_that_is_refused_hides_nothing() -> None:
    async def test(bench: Bench) -> None:
        with pytest.raises(KubeError):
            await bench.kube.patch(CLAIM, "a", {"metadata": {"resourceVersion": "0"}}, "ns")
        assert await bench.kube.patch(CLAIM, "nowhere", {}, "ns") is None
        assert bench.told == [] and await bench.kube.get(CLAIM, "a", "ns")

    within(test, *THINGS)


def test_a_deletion_that_waits_is_known_and_an_old_state_never_comes_back() -> None:
    async def test(bench: Bench) -> None:
        await bench.kube.patch(CLAIM, "a", {"metadata": {"finalizers": ["x"]}}, "ns")
        assert await bench.kube.delete(CLAIM, "a", "ns")
        await bench.heard()
        found = await bench.kube.get(CLAIM, "a", "ns")
        assert found and found["metadata"]["deletionTimestamp"] and bench.server.requests() == []
        await bench.kube.patch(CLAIM, "a", {"metadata": {"finalizers": []}}, "ns")
        assert await bench.kube.get(CLAIM, "a", "ns") is None
        await bench.heard()
        assert "a" not in bench.known(CLAIM)
        assert await bench.kube.items(CLAIM, "ns", labels="x=1") == [] and bench.server.requests() == []

    within(test, *THINGS)


def test_an_object_that_is_made_anew_under_its_name_is_known_again() -> None:
    async def test(bench: Bench) -> None:
        await bench.kube.delete(CLAIM, "a", "ns")
        bench.server.put(CLAIM, thing("a", spec={"n": 2}))
        await bench.heard()
        found = await bench.kube.get(CLAIM, "a", "ns")
        assert found and found["spec"] == {"n": 2} and bench.server.requests() == []

    within(test, *THINGS)


# --- a watch that ends


def test_a_watch_that_ends_goes_on_where_it_was() -> None:
    async def test(bench: Bench) -> None:
        bench.server.cut()
        bench.server.put(CLAIM, thing("new"))
        bench.server.remove(CLAIM, "b", "ns")
        await bench.heard()
        assert {"a", "new"} <= set(bench.known(CLAIM)) and "b" not in bench.known(CLAIM)
        assert sorted(bench.told) == [("b", "-", False), ("new", "+", False)]

    within(test, *THINGS)


def test_a_version_that_is_too_old_leads_to_a_list() -> None:
    async def test(bench: Bench) -> None:
        bench.server.silent = True
        bench.server.put(CLAIM, thing("new"))
        bench.server.put(CLAIM, thing("b", spec={"n": 1}))
        bench.server.remove(CLAIM, "a", "ns")
        bench.server.forget()
        bench.server.silent = False
        bench.server.cut()
        await eventually("the change is known", lambda: "new" in bench.known(CLAIM))
        assert f"GET {CLAIM.path('ns')}" in bench.server.requests()
        assert "a" not in bench.known(CLAIM) and bench.known(CLAIM)["b"]["spec"] == {"n": 1}
        told = [entry for entry in bench.told if entry[0] in ("a", "b", "new", "elsewhere")]
        assert sorted(told) == [("a", "-", False), ("b", "~", False), ("new", "+", False)]

    within(test, *THINGS)


def test_an_api_server_whose_store_was_brought_back_is_believed() -> None:
    """Its versions are older than those that are known, and it refuses to watch from what it has not reached yet."""

    async def test(bench: Bench) -> None:
        (informer,) = bench.informers.of(CLAIM, "ns")
        informer.objects["ns", "a"] = thing("a", spec={"n": 7}, metadata={"resourceVersion": "9999"})
        bench.server.refuses_watch = 504
        bench.server.cut()
        await eventually("it is listed", lambda: bench.known(CLAIM)["a"].get("spec") is None)
        assert bench.known(CLAIM)["a"] == bench.server.objects[CLAIM.path("ns", "a")]

    within(test, *THINGS)


def test_what_was_written_after_a_list_began_outlives_it() -> None:
    async def test(bench: Bench) -> None:
        (informer,) = bench.informers.of(CLAIM, "ns")
        listed = [item for item in informer.objects.values()]
        version = bench.server.version
        bench.server.silent = True
        await bench.kube.patch(CLAIM, "a", {"spec": {"n": 1}}, "ns")
        await bench.kube.create(CLAIM, thing("new"))
        await bench.kube.delete(CLAIM, "b", "ns")
        informer._replace(listed, version)
        assert bench.known(CLAIM)["a"]["spec"] == {"n": 1} and "new" in bench.known(CLAIM)
        assert await bench.kube.get(CLAIM, "b", "ns") is None

    within(test, *THINGS)


@pytest.mark.parametrize("status", [403, 500])
def test_an_informer_that_is_refused_answers_nothing(status: int) -> None:
    """Without the right to watch everything works as before, with a request for each read."""

    async def main() -> None:
        async with serving() as (server, kube):
            server.put(CLAIM, thing("a"))
            server.refuses_watch = status
            bench = Bench(server, kube)
            bench.informers.start()
            bench.informers.follow({"ns"})
            assert await bench.kube.get(CLAIM, "a", "ns") and [i async for i in _each(bench.kube.items(CLAIM, "ns"))]
            (informer,) = bench.informers.of(CLAIM, "ns")
            informer._ended = -1e9
            server.asked.clear()
            assert await bench.kube.get(CLAIM, "a", "ns")
            assert server.requests().count(f"GET {CLAIM.path('ns', 'a')}") == 1
            await bench.informers.close()

    asyncio.run(main())


async def _each(found: Awaitable[list[Object]]) -> AsyncIterator[Object]:
    for item in await found:
        yield item


def test_an_informer_that_does_not_reach_the_api_server_answers_nothing() -> None:
    async def test(bench: Bench) -> None:
        (informer,) = bench.informers.of(CLAIM, "ns")
        await informer.stop()
        assert informer.current, "a watch that is being asked for anew"
        informer._ended = -1e9
        assert not informer.current
        bench.server.answer = (503, "")
        with pytest.raises(KubeError):
            await bench.kube.get(CLAIM, "a", "ns")

    within(test, *THINGS)


def test_a_namespace_that_is_no_longer_followed_is_forgotten() -> None:
    async def test(bench: Bench) -> None:
        bench.informers.follow(set())
        assert list(bench.informers.of(CLAIM, "ns")) == []
        assert await bench.kube.get(CLAIM, "a", "ns") and len(bench.server.requests()) == 1
        bench.informers.follow({"ns"})
        await eventually("it is listed again", bench.current)
        bench.server.asked.clear()
        assert await bench.kube.get(CLAIM, "a", "ns") and bench.server.requests() == []

    within(test, *THINGS)


# --- a watch that says nothing though it is open


def test_a_silent_watch_is_found_by_two_resyncs_and_listed_again() -> None:
    async def test(bench: Bench) -> None:
        async def behind() -> bool:
            return bench.informers.behind(ARCHIVE_VIEW, await bench.kube.live.metadata(ARCHIVE_VIEW, "", labels=""))

        assert [await behind(), await behind()] == [False, False]
        bench.server.silent = True
        bench.server.put(ARCHIVE_VIEW, thing("v", None, spec={"n": 1}))
        assert await behind() is False, "it may be on its way"
        assert await behind() is True
        bench.informers.restart()
        assert not bench.current()
        await eventually("it is listed again", bench.current)
        assert bench.known(ARCHIVE_VIEW, "")["v"]["spec"] == {"n": 1}
        assert [await behind(), await behind()] == [False, False]
        bench.server.remove(ARCHIVE_VIEW, "v")
        assert [await behind(), await behind()] == [False, True], "nor does it hear of a deletion"

    within(test, *THINGS)


# --- selectors


@pytest.mark.parametrize(
    ("query", "kept", "inside"),
    [
        ("", "", True),
        ("a=b", "", True),
        ("", "a", False),
        ("a", "a", True),
        ("a=b", "a", True),
        ("a", "a=b", False),
        ("a=b,c", "a=b", True),
        ("a=c", "a=b", False),
        ("a=b", "a in (b,c)", True),
        ("a in (b,c)", "a in (b,c,d)", True),
        ("a in (b,e)", "a in (b,c)", False),
        ("c=b", "a in (b,c)", False),
    ],
)
def test_what_a_selection_can_answer(query: str, kept: str, inside: bool) -> None:
    assert Selector.parse(query).within(Selector.parse(kept)) is inside


@pytest.mark.parametrize("text", ["!a", "a!=b", "a notin (b)", "a=b,a=c"])
def test_a_selector_that_is_not_understood_is_no_guess(text: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        Selector.parse(text)


def test_a_watch_costs_no_large_buffer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hubs have six watches each, and asyncio would keep 256 KiB for every one."""
    monkeypatch.setattr(SSLProtocol, "max_size", SSLProtocol.max_size)
    small_buffers()

    async def main() -> int:
        loop = asyncio.get_running_loop()
        made = SSLProtocol(loop, asyncio.Protocol(), ssl.create_default_context(), None)
        return len(made.get_buffer(-1))

    assert asyncio.run(main()) == READ_BUFFER
