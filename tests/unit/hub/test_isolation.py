"""A page of one user's server attacks an admin who opened it: in Chromium, with a real hub and a real proxy.

The table of attacks says what each comes to where all servers share the hub's name, and where each has its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.attacks import ATTACKS, BLIND, Attack, on
from tests.pictures import PROGRAM, Browser, browser

pytest.importorskip("jupyterhub")
from tests.programs import NEEDS_HTTP_PROXY, http_proxy
from tests.unit.hub.proxied import ADMIN, HOST, Front, front

WAYS = ("Path", "Subdomain")


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def hub(way: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    if not PROGRAM:
        pytest.skip("needs chromium")
    if not http_proxy():
        pytest.skip(NEEDS_HTTP_PROXY)
    with front(tmp_path_factory.mktemp(way), way) as made:
        yield made


@pytest.fixture(scope="module")
def addresses(hub: Front) -> dict[str, str]:
    return {user: hub.start(user) for user in ("ada", "bela", "o'brien+pds@example.org") if user in ("ada", "bela")}


@pytest.fixture(scope="module")
def eyes(hub: Front, addresses: dict[str, str]) -> Iterator[Browser]:
    """The admin's browser, on a page of ada's server."""
    with browser(*hub.options) as made:
        made.within = 900
        hub.sign_in(made, "root")
        yield made


def test_where_servers_are(hub: Front, addresses: dict[str, str], way: str) -> None:
    below = {"Path": HOST, "Subdomain": f"ada.{HOST}"}
    assert addresses["ada"] == f"https://{below[way]}/user/ada/"


def test_what_servers_are_told(eyes: Browser, hub: Front, addresses: dict[str, str], way: str) -> None:
    """The hub is asked inside the cluster as ever; names that browsers see are the public ones."""
    eyes.open(addresses["ada"], "a page of ada")
    told = json.loads(eyes.awaited("fetch('environment').then((answer) => answer.text())"))
    flags = json.loads(told["JUPYTERHUB_COOKIE_OPTIONS"])
    apart = way == "Subdomain"
    assert told["JUPYTERHUB_API_URL"] == f"{hub.hub.url}/hub/api"
    assert told["JUPYTERHUB_HOST"] == (f"https://{HOST}" if apart else "")
    assert told["JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED"] == ("1" if apart else "0")
    assert told["JUPYTERHUB_OAUTH_CALLBACK_URL"] == f"{f'https://ada.{HOST}' if apart else ''}/user/ada/oauth_callback"
    assert flags == {"samesite": "Lax", **({"secure": True} if apart else {})}


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.name for attack in ATTACKS])
def test_an_attack(eyes: Browser, hub: Front, addresses: dict[str, str], way: str, attack: Attack) -> None:
    eyes.open(addresses["ada"], "a page of ada")
    came = eyes.awaited(on(attack.script, hub.address(), addresses["bela"]))
    assert came == (attack.path if way == "Path" else attack.subdomain)


def tokens(hub: Front) -> list[str]:
    """Notes of the admin's tokens."""
    found = hub.hub.operator("GET", "/hub/api/users/root/tokens").json()["api_tokens"]
    return [str(token["note"]) for token in found]


def test_a_request_that_is_sent_blindly_makes_no_token(eyes: Browser, hub: Front, addresses: dict[str, str]) -> None:
    eyes.open(addresses["ada"], "a page of ada")
    assert str(eyes.awaited(on(BLIND, hub.address(), ""))).startswith("sent")
    assert "blind" not in tokens(hub)


def cookies(eyes: Browser) -> dict[tuple[str, str], str]:
    """Cookies of the browser by domain and name."""
    found = eyes.ask("Network.getAllCookies")["cookies"]
    return {(one["domain"], one["name"]): one["value"] for one in found}


def test_cookies_that_a_page_plants_change_nobodys_session(
    eyes: Browser, hub: Front, addresses: dict[str, str], way: str
) -> None:
    before = cookies(eyes)
    eyes.open(addresses["ada"], "a page of ada")
    where = {"Path": "path=/hub/", "Subdomain": f"path=/; secure; domain={HOST}"}[way]
    for name in ("jupyterhub-hub-login", "__Host-jupyterhub-hub-login", "__Host-oauthenticator-state"):
        eyes.value(f"document.cookie = '{name}=planted; {where}'")
    after = cookies(eyes)
    assert {key: value for key, value in after.items() if key in before} == before
    planted = {name for (_, name), value in after.items() if value == "planted"}
    # without the prefix a cookie is planted, which the hub does not ask for where servers have names of their own
    assert planted == {"Path": set(), "Subdomain": {"jupyterhub-hub-login"}}[way]
    eyes.open(f"{hub.address()}/hub/home", "Your server is stopped")
    assert eyes.value("window.jhdata.user") == "root"
    for name in planted:
        eyes.value(f"document.cookie = '{name}=; {where}; max-age=0'")


def test_no_cookie_by_which_the_hub_knows_the_admin_comes_to_the_server(
    eyes: Browser, addresses: dict[str, str]
) -> None:
    text = eyes.open(f"{addresses['ada']}cookies", "a page of ada")
    assert "login" not in text and "xsrf" not in text


def test_under_the_name_of_a_server_nobody_signs_in(
    eyes: Browser, hub: Front, addresses: dict[str, str], way: str
) -> None:
    if way == "Path":
        pytest.skip("there is one name")
    eyes.ask("Page.navigate", url=f"https://ada.{HOST}/hub/home")
    eyes.wait("Your server is stopped", HOST)
    assert eyes.value("location.host") == HOST


def test_an_odd_name_has_a_server_at_a_valid_host(eyes: Browser, hub: Front, way: str) -> None:
    if way == "Path":
        pytest.skip("there is one name")
    name = "o'brien+pds@example.org"
    hub.hub.write(allowed=["ada", "bela", name], admins=["root"])
    address = hub.start(name.replace("'", "%27").replace("+", "%2B"))
    assert "a page of o'brien+pds@example.org" in eyes.open(address, "a page of")
    assert ADMIN  # the service that started it
