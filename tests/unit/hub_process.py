"""A real JupyterHub on a local port, without a cluster: its proxy and its servers are stubs inside of its process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from yarl import URL

from pdshub.render.signin import SCOPES

CONFIG = '''
import asyncio, json, os
from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.proxy import Proxy
from jupyterhub.scopes import define_custom_scopes, needs_scope
from jupyterhub.spawner import Spawner

FOLDER = os.environ["TEST_FOLDER"]


class NoProxy(Proxy):
    should_start = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.routes = {}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return self.routes


class FileSpawner(Spawner):
    """A server is a file; one whose user's name begins with slow needs as long to end as the file "slow" is there."""

    def path(self):
        return os.path.join(FOLDER, "servers", f"{self.user.name}-{self.name}")

    async def start(self):
        if self.user.name.startswith("starting"):
            await asyncio.sleep(3600)
        open(self.path(), "w").close()
        return f"http://127.0.0.1:{os.environ['TEST_SINK']}"

    async def stop(self, now=False):
        while self.user.name.startswith("slow") and os.path.exists(os.path.join(FOLDER, "slow")):
            await asyncio.sleep(0.05)
        if os.path.exists(self.path()):
            os.unlink(self.path())

    async def poll(self):
        return None if os.path.exists(self.path()) else 0


class Listed(DummyAuthenticator):
    def check_allowed(self, username, auth_model):
        return username in json.load(open(os.path.join(FOLDER, "list.json")))["allowed"]


CUSTOM = {f"custom:pdshub:{what}": {"description": what} for what in ("people", "audit", "earlier", "warnings")}
define_custom_scopes(CUSTOM)  # before a handler names it


class PeopleHandler(APIHandler):
    @needs_scope("custom:pdshub:people")
    def get(self):
        listed = json.load(open(os.path.join(FOLDER, "list.json")))
        if self.get_argument("user", ""):
            self.finish(json.dumps({"allowed": False, "why": "not-listed"}))
        else:
            self.finish(json.dumps({"digest": listed["digest"], "trouble": ""}))


c = get_config()  # noqa
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{os.environ['TEST_PORT']}"
c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url
c.JupyterHub.db_url = f"sqlite:///{FOLDER}/hub.sqlite"
c.JupyterHub.cookie_secret = b"x" * 32
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.spawner_class = FileSpawner
c.JupyterHub.authenticator_class = Listed
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = False
c.JupyterHub.tornado_settings = {"slow_spawn_timeout": 0.2, "slow_stop_timeout": 0.2}
c.JupyterHub.last_activity_interval = 3600
c.Spawner.http_timeout = 5
c.Authenticator.allow_all = False
c.Authenticator.any_allow_config = True
c.DummyAuthenticator.password = "secret"
c.JupyterHub.extra_handlers = [("/api/pdshub/people", PeopleHandler)]
c.JupyterHub.custom_scopes = CUSTOM
c.JupyterHub.load_groups = {"team": {"users": []}}
c.JupyterHub.services = [
    {"name": "pdshub-operator", "api_token": os.environ["TEST_TOKEN"]},
    {"name": "tests", "api_token": os.environ["TEST_ADMIN"], "admin": True},
]
c.JupyterHub.load_roles = [
    {
        "name": "pdshub-operator",
        "services": ["pdshub-operator"],
        "scopes": json.loads(os.environ["TEST_SCOPES"]),
    },
    {"name": "user", "scopes": ["self", "access:servers", "shares!user"]},
]
'''


@dataclass
class HubProcess:
    """The hub: where its API is, the tokens of the operator and of the test, and what it wrote."""

    url: URL
    token: str
    admin: str
    folder: Path
    log: Path

    async def api(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """A call as the test's own service, or with another token: status and JSON."""
        headers = {"Authorization": f"token {token or self.admin}"}
        async with aiohttp.ClientSession() as session:
            url = URL(f"{self.url}/{path}", encoded=True)
            async with session.request(method, url, json=body, headers=headers) as answer:
                text = await answer.text()
                is_json = answer.content_type == "application/json" and text
                return answer.status, await answer.json() if is_json else text

    async def serving(self, name: str) -> None:
        """Wait until every server of somebody is ready; fails after a minute."""
        for _ in range(600):
            _, user = await self.api("GET", f"users/{name}")
            if user["servers"] and all(server["ready"] for server in user["servers"].values()):
                return
            await asyncio.sleep(0.1)
        raise AssertionError(self.log.read_text()[-3000:])

    async def signed_in(self, name: str) -> dict[str, str]:
        """Cookies of somebody who signed in by the form."""
        root = str(self.url).removesuffix("/api")
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            async with session.get(f"{root}/login") as answer:
                await answer.read()
            token = next(c.value for c in session.cookie_jar if c.key == "_xsrf")
            form = {"username": name, "password": "secret", "_xsrf": token}
            async with session.post(f"{root}/login", data=form, allow_redirects=False) as answer:
                assert answer.status == 302, await answer.text()
            return {c.key: c.value for c in session.cookie_jar}

    async def is_in(self, cookies: dict[str, str]) -> bool:
        """Whether cookies still open the page of somebody who is signed in."""
        root = str(self.url).removesuffix("/api")
        async with (
            aiohttp.ClientSession(cookies=cookies) as session,
            session.get(f"{root}/home", allow_redirects=False) as answer,
        ):
            return answer.status == 200


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


async def _answering(hub: HubProcess, process: asyncio.subprocess.Process) -> None:
    """Wait until the hub answers; fails when it ended, and after five minutes."""
    for _ in range(1500):
        with contextlib.suppress(aiohttp.ClientError):
            if (await hub.api("GET", "users"))[0] == 200:
                return
        assert process.returncode is None, hub.log.read_text()[-3000:]
        await asyncio.sleep(0.2)
    raise AssertionError(hub.log.read_text()[-3000:])


@asynccontextmanager
async def jupyterhub(folder: Path, scopes: tuple[str, ...] = SCOPES) -> AsyncIterator[HubProcess]:
    """A hub whose list is ``folder/list.json``; it ends with the context."""
    (folder / "servers").mkdir(exist_ok=True)
    (folder / "config.py").write_text(CONFIG)
    port, log = _free_port(), folder / "hub.log"
    hub = HubProcess(URL(f"http://127.0.0.1:{port}/hub/api"), secrets.token_hex(16), secrets.token_hex(16), folder, log)

    async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Whatever a server is asked it answers."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\nX-JupyterHub-Version: 5\r\n\r\n"
            )
            await writer.drain()
        writer.close()

    sink = await asyncio.start_server(welcome, "127.0.0.1", 0)
    environment = {
        **os.environ,
        "TEST_FOLDER": str(folder),
        "TEST_PORT": str(port),
        "TEST_SINK": str(sink.sockets[0].getsockname()[1]),
        "TEST_TOKEN": hub.token,
        "TEST_ADMIN": hub.admin,
        "TEST_SCOPES": json.dumps(scopes),
    }
    with log.open("wb") as out:
        command = [sys.executable, "-m", "jupyterhub", "-f", str(folder / "config.py")]
        process = await asyncio.create_subprocess_exec(*command, stdout=out, stderr=out, env=environment, cwd=folder)
    try:
        await _answering(hub, process)
        yield hub
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), 60)
        except TimeoutError:
            process.kill()
            await process.wait()
        sink.close()
