"""The block for nginx in docs/front-door-apache.md, in Debian's nginx: what a reader copies does what it says."""

from __future__ import annotations

import os
import re
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from pdshub.front_door.apache_site import FORGEABLE
from pdshub.front_door.site import HubSite, Machine, Upstream
from tests.programs import system
from tests.unit.front_door import asking
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import LOOPBACK, Apache, folder, free_ports, until
from tests.unit.front_door.test_apache import PATHS
from tests.unit.front_door.upstream import standing_in

NGINX = system("nginx")
pytestmark = pytest.mark.skipif(
    not (NGINX and os.geteuid() == 0), reason="needs root, and Debian's package nginx-light"
)
PAGE = Path(__file__).resolve().parents[3] / "docs/front-door-apache.md"
HUB = "hub.example.org"


@dataclass
class Nginx(Apache):
    """The same door for those who ask, with another program behind its ports."""


@pytest.fixture(scope="module")
def door() -> Iterator[Apache]:
    (block,) = re.findall(r"^```nginx\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        ports = free_ports(3)
        authority = Authority()
        authority.write(root / "live" / HUB, HUB, f"*.{HUB}")
        here = {
            "/etc/letsencrypt": str(root),
            "/var/lib/pdshub-door": str(root),
            "10.0.0.5:30080": f"{LOOPBACK}:{ports[2]}",
            "listen 80;": f"listen {LOOPBACK}:{ports[0]};",
            "listen 443 ssl;": f"listen {LOOPBACK}:{ports[1]} ssl;",
        }
        for place, there in here.items():
            assert place in block
            block = block.replace(place, there)
        temporary = "".join(
            f"{name}_temp_path {root}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (root / "nginx.conf").write_text(
            f"daemon off;\npid {root}/pid;\nerror_log {root}/error.log;\nevents {{}}\n"
            f"http {{\naccess_log off;\n{temporary}{block}}}\n"
        )
        (root / "acme/.well-known/acme-challenge").mkdir(parents=True)
        (root / "acme/.well-known/acme-challenge/token").write_text("an answer")
        stack.enter_context(standing_in(ports[2]))
        with (root / "out").open("wb") as out:
            process = subprocess.Popen([NGINX, "-c", str(root / "nginx.conf"), "-p", str(root)], stdout=out, stderr=out)
        site = HubSite(HUB, Upstream(LOOPBACK, ports[2]), subdomains=True)
        machine = Machine(hubs=(site,), http_port=ports[0], https_port=ports[1], root=str(root))
        made = Nginx(machine, root, authority, process)

        def up() -> bool:
            assert process.poll() is None, (root / "out").read_text()
            try:
                made.tls(HUB).close()
            except OSError:
                return False
            return True

        try:
            until(up, 120, "nginx does not start")
            yield made
        finally:
            process.terminate()
            process.wait(60)


@pytest.mark.parametrize("path", PATHS)
def test_a_path_reaches_the_hub_as_it_was_written(door: Apache, path: str) -> None:
    assert asking.ask(door, HUB, path).json["path"] == path


@pytest.mark.parametrize("path", [path for path in PATHS if not path.startswith("/hub/")])
def test_a_websocket_reaches_the_server_as_it_was_written(door: Apache, path: str) -> None:
    made = asking.open_websocket(door, HUB, path)
    assert made.recv() == path
    made.send("back")
    assert made.recv() == "back"
    made.close()


def test_a_client_says_nothing_of_itself_that_the_hub_would_believe(door: Apache) -> None:
    believed = ("x-forwarded-for", "x-real-ip", "x-forwarded-proto", "x-scheme", "forwarded", "x-forwarded-host")
    forged = {name: "203.0.113.99" for name in FORGEABLE if name.lower() in believed}
    assert len(forged) == len(believed)
    got = asking.ask(door, f"ada.{HUB}", "/user/ada/x", headers=forged).json["headers"]
    assert got["x-forwarded-for"] == got["x-real-ip"] == [LOOPBACK]
    assert got["x-forwarded-proto"] == got["x-scheme"] == ["https"]
    assert got["x-forwarded-host"] == [f"ada.{HUB}"] and "forwarded" not in got
    assert got["host"] == [f"ada.{HUB}"]


@pytest.mark.parametrize(
    ("path", "said"),
    [("/hub/a%2Fb?x=%3F", "308 "), ("/.well-known/acme-challenge/token", "200 ")],
)
def test_plain_http_is_sent_on_but_for_the_authoritys_question(door: Apache, path: str, said: str) -> None:
    with socket.create_connection((LOOPBACK, door.machine.http_port), 60) as made:
        made.sendall(f"GET {path} HTTP/1.1\r\nHost: {HUB}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := made.recv(65536):
            answer += piece
    text = answer.decode()
    assert text.split(" ", 1)[1].startswith(said)
    assert said == "200 " or f"Location: https://{HUB}{path}\r\n" in text


def test_browsers_stay_with_https(door: Apache) -> None:
    found = asking.ask(door, HUB, "/hub/status/404")
    assert found.status == 404 and "includeSubDomains" in found.headers["strict-transport-security"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_protocols_are_refused(door: Apache) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((LOOPBACK, door.machine.https_port), 60) as plain,
        pytest.raises((ssl.SSLError, OSError)),
    ):
        context.wrap_socket(plain, server_hostname=HUB)
