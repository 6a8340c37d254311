"""Debian's Apache with the rendered files: three sites on one address, in front of a stand-in that says what it got."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
import websocket

from pdshub.front_door.site import HubSite, Machine, OtherSite, Upstream
from tests.unit.front_door.asking import Answer, ask, open_websocket
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import (
    LOOPBACK,
    Apache,
    certificates,
    folder,
    free_ports,
    needs_apache,
    running,
    until,
)
from tests.unit.front_door.upstream import standing_in

pytestmark = needs_apache
HUB, STAGING, OTHER = "hub.example.org", "staging.example.org", "www.example.org"
TITLE, CONTACT = 'Small Bodies "Node" <script>alert(1)</script>', "help@sbn.example.org"


@dataclass
class Door:
    """Apache, and the ports of the two hubs behind it; nobody answers at the one of staging."""

    apache: Apache
    hub: int
    staging: int


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        http_port, https_port, hub, staging = free_ports(4)
        (root / "www").mkdir()
        (root / "www/index.html").write_text("another site")
        machine = Machine(
            hubs=(
                HubSite(HUB, Upstream(LOOPBACK, hub), "hub/sbn", subdomains=True, users=3),
                HubSite(STAGING, Upstream(LOOPBACK, staging), "staging/sbn", users=3, title=TITLE, contact=CONTACT),
            ),
            others=(OtherSite(OTHER, root=f"{root}/www"),),
            http_port=http_port,
            https_port=https_port,
            root=str(root),
            largest_body=12 << 20,
            slow=300,
        )
        authority = Authority()
        certificates(machine, root, authority)
        stack.enter_context(standing_in(hub))
        yield Door(stack.enter_context(running(machine, root, authority)), hub, staging)


PATHS = (
    "/user/ada%40example.org/api/contents/a%20b%25c%3Fd.txt",
    "/user/o'brien%2Bpds@example.org/lab/tree/%C3%A4%20%E6%98%9F.ipynb",
    "/user/ada/proxy/a%2Fb%5Cc?x=%2F%3F&y=%26",
    "/user/ada//double/./dot/%2e%2e/up",
    "/user/ada/a;b=c/~home/[1]/%7Eada",
    "/hub/user/ada%40example.org/x%2Fy%3Fz",
    "/user/ada/%25252F",
)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_reaches_the_hub_as_it_was_written(door: Door, path: str) -> None:
    assert ask(door.apache, HUB, path).json["path"] == path


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("/hub/")])
def test_a_websocket_reaches_the_server_as_it_was_written_and_carries_both_ways(door: Door, path: str) -> None:
    made = open_websocket(door.apache, HUB, path)
    try:
        assert made.recv() == path
        for text in ("one", "x" * 200_000):
            made.send(text)
            assert made.recv() == text
    finally:
        made.close()


FORGED = {
    "X-Forwarded-For": "203.0.113.99",
    "X-Real-IP": "203.0.113.99",
    "Forwarded": "for=203.0.113.99;proto=http",
    "X-Forwarded-Proto": "http",
    "X-Scheme": "http",
    "X-Forwarded-Host": "evil.example.com",
    "X-Forwarded-Port": "1",
    "X-Forwarded-Server": "evil.example.com",
    "X-Forwarded-Prefix": "/evil",
    "X-Original-URL": "/hub/admin",
    "X-Rewrite-URL": "/hub/admin",
    "X-Request-Id": "forged",
}


def test_what_a_client_says_of_itself_is_not_believed(door: Door) -> None:
    found = ask(door.apache, HUB, "/hub/x", headers=FORGED)
    got = found.json["headers"]
    said = json.dumps(got)
    assert "203.0.113.99" not in said and "evil" not in said and "forged" not in said, said
    assert got["x-forwarded-for"] == got["x-real-ip"] == [LOOPBACK]
    assert got["x-forwarded-proto"] == got["x-scheme"] == ["https"]
    assert got["x-forwarded-host"] == got["host"] == [HUB]
    assert got["x-forwarded-port"] == [str(door.apache.machine.https_port)]
    assert not {"forwarded", "x-forwarded-server", "x-forwarded-prefix", "x-original-url"} & set(got)


def test_one_id_is_in_the_answer_the_log_and_what_the_hub_gets_beside_the_address(door: Door) -> None:
    found = ask(door.apache, HUB, "/hub/logged?token=secret", headers={"Referer": "https://x/?token=secret"})
    name = found.headers["x-request-id"]
    assert found.json["headers"]["x-request-id"] == [name]
    assert len(name) >= 24
    until(lambda: name in door.apache.log(HUB))  # it is logged after it was answered
    log = door.apache.log(HUB)
    line = next(line for line in log.splitlines() if name in line)
    assert line.split()[:3] == [LOOPBACK, name, HUB]
    assert '"GET /hub/logged HTTP/1.1" 200' in line
    assert "secret" not in log


def test_http_leads_to_https_with_the_same_path_and_method(door: Door) -> None:
    for host, path in ((HUB, "/hub/a%2Fb?x=1"), (f"u-ada.{HUB}", "/user/x%3Fy"), (OTHER, "/")):
        connection = http.client.HTTPConnection(LOOPBACK, door.apache.machine.http_port)
        connection.putrequest("POST", path, skip_host=True)
        connection.putheader("Host", host)
        connection.putheader("Content-Length", "0")
        connection.endheaders()
        found = connection.getresponse()
        assert found.status == 308
        assert found.getheader("Location") == f"https://{host}:{door.apache.machine.https_port}{path}"
        connection.close()


@pytest.mark.parametrize("name", (HUB, STAGING, OTHER))
def test_browsers_are_told_to_stay_with_https_once(door: Door, name: str) -> None:
    said = ask(door.apache, name).headers["strict-transport-security"]
    assert said == ("max-age=31536000; includeSubDomains" if name == HUB else "max-age=31536000")


def test_each_name_is_its_own_site(door: Door) -> None:
    assert ask(door.apache, OTHER).body == b"another site"
    assert ask(door.apache, HUB).json["headers"]["host"] == [HUB]
    assert ask(door.apache, f"u-ada.{HUB}", "/user/ada/").json["headers"]["host"] == [f"u-ada.{HUB}"]
    assert ask(door.apache, STAGING).status == 503


@pytest.mark.parametrize(
    "host", ("evil.example.com", f"{HUB}.evil.example.com", f"evil{HUB}", "127.0.0.1", f"a.b.{HUB}")
)
def test_a_foreign_host_name_reaches_no_hub(door: Door, host: str) -> None:
    assert ask(door.apache, HUB, "/hub/login", headers={"Host": host}).status in (400, 403, 421)


def test_http_2_for_pages_and_not_for_websockets(door: Door) -> None:
    with door.apache.tls(HUB, ("h2", "http/1.1")) as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04\x00" + bytes(4))
        settings = connection.recv(4096)
    length = int.from_bytes(settings[:3])
    assert settings[3] == 4
    keys = {int.from_bytes(settings[at : at + 2]): settings[at + 2 : at + 6] for at in range(9, 9 + length, 6)}
    assert keys.get(8) in (None, bytes(4)), "SETTINGS_ENABLE_CONNECT_PROTOCOL (RFC 8441)"


def maintained(found: Answer) -> bool:
    return (
        found.status in (502, 503, 504)
        and b"back soon" in found.body
        and found.headers["retry-after"] == "30"
        and found.headers["cache-control"] == "no-store"
    )


def test_while_a_hub_is_down_people_read_the_nodes_own_words(door: Door) -> None:
    found = ask(door.apache, STAGING, "/hub/login")
    assert maintained(found)
    assert found.headers["content-type"].startswith("text/html")
    text = found.body.decode()
    assert "<script>" not in text
    assert "Small Bodies &quot;Node&quot; &lt;script&gt;" in text
    assert '<a href="mailto:help@sbn.example.org">' in text
    assert maintained(ask(door.apache, STAGING, "/user/ada/lab"))


@pytest.mark.parametrize(
    ("path", "ours"),
    (("/hub/status/503", True), ("/hub/status/502", True), ("/hub/api/status/503", False), ("/hub/status/500", False)),
)
def test_a_proxy_without_its_hub_is_maintenance_for_people_and_an_answer_for_programs(
    door: Door, path: str, ours: bool
) -> None:
    found = ask(door.apache, HUB, path)
    assert maintained(found) is ours
    assert (b"the hub's own words" in found.body) is not ours


def test_a_hub_that_comes_back_is_back_at_once(door: Door) -> None:
    assert maintained(ask(door.apache, STAGING, "/hub/x"))
    with standing_in(door.staging):
        assert ask(door.apache, STAGING, "/hub/x").status == 200


def test_uploads_have_a_bound_and_pages_a_smaller_one(door: Door) -> None:
    most = door.apache.machine.largest_body
    found = ask(door.apache, HUB, "/user/sink", "PUT", body=b"x" * most)
    assert found.status == 200 and found.json["size"] == most
    for path, length in (("/user/sink", most + 1), ("/user/sink", 1 << 62), ("/hub/x", (10 << 20) + 1)):
        assert ask(door.apache, HUB, path, "PUT", {"Content-Length": str(length)}).status == 413


@pytest.mark.parametrize(
    ("headers", "status"),
    (
        ({"X-Large": "x" * 9000}, 400),
        ({f"X-{n}": "x" for n in range(120)}, 400),
        ({"X-Below": "x" * 7000}, 200),
    ),
)
def test_headers_have_bounds(door: Door, headers: dict[str, str], status: int) -> None:
    assert ask(door.apache, HUB, "/hub/x", headers=headers).status == status


def test_nothing_else_of_the_machine_is_served(door: Door) -> None:
    for path in ("/.well-known/pdshub-door/", "/.well-known/acme-challenge/x"):
        assert ask(door.apache, HUB, path).status in (403, 404)
    assert ask(door.apache, HUB, "/.well-known/pdshub-door/../../../etc/passwd").status == 400
    out = "/.well-known/pdshub-door/%2e%2e/x"
    assert ask(door.apache, HUB, out).json["path"] == out, "what leads out of the folder is the hub's to answer"
    with socket.create_connection((LOOPBACK, door.apache.machine.http_port)) as plain:
        plain.sendall(b"GET http://hub.example.org/hub/x HTTP/1.1\r\nHost: other.example.com\r\n\r\n")
        assert plain.recv(4096).split()[1] in (b"308", b"403", b"421")


def test_a_renewed_certificate_is_taken_up_by_a_reload_and_no_socket_drops(door: Door) -> None:
    before, made = door.apache.serial(HUB), open_websocket(door.apache, HUB, "/user/ada/api/kernels/1/channels")
    assert made.recv()
    live = door.apache.root / "etc/letsencrypt/live" / HUB
    serial = door.apache.authority.write(live, HUB, f"*.{HUB}")
    assert door.apache.serial(HUB) == before
    door.apache.reload()
    until(lambda: door.apache.served(HUB) == serial)  # for a moment processes of the former configuration answer, too
    made.send("still here")
    assert made.recv() == "still here"
    made.close()


def test_without_a_certificate_a_site_waits_and_the_others_are_there(door: Door) -> None:
    """The first certificate is asked for through this Apache, so it has to start without one."""
    with folder() as root:
        http_port, https_port = free_ports(2)
        machine = Machine(
            hubs=(HubSite(HUB, Upstream(LOOPBACK, door.hub)), HubSite(STAGING, Upstream(LOOPBACK, door.hub))),
            http_port=http_port,
            https_port=https_port,
            root=str(root),
        )
        authority = Authority()
        authority.write(root / "etc/letsencrypt/live" / HUB, HUB)
        challenge = root / "var/lib/pdshub-door/acme/.well-known/acme-challenge"
        challenge.mkdir(parents=True)
        (challenge / "token").write_text("answer")
        with running(machine, root, authority) as found:
            assert ask(found, HUB).status == 200
            connection = http.client.HTTPConnection(LOOPBACK, http_port)
            connection.request("GET", "/.well-known/acme-challenge/token", headers={"Host": STAGING})
            answer = connection.getresponse()
            assert (answer.status, answer.read()) == (200, b"answer")
            connection.close()


def test_a_load_balancer_before_it_is_believed_and_nobody_else() -> None:
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        http_port, https_port, hub = free_ports(3)
        stack.enter_context(standing_in(hub))
        for believed, seen in (("127.0.0.0/8", "203.0.113.99"), ("192.0.2.0/24", LOOPBACK)):
            machine = Machine(
                hubs=(HubSite(HUB, Upstream(LOOPBACK, hub)),),
                behind=(believed,),
                http_port=http_port,
                https_port=https_port,
                root=str(root),
            )
            authority = Authority()
            certificates(machine, root, authority)
            with running(machine, root, authority) as found:
                got = ask(found, HUB, headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.99"}).json["headers"]
                assert got["x-forwarded-for"] == [seen]
                assert got["x-request-id"]
                until(lambda name=got["x-request-id"][0]: name in found.log(HUB))
                assert found.log(HUB).splitlines()[-1].split()[0] == seen


def test_a_websocket_of_an_unknown_name_is_refused(door: Door) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException):
        open_websocket(door.apache, HUB, "/user/x", {"Host": "evil.example.com"})
