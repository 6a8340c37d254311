"""What the operator reads from a node (HTTPS, both sides with certificates), and the probe's address."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from pdshub import mutual_tls
from pdshub.api.report import Report
from pdshub.node.reconcile.reconciler import Reconciler
from pdshub.tls_names import OPERATOR, common_name

#: A loop without a whole turn for so long is stuck: a turn takes milliseconds, its longest step 20 s.
STUCK_SECONDS = 90


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


async def serve_health(port: int, reconciler: Reconciler, answers: Callable[[], Awaitable[bool]]) -> None:
    """GET /healthz on the loopback address only.

    503 is what makes the kubelet start the plugin anew, so it is for what that may cure: a loop that does not come to
    the end of a turn, a socket that does not answer. A view at which the plugin fails would fail again, and the others
    would lose their plugin for it: that is said in the text, in the view's status and in metrics.
    """

    async def healthz(_: web.Request) -> web.Response:
        idle = time.monotonic() - reconciler.last_turn
        if idle > STUCK_SECONDS:
            raise web.HTTPServiceUnavailable(text=f"no whole reconcile turn for {idle:.0f} s")
        if not await answers():
            raise web.HTTPServiceUnavailable(text="the CSI socket does not answer")
        failing = reconciler.failing.message
        return web.Response(text=f"ok, but failing: {failing}" if failing else "ok")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
    await asyncio.Event().wait()
