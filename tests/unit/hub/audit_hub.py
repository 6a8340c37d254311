"""A JupyterHub of its own process, without a cluster: what happens in it is asked over HTTP, as everybody does."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from tests.processes import end_group

ROOT = Path(__file__).parents[3]
TOKEN, BARE = "operators-token-of-the-test", "token-of-a-service-without-scopes"
ADA, BELA, ROOT_USER = "ada@example.org", "bela@example.org", "root@example.org"
PASSWORD = "the-shared-password"
BELAS_ADDRESS = "127.0.0.2"
"""Where the server of bela listens: no other server does, as with a pod's own address."""

CONFIG = '''
import sys
sys.path.insert(0, {here!r})
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import SimpleLocalProcessSpawner
from pdshub_hub import audit_trail


class NoProxy(Proxy):
    """People of the test come straight to the hub."""
    should_start = False
    async def add_route(self, routespec, target, data):
        made = {{"routespec": routespec, "target": target, "data": data}}
        self.routes = {{**getattr(self, "routes", {{}}), routespec: made}}
    async def delete_route(self, routespec):
        getattr(self, "routes", {{}}).pop(routespec, None)
    async def get_all_routes(self):
        return getattr(self, "routes", {{}})


class Own(SimpleLocalProcessSpawner):
    """A server that listens where its user's pod would."""
    async def start(self):
        self.ip = "127.0.0.2" if self.user.name.startswith("bela") else "127.0.0.1"
        await super().start()
        return (self.ip, self.port)
    def make_preexec_fn(self, name):
        return None
    def user_env(self, env):
        return env


c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.spawner_class = Own
c.Spawner.cmd = [sys.executable, "-m", "jupyterhub.tests.mocksu"]
c.Spawner.notebook_dir = ""
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = {password!r}
c.Authenticator.allowed_users = {{"ada@example.org", "bela@example.org"}}
c.Authenticator.admin_users = {{"root@example.org"}}
c.JupyterHub.bind_url = "http://127.0.0.1:{public}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite:///{folder}/hub.sqlite"
c.JupyterHub.cookie_secret_file = "{folder}/cookie"
c.JupyterHub.load_roles = [
    {{"name": "pdshub-operator", "services": ["pdshub-operator"], "scopes": ["custom:pdshub:audit", "admin:users",
      "read:users", "delete:users", "delete:servers", "tokens"]}},
]
c.JupyterHub.services = [
    {{"name": "pdshub-operator", "api_token": {token!r}}},
    {{"name": "other", "api_token": {bare!r}}},
]
audit_trail.setup(c)
'''


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


class Hub:
    """The running hub."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.run, self.last = "", 0

    def api(self, method: str, page: str, token: str = TOKEN, **more: Any) -> requests.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        return requests.request(method, f"{self.base}/hub/api/{page}", headers=headers, timeout=60, **more)

    def spool(self, **query: Any) -> dict[str, Any]:
        answer = self.api("GET", "pdshub/audit", params=query)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def news(self) -> list[dict[str, Any]]:
        """What was written since the last call, without numbers and times."""
        found = self.spool(run=self.run, after=self.last)
        self.run, self.last = found["run"], found["last"]
        return [{k: v for k, v in entry.items() if k not in ("seq", "time")} for entry in found["entries"]]

    def person(self) -> Person:
        return Person(self)


class Person:
    """A browser."""

    def __init__(self, hub: Hub) -> None:
        self.hub, self.session = hub, requests.Session()
        self.session.headers["Sec-Fetch-Mode"] = "navigate"

    def get(self, page: str, **more: Any) -> requests.Response:
        return self.session.get(f"{self.hub.base}{page}", allow_redirects=False, timeout=60, **more)

    def xsrf(self) -> str:
        cookies = [c.value or "" for c in self.session.cookies if c.name == "_xsrf"]
        return cookies[-1] if cookies else ""

    def sign_in(self, name: str, password: str = PASSWORD, token: str | None = None) -> int:
        self.get("/hub/login")
        form = {"username": name, "password": password, "_xsrf": self.xsrf() if token is None else token}
        return self.session.post(f"{self.hub.base}/hub/login", data=form, allow_redirects=False, timeout=60).status_code

    def api(self, method: str, page: str, **more: Any) -> requests.Response:
        self.get("/hub/home")
        headers = {"X-XSRFToken": self.xsrf(), "Referer": f"{self.hub.base}/hub/home", "Sec-Fetch-Mode": "cors"}
        return self.session.request(
            method, f"{self.hub.base}/hub/api/{page}", headers=headers, timeout=60, allow_redirects=False, **more
        )

    def enter(self, owner: str) -> int:
        """As the server of ``owner`` sends its visitors to the hub, with the page that asks whether they want to."""
        client = f"jupyterhub-user-{requests.utils.quote(owner, safe='')}"
        back = f"/user/{requests.utils.quote(owner, safe='@')}/oauth_callback"
        query = {"client_id": client, "redirect_uri": back, "response_type": "code", "state": "x"}
        found = self.get("/hub/api/oauth2/authorize", params=query)
        if found.status_code != 200:
            return found.status_code
        scopes = re.findall(r'name="scopes"[^>]*value="([^"]*)"|value="([^"]*)"[^>]*name="scopes"', found.text)
        form = {"_xsrf": self.xsrf(), "scopes": ["".join(pair) for pair in scopes]}
        answer = self.session.post(
            found.url, data=form, allow_redirects=False, timeout=60, headers={"Referer": found.url}
        )
        assert "code" in parse_qs(urlsplit(answer.headers.get("Location", "")).query), answer.text
        return answer.status_code


def ask_from(address: str, base: str, token: str) -> int:
    """As a server at an address asks the hub who a visitor's token belongs to."""
    parts = urlsplit(base)
    with socket.create_connection((parts.hostname or "", parts.port or 80), 10, (address, 0)) as made:
        made.sendall(f"GET /hub/api/user HTTP/1.0\r\nAuthorization: token {token}\r\n\r\n".encode())
        return int(made.recv(4096).split()[1])


def _answers(process: subprocess.Popen[bytes], base: str, log: Path) -> None:
    while process.poll() is None:
        try:
            if requests.get(f"{base}/hub/health", timeout=60).status_code == 200:
                return
        except requests.ConnectionError:
            time.sleep(0.2)
    raise AssertionError(log.read_text()[-4000:])


@contextmanager
def running(folder: Path) -> Iterator[Hub]:
    port = free_port()
    config = folder / "jupyterhub_config.py"
    config.write_text(
        CONFIG.format(
            here=str(ROOT / "hub"),
            password=PASSWORD,
            public=free_port(),
            port=port,
            folder=folder,
            token=TOKEN,
            bare=BARE,
        )
    )
    with (folder / "hub.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(config)],
            cwd=folder,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'hub'}:{ROOT / 'operator'}", "JUPYTERHUB_CRYPT_KEY": "ab" * 32},
            start_new_session=True,
        )
        try:
            base = f"http://127.0.0.1:{port}"
            _answers(process, base, folder / "hub.log")
            yield Hub(base)
        finally:
            end_group(process)
