"""The operator as a service of a hub: calls stay in their place, answers are bounded and looked at."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from yarl import URL

from pdshub import hub_api
from pdshub.hub_api import HubClient, HubError
from pdshub.hub_api.client import opened
from pdshub.kube import Kube
from tests.unit.apiserver import listening

TOKEN = "a secret token"


class Answering:
    """A hub that answers everything alike, and writes down what it was asked."""

    def __init__(self, *answers: web.Response | Any) -> None:
        self.answers, self.asked = list(answers), list[str]()
        self.tokens = set[str]()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.raw_path}")
        self.tokens.add(request.headers.get("Authorization", ""))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer(request) if callable(answer) else answer


async def called(hub: Answering, call: Callable[[HubClient], Awaitable[Any]]) -> Any:
    async with listening(hub.handle) as port, opened(URL(f"http://127.0.0.1:{port}/base/hub/api"), TOKEN) as client:
        return await call(client)


def says(body: Any, status: int = 200) -> Callable[[web.Request], web.Response]:
    return lambda request: web.json_response(body, status=status)


NAMES = [
    ("ada@example.org", "ada@example.org"),
    ("a/../../services", "a%2F..%2F..%2Fservices"),
    ("a?b=c#d", "a%3Fb%3Dc%23d"),
    ("%2e%2e", "%252e%252e"),
    ("http://elsewhere/", "http%3A%2F%2Felsewhere%2F"),
]


@pytest.mark.parametrize(("name", "part"), NAMES)
def test_no_name_leaves_its_place_in_the_path(name: str, part: str) -> None:
    hub = Answering(says({"name": name}))
    assert asyncio.run(called(hub, lambda client: client.user(name))).name == name
    assert hub.asked == [f"GET /base/hub/api/users/{part}"] and hub.tokens == {f"token {TOKEN}"}


def test_a_name_of_dots_is_not_asked_for() -> None:
    hub = Answering(says({}))
    with pytest.raises(HubError, match="dots"):
        asyncio.run(called(hub, lambda client: client.user("..")))
    assert hub.asked == []


def test_users_are_listed_page_by_page() -> None:
    def page(request: web.Request) -> web.Response:
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        assert "pagination" in request.headers["Accept"]
        items = [{"name": f"u{n}", "servers": {"": {"ready": True}}} for n in range(offset, min(450, offset + limit))]
        return web.json_response({"items": items})

    hub = Answering(page)
    found = asyncio.run(called(hub, lambda client: client.users()))
    assert [user.name for user in found] == [f"u{n}" for n in range(450)] and len(hub.asked) == 3
    assert found[0].servers[0].ready


BAD: list[tuple[Any, str]] = [
    (web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "302"),
    (says({"message": TOKEN}, 403), "403"),
    (web.Response(text="<html>"), "is none"),
    (web.Response(text="{"), "no JSON"),
    (web.Response(text="[" * 100_000), "no JSON"),
    (says([]), "is none"),
    (says({"items": [{}]}), "without a name"),
    (says({"items": [{"name": "a", "servers": [1]}]}), "servers or groups"),
    (says({"items": [{"name": "a", "servers": {"": 1}}]}), "a server"),
    (lambda request: web.Response(body=json.dumps({"items": "x" * (9 << 20)}).encode()), "MiB"),
]


@pytest.mark.parametrize(("answer", "why"), BAD, ids=range(len(BAD)))
def test_a_bad_answer_is_an_error_without_the_token(answer: Any, why: str) -> None:
    hub = Answering(answer)
    with pytest.raises(HubError, match=why) as said:
        asyncio.run(called(hub, lambda client: client.users()))
    assert TOKEN not in str(said.value) and len(hub.asked) == 1


def test_a_hub_that_does_not_answer_is_an_error() -> None:
    async def main() -> None:
        async with opened(URL("http://127.0.0.1:1/hub/api"), TOKEN) as client:
            await client.list_in_effect()

    with pytest.raises(HubError) as said:
        asyncio.run(main())
    assert said.value.status == 0 and TOKEN not in str(said.value)


def test_a_hub_is_asked_from_inside_the_cluster_at_a_plain_path() -> None:
    async def main(in_cluster: bool, base: str) -> None:
        kube = cast(Kube, SimpleNamespace(in_cluster=in_cluster))
        async with hub_api.connect(kube, "ns", base, TOKEN):
            pass

    with pytest.raises(HubError, match="inside"):
        asyncio.run(main(False, "/"))
    with pytest.raises(HubError, match="no plain path"):
        asyncio.run(main(True, "/@elsewhere?"))
