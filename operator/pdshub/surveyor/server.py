"""The surveyor's HTTPS server: the operator sends specs and asks, nodes fetch generations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import zstandard
from aiohttp import web

from pdshub import mutual_tls, tls_names
from pdshub.api.generation import LIVE
from pdshub.api.survey import Answer, CheckState, Diff, SpecTaken, StillRunning
from pdshub.archive import manifest, plan, record
from pdshub.archive.content import document
from pdshub.surveyor import answers
from pdshub.surveyor.checks import findings_of
from pdshub.surveyor.comparing import Comparisons, Json, Say
from pdshub.surveyor.desired_view import DesiredViewError
from pdshub.surveyor.store import PROOF, Entry
from pdshub.surveyor.surveyor import Surveyor
from pdshub.surveyor.worker import Worker, WorkerError

MAX_BODY = 4 << 20
CHUNK = 1 << 18
QUESTION_SECONDS = 300.0
FINDINGS = 1000
MAX_FILES = 1000  # of each kind that a diff names
WAIT_SECONDS = 60
FOR_NODES = ("/generations/", "/images/", "/packs/")
_GENERATION = r"{hex:[0-9a-f]{64}}"


class Handlers:
    """The handlers of all requests. ``sent``: bytes served since the start, by kind of what was sent."""

    def __init__(self, surveyor: Surveyor) -> None:
        self.surveyor = surveyor
        self.sent = {"image": 0, "manifest": 0, "proof": 0, "plan": 0, "content": 0, "pack": 0}
        self._questions = asyncio.Semaphore(1)  # each may take hundreds of megabytes for a moment
        self._worker: Worker | None = None
        self._closing = False
        self.comparisons = Comparisons(self._compare)

    def app(self) -> web.Application:
        """The application, without TLS."""
        app = web.Application(middlewares=[_only_known], client_max_size=MAX_BODY)
        app.add_routes(
            [
                web.put("/spec", self.put_spec),
                web.get("/state", self.get_state),
                web.post("/verify", self.post_verify),
                web.get("/explain", self.get_explain),
                web.get("/diff", self.get_diff),
                web.get(f"/generations/{_GENERATION}/{{file:manifest\\.json|proof\\.json}}", self.get_file),
                web.get(f"/generations/{_GENERATION}/content.json", self.get_content),
                web.get(f"/generations/{_GENERATION}/findings", self.get_findings),
                web.get(f"/plan/{_GENERATION}", self.get_plan),
                web.get(f"/images/{_GENERATION}", self.get_image),
                web.get(f"/packs/{_GENERATION}", self.get_pack),
            ]
        )
        return app

    async def close(self) -> None:
        """Leaves the questions that are being answered without an answer."""
        self._closing = True
        if self._worker:
            self._worker.stop("the surveyor ends")
        await self.comparisons.close()

    async def put_spec(self, request: web.Request) -> web.Response:
        """PUT /spec: what the view should be. 400 no JSON, 422 what cannot be used, 507 the store cannot be written."""
        try:
            body = await request.json()
            desired = self.surveyor.put(body)
        except DesiredViewError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from None
        except (ValueError, RecursionError):
            raise web.HTTPBadRequest(text="no JSON") from None
        except OSError as error:
            raise web.HTTPInsufficientStorage(text=f"the store can not be written: {error.strerror}") from None
        return _answer(SpecTaken(spec=desired.digest, content=desired.content))

    async def get_state(self, _: web.Request) -> web.Response:
        """GET /state: what is kept and done."""
        return _answer(answers.state(self.surveyor))

    async def post_verify(self, request: web.Request) -> web.Response:
        """POST /verify: compares a generation with the sources, in the background; the result is in the state."""
        try:
            reference = (await request.json())["generation"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise web.HTTPBadRequest(text='{"generation": …} is needed') from None
        entry = self._entry(str(reference))
        self.surveyor.check_runner.ask(entry)
        return web.json_response({"generation": entry.name}, status=202)

    async def get_explain(self, request: web.Request) -> web.Response:
        """GET /explain: which source shows a path in a generation, and why."""
        entry = self._entry(request.query.get("generation", ""))
        path = request.query.get("path", "")
        try:
            task = {"generation": str(entry.directory), "path": path, "sources": str(self.surveyor.sources)}
            return web.json_response(await self._asked("explain", task))
        except WorkerError as error:
            raise web.HTTPInternalServerError(text=str(error)) from None

    async def get_diff(self, request: web.Request) -> web.Response:
        """The whole comparison, from a generation or from the sources as they were surveyed for it (``live``).

        202 and how far it is where that takes longer than ``wait`` seconds.
        """
        new = self._entry(request.query.get("to", ""))
        before = request.query.get("from", "")
        old = await asyncio.to_thread(_live, new) if before == LIVE else self._entry(before)
        limit, wait = _number(request, "limit", MAX_FILES), _number(request, "wait", WAIT_SECONDS)
        try:
            answer = await self.comparisons.ask(old, new, min(wait, WAIT_SECONDS))
        except WorkerError as error:
            raise web.HTTPInternalServerError(text=str(error)) from None
        if isinstance(answer, str):
            return _answer(StillRunning(state=CheckState.RUNNING, phase=answer), status=202)
        found = Diff.model_validate(answer)
        return _answer(found.model_copy(update={"files": found.files.limited(limit)}))

    async def get_findings(self, request: web.Request) -> web.Response:
        """GET /generations/…/findings: what survey and audit have to say, at most ``limit`` of it."""
        entry, limit = self._entry(request.match_info["hex"]), _number(request, "limit", FINDINGS)
        answer = await asyncio.to_thread(findings_of, entry.directory, limit)
        return web.json_response({"generation": entry.name, **answer})

    async def get_file(self, request: web.Request) -> web.Response:
        """A generation's manifest.json or proof.json, byte for byte."""
        entry, name = self._entry(request.match_info["hex"]), request.match_info["file"]
        try:
            raw = await asyncio.to_thread((entry.directory / name).read_bytes)
        except OSError:
            raise web.HTTPNotFound(text=f"{entry.name} has no {name}") from None
        self.sent["manifest" if name == manifest.FILE else PROOF.removesuffix(".json")] += len(raw)
        return web.Response(body=raw, content_type="application/json")

    async def get_content(self, request: web.Request) -> web.Response:
        """A generation's content.json, byte for byte: which files travel with it, so far."""
        entry = self._entry(request.match_info["hex"])
        try:
            raw = await asyncio.to_thread((entry.directory / document.FILE).read_bytes)
        except OSError:
            raise web.HTTPNotFound(text=f"nothing travels with {entry.name} yet") from None
        self.sent["content"] += len(raw)
        return web.Response(body=raw, content_type="application/json")

    async def get_pack(self, request: web.Request) -> web.StreamResponse:
        """A pack by its digest, as it is stored: a tar, compressed with zstd."""
        digest = request.match_info["hex"]
        path = self.surveyor.store.pack(digest)
        if path is None:
            raise web.HTTPNotFound(text=f"no pack {digest}")
        return await self._send(request, "pack", _raw(path), encoded=False, length=path.stat().st_size)

    async def get_plan(self, request: web.Request) -> web.StreamResponse:
        """A generation's plan.json, compressed with zstd."""
        entry = self._entry(request.match_info["hex"])
        return await self._send(request, "plan", _compressed(entry.directory / plan.FILE), encoded=True)

    async def get_image(self, request: web.Request) -> web.StreamResponse:
        """A catalog image by its digest: as it is stored to clients that accept zstd, else unpacked."""
        digest = request.match_info["hex"]
        path = self.surveyor.store.image(digest)
        if path is None:
            raise web.HTTPNotFound(text=f"no image {digest}")
        accepted = [part.split(";")[0].strip() for part in request.headers.get("Accept-Encoding", "").split(",")]
        if "zstd" in accepted:
            return await self._send(request, "image", _raw(path), encoded=True, length=path.stat().st_size)
        return await self._send(request, "image", _plain(path), encoded=False)

    # --- helpers ----------------------------------------------------------------------------------------------

    def _entry(self, reference: str) -> Entry:
        entry = self.surveyor.find(reference)
        if entry is None:
            raise web.HTTPNotFound(text=f"no generation {reference or 'yet'}")
        return entry

    async def _compare(self, old: Entry, new: Entry, say: Say) -> Json:
        before = LIVE if old.name.startswith(LIVE) else str(old.directory)
        task = {"from": before, "to": str(new.directory), "limit": MAX_FILES}
        return await self._asked("diff", task, say)

    async def _asked(self, kind: str, task: Json, say: Say = lambda text: None) -> Json:
        """The answer of a worker. Raises WorkerError."""
        async with self._questions:
            if self._closing:
                raise WorkerError("the surveyor ends")
            self._worker = Worker(kind, task, memory=self.surveyor.memory // 2)
            try:
                return dict(await self._worker.run(say, seconds=QUESTION_SECONDS))
            finally:
                self._worker = None

    async def _send(
        self, request: web.Request, kind: str, pieces: Iterator[bytes], *, encoded: bool, length: int | None = None
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream", "Vary": "Accept-Encoding"})
        if encoded:
            response.headers["Content-Encoding"] = "zstd"
        if length is not None:
            response.content_length = length
        try:
            first = await asyncio.to_thread(next, pieces, b"")
            await response.prepare(request)
            piece = first
            while piece:
                await response.write(piece)
                self.sent[kind] += len(piece)
                piece = await asyncio.to_thread(next, pieces, b"")
            await response.write_eof()
        except OSError as error:
            if not response.prepared:
                raise web.HTTPNotFound(text="it was dropped just now") from error
            raise
        return response


def _answer(said: Answer, status: int = 200) -> web.Response:
    return web.json_response(said.body(), status=status)


def _live(entry: Entry) -> Entry:
    """The live view beside a generation. A later survey may renew what is known of the sources, not the name."""
    try:
        stamp = (entry.directory / record.FILE).stat().st_mtime_ns
    except OSError as error:
        raise web.HTTPNotFound(text=f"what was read for {entry.name} is not kept") from error
    return replace(entry, name=f"{LIVE} {stamp}")


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or len(text) > 9:
        raise web.HTTPBadRequest(text=f"{name}: a number is needed")
    return int(text)


def _raw(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            yield piece


def _plain(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from zstandard.ZstdDecompressor().read_to_iter(file, write_size=CHUNK)


def _compressed(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from zstandard.ZstdCompressor(level=3).read_to_iter(file, write_size=CHUNK)


@web.middleware
async def _only_known(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """The operator may do everything, nodes may fetch, others nothing."""
    transport = request.transport
    peer = tls_names.common_name(transport.get_extra_info("peercert")) if transport else ""
    fetching = request.method in ("GET", "HEAD") and request.path.startswith(FOR_NODES)
    if peer == tls_names.OPERATOR or (peer == tls_names.NODE and fetching):
        return await handler(request)
    raise web.HTTPForbidden(text=f"{peer or 'a stranger'} may not do this")


async def serve(handlers: Handlers, directory: Path, port: int, every: float = mutual_tls.LOOK) -> None:
    """Serves for ever, with the certificates of a directory (mutual_tls.Server)."""
    await mutual_tls.Server(handlers.app(), directory, port).run(every)
