"""A stand-in for a hub: it answers what it was asked, keeps websockets open, takes and gives bytes. Run as a program.

``python -m tests.unit.front_door.upstream PORT [ADDRESS]``
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import WSMsgType, web

from tests.unit.front_door.machine import until

ROOT = Path(__file__).resolve().parents[3]
PIECE = bytes(1 << 20)


async def everything(request: web.Request) -> web.StreamResponse:
    """What was asked, as JSON; a websocket that says everything back; what ``/sink`` and ``/source/BYTES`` promise."""
    if request.headers.get("Upgrade", "").lower() == "websocket":
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(request.raw_path)
        async for message in socket:
            if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                await socket.send_str(message.data)
        return socket
    if request.path == "/user/sink":
        digest, size = hashlib.sha256(), 0
        async for piece in request.content.iter_any():
            digest.update(piece)
            size += len(piece)
        return web.json_response({"size": size, "sha256": digest.hexdigest()})
    if request.path.startswith("/user/source/"):
        left = int(request.path.rpartition("/")[2])
        answer = web.StreamResponse(headers={"Content-Length": str(left)})
        await answer.prepare(request)
        while left:
            await answer.write(PIECE[: min(left, len(PIECE))])
            left -= min(left, len(PIECE))
        return answer
    if request.path.startswith("/hub/status/") or request.path.startswith("/hub/api/status/"):
        return web.Response(status=int(request.path.rpartition("/")[2]), text="the hub's own words")
    peer = request.transport.get_extra_info("peername") if request.transport else None
    headers = {name.lower(): request.headers.getall(name) for name in request.headers}
    return web.json_response({"path": request.raw_path, "headers": headers, "peer": peer[0] if peer else ""})


async def serve(port: int, address: str) -> None:
    app = web.Application(client_max_size=1 << 40)
    app.router.add_route("*", "/{path:.*}", everything)
    runner = web.AppRunner(app, handler_cancellation=True, max_line_size=65536, max_field_size=65536)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    print("up", flush=True)
    await asyncio.Event().wait()


@contextmanager
def standing_in(port: int, address: str = "127.0.0.1", netns: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """The stand-in in a process of its own; it ends with the context."""
    prefix = ["ip", "netns", "exec", netns] if netns else []
    environ = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/operator"}
    command = [*prefix, sys.executable, "-m", __name__, str(port), address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=environ, cwd=ROOT)
    assert process.stdout
    try:
        said = process.stdout.readline()
        assert said == b"up\n", said
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        process.wait(60)
        process.stdout.close()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), sys.argv[2]))

__all__ = ["standing_in", "until"]
