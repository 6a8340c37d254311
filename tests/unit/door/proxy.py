"""The real configurable-http-proxy of images/proxy as a process, with the modules that its image loads."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.programs import NEEDS_HTTP_PROXY, http_proxy

ROOT = Path(__file__).resolve().parents[3]
IMAGE = ROOT / "images" / "proxy"
TRUSTED_PEER, OTHER_PEER = "127.0.0.2", "127.0.0.1"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def proxy(target: str, environ: Mapping[str, str], folder: Path) -> Iterator[int]:
    """The proxy before ``target``, on a port of every loopback address; its log is in ``folder``."""
    port, api = free_port(), free_port()
    program = http_proxy()
    if not program:
        pytest.skip(NEEDS_HTTP_PROXY)
    loaded = " ".join(f"--require={IMAGE / name}" for name in ("connect-timeout.cjs", "forwarded.cjs"))
    argv = [*program, "--ip=0.0.0.0", f"--port={port}", "--api-ip=127.0.0.1", f"--api-port={api}"]
    patient = {"PROXY_CONNECT_SECONDS": "120"}  # a busy machine is no pod that is gone
    env = {**os.environ, **patient, "NODE_OPTIONS": loaded, "CONFIGPROXY_AUTH_TOKEN": "t", **environ}
    with (folder / "proxy.log").open("wb") as log:
        process = subprocess.Popen([*argv, f"--default-target={target}"], env=env, stdout=log, stderr=log)
    try:
        until = time.monotonic() + 120
        while True:
            assert process.poll() is None, (folder / "proxy.log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert time.monotonic() < until
                time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(60)


class Echo:
    """A server that answers with the headers that reached it, also when it is asked for a websocket."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as lines:
            lines.readline()
            headers: dict[str, str] = {}
            while (line := lines.readline().strip()) != b"":
                name, _, value = line.decode().partition(":")
                headers[name.lower()] = value.strip()
            seen = json.dumps(headers)
            if headers.get("upgrade"):
                words = (
                    "HTTP/1.1 101 Switching Protocols",
                    "Upgrade: websocket",
                    "Connection: upgrade",
                    f"X-Seen: {seen}",
                )
                connection.sendall("".join(f"{line}\r\n" for line in (*words, "")).encode())
                return
            body = seen.encode()
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )

    def close(self) -> None:
        self._socket.close()


def ask(port: int, peer: str, headers: Mapping[str, str], path: str = "/", upgrade: bool = False) -> tuple[str, str]:
    """Head and body of an answer to a request from an address of this machine."""
    words = {"Host": "hub.example.org", "Connection": "upgrade" if upgrade else "close", **headers}
    words |= {"Upgrade": "websocket"} if upgrade else {}
    head = "".join(f"{name}: {value}\r\n" for name, value in words.items())
    with socket.create_connection((peer, port), 60, source_address=(peer, 0)) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        data = b""
        while chunk := connection.recv(65536):
            data += chunk
    text = data.decode(errors="replace")
    found, _, body = text.partition("\r\n\r\n")
    return found, body


def told(port: int, peer: str, headers: Mapping[str, str], upgrade: bool = False) -> dict[str, str]:
    """Headers about the client that reached the server behind the proxy."""
    head, body = ask(port, peer, headers, upgrade=upgrade)
    if upgrade:
        body = next(line[8:] for line in head.split("\r\n") if line.lower().startswith("x-seen: "))
    about = ("forwarded", "x-real-ip", "x-scheme", "x-client-ip", "true-client-ip", "x-pdshub-door")
    return {k: v for k, v in json.loads(body).items() if k.startswith("x-forwarded") or k in about}
