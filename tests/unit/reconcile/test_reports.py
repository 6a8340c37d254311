"""The operator asks nodes for reports over mutual TLS: only the right node is believed, only the operator is told."""

from __future__ import annotations

import asyncio
import base64
import datetime
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from pdshub import pki, ports
from pdshub.api.report import Report
from pdshub.kube import POD, SECRET, KubeError
from pdshub.node.report.server import serve_report
from pdshub.reconcile.common import node_reports
from pdshub.reconcile.common.node_reports import Reports
from tests.unit.apiserver import ApiServer, listening, serving
from tests.unit.test_pki import context

SYSTEM = "pdshub-system"
NOW = datetime.datetime.now(datetime.UTC)
LABELS = {"app.kubernetes.io/name": "pdshub", "app.kubernetes.io/component": "node"}
WORD = {"node": "n1", "views": {"sbn": {"ready": True}}}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture(autouse=True)
def port(monkeypatch: pytest.MonkeyPatch) -> int:
    """Nodes report on a port that is free here."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        free = int(taken.getsockname()[1])
    monkeypatch.setattr(ports, "NODE_REPORT", free)
    return free


def pod(node: str, address: str = "", **meta: Any) -> dict[str, Any]:
    name = f"pdshub-node-{node}-{len(meta)}"
    status = {"hostIP": address} if address else {}
    return {
        "metadata": {"name": name, "namespace": SYSTEM, "labels": LABELS, **meta},
        "spec": {"nodeName": node},
        "status": status,
    }


class Installation:
    """The operator's side, with the certificates that it made in its first round."""

    def __init__(self, server: ApiServer, asking: Reports) -> None:
        self.server, self.asking = server, asking

    def secret(self, name: str) -> tuple[pki.Pair, bytes]:
        data = {k: base64.b64decode(v) for k, v in self.server.objects[SECRET.path(SYSTEM, name)]["data"].items()}
        return pki.Pair(data[pki.CERTIFICATE], data[pki.KEY]), data[pki.TRUST]

    @property
    def node_tls(self) -> ssl.SSLContext:
        return context(*self.secret(pki.NODE), server=True)


@asynccontextmanager
async def installation() -> AsyncIterator[Installation]:
    """An API server without any node yet, and reports that were asked for once."""
    async with serving() as (server, kube):
        asking = Reports(kube, SYSTEM, lambda: None)
        assert await asking.round() is True, "the first round is news"
        assert asking.asked and asking.nodes == {}
        yield Installation(server, asking)


async def tells(_: web.Request) -> web.StreamResponse:
    return web.json_response(WORD)


async def redirects(request: web.Request) -> web.StreamResponse:
    if request.path == "/elsewhere":
        return web.json_response(WORD)
    raise web.HTTPTemporaryRedirect(f"https://{request.host}/elsewhere")


async def refuses(_: web.Request) -> web.StreamResponse:
    raise web.HTTPForbidden


async def babbles(_: web.Request) -> web.StreamResponse:
    return web.Response(text="<html>")


async def dawdles(_: web.Request) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def dawdles_midway(request: web.Request) -> web.StreamResponse:
    answer = web.StreamResponse(headers={"Content-Length": "1000"})
    await answer.prepare(request)
    await answer.write(b'{"node": ')
    await asyncio.Event().wait()
    raise AssertionError


def strange_tls(kind: str, here: Installation) -> ssl.SSLContext | None:
    """How a server that is not the node plugin might show itself."""
    own, trust = here.secret(pki.NODE)
    authority = here.secret(pki.CA)[0]
    other = pki.issue(NOW, "pdshub-ca", None, server=False)
    match kind:
        case "plain HTTP":
            return None
        case "another authority's":
            return context(pki.issue(NOW, "pdshub-node", other, server=True), trust, server=True)
        case "another name":
            return context(pki.issue(NOW, "elsewhere", authority, server=True), trust, server=True)
        case "the operator's own":
            return context(*here.secret(pki.OPERATOR), server=True)
        case "expired":
            old = NOW - datetime.timedelta(days=366)
            return context(pki.issue(old, "pdshub-node", authority, server=True), trust, server=True)
        case "trusts another authority":
            return context(own, other.certificate, server=True)
    return here.node_tls


ANSWERS: list[tuple[str, str, Handler, str]] = [
    ("well", "", tells, ""),
    ("plain HTTP", "plain HTTP", tells, "does not answer"),
    ("a certificate of another authority", "another authority's", tells, "certificate verify failed"),
    ("a certificate of another name", "another name", tells, "certificate verify failed"),
    ("a certificate made for clients", "the operator's own", tells, "certificate verify failed"),
    ("an expired certificate", "expired", tells, "certificate verify failed"),
    ("the node trusts another authority", "trusts another authority", tells, "does not answer"),
    ("refused", "", refuses, "answers 403"),
    ("sent elsewhere", "", redirects, "answers 307"),
    ("no JSON", "", babbles, "does not answer"),
    ("silence", "", dawdles, "did not answer within"),
    ("half an answer", "", dawdles_midway, "did not answer within"),
]


@pytest.mark.parametrize(("tls", "handler", "error"), [a[1:] for a in ANSWERS], ids=[a[0] for a in ANSWERS])
def test_one_node(port: int, monkeypatch: pytest.MonkeyPatch, tls: str, handler: Handler, error: str) -> None:
    monkeypatch.setattr(node_reports, "TIMEOUT", 1.0)

    async def test() -> None:
        async with installation() as here:
            here.server.put(POD, pod("n1", "127.0.0.1"))
            async with listening(handler, strange_tls(tls, here), port=port):
                assert await here.asking.round() is True
            answer = here.asking.nodes["n1"]
            assert error in answer.error and bool(answer.error) is bool(error)
            assert "\n" not in answer.error
            assert (answer.parsed, answer.at > 0) == ((Report.read(WORD), True) if not error else (Report(), False))

    asyncio.run(test())


def test_a_node_whose_pod_has_not_started(port: int) -> None:
    async def test() -> None:
        async with installation() as here:
            here.server.put(POD, pod("n1"))
            await here.asking.round()
            assert here.asking.nodes["n1"].error == "its pod has not started"
            here.server.objects.pop(POD.path(SYSTEM, "pdshub-node-n1-0"))
            assert await here.asking.round() is True
            assert here.asking.nodes == {}

    asyncio.run(test())


def test_nodes_are_asked_beside_each_other_and_do_not_delay_each_other(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_reports, "TIMEOUT", 1.0)
    handlers: dict[str, Handler] = {"n1": tells, "n2": dawdles, "n3": dawdles, "n4": dawdles}

    async def test() -> None:
        async with installation() as here, AsyncExitStack() as stack:
            for number, (node, handler) in enumerate(handlers.items(), 1):
                here.server.put(POD, pod(node, f"127.0.0.{number}"))
                await stack.enter_async_context(listening(handler, here.node_tls, f"127.0.0.{number}", port))
            async with asyncio.timeout(2.5):
                await here.asking.round()
            assert {n: bool(a.error) for n, a in here.asking.nodes.items()} == {
                "n1": False,
                "n2": True,
                "n3": True,
                "n4": True,
            }

    asyncio.run(test())


def test_the_pod_that_stays_speaks_for_its_node(port: int) -> None:
    async def test() -> None:
        async with installation() as here:
            here.server.put(POD, pod("n1", "127.0.0.1"))
            here.server.put(POD, pod("n1", "127.0.0.9", deletionTimestamp="2026-01-01T00:00:00Z"))
            async with listening(tells, here.node_tls, port=port):
                await here.asking.round()
            assert here.asking.nodes["n1"].error == ""

    asyncio.run(test())


def test_the_last_word_is_kept_and_the_same_words_are_no_news(port: int) -> None:
    async def test() -> None:
        async with installation() as here:
            here.server.put(POD, pod("n1", "127.0.0.1"))
            async with listening(tells, here.node_tls, port=port):
                assert await here.asking.round() is True
                assert await here.asking.round() is False
            before = here.asking.nodes["n1"]
            assert await here.asking.round() is True, "silence is news"
            after = here.asking.nodes["n1"]
            assert (after.parsed, after.at) == (Report.read(WORD), before.at) and "does not answer" in after.error
            assert await here.asking.round() is False, "further silence is none"

    asyncio.run(test())


def test_without_the_api_server_nothing_is_forgotten(port: int) -> None:
    async def test() -> None:
        async with installation() as here:
            here.server.put(POD, pod("n1", "127.0.0.1"))
            async with listening(tells, here.node_tls, port=port):
                await here.asking.round()
            here.server.answer = (503, "")
            with pytest.raises(KubeError):
                await here.asking.round()
            assert here.asking.nodes["n1"].parsed == Report.read(WORD)

    asyncio.run(test())


# --- the node's own server


def client_pair(kind: str, here: Installation) -> tuple[pki.Pair, bytes]:
    operator, trust = here.secret(pki.OPERATOR)
    other = pki.issue(NOW, "pdshub-ca", None, server=False)
    match kind:
        case "another authority's":
            return pki.issue(NOW, "pdshub-operator", other, server=False), trust
        case "another name":
            authority = here.secret(pki.CA)[0]
            return pki.issue(NOW, "somebody", authority, server=False), trust
        case "the node's own":
            return here.secret(pki.NODE)
    return operator, trust


async def fetched(port: int, tls: ssl.SSLContext) -> int:
    """HTTP status of the report; 0 when the handshake is refused."""
    async with aiohttp.ClientSession() as session:
        for _ in range(100):
            try:
                async with session.get(f"https://127.0.0.1:{port}/report", ssl=tls, server_hostname="pdshub-node") as a:
                    return a.status
            except aiohttp.ClientConnectorSSLError:
                return 0
            except aiohttp.ClientConnectorError:
                await asyncio.sleep(0.05)  # it has not started to listen
            except (aiohttp.ClientError, OSError):
                return 0
    raise AssertionError("nobody listens")


@pytest.mark.parametrize(
    ("kind", "status"),
    [("the operator's", 200), ("another authority's", 0), ("the node's own", 403), ("another name", 403), ("none", 0)],
)
def test_only_the_operator_is_told(tmp_path: Path, port: int, kind: str, status: int) -> None:
    async def test() -> None:
        async with installation() as here:
            own, trust = here.secret(pki.NODE)
            for name, text in ((pki.CERTIFICATE, own.certificate), (pki.KEY, own.key), (pki.TRUST, trust)):
                (tmp_path / name).write_bytes(text)
            serve = asyncio.create_task(serve_report(tmp_path, port, lambda: Report.model_validate(WORD)))
            try:
                if kind == "none":
                    tls = ssl.create_default_context(cadata=trust.decode())
                else:
                    pair, trusted = client_pair(kind, here)
                    tls = context(pair, trusted, server=False)
                assert await fetched(port, tls) == status
                if kind == "the operator's":
                    here.server.put(POD, pod("n1", "127.0.0.1"))
                    await here.asking.round()
                    assert here.asking.nodes["n1"].parsed == Report.read(WORD)
            finally:
                serve.cancel()

    asyncio.run(test())
