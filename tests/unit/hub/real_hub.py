"""A real JupyterHub as a process, configured by what the operator renders, with a list that a test writes."""

from __future__ import annotations

import html
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import GoogleProvider
from pdshub.render import hub_package, isolation, signin
from pdshub.render.merge import merge
from pdshub.render.names import Names
from pdshub_hub.people import digest

ROOT = Path(__file__).resolve().parents[3]
TOKEN = "0123456789abcdef0123456789abcdef"
"""Of the operator's service."""
PASSWORD = "open sesame"

CONFIG = """\
import json, sys
from pathlib import Path
c = get_config()
given = json.loads(Path({given!r}).read_text())
for section, traits in given["config"].items():
    c[section].update(traits)
c.JupyterHub.services = [{{"name": name, **one, "api_token": {token!r}}} for name, one in given["services"].items()]
c.JupyterHub.load_roles = [{{"name": name, **role}} for name, role in given["loadRoles"].items()]
c.JupyterHub.proxy_class = "tests.unit.hub.hub_parts.NoProxy"
c.JupyterHub.spawner_class = "tests.unit.hub.hub_parts.NoServer"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.db_url = "sqlite:///" + {database!r}
c.JupyterHub.cookie_secret = b"x" * 32
c.CryptKeeper.keys = ["0" * 64]
from pdshub_hub import people
people.FILE.path = Path({people!r})
for name, code in sorted(given["extraConfig"].items()):
    exec(compile(code, name, "exec"))
"""


@dataclass
class RealHub:
    """A hub that runs, and the file of its list."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    provider: str = ""
    """Base URL of its sign-in service."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def list(self) -> Path:
        """The mounted file."""
        return self.folder / "people.json"

    def write(self, *, wait: bool = True, **content: Any) -> str:
        """Write a list as the operator does, and wait until the hub goes by it; returns its digest."""
        body = {"version": 1, "allowed": [], "admins": [], "suspended": [], "domains": [], **content}
        body["digest"] = digest(body)
        fresh = self.list.with_suffix(".new")
        fresh.write_text(json.dumps(body))
        fresh.rename(self.list)
        if wait:
            self.until(lambda: self.people() == {"digest": body["digest"], "trouble": ""})
        found: str = body["digest"]
        return found

    def spoil(self, content: str | None) -> None:
        """Make the list unreadable, or take it away, and wait until the hub knows."""
        if content is None:
            self.list.unlink()
        else:
            self.list.write_text(content)
        self.until(lambda: bool(self.people()["trouble"]))

    def until(self, true: Any, within: float = 300.0) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + within
        while not true():
            assert time.monotonic() < deadline, "it did not come to that\n" + self.log()[-3000:]
            time.sleep(0.05)

    def people(self, **asked: str) -> dict[str, Any]:
        """What the hub answers the operator."""
        found: dict[str, Any] = self.operator("GET", "/hub/api/pdshub/people", params=asked).json()
        return found

    def operator(self, method: str, path: str, **more: Any) -> requests.Response:
        """A request of the operator's."""
        headers = {"Authorization": f"token {TOKEN}"}
        return requests.request(method, self.url + path, headers=headers, timeout=120, **more)

    def log(self) -> str:
        return (self.folder / "log").read_text()


def spec(google: bool = True, **fields: Any) -> dict[str, Any]:
    how: dict[str, Any] = {"development": {}}
    if google:
        how = {"google": {"clientId": "id", "clientSecretRef": {"name": "s", "key": "k"}, **fields}}
    return {"signIn": how}


def configured(folder: Path, port: int, sign_in: dict[str, Any], provider: str, values: dict[str, Any]) -> Path:
    """Write the hub's configuration: what the operator renders, with values over it."""
    from tests.unit.hub import google_provider

    asked = {**google_provider.urls(provider), "allowHttp": True} if provider else {}
    parsed = PDSHubSpec.model_validate(sign_in)
    hub = signin.render(parsed, Names("ns", "demo"), GoogleProvider.model_validate(asked))
    given = merge(merge(merge(hub, hub_package.render()), isolation.hub(parsed)), values)
    (folder / "given.json").write_text(json.dumps(given))
    file = folder / "jupyterhub_config.py"
    file.write_text(
        CONFIG.format(
            given=str(folder / "given.json"),
            token=TOKEN,
            port=port,
            database=str(folder / "hub.sqlite"),
            people=str(folder / "people.json"),
        )
    )
    return file


def start(folder: Path, config: Path) -> subprocess.Popen[bytes]:
    """Start JupyterHub; its log is in ``log``."""
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("JUPYTERHUB", "OAUTH"))},
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "hub"), str(ROOT / "operator")]),
        signin.CLIENT_SECRET_ENV: "secret",
        signin.PASSWORD_ENV: PASSWORD,
    }
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "jupyterhub", "--config", str(config)],
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def running(
    folder: Path, sign_in: dict[str, Any], provider: str = "", port: int = 0, **values: Any
) -> Iterator[RealHub]:
    """A hub that answers, with an empty list; at a free port, unless told which."""
    with socket.create_server(("127.0.0.1", port)) as free:
        port = free.getsockname()[1]
    hub = RealHub(folder, port, provider=provider)
    config = configured(folder, port, sign_in, provider, values)
    hub.write(wait=False)
    hub.process = start(folder, config)
    try:
        hub.until(lambda: answers(hub), within=900)
        yield hub
    finally:
        hub.process.send_signal(signal.SIGTERM)
        try:
            hub.process.wait(30)
        except subprocess.TimeoutExpired:
            hub.process.kill()
            hub.process.wait()


def answers(hub: RealHub) -> bool:
    assert hub.process is not None and hub.process.poll() is None, hub.log()[-4000:]
    try:
        return requests.get(hub.url + "/hub/health", timeout=10).status_code == 200
    except requests.RequestException:
        return False


@dataclass
class Browser:
    """Somebody with cookies."""

    hub: RealHub
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **more: Any) -> requests.Response:
        """A page of the hub, without following where it leads."""
        return self.session.get(
            path if "://" in path else self.hub.url + path, allow_redirects=False, timeout=120, **more
        )

    def set_out(self, following: str = "") -> str:
        """Begin a sign-in; returns the sign-in service's page to which the hub leads."""
        answer = self.get("/hub/oauth_login", params={"next": following} if following else {})
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def consent(self, page: str, sub: str) -> str:
        """Say who one is at the service's page; returns the way back to the hub."""
        answer = requests.post(page, data={"sub": sub}, allow_redirects=False, timeout=120)
        assert answer.status_code == 302, answer.text
        return answer.headers["Location"]

    def sign_in(self, sub: str, following: str = "/hub/home") -> requests.Response:
        """The whole way; returns the hub's last answer of it."""
        return self.get(self.consent(self.set_out(following), sub))

    def fill_in(self, name: str, password: str) -> requests.Response:
        """Fill in the form of a development sign-in."""
        self.get("/hub/login")
        form = {"username": name, "password": password, "_xsrf": self.xsrf}
        return self.session.post(self.hub.url + "/hub/login", data=form, allow_redirects=False, timeout=120)

    @property
    def xsrf(self) -> str:
        return next((cookie.value or "" for cookie in self.session.cookies if cookie.name == "_xsrf"), "")

    def home(self) -> int:
        """Status of the page that whoever is signed in sees."""
        return self.get("/hub/home").status_code

    def token(self, name: str) -> str:
        """A new API token of one's own."""
        self.get("/hub/home")
        made = self.session.post(
            f"{self.hub.url}/hub/api/users/{name}/tokens", params={"_xsrf": self.xsrf}, json={"note": "x"}, timeout=120
        )
        assert made.status_code == 201, made.text
        found: str = made.json()["token"]
        return found


def with_token(hub: RealHub, token: str, method: str, path: str, **more: Any) -> int:
    """Status of a request with a token alone."""
    headers = {"Authorization": f"token {token}"}
    return requests.request(method, hub.url + path, headers=headers, timeout=120, **more).status_code


def part_of(page: str, name: str) -> str:
    """A value of an address's query."""
    return parse_qs(urlsplit(page).query)[name][0]


def said(answer: requests.Response) -> str:
    """The words of a page."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", answer.text)))
