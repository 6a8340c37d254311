"""A real JupyterHub, its proxy, a server, a kernel and a terminal, behind a real Apache."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest

from pdshub.cli import main as cli
from pdshub.cli import proxy_server
from pdshub.cli.proxy_client import Door, WebSocket
from pdshub.front_door.site import HubSite, Machine, Upstream
from tests.unit.front_door.asking import ask
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
from tests.unit.front_door.real_hub import ADA, RealHub, needs_hub, real_hub

pytestmark = [needs_apache, needs_hub]
HUB = "hub.example.org"


@dataclass
class Whole:
    """All of it, with a token of a user whose server runs."""

    apache: Apache
    hub: RealHub
    token: str
    server: proxy_server.Server
    authority_file: Path

    @property
    def door(self) -> Door:
        return Door(HUB, self.apache.machine.https_port, LOOPBACK, self.apache.context())


@pytest.fixture(scope="module")
def whole() -> Iterator[Whole]:
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        ports = free_ports(5)
        hub = stack.enter_context(real_hub(root / "hub", ports[2:]))
        machine = Machine(
            hubs=(HubSite(HUB, Upstream(LOOPBACK, ports[2]), "hub/sbn", users=3),),
            http_port=ports[0],
            https_port=ports[1],
            root=str(root),
            slow=300,
        )
        authority = Authority()
        certificates(machine, root, authority)
        (root / "authority.pem").write_text(authority.pem())
        # shorter than Apache's Timeout is what a silent socket has to live through
        door = stack.enter_context(running(machine, root, authority, extra=""))
        token = hub.token(ADA)
        way = Door(HUB, ports[1], LOOPBACK, ssl.create_default_context(cadata=authority.pem()))
        server, _ = proxy_server.start(way, token, "", 600, print)
        yield Whole(door, hub, token, server, root / "authority.pem")


def test_files_with_odd_names_of_somebody_with_an_odd_name(whole: Whole) -> None:
    assert "brien" in whole.server.prefix and "%2B" in whole.server.prefix
    assert whole.server.files() == []


def test_a_kernel_and_a_terminal_answer_and_live_on_over_a_renewal(whole: Whole) -> None:
    kernel = whole.server.kernel()
    name = whole.server.ask("api/terminals", "POST", {}).json()["name"]
    path = f"{whole.server.prefix}terminals/websocket/{name}"
    terminal, _ = WebSocket.open(whole.server.door, path, {"Authorization": f"token {whole.token}"})
    assert terminal

    def typed(line: str, expected: str) -> bool:
        terminal.send(json.dumps(["stdin", f"{line}\r"]))
        said = ""
        while expected not in said:
            said += terminal.receive(60)
        return True

    assert kernel.echo() > 0
    assert typed("echo $((40 + 2))x", "42x")
    live = whole.apache.root / "etc/letsencrypt/live" / HUB
    serial = whole.apache.authority.write(live, HUB)
    whole.apache.reload()
    until(lambda: whole.apache.serial(HUB) == serial)
    assert kernel.echo() > 0
    assert typed("echo $((60 + 6))x", "66x")
    terminal.close()
    kernel.close()


def test_uploads_in_pieces_come_back_as_they_were(whole: Whole) -> None:
    whole.server.upload(3 * proxy_server.PIECE + 17, print)


@pytest.mark.long
def test_two_gibibytes(whole: Whole) -> None:
    whole.server.upload(2 << 30, print)


@pytest.mark.long
def test_a_websocket_idles_for_five_minutes(whole: Whole) -> None:
    kernel = whole.server.kernel()
    kernel.silent(300)
    assert kernel.echo() > 0
    kernel.close()


def test_the_hub_logs_the_clients_address_and_no_forged_one(whole: Whole) -> None:
    forged = {"X-Forwarded-For": "203.0.113.99", "X-Real-IP": "203.0.113.99", "Forwarded": "for=203.0.113.99"}
    ask(whole.apache, HUB, "/hub/whose-address", headers=forged)
    until(lambda: "/hub/whose-address" in whole.hub.log)
    line = next(line for line in whole.hub.log.splitlines() if "/hub/whose-address" in line)
    assert "(@127.0.0.1)" in line and "203.0.113.99" not in line


def test_cookies_are_secure_since_the_hub_knows_of_https(whole: Whole) -> None:
    cookie = ask(whole.apache, HUB, "/hub/login").headers["set-cookie"].partition(";")[0]
    form = f"username=bela&password=secret&_xsrf={quote(cookie.partition('=')[2])}".encode()
    headers = {"Cookie": cookie, "Content-Type": "application/x-www-form-urlencoded"}
    found = ask(whole.apache, HUB, "/hub/login", "POST", headers, form)
    assert found.status == 302
    made = {one.partition("=")[0]: one for one in found.headers["set-cookie"].split("\n")}
    assert [name for name, one in made.items() if "secure" not in one.lower()] in ([], ["_xsrf"])
    assert "secure" in made["jupyterhub-hub-login"].lower()


def check(whole: Whole, *more: str, file: Path) -> tuple[int, dict[str, dict[str, str]], str]:
    output = file.parent / "answer.json"
    with output.open("w") as out, pytest.MonkeyPatch.context() as patched:
        patched.setattr("sys.stdout", out)
        code = cli.main(
            [
                *("proxy", "check", f"https://{HUB}:{whole.apache.machine.https_port}", "-o", "json"),
                *("--connect", LOOPBACK, "--http-port", str(whole.apache.machine.http_port)),
                *("--ca-file", str(whole.authority_file), "--token-file", str(file)),
                *("--upload", "3M", "--idle", "1", *more),
            ]
        )
    text = output.read_text()
    return code, {one["check"]: one for one in json.loads(text)["findings"]}, text


def test_check_of_a_door_that_is_right_finds_nothing(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # logs come late: hubs answer before they write
    late = f'echo >> {tmp_path}/calls; [ $(wc -l < {tmp_path}/calls) -lt 3 ] || exec cat "{whole.hub.folder}/hub.log"'
    (tmp_path / "kubectl").write_text(f'#!/bin/sh\n[ "$1" = logs ] || exit 1\n{late}\n')
    (tmp_path / "kubectl").chmod(0o755)
    monkeypatch.setenv("KUBECTL", str(tmp_path / "kubectl"))
    (tmp_path / "token").write_text(f"{whole.token}\n")
    code, found, text = check(whole, "--hub", "hub/sbn", file=tmp_path / "token")
    assert code == 0, text
    assert {name for name, one in found.items() if one["state"] == "ok"} == {
        "redirect", "chain", "certificate", "http2", "hsts", "hub", "paths", "websocket-paths", "address", "server",
        "websocket", "idle", "files", "upload",
    }  # fmt: skip
    assert whole.token not in text


def test_check_says_what_a_user_is_refused(whole: Whole, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef")
    code, found, text = check(whole, file=tmp_path / "token")
    assert code == 1
    assert found["server"]["state"] == "failed" and "403" in found["server"]["found"]
    assert "0123456789abcdef" not in text


def test_names_in_paths(whole: Whole) -> None:
    """The hub itself, asked for a user with such a name, by each spelling that browsers use."""
    for spelling in (quote(ADA, safe=""), quote(ADA, safe="@'"), quote(ADA, safe="'")):
        found = whole.server.door.ask(f"/hub/api/users/{spelling}", headers={"Authorization": f"token {whole.token}"})
        assert found.json()["name"] == ADA
