"""The client of surveyors: it shows who it is, and takes no answer for granted."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from pdshub import pki, survey_api
from pdshub.api.generation import Changes
from pdshub.api.survey import (
    Answer as SurveyAnswer,
)
from pdshub.api.survey import (
    CheckState,
    Comparison,
    Diff,
    Generation,
    Guard,
    SpecTaken,
    State,
    StillRunning,
    SurveyProgress,
)
from pdshub.api.view import ArchiveViewSpec
from pdshub.survey_api import SurveyApi, SurveyError, Where

A = "sha256:" + "a" * 64
MAIN = [{"source": "main"}]
NOW = datetime.datetime.now(datetime.UTC)
AUTHORITY = pki.issue(NOW, "pdshub-ca", None)


def context(pair: pki.Pair, *, server: bool) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(cadata=AUTHORITY.certificate.decode())
    made.verify_mode = ssl.CERT_REQUIRED
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("crt", pair.certificate), ("key", pair.key)):
            Path(folder, name).write_bytes(text)
        made.load_cert_chain(Path(folder, "crt"), Path(folder, "key"))
    return made


SERVER = context(pki.issue(NOW, "pdshub-surveyor", AUTHORITY, server=True, dns="sbn.surveyor.pdshub"), server=True)
IMPOSTOR = context(pki.issue(NOW, "pdshub-node", AUTHORITY, server=True), server=True)
OPERATOR = context(pki.issue(NOW, "pdshub-operator", AUTHORITY, client=True), server=False)

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def with_surveyor(
    answer: Answer, ask: Callable[[SurveyApi, Where], Awaitable[Any]], tls: ssl.SSLContext = SERVER
) -> Any:
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        port = runner.addresses[0][1]
        return await ask(SurveyApi(), Where(f"127.0.0.1:{port}", "sbn"))
    finally:
        await runner.cleanup()


def text(body: str, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(text=body, status=status, content_type="application/json")

    return answer


async def started(app: web.Application) -> tuple[web.AppRunner, Where]:
    """A surveyor's server with TLS 1.3 and client certificates, as the program has it; and its address."""
    runner = web.AppRunner(app)
    await runner.setup()
    SERVER.minimum_version = ssl.TLSVersion.TLSv1_3
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=SERVER).start()
    return runner, Where(f"127.0.0.1:{runner.addresses[0][1]}", "sbn")


async def state(api: SurveyApi, where: Where) -> State:
    return await api.state(OPERATOR, where)


def test_a_state() -> None:
    said = {
        "view": "sbn",
        "spec": "abc",
        "survey": {"state": "running", "phase": "walk", "counters": {"directories": 5}},
        "generations": [
            {
                "name": A,
                "asOf": "2026-01-01T00:00:00Z",
                "counts": {"files": 5, "directories": 2, "links": 0, "bytes": 9},
                "findings": {"error": 1},
                "guard": {"accepted": False, "before": 9, "after": 5},
                "previous": None,
                "images": 1,
            }
        ],
        "audit": {},
        "verify": {"generation": A, "at": "2026-01-01T00:00:00Z", "files": 5, "drifted": 1, "examples": ["x"]},
        "later": "than this program",
    }
    found = asyncio.run(with_surveyor(text(json.dumps(said)), state))
    assert found.survey.phase == "walk" and found.verify.drifted == 1
    (generation,) = found.generations
    assert (generation.name, generation.counts.files, generation.findings.error) == (A, 5, 1)
    assert generation.guard and not generation.guard.accepted


def test_null_is_as_good_as_left_out() -> None:
    survey = dict.fromkeys(("state", "phase", "message", "lastFinished", "request", "startedAt"))
    one = {"name": A, **dict.fromkeys(("asOf", "counts", "findings", "guard", "previous", "changes"))}
    said = {"view": None, "spec": None, "survey": survey, "generations": [one], "verify": {"at": None, "files": None}}
    found = asyncio.run(with_surveyor(text(json.dumps(said)), state))
    assert found == State(generations=[Generation(name=A)], verify=Comparison())


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"generations": [{"name": "../../etc"}]}', "generations.0.name: "),
        (
            json.dumps({"generations": [{"name": A}, {"name": A, "counts": {"files": "many"}}]}),
            "generations.1.counts.files: ",
        ),
        ('{"survey": {"lastFinished": 7}}', "survey.lastFinished: "),
        ('{"verify": {"drifted": []}}', "verify.drifted: "),
        (
            json.dumps({"generations": [{"name": A, "entries": [{"layers": [{"found": "half"}]}]}]}),
            "entries.0.layers.0.found: ",
        ),
    ],
)
def test_a_bad_answer_is_refused_with_the_fields_name(body: str, says: str) -> None:
    with pytest.raises(SurveyError) as refused:
        asyncio.run(with_surveyor(text(body), state))
    assert str(refused.value).startswith("the surveyor's state is not understood: ") and says in str(refused.value)


def test_a_diff_and_an_accepted_spec_are_refused_with_the_fields_name() -> None:
    async def ask(api: SurveyApi, where: Where) -> Any:
        with pytest.raises(SurveyError, match=r"diff is not understood: files\.added\.count: "):
            await api.changes(OPERATOR, where, A, A)
        with pytest.raises(SurveyError, match=r"answer to PUT /spec is not understood: spec: "):
            await api.put_spec(OPERATOR, where, {})

    asyncio.run(with_surveyor(text('{"files": {"added": {"count": []}}, "spec": 7}'), ask))


def test_versions_of_both_sides_may_differ() -> None:
    newer = {
        "view": "sbn",
        "mood": "well",
        "survey": {"state": "pondering", "tempo": 3},
        "generations": [{"name": A, "colour": 1}],
    }
    found = asyncio.run(with_surveyor(text(json.dumps(newer)), state))
    assert (found.view, found.survey.state, found.generations[0].name) == ("sbn", "pondering", A)
    assert found.generations[0].guard is None and found.audit.state == "", "what an older one does not say is unknown"


WIRE: list[tuple[SurveyAnswer, dict[str, Any]]] = [
    (State(), {}),
    (
        State(view="sbn", spec=None, survey=SurveyProgress(started_at=None, last_finished="t", settling=2)),
        {"view": "sbn", "spec": None, "survey": {"startedAt": None, "lastFinished": "t", "settling": 2}},
    ),
    (
        Generation(
            name=A, as_of="t", guard=Guard(accepted=True, before=None, after=5, lost_percent=0.5), previous=None
        ),
        {
            "name": A,
            "asOf": "t",
            "guard": {"accepted": True, "before": None, "after": 5, "lostPercent": 0.5},
            "previous": None,
        },
    ),
    (Comparison(examples=["main:x\udcff"], message="x\udcff"), {"examples": ["main:x\\udcff"], "message": "x\\udcff"}),
    (SpecTaken(spec="a", content="b"), {"spec": "a", "content": "b"}),
    (StillRunning(state=CheckState.RUNNING, phase="half"), {"state": "running", "phase": "half"}),
]


@pytest.mark.parametrize(("said", "wire"), WIRE)
def test_the_names_on_the_wire(said: SurveyAnswer, wire: dict[str, Any]) -> None:
    """What was said and nothing else; null stays where it means something; no bytes that JSON cannot hold."""
    assert said.body() == wire
    assert type(said).model_validate_json(json.dumps(said.body())) == said


def test_an_answer_names_no_more_paths_than_were_asked_for() -> None:
    paths = {"added": {"count": 3, "paths": ["a", "b\udcff", "c"]}, "removed": {"count": 0, "paths": []}}
    found = Diff.model_validate({"datasets": {"added": [{"dataset": "x"}]}, "files": paths})
    assert found.files.limited(2).body() == {**paths, "added": {"count": 3, "paths": ["a", "b\udcff"]}}
    assert found.counted() == Changes(datasets_added=1, files_added=3)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ("", 200, "not understood"),
        ("[]", 200, "not understood"),
        ('{"generations": [{"name": "../../etc"}]}', 200, "not understood"),
        ('{"generations": 5}', 200, "not understood"),
        ("no spec yet", 503, "503: no spec yet"),
        ("x" * (survey_api.LIMIT + 1), 200, "more than 8 MB"),
    ],
    ids=["empty", "list", "name", "type", "503", "large"],
)
def test_what_is_no_answer(body: str, status: int, says: str) -> None:
    with pytest.raises(SurveyError, match=says):
        asyncio.run(with_surveyor(text(body, status), state))


def test_a_redirect_is_no_answer_and_is_not_followed() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        raise web.HTTPTemporaryRedirect(f"https://{request.host}/elsewhere")

    with pytest.raises(SurveyError, match="answers GET /state with 307"):
        asyncio.run(with_surveyor(answer, state))
    assert asked == ["/state"]


@pytest.mark.parametrize("address", ["", "x", "10.0.0.1", "10.0.0.1:1/x", "a@127.0.0.1:1", "127.0.0.1:1?", "a/b:1"])
def test_an_address_names_a_host_and_a_port_and_nothing_else(address: str) -> None:
    with pytest.raises(SurveyError, match="does not answer"):
        asyncio.run(state(SurveyApi(), Where(address, "sbn")))


def test_addresses_of_both_families() -> None:
    for address in ("10.0.0.1:9810", "[fd00::1]:9810"):
        url = survey_api._url(address, "/diff", {"from": "a&b", "to": "c"})
        assert str(url) == f"https://{address}/diff?from=a%26b&to=c"


def test_nobody_there() -> None:
    with pytest.raises(SurveyError, match="does not answer"):
        asyncio.run(SurveyApi().state(OPERATOR, Where("127.0.0.1:1", "sbn")))


def test_another_program_with_our_authority_is_no_surveyor() -> None:
    with pytest.raises(SurveyError, match="does not answer"):
        asyncio.run(with_surveyor(text("{}"), state, IMPOSTOR))


def test_what_is_sent() -> None:
    seen: list[tuple[str, str, Any]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        seen.append((request.method, request.path_qs, json.loads(body) if body else None))
        diff = {
            "datasets": {"added": [{"dataset": "x"}], "removed": [], "replaced": [{}, {}], "rehomed": []},
            "files": {"added": {"count": 7, "paths": ["a"]}, "removed": {"count": 0}, "replaced": {"count": 3}},
        }
        return web.json_response(diff)

    async def ask(api: SurveyApi, where: Where) -> Any:
        await api.put_spec(OPERATOR, where, {"name": "sbn"})
        return await api.changes(OPERATOR, where, A, A)

    changes = asyncio.run(with_surveyor(answer, ask))
    assert changes == Changes(datasets_added=1, datasets_replaced=2, files_added=7, files_replaced=3)
    assert seen[0] == ("PUT", "/spec", {"name": "sbn"})
    assert seen[1][0] == "GET" and seen[1][1].startswith("/diff?from=sha256")


def test_a_comparison_that_takes_longer_is_no_answer_and_no_error() -> None:
    async def ask(api: SurveyApi, where: Where) -> Any:
        return await api.changes(OPERATOR, where, A, A)

    assert survey_api.DIFF_SECONDS < survey_api.TIMEOUT
    assert asyncio.run(with_surveyor(text('{"phase": "half"}', 202), ask)) is None


def test_a_diff_that_takes_long_over_the_surveyors_own_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zstandard")
    from pdshub.surveyor import server
    from pdshub.surveyor.store import Entry, Store
    from pdshub.surveyor.surveyor import Surveyor
    from pdshub.surveyor.worker import WorkerError

    monkeypatch.setattr(survey_api, "DIFF_SECONDS", 0)
    many = {"count": 5000, "paths": [f"p{n}" for n in range(1000)]}
    diff = {"datasets": {"added": [{}]}, "files": {"added": many, "removed": {"count": 0, "paths": []}}}
    workers: list[str] = []

    async def run() -> None:
        handlers = server.Handlers(Surveyor(Store(tmp_path), tmp_path))
        monkeypatch.setattr(handlers.surveyor, "find", lambda name: Entry(name, tmp_path, {}, {}, {}))
        go = asyncio.Event()

        class Slow:
            def __init__(self, kind: str, task: Any, memory: int) -> None:
                workers.append(kind)

            async def run(self, say: Callable[[str], None], seconds: float) -> Any:
                say("half")
                await go.wait()
                if len(workers) > 1:
                    raise WorkerError("more memory is needed")
                return diff

            def stop(self, why: str) -> None:
                go.set()

        monkeypatch.setattr(server, "Worker", Slow)
        runner, where = await started(handlers.app())
        api = SurveyApi()
        try:
            for _ in range(3):
                assert await api.changes(OPERATOR, where, A, A) is None
            assert workers == ["diff"]
            go.set()
            monkeypatch.setattr(survey_api, "DIFF_SECONDS", 60)
            for _ in range(2):
                assert await api.changes(OPERATOR, where, A, A) == Changes(datasets_added=1, files_added=5000)
            assert workers == ["diff"]
            given: list[tuple[dict[str, str], int]] = [({"limit": "2"}, 2), ({}, 1000), ({"limit": "9999"}, 1000)]
            for limit, named in given:
                _, raw = await api._request(OPERATOR, "GET", where, "/diff", query={**limit, "from": A, "to": A})
                assert len(json.loads(raw)["files"]["added"]["paths"]) == named
            with pytest.raises(SurveyError, match="500: more memory is needed"):
                await api.changes(OPERATOR, where, A, A[:-1] + "b")
            await handlers.close()
            with pytest.raises(SurveyError, match="500: the surveyor ends"):
                await api.changes(OPERATOR, where, A, A[:-1] + "c")
        finally:
            await runner.cleanup()

    asyncio.run(run())


def test_operator_and_surveyor_speak_the_same_language(tmp_path: Path) -> None:
    """Both ends are ours: what the operator sends, a real surveyor takes, and the other way round."""
    pytest.importorskip("zstandard")
    from pdshub.reconcile.view import surveyor_sync
    from pdshub.surveyor.server import Handlers
    from pdshub.surveyor.store import Store
    from pdshub.surveyor.surveyor import Surveyor

    store = Store(tmp_path / "store")
    (tmp_path / "store").mkdir()
    store.open()
    spec = ArchiveViewSpec.model_validate(
        {
            "sources": [{"name": "main", "nfs": {"server": "nas", "export": "/pds"}}],
            "tree": [{"path": "pds4", "layers": [{"source": "main"}]}, {"path": "in", "live": True, "layers": MAIN}],
            "survey": {"stampFile": "stamp"},
            "pin": "a" * 12,
        }
    )
    handlers = Handlers(Surveyor(store, tmp_path))
    node = context(pki.issue(NOW, "pdshub-node", AUTHORITY, server=True, client=True), server=False)

    async def run() -> None:
        runner, where = await started(handlers.app())
        api = SurveyApi()
        try:
            assert (await api.state(OPERATOR, where)).spec is None
            body = surveyor_sync.desired_view("sbn", 3, spec, "t1", [A])
            await api.put_spec(OPERATOR, where, body)
            first = await api.state(OPERATOR, where)
            assert first.view == "sbn" and first.spec and first.survey.state == "idle"
            await api.put_spec(OPERATOR, where, body)
            assert await api.state(OPERATOR, where) == first
            with pytest.raises(SurveyError, match=r"422.*layers"):
                await api.put_spec(OPERATOR, where, {**body, "spec": {**body["spec"], "tree": [{"path": "x"}]}})
            with pytest.raises(SurveyError, match=r"422.*surveyor of sbn"):
                await api.put_spec(OPERATOR, where, {**body, "name": "other"})
            with pytest.raises(SurveyError, match="404"):
                await api.changes(OPERATOR, where, A, A)
            with pytest.raises(SurveyError, match="403"):
                await api.put_spec(node, where, body)
        finally:
            await runner.cleanup()

    asyncio.run(run())
    store.close()
