"""Whose address the hub sees, in network namespaces: a client, the proxy machine, nobody else's word."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from pdshub.front_door.site import HubSite, Machine, Upstream
from tests.unit.front_door.authority import Authority
from tests.unit.front_door.machine import certificates, folder, free_ports, needs_apache, running
from tests.unit.front_door.upstream import standing_in

HUB, DOOR, CLIENT, CLUSTER = "hub.example.org", "10.231.77.1", "10.231.77.2", "10.231.78.2"
ASK = """
import json, socket, ssl, sys
port, cafile, forged = int(sys.argv[1]), sys.argv[2], sys.argv[3]
context = ssl.create_default_context(cafile=cafile)
plain = socket.create_connection(("10.231.77.1", port), 60)
with context.wrap_socket(plain, server_hostname="hub.example.org") as made:
    made.sendall(f"GET /hub/x HTTP/1.1\\r\\nHost: hub.example.org\\r\\nX-Forwarded-For: {forged}\\r\\n"
                 f"X-Real-IP: {forged}\\r\\nConnection: close\\r\\n\\r\\n".encode())
    said = b""
    while piece := made.recv(65536):
        said += piece
print(said.partition(b"\\r\\n\\r\\n")[2].decode())
"""


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def namespaces() -> Iterator[tuple[str, str, str]]:
    """A client, the proxy machine, and the cluster behind it, each with addresses of its own."""
    client, door, cluster = (f"pds-{part}-{os.getpid()}" for part in ("client", "door", "hub"))
    made = []
    try:
        for name in (client, door, cluster):
            ip("netns", "add", name)
            made.append(name)
            ip("-n", name, "link", "set", "lo", "up")
        for one, other, address, far in ((door, client, DOOR, CLIENT), (door, cluster, "10.231.78.1", CLUSTER)):
            here, there = f"to-{other[4:8]}", "uplink"
            ip("-n", one, "link", "add", here, "type", "veth", "peer", "name", there, "netns", other)
            for name, link, given in ((one, here, address), (other, there, far)):
                ip("-n", name, "addr", "add", f"{given}/24", "dev", link)
                ip("-n", name, "link", "set", link, "up")
        yield client, door, cluster
    finally:
        for name in made:
            ip("netns", "delete", name)


def can() -> bool:
    """Whether this machine lets us make namespaces."""
    name = f"pds-try-{os.getpid()}"
    if os.geteuid() or not shutil.which("ip"):
        return False
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    return True


@needs_apache
@pytest.mark.skipif(not can(), reason="needs root and network namespaces (ip netns)")
@pytest.mark.parametrize("forged", ("203.0.113.99", "127.0.0.1", f"{CLIENT}, 203.0.113.99", DOOR))
def test_the_hub_sees_the_clients_address_whatever_it_claims(forged: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        client, door, cluster = stack.enter_context(namespaces())
        root = stack.enter_context(folder())
        ports = free_ports(3)
        machine = Machine(
            hubs=(HubSite(HUB, Upstream(CLUSTER, ports[2])),),
            http_port=ports[0],
            https_port=ports[1],
            root=str(root),
            slow=300,
        )
        authority = Authority()
        certificates(machine, root, authority)
        (root / "ca.pem").write_text(authority.pem())
        stack.enter_context(standing_in(ports[2], CLUSTER, cluster))
        stack.enter_context(running(machine, root, authority, netns=door, listen=DOOR))
        command = [
            "ip",
            "netns",
            "exec",
            client,
            sys.executable,
            "-c",
            ASK,
            str(ports[1]),
            str(root / "ca.pem"),
            forged,
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
        assert '"x-forwarded-for": ["10.231.77.2"]' in said and '"x-real-ip": ["10.231.77.2"]' in said
        assert "203.0.113.99" not in said
