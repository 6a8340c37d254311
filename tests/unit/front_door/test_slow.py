"""Clients that are slow, many, or silent: the others are answered."""

from __future__ import annotations

import contextlib
import http.client
import resource
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from pdshub.front_door.site import HubSite, Machine, Upstream
from tests.unit.front_door.asking import ask, open_websocket
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import LOOPBACK, Apache, certificates, folder, free_ports, needs_apache, running
from tests.unit.front_door.upstream import standing_in

pytestmark = needs_apache
HUB = "hub.example.org"
SHORT = 6.0
"""Seconds that one of the doors gives a header, so that a test need not wait long for the end of it."""


@contextmanager
def a_door(slow: float, users: int, extra: str = "") -> Iterator[Apache]:
    with ExitStack() as stack:
        root = stack.enter_context(folder())
        ports = free_ports(3)
        machine = Machine(
            hubs=(HubSite(HUB, Upstream(LOOPBACK, ports[2]), users=users),),
            http_port=ports[0],
            https_port=ports[1],
            root=str(root),
            slow=slow,
        )
        authority = Authority()
        certificates(machine, root, authority)
        stack.enter_context(standing_in(ports[2]))
        yield stack.enter_context(running(machine, root, authority, extra=extra))


@pytest.fixture(scope="module")
def door() -> Iterator[Apache]:
    with a_door(300, 90) as made:
        yield made


def answered(door: Apache) -> bool:
    """Whether somebody who asks again, as a browser does, is answered."""
    for _ in range(20):
        with contextlib.suppress(OSError, http.client.HTTPException):
            if ask(door, HUB, "/hub/login").status == 200:
                return True
    return False


def test_a_silent_websocket_outlives_apaches_timeout() -> None:
    # far below the minute that the rendered files say
    with a_door(300, 3, "Timeout 3") as door:
        made = open_websocket(door, HUB, "/user/ada/x")
        assert made.recv()
        time.sleep(7)
        made.send("still here")
        assert made.recv() == "still here"
        made.close()


def test_500_idle_websockets_leave_room_for_others_also_over_a_reload(door: Apache) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 4096), hard), hard))
    opened = []
    try:
        for number in range(500):
            opened.append(open_websocket(door, HUB, f"/user/u{number}/x"))
            assert opened[-1].recv()
        assert ask(door, HUB, "/hub/login").status == 200
        door.reload()
        assert answered(door)
        for made in opened:
            made.send("still here")
        assert [made.recv() for made in opened] == ["still here"] * 500
    finally:
        for made in opened:
            made.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def ended(connection: socket.socket) -> bool:
    """Whether the other side ends a connection, with an answer or without."""
    connection.settimeout(60)
    try:
        while connection.recv(4096):
            continue
    except (ConnectionError, ssl.SSLError):
        return True
    return True


def test_headers_that_never_end_are_cut_off_and_others_are_answered() -> None:
    with a_door(SHORT, 20) as door, ExitStack() as slow:
        connections = list[socket.socket]()
        for _ in range(60):
            with contextlib.suppress(OSError):  # this machine itself may be too slow for such a door
                connections.append(slow.enter_context(door.tls(HUB)))
                connections[-1].sendall(b"GET /hub/x HTTP/1.1\r\nHost: hub.example.org\r\nX-Slow: ")
        for _ in range(60):  # no TLS at all
            plain = socket.create_connection((LOOPBACK, door.machine.https_port))
            connections.append(slow.enter_context(plain))
        assert answered(door)
        assert all(ended(connection) for connection in connections)


def test_a_client_that_does_not_read_holds_nobody_else_up(door: Apache) -> None:
    slow = []
    try:
        for _ in range(10):
            slow.append(door.tls(HUB))
            slow[-1].sendall(b"GET /user/source/100000000 HTTP/1.1\r\nHost: hub.example.org\r\n\r\n")
            assert slow[-1].recv(1000)
        assert ask(door, HUB, "/hub/login").status == 200
    finally:
        for connection in slow:
            connection.close()
