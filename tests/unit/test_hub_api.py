"""A sign-in as people do it, against small hubs that each answer in a way of their own."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pdshub.hub_api import Credentials, SignInAttempt, _attempt, try_sign_in
from tests.unit.apiserver import listening

WHO = Credentials("pdshub-stranger-1", "secret words")
GOOGLE = "accounts.google.com"


class SmallHub:
    """A hub that gives a form with a token and knows who is signed in by a cookie."""

    def __init__(self, admits: bool = False, form: int = 200, token: bool = True, oauth: str = "") -> None:
        self.admits, self.form, self.token, self.oauth = admits, form, token, oauth
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.path}")
        page = request.path.removeprefix("/base").removeprefix("/hub/")
        if page == "login" and request.method == "GET":
            answer = web.Response(status=self.form)
            if self.token:
                answer.set_cookie("_xsrf", "t0ken", path="/")
            return answer
        if page == "login":
            return self._signed_in(dict(await request.post()), request.cookies.get("_xsrf", ""))
        if page == "home":
            signed_in = request.cookies.get("jupyterhub-hub-login") == "me"
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
        answer.set_cookie("jupyterhub-hub-login", "me", path="/")
        return answer


def attempt(hub: SmallHub, by: str = "", base: str = "/") -> SignInAttempt:
    async def main() -> SignInAttempt:
        async with listening(hub.handle) as port:
            jar = aiohttp.CookieJar(unsafe=True)
            async with aiohttp.ClientSession(cookie_jar=jar) as session:
                return await _attempt(session, "127.0.0.1", port, base, WHO, by)

    return asyncio.run(main())


TO_GOOGLE = f"https://{GOOGLE}/o/oauth2/v2/auth?client_id=x"
CASES: list[tuple[str, SmallHub, str, bool | None, str]] = [
    ("refused", SmallHub(), "", False, "403"),
    ("let in", SmallHub(admits=True), "", True, "on no list"),
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


@pytest.mark.parametrize("base", ["/base/", "base", "/base", "//base//"])
def test_below_a_path(base: str) -> None:
    hub = SmallHub(admits=True)
    assert attempt(hub, base=base).admitted
    assert set(hub.asked) == {"GET /base/hub/login", "POST /base/hub/login", "GET /base/hub/home"}


@pytest.mark.parametrize("base", ["@192.0.2.1/", "/@192.0.2.1:80/", "\\192.0.2.1", "?x=", "#x", "/%2e%2e/"])
def test_a_base_url_leads_to_no_other_host(base: str) -> None:
    """No redirect is followed either: the small hub sends whoever signed in to an address that nobody has."""
    hub = SmallHub(admits=True)
    attempt(hub, base=base)
    assert hub.asked and all("hub/" in asked for asked in hub.asked)


class Outside:
    in_cluster = False


def test_from_outside_nothing_is_tried() -> None:
    kube: Any = Outside()
    found = asyncio.run(try_sign_in(kube, "ns", "/", WHO))
    assert found.admitted is None and "inside the cluster" in found.said
    assert WHO.password not in repr(WHO)
