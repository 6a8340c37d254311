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

from pdshub import pki, tls_names
from pdshub.kube import Kube
from tests.unit.reconcile.fakes import FakeKube

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def made(now: datetime.datetime | None = None) -> dict[str, pki.Pair]:
    """The authority and every program's certificate, by the name that clients ask for: two views, so two surveyors."""
    now = now or datetime.datetime.now(datetime.UTC)
    authority = pki.issue(now, "pdshub-ca", None)
    leaves = {
        leaf.common_name: pki.issue(now, leaf.common_name, authority, server=leaf.server, client=leaf.client)
        for leaf in pki.LEAVES
    }
    for view in ("sbn", "geo"):
        name = tls_names.surveyor(view)
        leaves[name] = pki.issue(now, tls_names.SURVEYOR, authority, server=True, dns=name)
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
        ("pdshub-operator", "sbn.surveyor.pdshub", True),
        ("pdshub-node", "sbn.surveyor.pdshub", True),
        ("sbn.surveyor.pdshub", "pdshub-node", False),
        ("sbn.surveyor.pdshub", "geo.surveyor.pdshub", False),
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


@pytest.mark.parametrize(
    ("client", "server", "asked_for"),
    [
        ("a foreign authority's operator", "pdshub-node", "pdshub-node"),
        ("pdshub-operator", "a foreign authority's node", "pdshub-node"),
        ("pdshub-operator", "pdshub-node", "elsewhere"),
        ("pdshub-node", "geo.surveyor.pdshub", "sbn.surveyor.pdshub"),
        ("pdshub-operator", "geo.surveyor.pdshub", "sbn.surveyor.pdshub"),
        ("pdshub-node", "sbn.surveyor.pdshub", "pdshub-surveyor"),
        ("pdshub-operator", "sbn.surveyor.pdshub", "pdshub-node"),
        ("pdshub-node", "pdshub-node", "sbn.surveyor.pdshub"),
        ("pdshub-node", "pdshub-operator", "sbn.surveyor.pdshub"),
    ],
)
def test_strangers_and_stolen_keys_are_refused(client: str, server: str, asked_for: str) -> None:
    ours, others = made(), made()
    found = {
        **ours,
        "a foreign authority's operator": others["pdshub-operator"],
        "a foreign authority's node": others["pdshub-node"],
    }
    trust = ours["pdshub-ca"].certificate
    with pytest.raises(ssl.SSLError):
        shake(context(found[server], trust, server=True), context(found[client], trust, server=False), asked_for)


VIEWS = [
    ("sbn", "sbn.surveyor.pdshub"),
    ("hub-sbn.example", "hub-sbn.example.surveyor.pdshub"),
    ("a" * 63, "a" * 63 + ".surveyor.pdshub"),
    ("a" * 64, ""),
    (".".join(["a" * 60] * 4), ""),
    ("a" * 253, ""),
]


@pytest.mark.parametrize(("view", "name"), VIEWS, ids=[str(len(view)) for view, _ in VIEWS])
def test_names_of_surveyors_are_names_for_tls(view: str, name: str) -> None:
    found = tls_names.surveyor(view)
    assert found == name or (not name and found.endswith(".digest-surveyor.pdshub"))
    assert len(found) <= 255 and all(0 < len(label) <= 63 for label in found.split("."))
    authority = pki.issue(NOW, "pdshub-ca", None)
    now = datetime.datetime.now(datetime.UTC)
    pair = pki.issue(now, tls_names.SURVEYOR, authority, server=True, dns=found)
    operator = pki.issue(now, tls_names.OPERATOR, authority)
    trust = authority.certificate
    shake(context(pair, trust, server=True), context(operator, trust, server=False), found)


def test_two_views_have_two_names() -> None:
    names = [tls_names.surveyor(view) for view, _ in VIEWS]
    assert len({*names}) == len(VIEWS)
    digest = names[3].partition(".")[0]
    assert tls_names.surveyor(digest) not in names


def test_certificates_are_made_once_and_again_when_they_are_good_for_less() -> None:
    kube = FakeKube()

    def look() -> pki.Credentials:
        return asyncio.run(pki.ensure(cast(Kube, kube), "ns", NOW))

    first = look()
    assert kube.writes == [f"apply secrets/{name}" for name in (pki.CA, pki.NODE, pki.OPERATOR)]
    kube.writes.clear()
    assert look() == first and kube.writes == []
    # an earlier version made the node's certificate for answering only
    secret = kube.objects[("secrets", "ns", pki.CA)]
    authority = pki.Pair(*(base64.b64decode(secret["data"][key]) for key in (pki.CERTIFICATE, pki.KEY)))
    old = pki.issue(NOW, "pdshub-node", authority, server=True)
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
