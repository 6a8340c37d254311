"""What a JupyterHub needs beside its authenticator, inside of its own process: a proxy and servers that are none."""

from __future__ import annotations

from typing import Any

from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler


class NoProxy(Proxy):  # type: ignore[misc]
    """Remembers routes and leads nowhere: tests ask the hub's own port."""

    should_start = False

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.routes: dict[str, Any] = {}

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        self.routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        return self.routes


class NoServer(Spawner):  # type: ignore[misc]
    """A server that answers 404 to everything, in the hub's own process."""

    _running: HTTPServer | None = None

    async def start(self) -> tuple[str, int]:
        listening, port = bind_unused_port()
        self._running = HTTPServer(Application())
        self._running.add_sockets([listening])
        return "127.0.0.1", port

    async def stop(self, now: bool = False) -> None:
        if self._running:
            self._running.stop()
            self._running = None

    async def poll(self) -> int | None:
        return None if self._running else 0


TOLD = (
    "JUPYTERHUB_API_URL",
    "JUPYTERHUB_COOKIE_HOST_PREFIX_ENABLED",
    "JUPYTERHUB_COOKIE_OPTIONS",
    "JUPYTERHUB_HOST",
    "JUPYTERHUB_OAUTH_CALLBACK_URL",
)
"""Variables of a server that are no secrets."""


class Page(RequestHandler):
    """A page of somebody who does with their server what they like.

    ``/cookies`` says which cookies came, ``/environment`` what the hub told the server of addresses and cookies.
    """

    def get(self) -> None:
        names = "<br>".join(sorted(self.request.cookies)) if self.request.path.endswith("/cookies") else ""
        if self.request.path.endswith("/environment"):
            self.finish(self.settings["environment"])
            return
        owner = self.settings["owner"]
        # as the hub's own pages: windows of one origin keep a hold of each other then
        self.set_header("Cross-Origin-Opener-Policy", "same-origin")
        self.finish(f"<!doctype html><title>page</title><body>a page of {owner}<p id=cookies>{names}</p></body>")


class PageServer(NoServer):
    """A server that shows a page to everybody, in the hub's own process."""

    async def start(self) -> tuple[str, int]:
        listening, port = bind_unused_port()
        told = {name: value for name, value in self.get_env().items() if name in TOLD}
        self._running = HTTPServer(Application([(".*", Page)], owner=self.user.name, environment=told))
        self._running.add_sockets([listening])
        return "127.0.0.1", port
