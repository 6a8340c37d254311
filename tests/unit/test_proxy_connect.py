"""The proxy image's limit on the time of a connection, in Node.js."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "images" / "proxy" / "connect-timeout.cjs"
ASK = """
const http = require("node:http");
const agent = new http.Agent({ keepAlive: true });
const ask = http.get({ host: "127.0.0.1", port: process.argv[1], agent }, (answer) => {
  // a connection that was made may stay silent for as long as it likes
  answer.on("data", () => {}).on("end", () => { console.log("answered", answer.statusCode); process.exit(0); });
});
ask.on("error", (error) => { console.log("failed", error.code); process.exit(0); });
setTimeout(() => { console.log("hangs"); process.exit(0); }, 20000);
"""
node = shutil.which("node")


@contextmanager
def deaf() -> Iterator[int]:
    """A port whose queue is full: Linux drops whoever wants to connect, as a network does with a pod that is gone."""
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen(0)
    waiting = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(server.getsockname())
        waiting.append(one)
    try:
        yield server.getsockname()[1]
    finally:
        for one in (*waiting, server):
            one.close()


def asked(port: int) -> str:
    environ = {**os.environ, "NODE_OPTIONS": f"--require={MODULE}", "PROXY_CONNECT_SECONDS": "0.5"}
    done = subprocess.run(
        [str(node), "-e", ASK, str(port)], env=environ, capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout.strip()


@pytest.mark.skipif(not node, reason="needs Node.js")
def test_an_address_that_answers_nothing_has_failed_soon() -> None:
    with deaf() as port:
        assert asked(port) == "failed ETIMEDOUT"


@pytest.mark.skipif(not node, reason="needs Node.js")
def test_an_answer_that_takes_longer_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        slow = (
            "import socket,sys,time; s=socket.socket(fileno=int(sys.argv[1])); c,_=s.accept(); c.recv(4096);"
            "time.sleep(1.5); c.sendall(b'HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok'); c.close()"
        )
        os.set_inheritable(server.fileno(), True)
        answering = subprocess.Popen(["python3", "-c", slow, str(server.fileno())], pass_fds=[server.fileno()])
        try:
            assert asked(port) == "answered 200"
        finally:
            answering.wait(60)


def test_the_image_loads_it() -> None:
    text = (ROOT / "images/proxy/Dockerfile").read_text()
    assert "COPY images/proxy/connect-timeout.cjs /opt/proxy/" in text
    assert "NODE_OPTIONS=--require=/opt/proxy/connect-timeout.cjs" in text
