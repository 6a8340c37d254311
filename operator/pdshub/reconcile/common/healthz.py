"""/healthz: answers 200 while the operator's loops turn, 503 and why when they do not. /metrics beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def serve(
    port: int, unhealthy_reason: Callable[[], str], metrics: Callable[[], Awaitable[bytes]] | None = None
) -> None:
    """Answer probes for ever. Smaller than a web framework, and all that a kubelet or a Prometheus asks for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5.0)
            if metrics and asked.startswith(b"GET /metrics "):
                why, body = "", await asyncio.wait_for(metrics(), 10.0)
            else:
                why = unhealthy_reason()
                body = (why or "ok").encode()
            head = "503 Service Unavailable" if why else "200 OK"
            writer.write(
                f"HTTP/1.1 {head}\r\nContent-Type: text/plain; version=0.0.4\r\nContent-Length: {len(body)}\r\n"
                f"Connection: close\r\n\r\n".encode()
                + body
            )
            await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(answer, None, port)
    async with server:
        await server.serve_forever()
