"""Whose word about a client is believed: the real proxy, a hub's headers, and every way to forge them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdshub.render.names import Names
from pdshub.render.trust import render
from tests.unit.door import programs, proxy
from tests.unit.door.proxy import OTHER_PEER, TRUSTED_PEER, Echo, ask, told
from tests.unit.door.specs import TLS, raw

TOKEN = "a token of the door"
FORGED = {
    "X-Forwarded-For": "203.0.113.66",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example.net",
    "X-Forwarded-Port": "444",
    "X-Forwarded-Server": "evil",
    "X-Forwarded": "for=203.0.113.66",
    "Forwarded": "for=203.0.113.66;proto=https",
    "X-Real-Ip": "203.0.113.66",
    "X-Scheme": "https",
    "X-Client-Ip": "203.0.113.66",
    "True-Client-Ip": "203.0.113.66",
}
STRAIGHT = {"x-forwarded-proto": "http", "x-forwarded-host": "hub.example.org", "x-forwarded-port": "80"}
APACHE = {"X-Forwarded-For": "198.51.100.7", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "hub.example.org"}
BELIEVED = {"x-forwarded-proto": "https", "x-forwarded-host": "hub.example.org", "x-forwarded-port": "443"}


@pytest.fixture(scope="module")
def echo() -> Iterator[Echo]:
    made = Echo()
    yield made
    made.close()


@pytest.fixture(scope="module")
def port(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    environ = {"PROXY_TRUSTED": f"{TRUSTED_PEER}/32,2001:db8::/64", "PROXY_DOOR_TOKEN": TOKEN, "PROXY_HSTS": "31536000"}
    with proxy.proxy(f"http://127.0.0.1:{echo.port}", environ, tmp_path_factory.mktemp("proxy")) as found:
        yield found


CASES: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    ("nothing said", OTHER_PEER, {}, {**STRAIGHT, "x-forwarded-for": OTHER_PEER}),
    ("a stranger who forges all", OTHER_PEER, FORGED, {**STRAIGHT, "x-forwarded-for": OTHER_PEER}),
    (
        "a stranger who guesses the token",
        OTHER_PEER,
        {**FORGED, "X-Pdshub-Door": "x"},
        {**STRAIGHT, "x-forwarded-for": OTHER_PEER},
    ),
    (
        "a stranger with an empty token",
        OTHER_PEER,
        {**FORGED, "X-Pdshub-Door": ""},
        {**STRAIGHT, "x-forwarded-for": OTHER_PEER},
    ),
    ("Apache", TRUSTED_PEER, APACHE, {**BELIEVED, "x-forwarded-for": "198.51.100.7"}),
    (
        "Apache behind which somebody forged",
        TRUSTED_PEER,
        {**APACHE, "X-Forwarded-For": "203.0.113.66, 198.51.100.7"},
        {**BELIEVED, "x-forwarded-for": "198.51.100.7"},
    ),
    (
        "two of ours in a row",
        TRUSTED_PEER,
        {**APACHE, "X-Forwarded-For": "203.0.113.66, 198.51.100.7, 127.0.0.2"},
        {**BELIEVED, "x-forwarded-for": "198.51.100.7"},
    ),
    (
        "IPv6, with a port as some write it",
        TRUSTED_PEER,
        {**APACHE, "X-Forwarded-For": "[2001:db8:1::7]:4711"},
        {**BELIEVED, "x-forwarded-for": "2001:db8:1::7"},
    ),
    (
        "what is no address ends the search",
        TRUSTED_PEER,
        {**APACHE, "X-Forwarded-For": "198.51.100.7, <script>"},
        {**BELIEVED, "x-forwarded-for": TRUSTED_PEER},
    ),
    (
        "a list of protocols is the last hop's",
        TRUSTED_PEER,
        {**APACHE, "X-Forwarded-Proto": "https,http"},
        {**BELIEVED, "x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "http", "x-forwarded-port": "80"},
    ),
    (
        "a protocol that is none",
        TRUSTED_PEER,
        {**APACHE, "X-Forwarded-Proto": "gopher"},
        {**BELIEVED, "x-forwarded-for": "198.51.100.7", "x-forwarded-proto": "http", "x-forwarded-port": "80"},
    ),
    (
        "a host that is none",
        TRUSTED_PEER,
        {**APACHE, "X-Forwarded-Host": "a/b@c"},
        {**BELIEVED, "x-forwarded-for": "198.51.100.7"},
    ),
    (
        "other headers of a trusted peer",
        TRUSTED_PEER,
        {**FORGED, **APACHE, "X-Forwarded-Port": "443"},
        {**BELIEVED, "x-forwarded-for": "198.51.100.7"},
    ),
    ("a trusted peer that says nothing", TRUSTED_PEER, {}, {**STRAIGHT, "x-forwarded-for": TRUSTED_PEER}),
    (
        "the hub's own door",
        OTHER_PEER,
        {**APACHE, "X-Forwarded-Port": "443", "X-Pdshub-Door": TOKEN},
        {**BELIEVED, "x-forwarded-for": "198.51.100.7"},
    ),
]


@pytest.mark.parametrize("upgrade", [False, True], ids=["request", "websocket"])
@pytest.mark.parametrize(("what", "peer", "headers", "wanted"), CASES, ids=[case[0] for case in CASES])
def test_who_says_what_of_a_client(
    port: int, what: str, peer: str, headers: dict[str, str], wanted: dict[str, str], upgrade: bool
) -> None:
    assert told(port, peer, headers, upgrade) == wanted, what


@pytest.mark.parametrize(("peer", "hsts"), [(TRUSTED_PEER, True), (OTHER_PEER, False)])
def test_browsers_are_told_to_stay_with_https_by_https_alone(port: int, peer: str, hsts: bool) -> None:
    head, _ = ask(port, peer, APACHE)
    assert ("strict-transport-security: max-age=31536000" in head.lower()) is hsts


def test_without_a_word_of_whom_to_trust_the_proxy_is_as_it_was(echo: Echo, tmp_path: Path) -> None:
    """What hubs of before have, and why a spec has to say it: anybody is believed."""
    with proxy.proxy(f"http://127.0.0.1:{echo.port}", {}, tmp_path) as bare:
        found = told(bare, OTHER_PEER, FORGED)
    assert found["x-forwarded-for"] == f"203.0.113.66,{OTHER_PEER}"
    assert found["x-forwarded-proto"] == "https,http" and found["x-real-ip"] == "203.0.113.66"


def test_the_image_loads_it() -> None:
    text = (proxy.IMAGE / "Dockerfile").read_text()
    assert "COPY images/proxy/forwarded.cjs /opt/proxy/" in text
    assert re.search(r"NODE_OPTIONS=\S*connect-timeout\.cjs\\ --require=/opt/proxy/forwarded\.cjs", text)


# --- what a real hub makes of it


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """A real JupyterHub with ``tls.offload`` behind the real proxy: the proxy's port, and the hub's folder."""
    pytest.importorskip("jupyterhub")
    from pdshub.api.hub import PDSHubSpec
    from tests.unit.hub import google_provider
    from tests.unit.hub.real_hub import running, spec

    wanted = PDSHubSpec.model_validate(raw(TLS["offload"]))
    values, _ = render(wanted, Names("ns", "demo"))
    folder = tmp_path_factory.mktemp("hub")
    callback = "https://hub.example.org/hub/oauth_callback"
    with google_provider.running() as provider, running(folder, spec(callbackUrl=callback), provider, **values) as made:
        environ = {"PROXY_TRUSTED": f"{TRUSTED_PEER}/32"}
        with proxy.proxy(f"http://127.0.0.1:{made.port}", environ, folder) as found:
            yield found, folder


def cookies(head: str) -> list[str]:
    return [line for line in head.split("\r\n") if line.lower().startswith("set-cookie:")]


@pytest.mark.parametrize(
    ("what", "peer", "headers", "client"),
    [
        ("Apache", TRUSTED_PEER, APACHE, "198.51.100.7"),
        ("a stranger", OTHER_PEER, {}, OTHER_PEER),
        ("a stranger who forges", OTHER_PEER, FORGED, OTHER_PEER),
    ],
)
def test_a_real_hub_sees_the_client_and_marks_its_cookies(
    hub: tuple[int, Path], what: str, peer: str, headers: dict[str, str], client: str
) -> None:
    port, folder = hub
    path = f"/hub/login?next=%2Fhub%2Fhome&case={abs(hash(what))}"
    head, _ = ask(port, peer, headers, path)
    assert cookies(head) and all("secure" in line.lower() for line in cookies(head)), head
    assert all("httponly" in line.lower() for line in cookies(head) if "_xsrf" not in line)

    def logged() -> list[str]:
        return [line for line in (folder / "log").read_text().splitlines() if path.rpartition("case=")[2] in line]

    programs.until(logged, "the hub logs what it was asked")  # after it has answered
    assert f"@{client})" in logged()[-1], logged()


@pytest.mark.parametrize(("peer", "headers"), [(TRUSTED_PEER, APACHE), (OTHER_PEER, FORGED), (OTHER_PEER, {})])
def test_a_real_hub_sends_people_to_its_own_public_address(
    hub: tuple[int, Path], peer: str, headers: dict[str, str]
) -> None:
    port, _ = hub
    head, _ = ask(port, peer, headers, "/hub/oauth_login")
    where = next(line for line in head.split("\r\n") if line.lower().startswith("location:"))
    assert "redirect_uri=https%3A%2F%2Fhub.example.org%2Fhub%2Foauth_callback" in where
    head, _ = ask(port, peer, headers, "/user/ada/lab")
    where = next(line for line in head.split("\r\n") if line.lower().startswith("location:"))
    assert "evil" not in where and "http://" not in where
