"""A small API server on a local port: keeps objects, answers as the real one does, remembers what it was asked."""

from __future__ import annotations

import asyncio
import json
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from pdshub.kube import Kube, Object, Resource
from tests.unit.reconcile.fakes import matches, merged

TOKEN = "Bearer a-token"
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


class ApiServer:
    """Objects by path. ``answer`` is given to every request instead, ``hang`` lets each wait for ever."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.asked: list[Asked] = []
        self.answer: tuple[int, str] | None = None
        self.hang = False
        self.pages_expire = False
        self._version = 0

    def put(self, resource: Resource, body: Object) -> None:
        """Keep an object as if somebody had made it before."""
        meta = body["metadata"]
        self._keep(resource.path(meta.get("namespace"), meta["name"]), body)

    def _keep(self, path: str, body: Object) -> Object:
        self._version += 1
        kept = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self._version)}}
        self.objects[path] = kept
        return kept

    async def handle(self, request: web.Request) -> web.Response:
        text = await request.text()
        asked = Asked(
            request.method,
            request.path,
            dict(request.query),
            request.headers.get("Content-Type", ""),
            request.headers.get("Accept", ""),
            json.loads(text) if text else None,
        )
        self.asked.append(asked)
        if self.hang:
            await asyncio.Event().wait()
        if self.answer:
            return web.Response(status=self.answer[0], text=self.answer[1])
        if request.headers.get("Authorization") != TOKEN:
            return _refusal(401, "Unauthorized")
        does = {"GET": self._get, "POST": self._post, "PATCH": self._patch, "DELETE": self._delete}
        return does[asked.method](asked)

    def _get(self, asked: Asked) -> web.Response:
        if asked.path in self.objects:
            return web.json_response(self.objects[asked.path])
        parts = _PATH.fullmatch(asked.path)
        if parts is None or parts["rest"]:
            return _missing(asked)
        return self._list(asked, parts)

    def _list(self, asked: Asked, parts: re.Match[str]) -> web.Response:
        found = []
        for path, body in sorted(self.objects.items()):
            its = _PATH.fullmatch(path)
            same = its and (its["root"], its["plural"]) == (parts["root"], parts["plural"])
            if same and its and (not parts["ns"] or its["ns"] == parts["ns"]):
                found.append(body)
        found = [body for body in found if matches(body, asked.query.get("labelSelector", ""))]
        begin, size = int(asked.query.get("continue", 0)), int(asked.query.get("limit", len(found) or 1))
        if begin and self.pages_expire:
            return _refusal(410, "The provided continue parameter is too old")
        end = begin + size
        more = {"continue": str(end)} if end < len(found) else {}
        return web.json_response({"kind": "List", "metadata": more, "items": found[begin:end]})

    def _post(self, asked: Asked) -> web.Response:
        path = f"{asked.path}/{asked.body['metadata']['name']}"
        if path in self.objects:
            return _refusal(409, f"{asked.body['metadata']['name']} already exists")
        return web.json_response(self._keep(path, asked.body), status=201)

    def _patch(self, asked: Asked) -> web.Response:
        path = asked.path.removesuffix("/status")
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
        return web.json_response(self._keep(path, merged(known, asked.body)))

    def _delete(self, asked: Asked) -> web.Response:
        if self.objects.pop(asked.path, None) is None:
            return _missing(asked)
        return web.json_response({"kind": "Status", "status": "Success"})


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

    configuration = Configuration(host=url, api_key={"BearerToken": token})
    configuration.ca_cert_data = authority.decode() if authority else None
    return Kube(ApiClient(configuration), False)


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
