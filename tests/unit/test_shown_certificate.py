"""The certificate that a server shows: read by a real handshake on loopback, within its bounds."""

from __future__ import annotations

import asyncio
import re
import ssl
from pathlib import Path

import pytest

from pdshub import shown_certificate
from pdshub.api.status import CertificateStatus
from pdshub.network_rules import closed_by
from pdshub.shown_certificate import NotShownError
from tests.unit.reconcile.hub.test_front_door import pem

HOST = "hub.example.org"


def server_context(folder: Path, names: tuple[str, ...] = (HOST,)) -> ssl.SSLContext:
    chain, key = pem(names)
    (folder / "c.pem").write_bytes(chain)
    (folder / "k.pem").write_bytes(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    return context


async def _serve(tls: ssl.SSLContext | None, answer: bool = True) -> tuple[asyncio.Server, int]:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if answer and tls is None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()
            return
        await reader.read()
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    return server, server.sockets[0].getsockname()[1]


def test_it_is_read_and_not_believed(tmp_path: Path) -> None:
    async def run() -> CertificateStatus:
        server, port = await _serve(server_context(tmp_path))
        async with server:
            return await shown_certificate.shown("127.0.0.1", port, HOST)

    found = asyncio.run(run())
    assert (found.issuer, found.names) == ("Example CA", [HOST])
    assert len(found.fingerprint) == 64 and found.not_before < found.not_after


@pytest.mark.parametrize(
    ("host", "opened", "said"),
    [
        ("127.0.0.1", [], "closed address (127.0.0.0/8)"),
        ("localhost", [], "closed address (127.0.0.0/8"),
        ("127.0.0.1", ["127.0.0.1/32"], ""),
        ("::ffff:127.0.0.1", [], "closed address"),
    ],
)
def test_nobody_has_the_operator_ask_an_address_that_is_closed(
    tmp_path: Path, host: str, opened: list[str], said: str
) -> None:
    async def run() -> None:
        server, port = await _serve(server_context(tmp_path))
        async with server:
            await shown_certificate.shown(host, port, HOST, lambda address: closed_by(address, [], opened))

    if said:
        with pytest.raises(NotShownError, match=re.escape(said)) as error:
            asyncio.run(run())
        assert not error.value.reached and "network.allowedRanges" in str(error.value)
    else:
        asyncio.run(run())


@pytest.mark.parametrize("answers", [True, False])
def test_who_speaks_no_tls_shows_none(answers: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_certificate, "SECONDS", 0.5)

    async def run() -> None:
        server, port = await _serve(None, answers)
        async with server:
            await shown_certificate.shown("127.0.0.1", port, HOST)

    with pytest.raises(NotShownError) as caught:
        asyncio.run(run())
    assert caught.value.reached is answers
    assert "shows no certificate" in str(caught.value) if answers else "did not answer within" in str(caught.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_who_is_not_reached_shows_none(host: str) -> None:
    with pytest.raises(NotShownError) as caught:
        asyncio.run(shown_certificate.shown(host, 1, HOST))
    assert not caught.value.reached and "is not reached" in str(caught.value)


def test_whoever_makes_a_certificate_does_not_fill_the_status(tmp_path: Path) -> None:
    chain, key = pem(tuple(f"n{number}.example.org" for number in range(500)))
    assert len(shown_certificate.of_pair(chain, key).names) == 20


@pytest.mark.parametrize(
    ("begin", "end", "now", "left"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z", "2026-01-01T00:00:00Z", 1.0),
        ("2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z", "2026-01-09T00:00:00Z", 0.2),
        ("2026-01-01T00:00:00Z", "2026-01-11T00:00:00Z", "2026-01-12T00:00:00Z", -0.1),
        ("2026-01-11T00:00:00Z", "2026-01-01T00:00:00Z", "2026-01-05T00:00:00Z", -1.0),
        ("", "", "2026-01-05T00:00:00Z", -1.0),
    ],
)
def test_what_is_left_is_a_fraction(begin: str, end: str, now: str, left: float) -> None:
    from pdshub import rfc3339

    said = CertificateStatus(not_before=begin, not_after=end)
    assert shown_certificate.remaining(said, rfc3339.seconds(now)) == pytest.approx(left)
