"""Certificates between operator and node plugins: they trust each other and nobody else, and are renewed in time."""

from __future__ import annotations

import datetime
import ssl
import tempfile
from pathlib import Path

import pytest

from pdshub import pki

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def made(now: datetime.datetime | None = None) -> tuple[pki.Pair, pki.Pair, pki.Pair]:
    now = now or datetime.datetime.now(datetime.UTC)
    authority = pki.issue(pki.AUTHORITY, now, "pdshub-ca", None, server=False)
    node = pki.issue(pki.NODE, now, "pdshub-node", authority, server=True)
    operator = pki.issue(pki.OPERATOR, now, "pdshub-operator", authority, server=False)
    return authority, node, operator


def context(pair: pki.Pair, trust: bytes, *, server: bool) -> ssl.SSLContext:
    side = ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT
    found = ssl.SSLContext(side)
    found.load_verify_locations(cadata=trust.decode())
    found.verify_mode = ssl.CERT_REQUIRED
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("crt", pair.certificate), ("key", pair.key)):
            Path(folder, name).write_bytes(text)
        found.load_cert_chain(Path(folder, "crt"), Path(folder, "key"))
    return found


def shake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """A TLS handshake in memory. Raises ssl.SSLError when either side refuses."""
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(down, up, server_hostname=name)
    two = server.wrap_bio(up, down, server_side=True)
    todo = [one, two]
    for _ in range(20):
        for side in list(todo):
            try:
                side.do_handshake()
                todo.remove(side)
            except ssl.SSLWantReadError:
                continue
        if not todo:
            break
    # TLS 1.3: the client learns only when it reads that its certificate was refused
    two.write(b"x")
    assert one.read() == b"x"


def test_operator_and_node_trust_each_other() -> None:
    authority, node, operator = made()
    shake(
        context(node, authority.certificate, server=True),
        context(operator, authority.certificate, server=False),
        "pdshub-node",
    )


@pytest.mark.parametrize("stranger", ["client", "server", "name", "purpose"])
def test_strangers_are_refused(stranger: str) -> None:
    authority, node, operator = made()
    _, other_node, other_operator = made()
    client = {"client": other_operator, "purpose": node}.get(stranger, operator)
    server = other_node if stranger == "server" else node
    with pytest.raises(ssl.SSLError):
        shake(
            context(server, authority.certificate, server=True),
            context(client, authority.certificate, server=False),
            "elsewhere" if stranger == "name" else "pdshub-node",
        )


@pytest.mark.parametrize(("days", "fresh"), [(0, True), (300, True), (306, False), (400, False)])
def test_renewal_in_time(days: int, fresh: bool) -> None:
    _, node, _ = made(NOW)
    assert node.fresh(NOW + datetime.timedelta(days=days)) is fresh
