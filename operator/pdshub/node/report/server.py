"""What the operator reads from a node (HTTPS, both sides with certificates), and the probe's address."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from aiohttp import web

from pdshub import mutual_tls
from pdshub.node.csi.services import Node, program_version
from pdshub.node.reconcile.reconciler import Reconciler
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.reconcile.view_health import report as showing

log = logging.getLogger(__name__)

OPERATOR = "pdshub-operator"  # the common name of the only client that may read the report
#: A loop without a whole turn for so long is stuck: a turn takes milliseconds, its longest step 20 s.
STUCK_SECONDS = 90


def _word(ready: bool, connecting: bool) -> str:
    return "ready" if ready else "connecting" if connecting else "failed"


def document(name: str, node: Node, reconciler: Reconciler) -> dict[str, Any]:
    """The report as JSON; times in seconds."""
    views, sources = {}, {}
    for view in reconciler.known.values():
        story = reconciler.stories.get(view.name)
        connecting = reconciler.sources.connecting(view)
        views[view.name] = {
            "generation": view.spec_generation,
            **showing(reconciler.showing.get(view.name, Showing())),
            "ready": bool(story and story.ready),
            "state": _word(bool(story and story.ready), reconciler.arriving(view)),
            "targets": reconciler.target_count.get(view.name, 0),
            "message": story.message if story else "not looked at yet",
        }
        sources[view.name] = {
            source: {
                "ready": state.ready,
                "state": _word(state.ready, source in connecting),
                "mode": state.mode,
                "message": state.message,
                "latencySeconds": round(state.latency, 4),
            }
            for source, state in reconciler.sources.states(view).items()
        }
    for view_name, problem in reconciler.informer.problems.items():
        views[view_name] = {
            "generation": 0, "form": "live", "ready": False, "state": "failed",
            "targets": reconciler.target_count.get(view_name, 0), "message": problem,
        }  # fmt: skip
    return {
        "node": name,
        "kernel": os.uname().release,
        "version": program_version(),
        "csi": {"publishes": node.publishes, "lastPublishSeconds": round(node.last_publish_seconds, 4)},
        "views": views,
        "sources": sources,
        "failures": dict(reconciler.failing.counts),
    }


def is_operator(certificate: Any) -> bool:
    """Whether a verified peer certificate (ssl.SSLSocket.getpeercert) is the operator's."""
    subject = (certificate or {}).get("subject", ())
    return any(pair == ("commonName", OPERATOR) for part in subject for pair in part)


async def serve_report(directory: Path, port: int, make: Callable[[], dict[str, Any]]) -> None:
    """Serve for ever. Waits for the certificate files and starts anew when they change."""

    async def report(request: web.Request) -> web.Response:
        transport = request.transport
        if transport is None or not is_operator(transport.get_extra_info("peercert")):
            raise web.HTTPForbidden(text="only the operator may read this")
        return web.json_response(make())

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
