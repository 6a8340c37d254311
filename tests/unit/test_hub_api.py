"""The operator's question to a hub: to that hub and no other host, whatever values and answers say."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from yarl import URL

from pdshub import hub_api
from pdshub.kube import Kube
from tests.unit.apiserver import listening

BASES: list[tuple[str, str]] = [
    ("/", "/hub/health"),
    ("", "/hub/health"),
    ("/jupyter/", "/jupyter/hub/health"),
    ("/a/b-c_d", "/a/b-c_d/hub/health"),
    ("@169.254.169.254/", ""),
    (":1@example.org/", ""),
    ("x", ""),
    ("//example.org/", ""),
    ("/../../../api/v1/secrets?", ""),
    ("/a/../b/", ""),
    ("/./", ""),
    ("/%2e%2e/", ""),
    ("/a?b=/", ""),
    ("/a#", ""),
    ("/a\r\nHost: x/", ""),
    ("/a b/", ""),
    ("\\example.org/", ""),
]


@pytest.mark.parametrize(("base", "path"), BASES, ids=[repr(b[0]) for b in BASES])
def test_the_base_url_is_a_path_and_nothing_else(base: str, path: str) -> None:
    if not path:
        with pytest.raises(ValueError, match="no plain path"):
            hub_api.path_of(base)
        asked: list[str] = []
        kube = SimpleNamespace(in_cluster=False, raw=lambda method, url: asked.append(url))
        said = asyncio.run(hub_api.healthy(cast(Kube, kube), "ns", base))
        assert "hub.baseUrl" in said and not asked
        return
    assert hub_api.path_of(base) == path
    url = hub_api._public("ns", path)
    assert (url.scheme, url.host, url.port, url.path) == ("http", "proxy-public.ns.svc", 80, path)


@pytest.mark.parametrize(
    ("status", "says"), [(200, ""), (302, "answers 302"), (301, "answers 301"), (503, "answers 503")]
)
def test_redirects_are_answers_and_are_not_followed(monkeypatch: pytest.MonkeyPatch, status: int, says: str) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        return web.Response(status=status, headers={"Location": f"http://{request.host}/elsewhere"})

    async def test() -> str:
        async with listening(answer, None) as port:
            monkeypatch.setattr(hub_api, "_public", lambda namespace, path: URL(f"http://127.0.0.1:{port}{path}"))
            return await hub_api.healthy(cast(Kube, SimpleNamespace(in_cluster=True)), "ns")

    said: Any = asyncio.run(test())
    assert asked == ["/hub/health"] and says in said and bool(said) is bool(says)
