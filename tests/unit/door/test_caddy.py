"""The hub's door as the real Caddy runs it: who clients are, and renewals that nobody notices."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pdshub.api.hub import PDSHubSpec
from tests.unit.door import people
from tests.unit.door.certificates import Authority
from tests.unit.door.people import HOST, Hub, Traffic, connected, echoes, request, serial, websocket
from tests.unit.door.programs import Door, until
from tests.unit.door.specs import TLS, raw, spec

FORGED = {
    "X_Forwarded_For": "203.0.113.66",
    "X_Forwarded_Proto": "http",
    "X_Forwarded_Host": "evil.example.net",
    "X_Forwarded_Port": "1",
    "X_Forwarded_Server": "evil",
    "Forwarded": "for=203.0.113.66",
    "X_Real_Ip": "203.0.113.66",
    "X_Scheme": "http",
    "X_Pdshub_Door": "guessed",
}


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    made = Hub()
    yield made
    made.close()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def door(hub: Hub, authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    made = Door(tmp_path_factory.mktemp("door"), spec("secret"), hub.port)
    made.certificate(*authority.issue((HOST,)))
    with made.running():
        yield made


def plain(door: Door, host: str, path: str = "/") -> tuple[str, str]:
    with socket.create_connection(("127.0.0.1", door.http), 60) as made:
        return request(made, path, host)


# --- who people are


def test_what_clients_say_of_themselves_reaches_nobody(door: Door) -> None:
    with connected(door.https) as made:
        _, seen = request(made, "/hub/login", **FORGED)
    found = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in seen.split("\r\n")[1:])}
    about = {key: value for key, value in found.items() if key.startswith(("x-", "forwarded"))}
    assert about == {
        "x-forwarded-for": "127.0.0.1",
        "x-forwarded-proto": "https",
        "x-forwarded-host": HOST,
        "x-forwarded-port": "443",
        "x-pdshub-door": "a token of the door",
    }


def test_a_websocket_carries_the_same_headers(door: Door, hub: Hub) -> None:
    with websocket(door.https) as made:
        assert echoes(made)
    head = next(head for head in reversed(hub.heads) if "upgrade:" in head.lower())
    assert "X-Pdshub-Door: a token of the door" in head and "X-Forwarded-Proto: https" in head


def test_browsers_stay_with_https(door: Door) -> None:
    head, _ = plain(door, f"{HOST}:8000", "/hub/login?next=%2Flab")
    assert " 308 " in head.split("\r\n")[0]
    assert f"Location: https://{HOST}/hub/login?next=%2Flab" in head
    with connected(door.https) as made:
        head, _ = request(made)
    assert head.lower().count("strict-transport-security: max-age=31536000") == 1


@pytest.mark.parametrize("secure", [True, False])
def test_another_name_is_nobody_here(door: Door, secure: bool) -> None:
    if secure:
        with connected(door.https) as made:
            head, _ = request(made, host="evil.example.net")
    else:
        head, _ = plain(door, "evil.example.net")
    assert " 421 " in head.split("\r\n")[0]


@pytest.mark.parametrize("path", ["/user/a%40b/files/x%2Fy", "/user/ada/api/contents/a%3Fb%20c%25d"])
def test_paths_come_through_as_they_are(door: Door, path: str) -> None:
    with connected(door.https) as made:
        _, seen = request(made, path)
    assert seen.split("\r\n")[0] == f"GET {path} HTTP/1.1"


def test_headers_have_an_end(door: Door) -> None:
    with connected(door.https) as made:
        head, _ = request(made, "/", HOST, X_Long="x" * (80 << 10))
    assert " 431 " in head.split("\r\n")[0]


# --- certificates of a Secret


def test_a_renewed_secret_is_taken_up_and_nobody_notices(door: Door, authority: Authority) -> None:
    with websocket(door.https) as made, Traffic(door.https).running() as traffic:
        for _ in range(3):
            before = serial(door.https)
            door.certificate(*authority.issue((HOST,)))
            until(lambda before=before: serial(door.https) not in (0, before), "the new certificate is shown")  # type: ignore[misc]
            assert echoes(made)
        until(lambda: traffic.done >= 20, "requests were made")
    assert traffic.failures == []


def test_a_key_that_does_not_fit_is_passed_over(door: Door, authority: Authority) -> None:
    before = serial(door.https)
    chain, _ = authority.issue((HOST,))
    _, key = authority.issue((HOST,))
    known = door.log().count("certificate is not taken up")
    door.certificate(chain, key)
    until(
        lambda: serial(door.https) and door.log().count("certificate is not taken up") > known, "the pair is looked at"
    )
    assert serial(door.https) == before
    door.certificate(*authority.issue((HOST,)))
    until(lambda: serial(door.https) != before, "the next pair is taken up")


def test_without_a_certificate_no_other_is_had(hub: Hub, tmp_path: Path) -> None:
    """Caddy would ask a CA of its own choice for one, where a module gives it neither a certificate nor an error."""
    with Door(tmp_path, spec("secret"), hub.port).running() as made:
        assert serial(made.https) == 0
        until(lambda: "certificate is not taken up" in made.log(), "the files are missed")
        assert "obtaining certificate" not in made.log() and "letsencrypt" not in made.log()


# --- another configuration


def test_another_configuration_ends_no_websocket(hub: Hub, authority: Authority, tmp_path: Path) -> None:
    other = "other.example.org"
    made = Door(tmp_path, spec("secret"), hub.port)
    made.certificate(*authority.issue((HOST, other)))
    with made.running(), websocket(made.https) as stream:
        made.configure(PDSHubSpec.model_validate({**raw(TLS["secret"]), "hostname": other}))

        def answers() -> bool:
            try:
                with people.connected(made.https, other) as one:
                    return " 200 " in request(one, host=other)[0].split("\r\n")[0]
            except OSError:  # taken by the old server, which ends what has not asked yet
                return False

        until(answers, "the new name is known")
        assert echoes(stream)
