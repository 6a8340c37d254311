"""A real JupyterHub in a process of its own, without a proxy: its pages are asked for at the hub's own port.

Servers are pretended: what a start does is written in the user's name.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import requests

from tests.processes import end_group

ROOT = Path(__file__).resolve().parents[3]
PASSWORD = "a password for a test"
CONFIG = '''\
import asyncio, os, sys
from pathlib import Path
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner
from pdshub_hub import notice
from pdshub_hub.settings import setup
from pdshub_hub.spawner import StartFailed
from pdshub.server_trouble.trouble import Kind, Trouble


class NoProxy(Proxy):
    """Keeps routes, sends nobody anywhere."""

    routes = {{}}

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {{"routespec": routespec, "target": target, "data": data}}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return dict(self.routes)


class Pretended(Spawner):
    """The user's name says what a start does; a server that runs is a port of this process."""

    alive = False

    async def start(self):
        kind = next((kind for kind in Kind if self.user.name == kind.value.lower()), None)
        if self.user.name == "late":
            await asyncio.sleep(2)
            kind = Kind.NO_ROOM
        if self.user.name == "broken":
            raise RuntimeError("a fault of the hub")
        if self.user.name == "patient":
            await asyncio.sleep(3600)
        if kind:
            raise StartFailed(Trouble(kind, "0/1 nodes are available: <b>1 Insufficient</b> memory."))
        self.alive = True
        return f"http://127.0.0.1:{{PORT}}/"

    async def stop(self, now=False):
        self.alive = False

    async def poll(self):
        return None if self.alive else 0


PORT = {port}
notice.FILE = Path({notice!r})
c = get_config()
c.JupyterHub.proxy_class = NoProxy
c.Proxy.should_start = False
c.JupyterHub.spawner_class = Pretended
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite://"
c.JupyterHub.cleanup_servers = False
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 0}}
c.JupyterHub.authenticator_class = "jupyterhub.auth.DummyAuthenticator"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{"root"}}
c.Spawner.consecutive_failure_limit = 0
setup(c)
{more}
'''


@dataclass
class Hub:
    """A hub that runs. ``address``: http://host:port; ``log``: what it prints."""

    address: str
    notice: Path
    log: Path
    process: subprocess.Popen[bytes]
    sessions: dict[str, requests.Session] = field(default_factory=dict)

    def get(self, path: str, session: requests.Session | None = None, **options: bool) -> requests.Response:
        """A page; redirects to the proxy's side of addresses are not followed anywhere else."""
        return (session or requests.Session()).get(self.address + path, timeout=120, **options)  # type: ignore[arg-type]

    def sign_in(self, user: str, password: str = PASSWORD) -> requests.Session:
        """A browser in which somebody filled in the form; whether it was accepted is theirs to look at."""
        session = self.sessions[user] = requests.Session()
        form = self.get("/hub/login", session).text
        found = re.search(r'name="_xsrf" value="([^"]+)"', form)
        assert found, form
        session.post(
            f"{self.address}/hub/login?next=%2Fhub%2Fhome",
            data={"username": user, "password": password, "_xsrf": found[1]},
            timeout=120,
        )
        return session

    def alive(self) -> bool:
        """Whether it still answers."""
        return self.process.poll() is None and self.get("/hub/health").ok

    def start(self, user: str, within: float = 120.0) -> requests.Response:
        """The page that somebody ends at who presses Start, once it is no longer pending."""
        session = self.sign_in(user)
        until = time.monotonic() + within
        page = self.get(f"/hub/spawn/{user}", session)
        while 'id="progress-bar"' in page.text and time.monotonic() < until:
            time.sleep(0.1)
            page = self.get(f"/hub/spawn-pending/{user}", session)
        return page


@contextmanager
def hub(folder: Path, more: str = "", environ: Mapping[str, str] | None = None) -> Iterator[Hub]:
    """A hub with ``more`` lines of configuration; gone in the end. Raises AssertionError where it does not begin."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    notice, log, config = folder / "notice.json", folder / "hub.log", folder / "jupyterhub_config.py"
    config.write_text(CONFIG.format(port=port, notice=str(notice), password=PASSWORD, more=more))
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(config)],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT / 'hub'}:{ROOT / 'operator'}",
                "PYTHONNOUSERSITE": "1",
                **(environ or {}),
            },
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    made = Hub(f"http://127.0.0.1:{port}", notice, log, process)
    try:
        until = time.monotonic() + 600
        while True:
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            try:
                if made.get("/hub/health").ok:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield made
    finally:
        end_group(process)


def words(page: requests.Response) -> str:
    """What a page says, without tags, scripts and styles."""
    body = re.sub(r"(?s)<(script|style).*?</\1>", " ", page.text.partition("<body")[2])
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def path(page: requests.Response) -> str:
    """The path at which a page was found in the end."""
    return urlsplit(page.url).path
