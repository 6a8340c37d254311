"""Certificates of operator, node plugins and surveyors: trusted among each other alone, renewed in time."""

from __future__ import annotations

import asyncio
import base64
import datetime
import ssl
import tempfile
from pathlib import Path
from typing import cast

import pytest

from pdshub import pki
from pdshub.kube import Kube
from tests.unit.reconcile.fakes import FakeKube

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def made(now: datetime.datetime | None = None) -> dict[str, pki.Pair]:
    """The authority and every program's certificate, by common name."""
    now = now or datetime.datetime.now(datetime.UTC)
    authority = pki.issue(pki.CA, now, "pdshub-ca", None)
    leaves = {
        leaf.common_name: pki.issue(
            leaf.secret, now, leaf.common_name, authority, server=leaf.server, client=leaf.client
        )
        for leaf in pki.LEAVES
    }
    return {"pdshub-ca": authority, **leaves}


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


@pytest.mark.parametrize(
    ("client", "server", "allowed"),
    [
        ("pdshub-operator", "pdshub-node", True),
        ("pdshub-operator", "pdshub-surveyor", True),
        ("pdshub-node", "pdshub-surveyor", True),
        ("pdshub-surveyor", "pdshub-node", False),
        ("pdshub-surveyor", "pdshub-surveyor", False),
        ("pdshub-node", "pdshub-operator", False),
    ],
)
def test_who_may_ask_whom(client: str, server: str, allowed: bool) -> None:
    pairs = made()
    trust = pairs["pdshub-ca"].certificate
    sides = context(pairs[server], trust, server=True), context(pairs[client], trust, server=False)
    if allowed:
        shake(*sides, server)
    else:
        with pytest.raises(ssl.SSLError):
            shake(*sides, server)


@pytest.mark.parametrize("stranger", ["client", "server", "name"])
def test_strangers_are_refused(stranger: str) -> None:
    ours, others = made(), made()
    client = (others if stranger == "client" else ours)["pdshub-operator"]
    server = (others if stranger == "server" else ours)["pdshub-node"]
    trust = ours["pdshub-ca"].certificate
    with pytest.raises(ssl.SSLError):
        shake(
            context(server, trust, server=True),
            context(client, trust, server=False),
            "elsewhere" if stranger == "name" else "pdshub-node",
        )


def test_certificates_are_made_once_and_again_when_they_are_good_for_less() -> None:
    kube = FakeKube()

    def look() -> pki.Credentials:
        return asyncio.run(pki.ensure(cast(Kube, kube), "ns", NOW))

    first = look()
    assert sum(w.startswith("apply secrets/") for w in kube.writes) == 4
    kube.writes.clear()
    assert look() == first and kube.writes == []
    # an earlier version made the node's certificate for answering only
    secret = kube.objects[("secrets", "ns", pki.CA)]
    authority = pki.Pair(*(base64.b64decode(secret["data"][key]) for key in (pki.CERTIFICATE, pki.KEY)))
    old = pki.issue(pki.NODE, NOW, "pdshub-node", authority, server=True)
    kube.objects[("secrets", "ns", pki.NODE)]["data"] |= {
        pki.CERTIFICATE: base64.b64encode(old.certificate).decode(),
        pki.KEY: base64.b64encode(old.key).decode(),
    }
    assert look() == first
    assert kube.writes == [f"apply secrets/{pki.NODE}"]


@pytest.mark.parametrize(("days", "fresh"), [(0, True), (300, True), (306, False), (400, False)])
def test_renewal_in_time(days: int, fresh: bool) -> None:
    node = made(NOW)["pdshub-node"]
    assert node.fresh(NOW + datetime.timedelta(days=days)) is fresh
