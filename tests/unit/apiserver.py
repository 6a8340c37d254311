"""A small API server on a local port: keeps objects, answers as the real one does, remembers what it was asked."""

from __future__ import annotations

import asyncio
import base64
import bisect
import json
import re
import ssl
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pdshub.kube import Kube, Object, Resource
from tests.unit.reconcile.fakes import matches, merged, violates_pod_security

TOKEN = "Bearer a-token"
OWN = ("pdshub-system", "pdshub-surveyors", "default")
"""Namespaces of the installation."""
_PATH = re.compile(r"(?P<root>/api/v1|/apis/[^/]+/[^/]+)(/namespaces/(?P<ns>[^/]+))?/(?P<plural>[a-z]+)(?P<rest>/.*)?")


@dataclass(frozen=True)
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    type: str
    accept: str
    body: Any
    acting: str = ""
    """As whom it was made; empty for the client itself."""

    @property
    def watches(self) -> bool:
        """It follows changes instead of asking once."""
        return "watch" in self.query


@dataclass(frozen=True)
class Change:
    """One write: the object before and after it, either of which may not be there."""

    version: int
    path: str
    before: Object | None
    after: Object | None


class ApiServer:
    """Objects by path, and every change of them for whoever watches.

    ``answer`` is given to every request instead, ``hang`` lets each wait for ever; ``silent`` lets watches say nothing
    though they stay open; ``forgotten`` is the newest version from which a watch can no longer begin (410).
    ``before_answer`` runs between a write and the answer to whoever wrote. A ``guarded`` one has the rights of the
    chart: the operator itself in the installation's namespaces alone, an account where a RoleBinding says so.
    """

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[Asked] = []
        self.answer: tuple[int, str] | None = None
        self.hang = False
        self.pages_expire = False
        self.silent = False
        self.forgotten = 0
        self.refuses_watch = 0
        self.before_answer: Any = None
        self.guarded = False
        self._version = 0
        self._changes: list[Change] = []
        self._moved: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._cut = 0

    def put(self, resource: Resource, body: Object) -> Object:
        """Keep an object as if somebody else had written it."""
        meta = body["metadata"]
        path = resource.path(meta.get("namespace"), meta["name"])
        return self._keep(path, {"apiVersion": resource.api, "kind": resource.kind, **body})

    def remove(self, resource: Resource, name: str, namespace: str | None = None) -> None:
        """Take an object away as if somebody else had deleted it."""
        self._drop(resource.path(namespace, name))

    @property
    def version(self) -> int:
        """Of the last write."""
        return self._version

    def cut(self) -> None:
        """End all watches that are open."""
        self._cut += 1
        for plural in list(self._moved):
            self._wake(plural)

    def forget(self) -> None:
        """Compact: no watch can begin at a version that has been."""
        self._version += 1
        self.forgotten = self._version

    def requests(self) -> list[str]:
        """What was asked beside watches, in short."""
        return [f"{a.method} {a.path}" for a in self.asked if not a.watches]

    async def items(self, resource: Resource, namespace: str | None = None, *, labels: str = "") -> list[Object]:
        """What is there of a kind, as if somebody else asked."""
        parts = _PATH.fullmatch(resource.path(namespace))
        assert parts
        return [i for path, i in self.objects.items() if _within(path, parts) and matches(i, labels)]

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object | None:
        """One object, as if somebody else asked."""
        return self.objects.get(resource.path(namespace, name))

    def _may(self, asked: Asked) -> bool:
        parts = _PATH.fullmatch(asked.path)
        assert parts, asked.path
        where, plural = parts["ns"] or "", parts["plural"]
        if asked.acting:
            bound = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{where}/rolebindings/pdshub-hub" in self.objects
            return bound and asked.acting == f"system:serviceaccount:{where}:pdshub-helm"
        if plural == "rolebindings":
            only = asked.query.get("fieldSelector") == "metadata.name=pdshub-hub"
            return only or str(parts["rest"]) == "/pdshub-hub"
        unbound = ["persistentvolumes", "nodes", "namespaces", "storageclasses"]
        unbound += ["pdshubs", "archiveviews", "hubbackups", "hubrestores"]
        return where in OWN or plural in unbound or "/proxy/" in asked.path

    def _wake(self, plural: str) -> None:
        self._moved.pop(plural, asyncio.Event()).set()

    def _change(self, path: str, before: Object | None, after: Object | None) -> None:
        self._changes.append(Change(self._version, path, before, after))
        if parts := _PATH.fullmatch(path):
            self._wake(parts["plural"])

    def _keep(self, path: str, body: Object, status: bool = False) -> Object:
        if given := body.get("stringData"):
            data = {key: base64.b64encode(text.encode()).decode() for key, text in given.items()}
            body = {
                **{k: v for k, v in body.items() if k != "stringData"},
                "data": {**(body.get("data") or {}), **data},
            }
        self._version += 1
        before = self.objects.get(path)
        was = before["metadata"] if before else {}
        meta = {"uid": str(uuid.uuid4()), **{k: was[k] for k in ("uid", "generation") if k in was}, **body["metadata"]}
        if before and not status and before.get("spec") != body.get("spec"):
            meta["generation"] = max(int(meta.get("generation", 0)), int(was.get("generation", 1)) + 1)
        kept = {**body, "metadata": {"generation": 1, **meta, "resourceVersion": str(self._version)}}
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            self.objects.pop(path, None)
            self._change(path, before, None)
        else:
            self.objects[path] = kept
            self._change(path, before, kept)
        return kept

    def _drop(self, path: str) -> Object | None:
        before = self.objects.pop(path, None)
        if before is not None:
            self._version += 1
            self._change(path, before, None)
        return before

    async def handle(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            request.headers.get("Content-Type", ""),
            request.headers.get("Accept", ""),
            json.loads(text) if text else None,
            request.headers.get("Impersonate-User", ""),
        )
        self.asked.append(asked)
        if self.hang:
            await asyncio.Event().wait()
        if self.answer:
            return web.Response(status=self.answer[0], text=self.answer[1])
        if request.headers.get("Authorization") != TOKEN:
            return _refusal(401, "Unauthorized")
        if self.guarded and not self._may(asked):
            return _refusal(403, f"{asked.acting or 'the operator'} cannot {asked.method} {asked.path}")
        if asked.watches:
            return await self._watch(request, asked)
        does = {"GET": self._get, "POST": self._post, "PATCH": self._patch, "DELETE": self._delete}
        answer = does[asked.method](asked)
        if asked.method != "GET" and self.before_answer:
            await self.before_answer(asked)
        return answer

    async def _watch(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        if self.refuses_watch:
            return _refusal(self.refuses_watch, "watching is not allowed")
        parts = _PATH.fullmatch(asked.path)
        assert parts
        at, cut = int(asked.query["resourceVersion"]), self._cut
        stream = web.StreamResponse()
        await stream.prepare(request)
        if at < self.forgotten:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
            await stream.write(_line("ERROR", status))
            return stream
        told = bisect.bisect(self._changes, at, key=lambda change: change.version)
        with suppress(ConnectionError):
            while cut == self._cut:
                moved = self._moved[parts["plural"]]
                if not self.silent:
                    fresh, told = self._changes[told:], len(self._changes)
                    for change in fresh:
                        if found := _told(change, parts, asked):
                            await stream.write(found)
                await moved.wait()
        return stream

    def _get(self, asked: Asked) -> web.Response:
        if asked.path in self.objects:
            return web.json_response(_shaped(self.objects[asked.path], asked))
        parts = _PATH.fullmatch(asked.path)
        if asked.path.endswith("/proxy/hub/health"):
            return web.Response(text="{}")
        if parts is None or parts["rest"]:
            return _missing(asked)
        return self._list(asked, parts)

    def _list(self, asked: Asked, parts: re.Match[str]) -> web.Response:
        found = [body for path, body in sorted(self.objects.items()) if _within(path, parts)]
        found = [body for body in found if _selected(body, asked)]
        begin, size = int(asked.query.get("continue", 0)), int(asked.query.get("limit", len(found) or 1))
        if begin and self.pages_expire:
            return _refusal(410, "The provided continue parameter is too old")
        end = begin + size
        more = {"continue": str(end)} if end < len(found) else {}
        meta = {"resourceVersion": str(self._version), **more}
        items = [_shaped(body, asked) for body in found[begin:end]]
        return web.json_response({"kind": "List", "metadata": meta, "items": items})

    def _post(self, asked: Asked) -> web.Response:
        meta = asked.body["metadata"]
        if "dryRun" in asked.query:
            where = self.objects.get(f"/api/v1/namespaces/{meta['namespace']}", {"metadata": {}})
            refused = violates_pod_security(where, asked.body)
            return _refusal(403, refused) if refused else web.json_response(asked.body, status=201)
        name = meta.get("name") or f"{meta['generateName']}{self._version}"
        path = f"{asked.path}/{name}"
        if path in self.objects:
            return _refusal(409, f"{name} already exists")
        body = {**asked.body, "metadata": {**meta, "name": name}}
        return web.json_response(self._keep(path, body), status=201)

    def _patch(self, asked: Asked) -> web.Response:
        path = asked.path.removesuffix("/status")
        status = path != asked.path
        if asked.type == "application/apply-patch+yaml":
            return web.json_response(self._keep(path, merged(self.objects.get(path), asked.body)))
        if asked.type != "application/merge-patch+json":
            return _refusal(415, f"the body of the request was in an unknown format: {asked.type}")
        if path not in self.objects:
            return _missing(asked)
        known = self.objects[path]
        if (asked.body.get("metadata") or {}).get("resourceVersion", known["metadata"]["resourceVersion"]) != known[
            "metadata"
        ]["resourceVersion"]:
            return _refusal(409, "the object has been modified; please apply your changes to the latest version")
        return web.json_response(self._keep(path, merged(known, asked.body), status))

    def _delete(self, asked: Asked) -> web.Response:
        known = self.objects.get(asked.path)
        if known is None:
            return _missing(asked)
        meta = known["metadata"]
        if meta.get("finalizers"):
            if meta.get("deletionTimestamp"):
                return web.json_response(known)
            going = {**meta, "deletionTimestamp": "2026-01-02T00:00:00Z"}
            return web.json_response(self._keep(asked.path, {**known, "metadata": going}, status=True))
        self._drop(asked.path)
        return web.json_response({"kind": "Status", "status": "Success"})


def _within(path: str, parts: re.Match[str]) -> bool:
    """Whether an object's path lies in the collection that was asked for."""
    its = _PATH.fullmatch(path)
    same = bool(its) and (its["root"], its["plural"]) == (parts["root"], parts["plural"]) if its else False
    return bool(same and its and (not parts["ns"] or its["ns"] == parts["ns"]))


def _selected(body: Object, asked: Asked) -> bool:
    """Whether an object satisfies the selectors: by labels, and by its name alone of all fields."""
    name = asked.query.get("fieldSelector", "").partition("metadata.name=")[2]
    return matches(body, asked.query.get("labelSelector", "")) and name in ("", body["metadata"]["name"])


def _shaped(body: Object, asked: Asked) -> Object:
    """The object, or its metadata where only that was asked for."""
    if "as=PartialObjectMetadata" not in asked.accept:
        return body
    return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": body["metadata"]}


def _line(kind: str, body: Object) -> bytes:
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def _told(change: Change, parts: re.Match[str], asked: Asked) -> bytes | None:
    """How a watch tells a change; an object whose labels no longer match counts as deleted."""
    if not _within(change.path, parts):
        return None
    was = change.before is not None and _selected(change.before, asked)
    now = change.after is not None and _selected(change.after, asked)
    if not was and not now:
        return None
    body = change.after if now else change.before
    assert body
    stamped = {**body, "metadata": {**body["metadata"], "resourceVersion": str(change.version)}}
    return _line("DELETED" if not now else "MODIFIED" if was else "ADDED", _shaped(stamped, asked))


def _refusal(code: int, message: str) -> web.Response:
    status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message}
    return web.json_response(status, status=code)


def _missing(asked: Asked) -> web.Response:
    return _refusal(404, f"{asked.path.rpartition('/')[2]} not found")


@asynccontextmanager
async def listening(
    handler: Any, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[int]:
    """An HTTP(S) server whose requests all go to ``handler``; its port."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", handler)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, ssl_context=tls).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def client(url: str, token: str = TOKEN, authority: bytes | None = None) -> Kube:
    """The door to the server at ``url``."""
    from kubernetes.aio.client import ApiClient, Configuration

    configuration = Configuration(host=url, api_key={"BearerToken": token}, connection_pool_maxsize=0)
    configuration.ca_cert_data = authority.decode() if authority else None
    return Kube(ApiClient(configuration), False, OWN)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[ApiServer, Kube]]:
    """An empty API server, and the project's door to it."""
    server = ApiServer()
    async with listening(server.handle) as port:
        kube = client(f"http://127.0.0.1:{port}")
        try:
            yield server, kube
        finally:
            await kube.close()
