"""A hub's users as its API tells of them: read with care, since a hub can run any code. Pure.

Source: JupyterHub 5, jupyterhub/apihandlers/base.py (user_model, server_model).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_LONGEST = 512


@dataclass(frozen=True)
class HubServer:
    """A server that runs, starts or stops. The default one's name is empty."""

    name: str
    ready: bool
    pending: str
    """``spawn``, ``stop`` or empty."""


@dataclass(frozen=True)
class HubUser:
    """Somebody in the hub's database."""

    name: str
    admin: bool = False
    groups: tuple[str, ...] = ()
    servers: tuple[HubServer, ...] = ()
    last_activity: str = ""
    """RFC 3339; empty for somebody who never came."""


def user_of(model: Any) -> HubUser:
    """A user. Raises ValueError for a model that is none."""
    if not isinstance(model, Mapping) or not isinstance(model.get("name"), str) or not model["name"]:
        raise ValueError("a user without a name")
    servers, groups = model.get("servers") or {}, model.get("groups") or []
    if not isinstance(servers, Mapping) or not isinstance(groups, list):
        raise ValueError("a user whose servers or groups are none")
    seen = model.get("last_activity")
    return HubUser(
        model["name"],
        model.get("admin") is True,
        tuple(str(group)[:_LONGEST] for group in groups),
        tuple(_server(str(name), server) for name, server in servers.items()),
        seen[:_LONGEST] if isinstance(seen, str) else "",
    )


def _server(name: str, model: Any) -> HubServer:
    if not isinstance(model, Mapping):
        raise ValueError("a server that is none")
    return HubServer(name, model.get("ready") is True, str(model.get("pending") or "")[:_LONGEST])
