"""The door to the API server, against a server that answers as the real one does."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pdshub import kube as door
from pdshub.kube import ARCHIVE_VIEW, CONFIG_MAP, DEPLOYMENT, POD, SECRET, Kube, KubeError, Object, Resource
from tests.unit.apiserver import ApiServer, Asked, client, serving


def thing(name: str, namespace: str | None = "ns", **more: Any) -> Object:
    meta = {"name": name, **({"namespace": namespace} if namespace else {}), **more}
    return {"metadata": meta}


def within(test: Callable[[ApiServer, Kube], Awaitable[None]]) -> None:
    """Run a test beside an API server of its own."""

    async def run() -> None:
        async with serving() as (server, kube):
            await test(server, kube)

    asyncio.run(run())


@pytest.mark.parametrize(
    ("resource", "namespace", "name", "subresource", "path"),
    [
        (POD, "ns", "a", "", "/api/v1/namespaces/ns/pods/a"),
        (POD, None, None, "", "/api/v1/pods"),
        (DEPLOYMENT, "ns", None, "", "/apis/apps/v1/namespaces/ns/deployments"),
        (ARCHIVE_VIEW, "ignored", "v", "status", "/apis/pdshub.dev/v1alpha1/archiveviews/v/status"),
        (POD, "n/s", "../secrets/x", "", "/api/v1/namespaces/n%2Fs/pods/..%2Fsecrets%2Fx"),
    ],
)
def test_paths(resource: Resource, namespace: str | None, name: str | None, subresource: str, path: str) -> None:
    assert resource.path(namespace, name, subresource) == path


# --- what each call sends

Call = Callable[[Kube], Awaitable[Any]]
SENT: list[tuple[str, Call, str, str, str, dict[str, str], int]] = [
    ("get", lambda k: k.get(SECRET, "a", "ns"), "GET", "/secrets/a", "application/json", {}, 0),
    (
        "items",
        lambda k: k.items(SECRET, "ns", labels="a=b", fields="x=y"),
        "GET",
        "/secrets",
        "application/json",
        {"labelSelector": "a=b", "fieldSelector": "x=y", "limit": "500"},
        0,
    ),
    ("create", lambda k: k.create(SECRET, thing("new")), "POST", "/secrets", "application/json", {}, 1),
    (
        "apply",
        lambda k: k.apply(SECRET, thing("a"), "me"),
        "PATCH",
        "/secrets/a",
        "application/apply-patch+yaml",
        {"fieldManager": "me", "force": "true"},
        1,
    ),
    ("patch", lambda k: k.patch(SECRET, "a", {}, "ns"), "PATCH", "/secrets/a", "application/merge-patch+json", {}, 1),
    (
        "status",
        lambda k: k.patch(SECRET, "a", {}, "ns", "status"),
        "PATCH",
        "/secrets/a/status",
        "application/merge-patch+json",
        {},
        1,
    ),
    ("delete", lambda k: k.delete(SECRET, "a", "ns"), "DELETE", "/secrets/a", "application/json", {}, 1),
]


@pytest.mark.parametrize(
    ("call", "method", "path", "kind", "query", "writes"), [s[1:] for s in SENT], ids=[s[0] for s in SENT]
)
def test_requests(call: Call, method: str, path: str, kind: str, query: dict[str, str], writes: int) -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        server.put(SECRET, thing("a"))
        await call(kube)
        (asked,) = server.asked
        assert (asked.method, asked.path) == (method, f"/api/v1/namespaces/ns{path}")
        assert (asked.type, asked.query) == (kind, query)
        assert kube.writes == writes

    within(test)


def test_metadata_asks_for_nothing_else() -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        server.put(SECRET, thing("a", labels={"owner": "helm"}))
        server.put(SECRET, thing("b"))
        found = await kube.metadata(SECRET, "ns", labels="owner=helm")
        assert [item["metadata"]["name"] for item in found] == ["a"]
        assert "as=PartialObjectMetadataList" in server.asked[0].accept

    within(test)


@pytest.mark.parametrize(("grace", "more"), [(None, {}), (0, {"gracePeriodSeconds": 0})])
def test_deletion_is_in_the_background(grace: int | None, more: dict[str, int]) -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        server.put(POD, thing("a"))
        assert await kube.delete(POD, "a", "ns", grace)
        assert server.asked[0].body == {"propagationPolicy": "Background", **more}

    within(test)


def test_an_unknown_field_survives_and_null_deletes() -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        server.put(CONFIG_MAP, {**thing("a"), "future": {"x": 1}, "data": {"k": "v", "gone": "soon"}})
        changed = await kube.patch(CONFIG_MAP, "a", {"data": {"k": "w", "gone": None}}, "ns")
        assert changed and changed["data"] == {"k": "w"} and changed["future"] == {"x": 1}

    within(test)


# --- lists


def pages(asked: list[Asked]) -> list[str]:
    return [a.query.get("continue", "first" if "limit" in a.query else "whole") for a in asked]


@pytest.mark.parametrize(
    ("size", "expire", "asked"),
    [
        (10, False, ["first"]),
        (7, False, ["first"]),
        (3, False, ["first", "3", "6"]),
        (3, True, ["first", "3", "whole"]),
    ],
    ids=["one page", "exactly one page", "three pages", "expired on the way"],
)
def test_lists_come_in_pages(monkeypatch: pytest.MonkeyPatch, size: int, expire: bool, asked: list[str]) -> None:
    monkeypatch.setattr(door, "_PAGE", size)

    async def test(server: ApiServer, kube: Kube) -> None:
        for number in range(7):
            server.put(POD, thing(f"p{number}", namespace=f"ns{number % 2}"))
        server.pages_expire = expire
        found = await kube.items(POD)
        assert [item["metadata"]["name"] for item in found] == [
            f"p{n}" for n in sorted(range(7), key=lambda n: (n % 2, n))
        ]
        assert all((item["apiVersion"], item["kind"]) == ("v1", "Pod") for item in found)
        assert pages(server.asked) == asked

    within(test)


def test_a_list_that_expires_as_a_whole_is_an_error() -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        server.answer = (410, "")
        with pytest.raises(KubeError) as caught:
            await kube.items(POD)
        assert caught.value.status == 410 and len(server.asked) == 2

    within(test)


# --- refusals


def test_what_is_missing_is_no_error() -> None:
    async def test(_: ApiServer, kube: Kube) -> None:
        assert await kube.get(POD, "a", "ns") is None
        assert await kube.patch(POD, "a", {}, "ns") is None
        assert await kube.delete(POD, "a", "ns") is False
        assert await kube.items(POD, "ns") == []

    within(test)


def test_what_is_there_already_is_not_made_again() -> None:
    async def test(_: ApiServer, kube: Kube) -> None:
        assert await kube.create(POD, thing("a")) is True
        assert await kube.create(POD, thing("a")) is False

    within(test)


def test_a_conflict_is_told_apart() -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        server.put(POD, thing("a"))
        with pytest.raises(KubeError, match="has been modified") as caught:
            await kube.patch(POD, "a", {"metadata": {"resourceVersion": "0"}}, "ns")
        assert caught.value.conflict and not caught.value.missing
        current = await kube.get(POD, "a", "ns")
        assert current and await kube.patch(POD, "a", {"metadata": current["metadata"]}, "ns")

    within(test)


@pytest.mark.parametrize(
    ("status", "text", "says"),
    [
        (403, '{"kind": "Status", "message": "pods is forbidden"}', "pods is forbidden"),
        (500, "etcd is gone\n", "etcd is gone"),
        (503, "", "HTTP 503"),
        (422, '["no status"]', '["no status"]'),
        (500, "x" * 2000, "x" * 500),
    ],
)
def test_refusals_say_why(status: int, text: str, says: str) -> None:
    async def test(server: ApiServer, kube: Kube) -> None:
        server.answer = (status, text)
        for call in (kube.get(POD, "a", "ns"), kube.create(POD, thing("a")), kube.delete(POD, "a", "ns")):
            with pytest.raises(KubeError) as caught:
                await call
            assert (caught.value.status, str(caught.value)) == (status, says)

    within(test)


# --- no answer


def test_no_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "_TIMEOUT", 0.2)

    async def test(server: ApiServer, kube: Kube) -> None:
        server.hang = True
        with pytest.raises(KubeError, match="did not answer") as caught:
            await kube.get(POD, "a", "ns")
        assert caught.value.status == 0

    within(test)


def test_nobody_listens() -> None:
    async def test() -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            kube = client(f"http://127.0.0.1:{taken.getsockname()[1]}")
            with pytest.raises(KubeError, match="did not answer") as caught:
                await kube.get(POD, "a", "ns")
            assert caught.value.status == 0
            await kube.close()

    asyncio.run(test())
