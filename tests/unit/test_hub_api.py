"""The operator's questions to a hub: to that hub and no other host, whatever values and answers say; a sign-in as
people do it, against small hubs that each answer in a way of their own.
"""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from yarl import URL

from pdshub import hub_api
from pdshub.hub_api import Credentials, SignInAttempt, try_sign_in
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
    url = hub_api.address.public("ns", path)
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
            monkeypatch.setattr(
                hub_api.address, "public", lambda namespace, path: URL(f"http://127.0.0.1:{port}{path}")
            )
            return await hub_api.healthy(cast(Kube, SimpleNamespace(in_cluster=True)), "ns")

    said: Any = asyncio.run(test())
    assert asked == ["/hub/health"] and says in said and bool(said) is bool(says)


WHO = Credentials("pdshub-stranger-1", "secret words")
GOOGLE = "accounts.google.com"


class SmallHub:
    """A hub that gives a form with a token and knows who is signed in by a cookie."""

    def __init__(
        self, admits: bool = False, form: int = 200, token: bool = True, oauth: str = "", secure: bool = False
    ) -> None:
        self.admits, self.form, self.token, self.oauth, self.secure = admits, form, token, oauth, secure
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        page = request.path.removeprefix("/base").removeprefix("/hub/")
        if page == "login" and request.method == "GET":
            answer = web.Response(status=self.form)
            if self.token:
                answer.set_cookie("_xsrf", "t0ken", path="/", secure=self.secure)
            return answer
        if page == "login":
            return self._signed_in(dict(await request.post()), request.cookies.get("_xsrf", ""))
        if page == "home":
            signed_in = request.cookies.get(self.cookie) == "me"
            return web.Response() if signed_in else web.Response(status=302, headers={"Location": "/hub/login"})
        if page == "oauth_login" and self.oauth:
            return web.Response(status=302, headers={"Location": self.oauth})
        return web.Response(status=404)

    def _signed_in(self, form: dict[str, Any], cookie: str) -> web.Response:
        if form["_xsrf"] != cookie or (form["username"], form["password"]) != (WHO.name, WHO.password):
            return web.Response(status=400)
        if not self.admits:
            return web.Response(status=403)
        answer = web.Response(status=302, headers={"Location": "http://192.0.2.1/elsewhere"})
        answer.set_cookie(self.cookie, "me", path="/", secure=self.secure)
        return answer

    @property
    def cookie(self) -> str:
        return f"{'__Host-' if self.secure else ''}jupyterhub-hub-login"


def attempt(hub: SmallHub, by: str = "", base: str = "/") -> SignInAttempt:
    async def main() -> SignInAttempt:
        async with listening(hub.handle) as port:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(hub_api.address, "public", lambda namespace, path: URL(f"http://127.0.0.1:{port}{path}"))
                return await try_sign_in(cast(Kube, SimpleNamespace(in_cluster=True)), "ns", base, WHO, by)

    return asyncio.run(main())


TO_GOOGLE = f"https://{GOOGLE}/o/oauth2/v2/auth?client_id=x"
CASES: list[tuple[str, SmallHub, str, bool | None, str]] = [
    ("refused", SmallHub(), "", False, "403"),
    ("let in", SmallHub(admits=True), "", True, "on no list"),
    ("refused, with cookies for TLS alone", SmallHub(secure=True), "", False, "403"),
    ("let in, with cookies for TLS alone", SmallHub(admits=True, secure=True), "", True, "on no list"),
    ("ill", SmallHub(form=503), "", None, "503"),
    ("no form to fill in", SmallHub(token=False), "", None, "no token"),
    ("Google, and the form admits nobody", SmallHub(oauth=TO_GOOGLE), GOOGLE, False, "refused"),
    ("Google, no form", SmallHub(oauth=TO_GOOGLE, token=False), GOOGLE, False, "refused"),
    ("Google, and the form admits", SmallHub(admits=True, oauth=TO_GOOGLE), GOOGLE, True, "on no list"),
    ("sent elsewhere", SmallHub(oauth="https://accounts.google.com.evil.example/x"), GOOGLE, None, "evil.example"),
    ("sent nowhere", SmallHub(), GOOGLE, None, "no other host"),
]


@pytest.mark.parametrize(("hub", "by", "admitted", "says"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_an_attempt(hub: SmallHub, by: str, admitted: bool | None, says: str) -> None:
    found = attempt(hub, by)
    assert found.admitted is admitted and says in found.said
    assert WHO.password not in found.said


@pytest.mark.parametrize("base", ["/base/", "/base"])
def test_below_a_path(base: str) -> None:
    hub = SmallHub(admits=True)
    assert attempt(hub, base=base).admitted
    assert set(hub.asked) == {"GET /base/hub/login", "POST /base/hub/login", "GET /base/hub/home"}


@pytest.mark.parametrize("base", [base for base, path in BASES if not path])
def test_where_a_base_url_is_no_plain_path_nobody_signs_in(base: str) -> None:
    hub = SmallHub(admits=True)
    found = attempt(hub, base=base)
    assert found.admitted is None and "hub.baseUrl" in found.said and not hub.asked


def test_a_base_url_leads_to_no_other_host() -> None:
    """No redirect is followed either: the small hub sends whoever signed in to an address that nobody has."""
    hub = SmallHub(admits=True)
    attempt(hub, base="/@192.0.2.1:80/")
    assert hub.asked and all("/@192.0.2.1:80/hub/" in asked for asked in hub.asked)


class Outside:
    in_cluster = False


def test_from_outside_nothing_is_tried() -> None:
    kube: Any = Outside()
    found = asyncio.run(try_sign_in(kube, "ns", "/", WHO))
    assert found.admitted is None and "inside the cluster" in found.said
    assert WHO.password not in repr(WHO)
