"""A real JupyterHub with its real proxy and real servers of users, as processes of this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import secrets
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processes import end_group
from tests.programs import NEEDS_HTTP_PROXY, http_proxy
from tests.unit.front_door.machine import until

PROXY = http_proxy()
PARTS = all(importlib.util.find_spec(one) for one in ("jupyterhub", "jupyter_server", "jupyter_server_terminals"))
needs_hub = pytest.mark.skipif(
    not (PROXY and PARTS),
    reason=f"{NEEDS_HTTP_PROXY}; and jupyterhub and jupyter_server",
)
ADA = "o'brien+pds@example.org"
"""A name with what names may hold; in a path it is o%27brien%2Bpds%40example.org, or partly as it is."""
CONFIG = '''
import os, sys
from jupyterhub.auth import DummyAuthenticator
from jupyterhub.spawner import SimpleLocalProcessSpawner

FOLDER = os.environ["TEST_FOLDER"]


class Server(SimpleLocalProcessSpawner):
    """A process of this machine, with a home of its own; root's, as the test is."""

    cmd = [sys.executable, "-m", "jupyterhub.singleuser", "--allow-root"]
    home_dir_template = FOLDER + "/homes/{username}"
    start_timeout = http_timeout = 600

    def make_preexec_fn(self, name):
        os.makedirs(self.home_dir, exist_ok=True)
        return None

    def user_env(self, env):
        return {**env, "HOME": self.home_dir, "SHELL": "/bin/sh", "JUPYTERHUB_SINGLEUSER_APP": "jupyter-server"}


c = get_config()  # noqa
c.JupyterHub.bind_url = os.environ["TEST_BIND"]
c.JupyterHub.hub_bind_url = os.environ["TEST_HUB"]
c.ConfigurableHTTPProxy.api_url = os.environ["TEST_API"]
# as in a cluster; else the hub waits for it for 10 s, however busy the machine is
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.auth_token = os.environ["TEST_TOKEN"]
c.JupyterHub.db_url = f"sqlite:///{FOLDER}/hub.sqlite"
c.JupyterHub.cookie_secret = b"x" * 32
c.JupyterHub.spawner_class = Server
c.JupyterHub.authenticator_class = DummyAuthenticator
c.JupyterHub.trusted_downstream_ips = ["127.0.0.1"]
c.Spawner.disable_user_config = True
c.DummyAuthenticator.password = "secret"
c.Authenticator.allow_all = True
c.JupyterHub.load_roles = [{"name": "user", "scopes": ["self", "access:servers!user"]}]
c.JupyterHub.services = [{"name": "tests", "api_token": os.environ["TEST_TOKEN"], "admin": True}]
'''


@dataclass
class RealHub:
    """The hub: its port, its folder, its log."""

    port: int
    folder: Path
    admin: str

    @property
    def log(self) -> str:
        return (self.folder / "hub.log").read_text()

    def api(self, path: str, method: str = "GET", body: object = None) -> object:
        """A call as an admin, straight to the proxy."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/hub/api/{path}", method=method)
        request.add_header("Authorization", f"token {self.admin}")
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(request, data, timeout=120) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def token(self, user: str) -> str:
        """A token of a user, who is made where there is none."""
        name = urllib.request.quote(user, safe="")
        try:
            self.api(f"users/{name}", "POST")
        except urllib.error.HTTPError as error:
            assert error.code == 409, error.read()
        made = self.api(f"users/{name}/tokens", "POST", {"note": "a test"})
        assert isinstance(made, dict)
        return str(made["token"])


@contextmanager
def real_hub(folder: Path, ports: list[int]) -> Iterator[RealHub]:
    """A hub on the first of three ports; it ends with the context, and its servers with it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.py").write_text(CONFIG)
    token = secrets.token_hex(16)
    environment = {
        **os.environ,
        "TEST_FOLDER": str(folder),
        "TEST_BIND": f"http://127.0.0.1:{ports[0]}",
        "TEST_HUB": f"http://127.0.0.1:{ports[1]}",
        "TEST_API": f"http://127.0.0.1:{ports[2]}",
        "TEST_TOKEN": token,
        "CONFIGPROXY_AUTH_TOKEN": token,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    found = RealHub(ports[0], folder, token)
    listening = [f"--{word}={value}" for word, value in (
        ("ip", "127.0.0.1"), ("port", ports[0]), ("api-ip", "127.0.0.1"), ("api-port", ports[2]),
        ("default-target", f"http://127.0.0.1:{ports[1]}"), ("error-target", f"http://127.0.0.1:{ports[1]}/hub/error"),
    )]  # fmt: skip
    with (folder / "proxy.log").open("wb") as out:
        proxy = subprocess.Popen([*PROXY, *listening], stdout=out, stderr=out, env=environment)
    process: subprocess.Popen[bytes] | None = None

    def proxied() -> bool:
        assert proxy.poll() is None, (folder / "proxy.log").read_text()[-3000:]
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", ports[2])):
            return True
        return False

    def up() -> bool:
        assert process and process.poll() is None, found.log[-3000:]
        try:
            return found.api("info") is not None
        except OSError:
            return False

    try:
        until(proxied, 600, "the hub's proxy does not start", 0.5)
        with (folder / "hub.log").open("wb") as out:
            command = [sys.executable, "-m", "jupyterhub", "-f", str(folder / "config.py")]
            given: Any = {"stdout": out, "stderr": out, "env": environment, "cwd": folder, "start_new_session": True}
            process = subprocess.Popen(command, **given)
        until(up, 900, "the hub does not start", 1)
        yield found
    finally:
        if process:
            end_group(process)
        proxy.terminate()
        proxy.wait(60)
