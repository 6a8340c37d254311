"""What the operator reads from a node: HTTPS, both sides with certificates. The plugin listens for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from pdshub import mutual_tls
from pdshub.api.report import Report
from pdshub.tls_names import OPERATOR, common_name


def is_operator(certificate: Any) -> bool:
    """Whether a verified peer certificate (ssl.SSLSocket.getpeercert) is the operator's."""
    return common_name(certificate) == OPERATOR


async def serve_report(directory: Path, port: int, make: Callable[[], Report]) -> None:
    """Serve for ever, with the certificates of a directory (mutual_tls.Server)."""

    async def report(request: web.Request) -> web.Response:
        transport = request.transport
        if transport is None or not is_operator(transport.get_extra_info("peercert")):
            raise web.HTTPForbidden(text="only the operator may read this")
        return web.json_response(make().wire())

    app = web.Application()
    app.router.add_get("/report", report)
    await mutual_tls.Server(app, directory, port).run()
