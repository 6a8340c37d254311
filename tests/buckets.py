"""A real S3 service (versitygw) on loopback for tests, and a relay in front of it that counts what is asked."""

from __future__ import annotations

import http.client
import os
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.programs import built
from tests.unit.backup.harness import free_port, server

KEY, SECRET = "AKIAPDSHUBTESTS", "a/secret+key=of the tests"
BUCKET = "pds-archive"


@dataclass
class Relay:
    """Passes requests on and counts them: list, get, head, put, other."""

    port: int
    to: int
    asked: Counter[str] = field(default_factory=Counter)
    seen: list[str] = field(default_factory=list)
    """Method and path with query of every request, in order."""

    def none(self) -> None:
        """Count from now on."""
        self.asked.clear()
        self.seen.clear()


def _kind(method: str, path: str) -> str:
    parts = urlsplit(path)
    if method == "GET" and (re.search(r"(^|&)(list-type|prefix|delimiter|max-keys)=", parts.query)):
        return "list"
    return method.lower()


@contextmanager
def counting(to: int, address: str = "127.0.0.1") -> Iterator[Relay]:
    """A relay to a port of loopback, at an address of this machine."""
    relay = Relay(0, to)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            relay.asked[_kind(self.command, self.path)] += 1
            relay.seen.append(f"{self.command} {self.path}")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection("127.0.0.1", to, timeout=60)
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            data = answer.read() if self.command != "HEAD" else b""
            self.send_response_only(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(data))
            self.send_header("Content-Length", length or "0")
            self.end_headers()
            self.wfile.write(data)
            connection.close()

        do_GET = do_HEAD = do_PUT = do_DELETE = do_POST = _pass

        def log_message(self, *_: Any) -> None:
            return

    httpd = ThreadingHTTPServer((address, 0), Handler)
    httpd.daemon_threads = True
    relay.port = httpd.server_address[1]
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        httpd.shutdown()
        httpd.server_close()


@dataclass
class Service:
    """The service with one bucket, and the relay before it."""

    folder: Path
    port: int
    relay: Relay

    @property
    def url(self) -> str:
        """By the relay."""
        return f"http://127.0.0.1:{self.relay.port}"

    def keys(self, folder: Path, secret: str = SECRET) -> Path:
        """Keys as a Secret is mounted."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "access-key-id").write_text(KEY)
        (folder / "secret-access-key").write_text(f"{secret}\n")
        return folder

    def source(self, name: str = "main", **more: Any) -> dict[str, Any]:
        """A source of a view, as it is on the wire."""
        return {"name": name, "s3": {"endpoint": self.url, "bucket": BUCKET, "secretRef": "keys", **more}}

    def ask(self, method: str, key: str, body: bytes = b"") -> int:
        """One signed request past the relay; the HTTP status."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        url = f"http://127.0.0.1:{self.port}/{BUCKET}" + (f"/{quote(key, safe='/-_.~')}" if key else "")
        request = AWSRequest(method, url, data=body)
        S3SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1").add_auth(request)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, url.split(str(self.port), 1)[1], body, dict(request.headers.items()))
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def put(self, key: str, body: str | bytes) -> None:
        """Write an object."""
        status = self.ask("PUT", key, body.encode() if isinstance(body, str) else body)
        assert status == 200, (key, status)

    def delete(self, key: str) -> None:
        """Take an object away."""
        assert self.ask("DELETE", key) in (200, 204)

    def fill(self, files: dict[str, str]) -> None:
        """Write objects."""
        for key, body in files.items():
            self.put(key, body)


@contextmanager
def service(folder: Path, sidecar: bool = True, address: str = "127.0.0.1") -> Iterator[Service]:
    """The service, or the test is skipped. Needs botocore, too. ``sidecar``: ETags are kept beside the files, not as
    their extended attributes."""
    pytest.importorskip("botocore")
    (folder / "buckets" / BUCKET).mkdir(parents=True)
    (folder / "sidecar").mkdir()
    port = free_port()
    beside = ["--sidecar", str(folder / "sidecar")] if sidecar else []
    words = ["--port", f"127.0.0.1:{port}", "--quiet", "posix", *beside]
    environ = {"ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET, "HOME": os.environ.get("HOME", "/")}
    argv = [str(built("versitygw")), *words, str(folder / "buckets")]
    with server(argv, port, folder / "s3.log", environ), counting(port, address) as relay:
        yield Service(folder, port, relay)
