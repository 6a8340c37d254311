"""The operator's own entries, and those of hubs, on the way to a disk that may be full; who is followed, and how."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from yarl import URL

from pdshub import hub_api
from pdshub.audit_log import pull, recorder, trail, verify
from pdshub.audit_log.log import AuditLog
from pdshub.audit_log.pull import Puller
from pdshub.audit_log.recorder import Recorder
from pdshub.audit_log.spools import SpoolError, read
from pdshub.audit_log.trail import Trail, from_environment
from pdshub.hub_api.client import opened as client_at
from pdshub.kube import Kube
from pdshub.render.keys import TOKEN_KEY
from tests.unit.apiserver import listening
from tests.unit.audit_log.test_log import lines
from tests.unit.audit_log.test_spools import RUN, answer, said


class Disk(AuditLog):
    """A log whose disk may be full."""

    full = False

    def append(self, entries: Any) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        super().append(entries)


async def opened(to: AuditLog | None, **more: Any) -> Recorder:
    made = Recorder(to, **more)
    assert await made._open()
    return made


def test_a_full_disk_is_told_and_nothing_is_lost_silently(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "QUEUE", 3)

    async def scenario() -> None:
        disk, heard = Disk(tmp_path, 1 << 30), list[tuple[bool, str]]()
        made = await opened(disk, tell=lambda warning, reason, _: heard.append((warning, reason)))
        disk.full = True
        for number in range(5):
            made.record("removal", "ns/hub", user=f"u{number}", step="tokens")
        assert not await made.flush() and not await made.flush()
        assert not await made.keep([{"event": "sign-in", "user": "x"}])
        assert heard == [(True, "AuditLogFailed")]
        assert (made.figures.failed, made.figures.lost, made.figures.written) == (3, 2, 0)
        disk.full = False
        assert await made.flush()
        assert heard == [(True, "AuditLogFailed"), (False, "AuditLogWritten")]
        await made.close()

    asyncio.run(scenario())
    found = lines(tmp_path)
    assert [each["event"] for each in found] == ["log-opened", "log-failed", "removal", "removal", "removal"]
    assert found[1]["lost"] == 2 and "No space" in found[1]["why"]
    assert [each["user"] for each in found[2:]] == ["u0", "u1", "u2"]
    assert not verify.verify(tmp_path).problems


def test_without_a_volume_entries_are_lines_of_the_operators_log(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        made = await opened(None)
        made.record("removal", "ns/hub", user="ada\x1b[2J")
        with caplog.at_level(logging.INFO):
            assert await made.flush()
        assert made.figures.enabled is False

    asyncio.run(scenario())
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("audit ")]
    assert json.loads(line.removeprefix("audit ")) == {"event": "removal", "hub": "ns/hub", "user": "ada\ufffd[2J"}


class Cluster:
    """An API server with one Secret, and the hub's answers."""

    in_cluster = True

    def __init__(self, data: dict[str, str]) -> None:
        self.data, self.asked = data, 0

    async def get(self, resource: Any, name: str, namespace: str) -> Any:
        assert (resource.kind, name, namespace) == ("Secret", "sbn-keys", "ns")
        self.asked += 1
        return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in self.data.items()}}


def followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[Any], data: dict[str, str] | None = None
) -> tuple[Puller, list[dict[str, Any]], list[str], list[float]]:
    """Ask a hub as often as it has answers; the queries, events and pauses."""
    queries: list[dict[str, Any]] = []
    events: list[str] = []
    pauses: list[float] = []

    @asynccontextmanager
    async def connect(kube: Any, namespace: str, base: str, token: str) -> AsyncIterator[Any]:
        async def spool(run: str, after: int, limit: int, wait: int) -> Any:
            queries.append({"run": run, "after": after, "token": token, "base": base})
            found = answers.pop(0)
            if isinstance(found, Exception):
                raise found
            return found

        yield SimpleNamespace(spool=spool)

    monkeypatch.setattr(hub_api, "connect", connect)
    cluster = Cluster({TOKEN_KEY: "t0ken"} if data is None else data)

    async def scenario() -> Puller:
        made = await opened(AuditLog(tmp_path, 1 << 30))
        puller = Puller(
            cast(Kube, cluster), made, lambda: {("ns", "sbn"): "/x/"}, lambda key: lambda _w, r, _m: events.append(r)
        )
        for _ in range(len(answers) or 1):
            pauses.append(await puller.round(("ns", "sbn")))
        await made.close()
        return puller

    return asyncio.run(scenario()), queries, events, pauses


def test_it_asks_on_from_what_is_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, queries, events, pauses = followed(tmp_path, monkeypatch, [answer(1, 2), answer(5, first=5)])
    assert [(q["run"], q["after"], q["token"], q["base"]) for q in queries] == [
        ("", 0, "t0ken", "/x/"),
        (RUN, 2, "t0ken", "/x/"),
    ]
    assert events == ["AuditGap"] and pauses == [pull.PAUSE] * 2
    # another operator, which has nothing but the log
    _, queries, _, _ = followed(tmp_path, monkeypatch, [answer(5, 6, first=5)])
    assert (queries[0]["run"], queries[0]["after"]) == (RUN, 5)
    assert [each["seq"] for each in lines(tmp_path) if each["event"] == "sign-in"] == [1, 2, 5, 6]


FAILURES: list[Any] = [
    hub_api.HubError("it answers 502"),
    hub_api.HubError("it answers 403", 403),
    {"run": "x"},
    [],
    {**answer(1), "entries": said(1) * 600},
]


def test_a_hub_that_fails_is_asked_less_often_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, _, pauses = followed(tmp_path, monkeypatch, list(FAILURES))
    assert pauses == [5.0, 10.0, 30.0, 60.0, 60.0]
    assert [each["event"] for each in lines(tmp_path)] == ["log-opened"]


@pytest.mark.parametrize("data", [{}, {TOKEN_KEY: ""}, {TOKEN_KEY: "a\r\nX: y"}, {TOKEN_KEY: "é"}])
def test_without_a_token_nobody_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: dict[str, str]) -> None:
    _, queries, _, pauses = followed(tmp_path, monkeypatch, [], data)
    assert queries == [] and pauses == [5.0]


def test_a_token_that_is_refused_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    puller, queries, _, _ = followed(
        tmp_path, monkeypatch, [answer(1), hub_api.HubError("it answers 403", 403), answer(2)]
    )
    assert cast(Any, puller._kube).asked == 2 and len(queries) == 3


ANSWERS: list[tuple[str, Any, str]] = [
    ("json", web.json_response(answer(2)), ""),
    ("a redirect", web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "answers 302"),
    ("refused", web.Response(status=403), "answers 403"),
    ("no JSON", web.Response(text="<html>"), "no object"),
    ("too large", web.Response(body=b"[" + b"1," * (5 << 20) + b"1]"), "more than 8 MiB"),
    ("too deep", web.Response(body=b"[" * 200_000), "no JSON"),
    ("a number that is none", web.Response(body=b"[" + b"1" * 10_000 + b"]"), "no JSON"),
]


@pytest.mark.parametrize(("name", "response", "says"), ANSWERS, ids=[name for name, _, _ in ANSWERS])
def test_the_door_to_the_hub(name: str, response: Any, says: str) -> None:
    asked: list[tuple[str, str]] = []

    async def answers(request: web.Request) -> web.StreamResponse:
        asked.append((request.path_qs, request.headers["Authorization"]))
        return cast(web.StreamResponse, response)

    async def scenario() -> str:
        async with listening(answers) as port:
            async with client_at(URL(f"http://127.0.0.1:{port}/b/hub/api"), "t") as hub:
                try:
                    assert read(await hub.spool("", 1, 10, 0), 10).run == RUN
                except (hub_api.HubError, SpoolError) as error:
                    return str(error)
            return ""

    assert says in asyncio.run(scenario())
    assert asked == [("/b/hub/api/pdshub/audit?run=&after=1&limit=10&wait=0", "token t")]


@pytest.mark.parametrize(
    ("values", "base"),
    [(None, "/"), ({}, "/"), ({"hub": {"baseUrl": "/x/"}}, "/x/"), ({"hub": {"baseUrl": 7}}, "/"), ({"hub": []}, "/")],
)
def test_where_a_hub_is_asked(values: Any, base: str) -> None:
    hub = {"metadata": {"name": "sbn", "namespace": "hub"}, "spec": {"values": values}, "status": {"revision": 1}}
    assert trail.followed([hub]) == {("hub", "sbn"): base}


@pytest.mark.parametrize(
    ("meta", "status", "asked"),
    [
        ({}, {"revision": 1}, True),
        ({}, {"revision": 0}, False),
        ({}, None, False),
        ({"deletionTimestamp": "2026-11-26T00:00:00Z"}, {"revision": 7}, False),
    ],
    ids=["installed", "not installed yet", "not looked at yet", "going"],
)
def test_hubs_that_have_something_to_tell(meta: dict[str, Any], status: Any, asked: bool) -> None:
    hub = {"metadata": {"name": "sbn", "namespace": "hub", **meta}, "spec": {}, "status": status}
    assert trail.followed([hub]) == ({("hub", "sbn"): "/"} if asked else {})


def test_the_log_is_where_the_environment_says(tmp_path: Path) -> None:
    assert from_environment({}) is None
    found = from_environment({"PDSHUB_AUDIT": str(tmp_path), "PDSHUB_AUDIT_RETAIN": "2Mi"})
    assert found is not None and found._retain == 2 << 20


def _people(*allowed: str, digest: str = "") -> dict[str, Any]:
    document = {"version": 1, "digest": digest or "-".join(allowed), "allowed": list(allowed), "admins": []}
    meta = {"name": "sbn-people", "namespace": "ns", "labels": {"pdshub.dev/hub": "sbn"}}
    return {"metadata": meta, "data": {"people.json": json.dumps(document)}}


def _hub(manager: str, at: str, note: str | None) -> dict[str, Any]:
    fields = {"f:spec": {"f:users": {"f:allowed": {}}}}
    return {
        "metadata": {
            "name": "sbn",
            "namespace": "ns",
            "annotations": {"pdshub.dev/changed-by": note} if note else {},
            "managedFields": [{"manager": manager, "time": at, "fieldsV1": fields}],
        }
    }


NOTE = json.dumps({"by": "kim", "at": "2026-01-01T00:00:05Z"})
ELSE = {"person": "see the API server's audit log"}
AUTHORS = [
    ("kubectl-pdshub", "2026-01-01T00:00:00Z", NOTE, {"by": "kim", "manager": "kubectl-pdshub"}),
    ("kubectl-edit", "2026-01-01T00:00:00Z", NOTE, {**ELSE, "manager": "kubectl-edit"}),  # not its note
    ("kubectl-pdshub", "2026-01-01T01:00:00Z", NOTE, {**ELSE, "manager": "kubectl-pdshub"}),  # of an earlier change
    ("kubectl-pdshub", "2026-01-01T00:00:00Z", "{", {**ELSE, "manager": "kubectl-pdshub"}),
    ("argocd", "2026-01-01T00:00:00Z", None, {**ELSE, "manager": "argocd"}),
]


@pytest.mark.parametrize(("manager", "at", "note", "who"), AUTHORS, ids=range(len(AUTHORS)))
def test_a_changed_list_is_written_once_with_who_did_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: str, at: str, note: str | None, who: dict[str, str]
) -> None:
    monkeypatch.setattr("pdshub.audit_log.trail._SETTLE", 0.0)

    async def get(*_: Any) -> Any:
        return {**_hub(manager, at, note), "spec": {"users": {"from": [{"configMap": {"name": "staff", "key": "k"}}]}}}

    async def get_metadata(resource: Any, name: str, namespace: str) -> Any:
        assert (resource.kind, name, namespace) == ("ConfigMap", "staff", "ns")
        older = {"manager": "kubectl-create", "time": "2025-01-01T00:00:00Z", "fieldsV1": {"f:data": {"f:k": {}}}}
        return {"metadata": {"name": "staff", "managedFields": [older]}}

    async def nothing(*_: Any) -> None: ...

    kube = SimpleNamespace(in_cluster=True, live=SimpleNamespace(get=get, get_metadata=get_metadata))

    async def scenario(*changes: tuple[Any, Any]) -> None:
        trail = Trail(cast(Kube, kube), "pdshub-system", lambda: [], nothing, AuditLog(tmp_path, 1 << 30))
        assert await trail.recorder._open()
        for old, new in changes:
            trail.on_config_map(old, new, True)
            await asyncio.gather(*trail._tasks)
        await trail.close()

    first, second = _people("ada"), _people("bela")
    other = {**_people("x"), "metadata": {**_people()["metadata"], "name": "sbn-notice"}}
    asyncio.run(scenario((None, first), (first, second), (second, second), (None, other), (first, None)))
    asyncio.run(scenario((None, second)))  # a new operator meets what it wrote already
    found = [each for each in lines(tmp_path) if each["event"] == "list-change"]
    assert [each.get("added") for each in found] == [None, ["allowed:bela"]]
    assert found[1]["removed"] == ["allowed:ada"] and found[1]["hub"] == "ns/sbn"
    for each in found:
        assert {key: each[key] for key in ("by", "person", "manager") if key in each} == who
        assert each["object"] == "PDSHub sbn"


def test_a_list_that_changed_by_a_source_is_its_writers_and_one_that_others_wrote_over_is_theirs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pdshub.audit_log.trail._SETTLE", 0.0)
    data = {"f:data": {"f:k": {}}}
    written = {
        "staff": {"manager": "argocd", "time": "2026-02-01T00:00:00Z", "fieldsV1": data},
        "sbn-people": {"manager": "kubectl-edit", "time": "2026-02-01T00:00:00Z", "fieldsV1": data},
    }

    async def get(*_: Any) -> Any:
        spec = {"users": {"from": [{"configMap": {"name": "staff", "key": "k"}}, {"secret": "x"}, None]}}
        return {**_hub("kubectl-pdshub", "2026-01-01T00:00:00Z", NOTE), "spec": spec}

    async def get_metadata(_: Any, name: str, __: str) -> Any:
        return {"metadata": {"name": name, "managedFields": [written[name]]}}

    async def nothing(*_: Any) -> None: ...

    kube = SimpleNamespace(in_cluster=True, live=SimpleNamespace(get=get, get_metadata=get_metadata))
    first, second, third = _people("ada"), _people("bela"), _people("cleo")
    changes = [(None, first, True), (first, second, True), (second, third, False), (third, second, True)]

    async def scenario() -> None:
        trail = Trail(cast(Kube, kube), "pdshub-system", lambda: [], nothing, AuditLog(tmp_path, 1 << 30))
        assert await trail.recorder._open()
        for old, new, own in changes:
            trail.on_config_map(old, new, own)
            await asyncio.gather(*trail._tasks)
        await trail.close()

    asyncio.run(scenario())
    found = [each for each in lines(tmp_path) if each["event"] == "list-change"]
    assert [(each["object"], each["manager"], each.get("by")) for each in found] == [
        ("ConfigMap staff", "argocd", None),
        ("ConfigMap staff", "argocd", None),
        ("ConfigMap sbn-people", "kubectl-edit", None),
        ("ConfigMap sbn-people", "pdshub-operator", None),  # taken back
    ]
