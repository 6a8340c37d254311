"""The spawner: every way in which a start ends, as JupyterHub meets it."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

pytest.importorskip("kubespawner")

import aiohttp
from kubernetes_asyncio.client.rest import ApiException
from tornado import web

from pdshub.server_trouble.trouble import WORDS, Kind
from pdshub_hub import spawner as module
from pdshub_hub.spawner import PDSHubSpawner, StartFailed
from tests.unit.hub.test_failures import LEAVING, NO_ROOM, OOM, RUNNING, STARTED, ended, waiting

QUOTA = 'pods "jupyter-ada" is forbidden: exceeded quota: sbn-servers, requested: pods=1'


def api_error(status: int, body: str) -> ApiException:
    found = ApiException(status=status, reason="Forbidden")
    found.body = body
    return found


class Spawner(PDSHubSpawner):
    """Without Kubernetes: what ``_start`` does, which pods and events are known."""

    does: Any = None
    pod: ClassVar[Any] = RUNNING
    known: ClassVar[tuple[Any, ...]] = ()
    namespace = "hub"
    pod_name = "jupyter-ada"
    start_timeout = 60

    def __init__(self) -> None:  # no traits: none is asked for
        self.user = SimpleNamespace(name="ada")
        self.server = SimpleNamespace(base_url="/user/ada/")
        self.log = logging.getLogger("spawner")
        self.internal_ssl = False

    @property
    def pod_reflector(self) -> Any:
        return SimpleNamespace(pods={"hub/jupyter-ada": self.pod} if self.pod else {})

    @property
    def events(self) -> Any:
        return list(self.known)

    async def _start(self) -> str:
        found = self.does() if callable(self.does) else self.does
        if asyncio.iscoroutine(found):
            found = await found
        if isinstance(found, Exception):
            raise found
        return str(found)


def made(**known: Any) -> Spawner:
    kind = type("Pretended", (Spawner,), {k: v for k, v in known.items() if k != "does"})
    found: Spawner = kind()
    found.does = known.get("does")
    return found


def outcome(spawner: Spawner) -> Any:
    async def story() -> Any:
        try:
            return await spawner.start()
        except Exception as error:
            return error

    return asyncio.run(story())


async def never() -> None:
    await asyncio.sleep(3600)


FAILURES: list[tuple[str, dict[str, Any], Kind]] = [
    ("quota", {"does": api_error(403, json.dumps({"message": QUOTA}))}, Kind.QUOTA),
    ("no JSON in the answer", {"does": api_error(403, "<html>")}, Kind.REFUSED),
    ("the API server is away", {"does": aiohttp.ClientConnectionError("no")}, Kind.KUBERNETES),
    ("or slow", {"does": TimeoutError("Could not create pod hub/jupyter-ada"), "pod": None}, Kind.KUBERNETES),
    ("no room in time", {"does": never, "known": (NO_ROOM,), "pod": None, "start_timeout": 1}, Kind.NO_ROOM),
    ("a fault", {"does": KeyError("x"), "pod": None}, Kind.UNKNOWN),
    ("out of memory at once", {"does": "http://127.0.0.1:1/", "pod": ended("OOMKilled", 137, "Running")}, Kind.MEMORY),
    ("again and again", {"does": "http://127.0.0.1:1/", "pod": waiting("CrashLoopBackOff", "", 1, OOM)}, Kind.MEMORY),
    ("deleted meanwhile", {"does": "http://127.0.0.1:1/", "pod": LEAVING, "known": (STARTED,)}, Kind.DELETED),
]


@pytest.mark.parametrize(("known", "kind"), [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES])
def test_a_failure_says_why(monkeypatch: pytest.MonkeyPatch, known: dict[str, Any], kind: Kind) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    found = outcome(made(**known))
    assert isinstance(found, StartFailed), repr(found)
    assert found.trouble.kind == kind and found.status_code == 503
    assert found.jupyterhub_message == found.log_message == found.trouble.text


def test_what_says_itself_why_is_left_alone() -> None:
    known = web.HTTPError(429, "Active user limit exceeded")
    assert outcome(made(does=known)) is known


def test_a_server_is_started_once_it_answers() -> None:
    async def story() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            asked = await reader.readuntil(b"\r\n\r\n")
            status = b"200 OK" if b"GET /user/ada/api " in asked else b"500 No"
            writer.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            found = await made(does=address).start()
        assert found == address
        return address

    assert asyncio.run(story())


def test_a_server_that_runs_and_does_not_answer_is_silent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    found = outcome(made(does=f"http://127.0.0.1:{port}/", known=(STARTED,), start_timeout=2))
    assert isinstance(found, StartFailed) and found.trouble.kind == Kind.SILENT


@pytest.mark.parametrize(("pod", "status"), [(RUNNING, None), (LEAVING, 1)])
def test_a_pod_that_somebody_deletes_is_gone_at_once(
    monkeypatch: pytest.MonkeyPatch, pod: dict[str, Any], status: int | None
) -> None:
    async def runs(self: Any) -> None:
        return None

    monkeypatch.setattr(module.KubeSpawner, "poll", runs)
    assert asyncio.run(made(pod=pod).poll()) == status


def test_the_page_that_waits_says_what_hinders_once(monkeypatch: pytest.MonkeyPatch) -> None:
    given = [
        {"progress": 30, "raw_event": NO_ROOM, "message": "raw"},
        {"progress": 50, "raw_event": NO_ROOM, "message": "raw"},
        {"message": "be patient"},
        {"progress": 63, "raw_event": STARTED, "message": "raw"},
    ]

    async def progress(self: Any) -> Any:
        for event in given:
            yield event

    async def story() -> list[Any]:
        return [event async for event in made().progress()]

    monkeypatch.setattr(module.KubeSpawner, "progress", progress)
    told = asyncio.run(story())
    assert [event for event in told if event in given] == given
    (more,) = (event for event in told if event not in given)
    assert more["message"] == f"{WORDS[Kind.NO_ROOM][0]} The hub goes on trying."


# --- what the database knows of a server

KEPT = {"pvc_name": "claim-ada---1234", "kubespawner_version": "7.0.0"}
HERE = {"namespace": "hub", "pod_name": "jupyter-ada---1234", "dns_name": "jupyter-ada---1234.hub"}
ELSEWHERE = {"namespace": "before", "pod_name": "jupyter-ada---1234", "dns_name": "jupyter-ada---1234.before"}


@pytest.mark.parametrize(
    ("own", "known", "loaded"),
    [
        (False, {**KEPT, **HERE}, {**KEPT, **HERE}),
        (False, {**KEPT, **ELSEWHERE}, KEPT),
        (False, KEPT, KEPT),
        (False, {}, {}),
        (True, {**KEPT, **ELSEWHERE}, {**KEPT, **ELSEWHERE}),
    ],
    ids=["here", "came back in another namespace", "nothing of where", "nothing", "a namespace for each user"],
)
def test_a_server_is_looked_for_in_the_hub_s_own_namespace(
    monkeypatch: pytest.MonkeyPatch, own: bool, known: dict[str, Any], loaded: dict[str, Any]
) -> None:
    found = []
    monkeypatch.setattr(module.KubeSpawner, "load_state", lambda self, state: found.append(state))
    before = dict(known)
    made(enable_user_namespaces=own).load_state(known)
    assert found == [loaded] and known == before


# --- a home whose content is still to come


class Claims(Spawner):
    """With an API server that knows claims: by name their annotations, or an error."""

    known_claims: ClassVar[dict[str, Any]] = {}
    pod: ClassVar[Any] = None
    storage_pvc_ensure: Any = True
    pvc_name = "claim-ada"
    k8s_api_request_timeout = 3

    @property
    def api(self) -> Any:
        async def ask(name: str, namespace: str) -> Any:
            found = self.known_claims.get(name, api_error(404, "{}"))
            if isinstance(found, Exception):
                raise found
            return SimpleNamespace(metadata=SimpleNamespace(annotations=found))

        return SimpleNamespace(read_namespaced_persistent_volume_claim=ask)

    async def _start(self) -> str:
        await self._until_home_is_back()
        raise KeyError("it went on")


HOMES: list[tuple[str, Any, Kind]] = [
    ("its content is still to come", {"pdshub.dev/recovering": "aa"}, Kind.HOME_RETURNS),
    ("it is there", {}, Kind.UNKNOWN),
    ("without annotations", None, Kind.UNKNOWN),
    ("there is none", api_error(404, "{}"), Kind.UNKNOWN),
    ("the API server refuses", api_error(403, "{}"), Kind.REFUSED),
]


@pytest.mark.parametrize(("claim", "kind"), [h[1:] for h in HOMES], ids=[h[0] for h in HOMES])
def test_nobody_starts_with_an_empty_home(claim: Any, kind: Kind) -> None:
    spawner = type("Pretended", (Claims,), {"known_claims": {"claim-ada": claim}})()
    found = outcome(spawner)
    assert isinstance(found, StartFailed) and found.trouble.kind is kind


def test_the_mark_is_the_operators() -> None:
    from pdshub.wellknown import RECOVERING

    assert module.RECOVERING == RECOVERING
