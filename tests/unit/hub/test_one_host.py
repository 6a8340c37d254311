"""A real hub whose servers have host names below its own: where it answers, its headers, and flags of its cookies."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.unit.hub import google_provider
from tests.unit.hub.google_provider import account
from tests.unit.hub.real_hub import PASSWORD, RealHub, running, spec

pytest.importorskip("jupyterhub")
from pdshub_hub import headers, one_host

HOST = "hub.example.org"
SUBDOMAIN = {"hostname": HOST, "isolation": "Subdomain"}
BELOW: list[tuple[str, bool]] = [
    (f"ada.{HOST}", True),
    ("ADA.Hub.Example.Org:8443", True),
    (f"a.b.{HOST}.", True),
    (HOST, False),
    (f"{HOST}:443", False),
    (f"{HOST}.", False),
    ("hub:8081", False),
    ("proxy-public.ns.svc", False),
    ("127.0.0.1:8081", False),
    ("[::1]:8081", False),
    (f"{HOST}.evil.example", False),
    (f"not{HOST}", False),
    ("", False),
    (f"[ada.{HOST}", True),
]


@pytest.mark.parametrize(("host", "below"), BELOW)
def test_which_hosts_are_below(host: str, below: bool) -> None:
    assert one_host.is_below(host, HOST) is below


@pytest.mark.parametrize(
    ("uri", "leads"),
    [
        ("/hub/home?a=b%2Fc", "/hub/home?a=b%2Fc"),
        ("//evil.example/hub/", "/evil.example/hub/"),
        ("/hub/user/o%27b%40x/", "/hub/user/o%27b%40x/"),
    ],
)
def test_every_address_leads_to_the_same_of_the_hub(uri: str, leads: str) -> None:
    assert one_host.there(f"https://{HOST}", uri) == f"https://{HOST}{leads}"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    with running(tmp_path_factory.mktemp("apart"), {**spec(google=False), **SUBDOMAIN}) as made:
        made.write(allowed=["ada"])
        yield made


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHub]:
    with running(tmp_path_factory.mktemp("shared"), spec(google=False)) as made:
        made.write(allowed=["ada"])
        yield made


def asked(hub: RealHub, host: str, path: str, method: str = "GET", **more: Any) -> requests.Response:
    headers = {"Host": host, **more.pop("headers", {})}
    return requests.request(method, hub.url + path, headers=headers, allow_redirects=False, timeout=120, **more)


ELSEWHERE: list[tuple[str, str, int, str]] = [
    ("GET", "/hub/login?next=%2Fhub%2Fhome", 302, f"https://{HOST}/hub/login?next=%2Fhub%2Fhome"),
    ("GET", "/hub/", 302, f"https://{HOST}/hub/"),
    ("GET", "/hub", 302, f"https://{HOST}/hub"),
    ("GET", "/hub/api/users", 302, f"https://{HOST}/hub/api/users"),
    ("GET", "/hub/oauth_callback?code=x", 302, f"https://{HOST}/hub/oauth_callback?code=x"),
    ("POST", "/hub/login", 403, ""),
    ("POST", "/hub/api/users/ada/tokens", 403, ""),
    ("DELETE", "/hub/api/users/ada", 403, ""),
    ("GET", "/hub/static/js/home.js", 200, ""),
    ("GET", "/hub/logo", 200, ""),
    # a server that is gone: the hub's page about it, at the hub's name
    ("GET", "/user/ada/lab?x=1", 302, f"https://{HOST}/hub/user/ada/lab?x=1"),
]


@pytest.mark.parametrize(("method", "path", "status", "leads"), ELSEWHERE)
def test_under_the_name_of_a_server_there_is_no_hub(
    hub: RealHub, method: str, path: str, status: int, leads: str
) -> None:
    answer = asked(hub, f"ada.{HOST}", path, method)
    assert (answer.status_code, answer.headers.get("Location", "")) == (status, leads), answer.text[:300]
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("host", [HOST, "proxy-public.ns.svc", "hub:8081", "127.0.0.1"])
def test_under_its_own_names_it_answers(hub: RealHub, host: str) -> None:
    assert asked(hub, host, "/hub/login").status_code == 200
    assert asked(hub, host, "/hub/health").status_code == 200


def test_where_servers_share_the_hubs_name_nothing_is_guarded(shared: RealHub) -> None:
    assert asked(shared, f"ada.{HOST}", "/hub/login").status_code == 200


def flags(answer: requests.Response) -> dict[str, dict[str, Any]]:
    """The attributes of the cookies that an answer sets, by name."""
    found: dict[str, dict[str, Any]] = {}
    for line in answer.raw.headers.getlist("Set-Cookie"):
        for name, morsel in SimpleCookie(line).items():
            found[name] = {key: value for key, value in morsel.items() if value}
    return found


def signed_in(hub: RealHub, host: str, **headers: str) -> dict[str, dict[str, Any]]:
    """What a sign-in by the form sets."""
    form = asked(hub, host, "/hub/login", headers=headers)
    token = form.cookies.get("_xsrf") or SimpleCookie(form.headers["Set-Cookie"])["_xsrf"].value
    data = {"username": "ada", "password": PASSWORD, "_xsrf": token}
    answer = asked(hub, host, "/hub/login", "POST", data=data, headers={"Cookie": f"_xsrf={token}", **headers})
    assert answer.status_code == 302, answer.text
    return {**flags(form), **flags(answer)}


def test_cookies_of_a_hub_with_servers_below_it(hub: RealHub) -> None:
    found = signed_in(hub, HOST)
    login = found["__Host-jupyterhub-hub-login"]
    assert login["path"] == "/" and "domain" not in login
    assert found["jupyterhub-session-id"]["domain"].strip(".") == HOST
    assert found["_xsrf"]["path"] == "/hub/" and "domain" not in found["_xsrf"]
    for name, attributes in found.items():
        assert attributes["secure"] and attributes["httponly"] and attributes["samesite"] == "Lax", name


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_cookies_of_a_hub_with_servers_at_its_name(shared: RealHub, scheme: str) -> None:
    found = signed_in(shared, "127.0.0.1", **{"X-Forwarded-Proto": scheme})
    assert found["jupyterhub-hub-login"]["path"] == "/hub/"
    for name, attributes in found.items():
        assert attributes["httponly"] and attributes["samesite"] == "Lax", name
    assert bool(found["jupyterhub-hub-login"].get("secure")) is (scheme == "https")


@pytest.mark.parametrize("path", ["/hub/login", "/hub/home", "/hub/nothing"])
def test_headers_of_pages(hub: RealHub, shared: RealHub, path: str) -> None:
    for one in (hub, shared):
        found = asked(one, HOST, path).headers
        assert "frame-ancestors 'none'" in found["Content-Security-Policy"]
        assert {name: found[name] for name in headers.HEADERS} == headers.HEADERS


def test_answers_of_the_api_load_nothing(hub: RealHub) -> None:
    assert "default-src 'none'" in asked(hub, HOST, "/hub/api/").headers["Content-Security-Policy"]


# --- the state of a sign-in


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with google_provider.running() as base:
        yield base


def states(hub: RealHub) -> tuple[str, str, str]:
    """Set out to the sign-in service: its page, and the state's cookie and value."""
    answer = asked(hub, HOST, "/hub/oauth_login")
    (name,) = [name for name in flags(answer) if name.endswith("oauthenticator-state")]
    return answer.headers["Location"], name, SimpleCookie(answer.headers["Set-Cookie"])[name].value


def test_a_state_that_another_name_planted_is_none(provider: str, tmp_path: Path) -> None:
    """Eve sets out, and leads somebody to her way back; a page below the hub's name could plant her state's cookie."""
    eve = account(provider, uuid.uuid4().hex, "eve@example.org")
    with running(tmp_path, {**spec(), **SUBDOMAIN}, provider) as hub:
        hub.write(allowed=["eve@example.org"])
        page, name, value = states(hub)
        assert name == "__Host-oauthenticator-state"
        back = requests.post(page, data={"sub": eve}, allow_redirects=False, timeout=120).headers["Location"]
        assert back.startswith(f"https://{HOST}/hub/oauth_callback?"), "the hub's own name, whatever servers have"
        path = back.removeprefix(f"https://{HOST}")
        # browsers let no other name set a cookie of this prefix; any other name of a cookie counts for nothing
        planted = asked(hub, HOST, path, headers={"Cookie": f"{name.removeprefix('__Host-')}={value}"})
        assert planted.status_code == 400
        assert asked(hub, HOST, path, headers={"Cookie": f"{name}={value}"}).status_code == 302
