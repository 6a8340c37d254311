"""A hub for practice: what a hub is configured with that runs from a copy of the database, for one sign-in and no more.

It has no proxy, starts and stops no server, and runs no service, the culler too: a live server of the original hub is
nothing that it could reach or touch. One name with one password gets in, once. The copy is upgraded where the hub is
newer than the backup, as a restored hub would be.
"""

from __future__ import annotations

import hmac
import json
import os
from pathlib import Path
from typing import Any

from jupyterhub.auth import Authenticator
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import Spawner

TOLD = "PDSHUB_DRILL"
"""Environment variable that names the file with what the program made up for this run."""
SERVICE = "pdshub-drill"
CUSTOM_SCOPES = ("custom:pdshub:people", "custom:pdshub:audit", "custom:pdshub:earlier", "custom:pdshub:warnings")
"""Which roles in the database name."""


def told() -> dict[str, Any]:
    """``name``, ``password``, ``token``, ``port``, ``database``. Raises OSError, ValueError."""
    found = json.loads(Path(os.environ[TOLD]).read_text())
    if not isinstance(found, dict):
        raise ValueError(f"{TOLD} names no file of the drill")
    return found


class NoRoutes(Proxy):  # type: ignore[misc]
    """A proxy that sends nobody anywhere."""

    should_start = False

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._routes: dict[str, Any] = {}

    async def add_route(self, routespec: str, target: str, data: Any) -> None:
        """Remember it."""
        self._routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec: str) -> None:
        """Forget it."""
        self._routes.pop(routespec, None)

    async def get_all_routes(self) -> dict[str, Any]:
        """What is remembered."""
        return dict(self._routes)


class NoServers(Spawner):  # type: ignore[misc]
    """Servers that the database remembers do not run here, and none is started."""

    async def start(self) -> str:
        """Never."""
        raise RuntimeError("a hub for practice starts no servers")

    async def stop(self, now: bool = False) -> None:
        """There is nothing to stop."""

    async def poll(self) -> int:
        """It has ended."""
        return 0


class OneShot(Authenticator):  # type: ignore[misc]
    """One name and one password, once."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self._left = 1

    async def authenticate(self, handler: Any, data: dict[str, str]) -> dict[str, Any] | None:
        """Who somebody is; None for everybody after the first, and for whoever knows less than both texts."""
        known = told()
        same = [
            hmac.compare_digest(str(data.get(key, "")).encode(errors="replace"), str(known[name]).encode())
            for key, name in (("username", "name"), ("password", "password"))
        ]
        if not all(same) or not self._left:
            return None
        self._left -= 1
        return {"name": known["name"], "admin": False}

    def check_allowed(self, username: str, authentication: Any = None) -> bool:
        """The one alone."""
        return bool(username == told()["name"])

    def check_allow_config(self) -> None:
        """Nobody is named by the configuration."""


def setup(c: Any) -> None:
    """Configure the hub. ``c``: the configuration that JupyterHub loads."""
    known = told()
    address = f"http://127.0.0.1:{int(known['port'])}"
    c.JupyterHub.bind_url = c.JupyterHub.hub_bind_url = address
    c.JupyterHub.db_url = f"sqlite:///{known['database']}"
    c.JupyterHub.upgrade_db = True
    c.JupyterHub.cookie_secret = os.urandom(32)
    c.JupyterHub.proxy_class = NoRoutes
    c.JupyterHub.spawner_class = NoServers
    c.JupyterHub.authenticator_class = OneShot
    c.JupyterHub.cleanup_servers = c.JupyterHub.cleanup_proxy = False
    c.JupyterHub.custom_scopes = {scope: {"description": scope} for scope in CUSTOM_SCOPES}
    c.JupyterHub.services = [{"name": SERVICE, "api_token": known["token"]}]
    c.JupyterHub.load_roles = [{"name": SERVICE, "services": [SERVICE], "scopes": ["list:users", "read:users:name"]}]
    c.Authenticator.enable_auth_state = False
    c.Authenticator.delete_invalid_users = False
