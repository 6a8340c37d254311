"""A real hub and its real proxy on this machine, behind TLS, with servers that show whatever their owner wants."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from pdshub.api.hub import PDSHubSpec
from pdshub.render import isolation
from tests import tls_relay
from tests.pictures import Browser
from tests.programs import http_proxy
from tests.unit.hub.real_hub import PASSWORD, RealHub, running
from tests.unit.user_server import free_ports

HOST = "hub.example.org"
ADMIN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
"""Token of a service of the test."""
SECRET = "a-secret-of-hub-and-proxy"
CONFIG = """\
c.JupyterHub.proxy_class = "jupyterhub.proxy.ConfigurableHTTPProxy"
c.ConfigurableHTTPProxy.should_start = False
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api}"
c.ConfigurableHTTPProxy.auth_token = "{secret}"
c.JupyterHub.spawner_class = "tests.unit.hub.hub_parts.PageServer"
c.JupyterHub.services.append({{"name": "tests", "api_token": "{admin}", "admin": True}})
"""


@dataclass
class Front:
    """A hub behind its proxy and TLS at https://hub.example.org, for a browser with ``options``."""

    hub: RealHub
    port: int
    proxy: int

    @property
    def options(self) -> tuple[str, ...]:
        return (*tls_relay.FLAGS, tls_relay.rules(HOST, self.port))

    def address(self, user: str = "") -> str:
        """Of the hub, or of a user's server."""
        if not user:
            return f"https://{HOST}"
        with_token = {"Authorization": f"token {ADMIN}"}
        model = requests.get(f"{self.hub.url}/hub/api/users/{user}", headers=with_token, timeout=120).json()
        url = str(model["server"])
        return url if "://" in url else f"https://{HOST}{url}"

    def start(self, user: str) -> str:
        """Start somebody's server; its address, once the proxy knows it."""
        with_token = {"Authorization": f"token {ADMIN}"}
        api = f"{self.hub.url}/hub/api/users/{user}"
        requests.post(api, headers=with_token, timeout=120)
        done = requests.post(f"{api}/server", headers=with_token, timeout=120)
        assert done.status_code in (201, 202), done.text
        self.hub.until(lambda: bool(requests.get(api, headers=with_token, timeout=120).json().get("server")))
        return self.address(user)

    def sign_in(self, eyes: Browser, name: str) -> None:
        """Fill in the hub's form."""
        eyes.open(f"{self.address()}/hub/login?next=%2Fhub%2Fhome", "Username")
        fields = {"username": name, "password": PASSWORD}
        for field, value in fields.items():
            eyes.value(f"document.querySelector('input[name={field}]').value = {value!r}")
        eyes.value("document.querySelector('form[action*=login]').requestSubmit()")
        eyes.wait("Your server is stopped", HOST)


@contextmanager
def proxy(folder: Path, hub: int, port: int, api: int, flags: list[str]) -> Iterator[None]:
    """The proxy as both charts start it."""
    command = [
        *http_proxy(),
        *("--ip=127.0.0.1", f"--port={port}", "--api-ip=127.0.0.1", f"--api-port={api}"),
        *(f"--default-target=http://127.0.0.1:{hub}", f"--error-target=http://127.0.0.1:{hub}/hub/error"),
        *flags,
    ]
    with (folder / "proxy.log").open("wb") as log:
        environment = {**os.environ, "CONFIGPROXY_AUTH_TOKEN": SECRET}
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


@contextmanager
def front(folder: Path, way: str) -> Iterator[Front]:
    """Hub, proxy and TLS. ``way``: spec.isolation."""
    spec: dict[str, Any] = {"signIn": {"development": {}}, "hostname": HOST, "isolation": way}
    flags = isolation.proxy(PDSHubSpec.model_validate(spec)).get("extraCommandLineFlags", [])
    port, api, tls, hub_port = free_ports(4)
    code = CONFIG.format(api=api, secret=SECRET, admin=ADMIN)
    with (
        proxy(folder, hub_port, port, api, flags),
        tls_relay.relay(HOST, folder, tls, "127.0.0.1", port),
        running(folder, spec, port=hub_port, extraConfig={"99-test": code}) as hub,
    ):
        hub.write(allowed=["ada", "bela"], admins=["root"])
        yield Front(hub, tls, port)
