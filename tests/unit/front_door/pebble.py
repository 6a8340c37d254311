"""Pebble, Let's Encrypt's authority for tests, with its DNS; and a stand-in before it that fails as authorities do.

Source: RFC 8555 (ACME), RFC 9773 (ARI).
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.programs import go_program
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import LOOPBACK, until

PEBBLE, DNS = go_program("pebble"), go_program("pebble", "pebble-challtestsrv")
needs_pebble = pytest.mark.skipif(
    not (PEBBLE and DNS), reason="pebble is not built: ./hack/up builds hack/tools/pebble"
)


@dataclass
class Pebble:
    """An authority at ``directory``, and the DNS that it asks."""

    directory: str
    management: int
    dns: int
    ca_file: Path
    before: StandIn = field(init=False)

    def tell_dns(self, what: str, **said: Any) -> None:
        """Changes the DNS: ``add-a``, ``set-txt``, …"""
        data = json.dumps(said).encode()
        with urllib.request.urlopen(f"http://{LOOPBACK}:{self.dns}/{what}", data, timeout=60) as answer:
            assert answer.status == 200

    def trusted(self) -> str:
        """The root of its certificates, and the intermediate, as a browser would have them."""
        made = ssl.create_default_context(cafile=str(self.ca_file))
        found = ""
        for what in ("roots", "intermediates"):
            with urllib.request.urlopen(f"https://localhost:{self.management}/{what}/0", context=made) as answer:
                found += answer.read().decode()
        return found


@dataclass
class StandIn:
    """Before Pebble: passes everything on, unless it is told to answer 429, or nothing."""

    mode: str = "pass"
    asked: list[str] = field(default_factory=list)


def _handler(stand_in: StandIn, target: int, context: ssl.SSLContext) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            stand_in.asked.append(self.path)
            if stand_in.mode == "away":
                self.close_connection = True
                self.connection.close()
                return
            if stand_in.mode == "limited" and "order" in self.path:
                problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many", "status": 429}
                text = json.dumps(problem).encode()
                self.send_response(429)
                self.send_header("Content-Type", "application/problem+json")
                self.send_header("Retry-After", "1")
                self.send_header("Replay-Nonce", self._nonce())
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
                return
            with contextlib.closing(http.client.HTTPSConnection("localhost", target, context=context)) as connection:
                connection.request(self.command, self.path, body or None, dict(self.headers))
                found = connection.getresponse()
                text = found.read()
            self.send_response(found.status)
            for name, value in found.getheaders():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

        def _nonce(self) -> str:
            with contextlib.closing(http.client.HTTPSConnection("localhost", target, context=context)) as connection:
                connection.request("HEAD", "/nonce-plz")
                return connection.getresponse().getheader("Replay-Nonce") or ""

        do_GET = do_POST = do_HEAD = _any

        def log_message(self, format: str, *args: object) -> None:
            return

    return Handler


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up hangs up."""


@contextmanager
def pebble(folder: Path, ports: list[int], http_port: int, https_port: int) -> Iterator[Pebble]:
    """The authority, its DNS (which says loopback of every name), and the stand-in; they end with the context.

    ``ports``: five of them. ``http_port``, ``https_port``: where it looks for answers to its challenges.
    """
    listen, management, dns, dns_management, before = ports
    folder.mkdir(parents=True, exist_ok=True)
    authority = Authority()
    authority.write(folder, "localhost")
    (folder / "ca.pem").write_text(authority.pem())
    config = {
        "pebble": {
            "listenAddress": f"{LOOPBACK}:{listen}",
            "managementListenAddress": f"{LOOPBACK}:{management}",
            "certificate": str(folder / "fullchain.pem"),
            "privateKey": str(folder / "privkey.pem"),
            "httpPort": http_port,
            "tlsPort": https_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "domainBlocklist": [],
            "retryAfter": {"authz": 1, "order": 1},
            "keyAlgorithm": "ecdsa",
            "profiles": {"default": {"description": "as Let's Encrypt", "validityPeriod": 45 * 86400}},
        }
    }
    (folder / "pebble.json").write_text(json.dumps(config))
    # it validates; what it leaves out is waiting before it does, and refusing good nonces at random
    environ = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0"}
    commands = (
        [
            *(str(DNS), "-dnsserver", f"{LOOPBACK}:{dns}", "-management", f"{LOOPBACK}:{dns_management}"),
            *(
                "-defaultIPv4",
                LOOPBACK,
                "-defaultIPv6",
                "",
                "-http01",
                "",
                "-https01",
                "",
                "-tlsalpn01",
                "",
                "-doh",
                "",
            ),
        ],
        [str(PEBBLE), "-config", str(folder / "pebble.json"), "-dnsserver", f"{LOOPBACK}:{dns}", "-strict=false"],
    )
    started = []
    context = ssl.create_default_context(cafile=str(folder / "ca.pem"))
    found = Pebble(f"https://localhost:{before}/dir", management, dns_management, folder / "ca.pem")
    found.before = StandIn()
    server = _Server((LOOPBACK, before), _handler(found.before, listen, context))
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(folder / "fullchain.pem", folder / "privkey.pem")
    server.socket = served.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def up() -> bool:
        assert all(one.poll() is None for one in started), (folder / "pebble.log").read_text()
        with contextlib.suppress(OSError):
            return bool(found.trusted()) and urllib.request.urlopen(found.directory, context=context).status == 200
        return False

    try:
        with (folder / "pebble.log").open("wb") as out:
            started += [subprocess.Popen(one, stdout=out, stderr=out, env=environ) for one in commands]
        until(up, 300, "Pebble does not start")
        yield found
    finally:
        for one in started:
            one.terminate()
            one.wait(60)
        server.shutdown()
        server.server_close()
        thread.join()
