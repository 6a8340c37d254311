"""What the operator reads from a node: HTTPS, both sides with certificates. The plugin listens for nothing else."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from pdshub import mutual_tls
from pdshub.api.report import Report
from pdshub.tls_names import OPERATOR, common_name

log = logging.getLogger(__name__)


def is_operator(certificate: Any) -> bool:
    """Whether a verified peer certificate (ssl.SSLSocket.getpeercert) is the operator's."""
    return common_name(certificate) == OPERATOR


async def serve_report(directory: Path, port: int, make: Callable[[], Report]) -> None:
    """Serve for ever. Waits for the certificate files and starts anew when they change."""

    async def report(request: web.Request) -> web.Response:
        transport = request.transport
        if transport is None or not is_operator(transport.get_extra_info("peercert")):
            raise web.HTTPForbidden(text="only the operator may read this")
        return web.json_response(make().wire())

    seen: tuple[int, ...] | None = None
    runner: web.AppRunner | None = None
    while True:
        stamp = mutual_tls.stamp(directory)
        if stamp and stamp != seen:
            try:
                context = mutual_tls.context(directory)
                if runner:
                    await runner.cleanup()
                app = web.Application()
                app.router.add_get("/report", report)
                runner = web.AppRunner(app, access_log=None)
                await runner.setup()
                await web.TCPSite(runner, None, port, ssl_context=context, reuse_address=True).start()
                seen = stamp
                log.info("report on port %d", port)
            except (OSError, ssl.SSLError) as error:
                log.warning("report server: %s", error)
        await asyncio.sleep(5)
