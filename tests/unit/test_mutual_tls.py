"""Certificates that change under programs that run: real HTTPS on the loopback address, files as the kubelet does."""

from __future__ import annotations

import asyncio
import datetime
import itertools
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
from aiohttp import web

from pdshub import mutual_tls, pki, tls_names
from pdshub.mutual_tls import Server
from pdshub.node.store.fetch import SurveyorOrigin, Where
from pdshub.survey_api import SurveyApi, SurveyError
from pdshub.survey_api import Where as Surveyor
from tests.unit.test_pki import context
from tests.unit.test_pki_rotation import STAGES

NOW = datetime.datetime.now(datetime.UTC)
YEAR = datetime.timedelta(days=366)
NAME = "sha256:" + "a" * 64
SBN = tls_names.surveyor("sbn")


def surveyor(authority: pki.Pair, view: str = "sbn", at: datetime.datetime = NOW) -> pki.Pair:
    return pki.issue(at, tls_names.SURVEYOR, authority, server=True, dns=tls_names.surveyor(view))


class Files:
    """A folder of certificates that is replaced at once, as the kubelet replaces a mounted Secret's."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "tls"
        self._folder, self._count = folder, itertools.count(1)

    def put(self, pair: pki.Pair, trust: bytes) -> None:
        number = next(self._count)
        made = self._folder / f"..{number}"
        made.mkdir(parents=True)
        for name, text in ((pki.CERTIFICATE, pair.certificate), (pki.KEY, pair.key), (pki.TRUST, trust)):
            (made / name).write_bytes(text)
            os.utime(made / name, ns=(number, number))  # else two within a tick of the clock would look alike
        link = self._folder / "link"
        link.symlink_to(made)
        link.rename(self.path)


class Running:
    """A surveyor's server over files of its own, and whoever asks it."""

    def __init__(self, folder: Path) -> None:
        self.files = Files(folder / "server")

        async def state(_: web.Request) -> web.Response:
            return web.json_response({"view": "sbn"})

        app = web.Application()
        app.router.add_get("/state", state)
        app.router.add_get("/generations/{name}/manifest.json", state)
        self.server = Server(app, self.files.path, 0)

    @property
    def port(self) -> int:
        """Of IPv4: a free one is another for IPv6, and for each new certificate."""
        return next(int(address[1]) for address in self.server.addresses if len(address) == 2)

    async def operator(self, pair: pki.Pair, trust: bytes, view: str = "sbn") -> str:
        """What the operator's own client reads, or why nothing."""
        try:
            found = await SurveyApi().state(
                context(pair, trust, server=False), Surveyor(f"127.0.0.1:{self.port}", view)
            )
        except SurveyError as error:
            return str(error)
        return found.view

    async def node(self, files: Files, view: str = "sbn") -> str:
        """What the node plugin's own client reads, or why nothing."""

        def ask() -> str:
            try:
                with closing(SurveyorOrigin(Where(f"127.0.0.1:{self.port}", view), files.path).manifest(NAME)) as body:
                    return body.read().decode()
            except OSError as error:
                return str(error) or type(error).__name__

        return await asyncio.to_thread(ask)


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Running]:
    made = Running(folder)
    await made.server.begin()
    try:
        yield made
    finally:
        await made.server.end()


class Connection:
    """A connection of the operator's that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self.writer = reader, writer
        self.serial = int(writer.get_extra_info("ssl_object").getpeercert()["serialNumber"], 16)

    @classmethod
    async def open(cls, port: int, pair: pki.Pair, trust: bytes) -> Connection:
        tls = context(pair, trust, server=False)
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=SBN))

    async def ask(self) -> bytes:
        self.writer.write(b"GET /state HTTP/1.1\r\nHost: surveyor\r\n\r\n")
        return await self._reader.readuntil(b"}")


def test_expiry_in_mid_run(tmp_path: Path) -> None:
    """A connection that is open goes on; nobody opens one to an expired certificate; a renewed one is taken up."""
    authority = pki.issue(NOW, "pdshub-ca", None)
    trust = authority.certificate
    operator = pki.issue(NOW, tls_names.OPERATOR, authority), trust
    first, expired, renewed = surveyor(authority), surveyor(authority, at=NOW - YEAR), surveyor(authority)

    async def test() -> None:
        async with running(tmp_path) as here:
            here.files.put(first, trust)
            await here.server.look()
            kept = await Connection.open(here.port, *operator)
            assert kept.serial == first.loaded.serial_number and b"200 OK" in await kept.ask()
            here.files.put(expired, trust)
            await here.server.look()
            assert b"200 OK" in await kept.ask()
            assert "certificate has expired" in await here.operator(*operator)
            here.files.put(renewed, trust)
            await here.server.look()
            fresh = await Connection.open(here.port, *operator)
            assert fresh.serial == renewed.loaded.serial_number and b"200 OK" in await fresh.ask()
            assert b"200 OK" in await kept.ask()
            for connection in (kept, fresh):
                connection.writer.close()

    asyncio.run(test())


@pytest.mark.parametrize(
    ("view", "client", "says"),
    [
        ("sbn", "", ""),
        # the key of another view's surveyor at this one's address
        ("geo", "", "certificate verify failed"),
        ("", "", "certificate verify failed"),
        ("sbn", "a surveyor", "does not answer"),
        ("sbn", "a foreign operator", "does not answer"),
        ("sbn", "an expired operator", "does not answer"),
    ],
)
def test_who_is_believed(tmp_path: Path, view: str, client: str, says: str) -> None:
    authority, other = (pki.issue(NOW, "pdshub-ca", None) for _ in range(2))
    trust = authority.certificate
    shown = surveyor(authority, view) if view else pki.issue(NOW, tls_names.SURVEYOR, authority, server=True)
    clients = {
        "": pki.issue(NOW, tls_names.OPERATOR, authority),
        "a surveyor": surveyor(authority),
        "a foreign operator": pki.issue(NOW, tls_names.OPERATOR, other),
        "an expired operator": pki.issue(NOW - YEAR, tls_names.OPERATOR, authority),
    }

    async def test() -> None:
        async with running(tmp_path) as here:
            here.files.put(shown, trust)
            await here.server.look()
            found = await here.operator(clients[client], trust)
            assert says in found and (found == "sbn") is not bool(says)
            files = Files(tmp_path / "node")
            files.put(pki.issue(NOW, tls_names.NODE, authority, server=True, client=True), trust)
            fetched = await here.node(files)
            assert ('"view": "sbn"' in fetched) is (view == "sbn"), fetched

    asyncio.run(test())


def orders() -> list[tuple[str, ...]]:
    """Who takes up each step of a change first, second, …; half of the nodes are late."""
    return [(*first, "late node") for first in itertools.permutations(("surveyor", "operator", "node"))]


@pytest.mark.parametrize("order", orders(), ids=", ".join)
def test_the_authority_changes_in_every_order(tmp_path: Path, order: Sequence[str]) -> None:
    """After every move of every program, everybody reads what it asks for: no moment without an answer."""
    names = {"surveyor": SBN, "operator": tls_names.OPERATOR, "node": tls_names.NODE, "late node": tls_names.NODE}

    async def test() -> None:
        async with running(tmp_path) as here:
            nodes = {name: Files(tmp_path / name) for name in names if name.endswith("node")}
            at = dict.fromkeys(names, 0)

            async def takes_up(name: str, stage: int) -> None:
                at[name] = stage
                if name == "surveyor":
                    here.files.put(*STAGES[stage][SBN])
                    await here.server.look()
                elif name in nodes:
                    nodes[name].put(*STAGES[stage][tls_names.NODE])

            for name in names:
                await takes_up(name, 0)
            for stage in range(1, len(STAGES)):
                for name in order:
                    await takes_up(name, stage)
                    assert await here.operator(*STAGES[at["operator"]][tls_names.OPERATOR]) == "sbn", at
                    for files in nodes.values():
                        assert '"view": "sbn"' in await here.node(files), at

    asyncio.run(test())


def test_files_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    authority = pki.issue(NOW, "pdshub-ca", None)
    trust = authority.certificate
    operator, first, second = pki.issue(NOW, tls_names.OPERATOR, authority), surveyor(authority), surveyor(authority)

    async def test() -> None:
        async with running(tmp_path) as here:
            await here.server.look()
            assert here.server.addresses == [], "nobody is answered before there are certificates"
            here.files.put(first, trust)
            await here.server.look()
            here.files.put(pki.Pair(first.certificate, second.key), trust)
            await here.server.look()
            assert await here.operator(operator, trust) == "sbn"
            here.files.put(second, trust)
            await here.server.look()
            assert await here.operator(operator, trust) == "sbn"

    asyncio.run(test())


def test_the_program_looks_again_and_again(tmp_path: Path) -> None:
    authority = pki.issue(NOW, "pdshub-ca", None)
    operator = pki.issue(NOW, tls_names.OPERATOR, authority)

    async def test() -> None:
        here = Running(tmp_path)
        task = asyncio.create_task(here.server.run(every=0.01))
        try:
            here.files.put(surveyor(authority), authority.certificate)
            async with asyncio.timeout(20):
                while not here.server.addresses:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            assert await here.operator(operator, authority.certificate) == "sbn"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(test())


def test_only_tls_1_3_with_a_certificate(tmp_path: Path) -> None:
    authority = pki.issue(NOW, "pdshub-ca", None)
    files = Files(tmp_path)
    files.put(surveyor(authority), authority.certificate)
    made = mutual_tls.context(files.path)
    assert made.minimum_version == ssl.TLSVersion.TLSv1_3 and made.verify_mode == ssl.CERT_REQUIRED
