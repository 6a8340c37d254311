"""One host name for each user's server, or one for all: what the values say of it, and whether they can mean it. Pure.

Browsers keep pages apart by origin: scheme, host name and port, never by path. JupyterHub leads each user to a name of
their own (``subdomain_host``), and the proxy goes by name as well as by path (``--host-routing``).
Source: RFC 6454, section 4; JupyterHub 5, "Security overview"; configurable-http-proxy 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.api.hub import PDSHubSpec

FLAG = "--host-routing"
"""Of configurable-http-proxy: routes begin with a host name."""
SUBDOMAIN, SHARED = "Subdomain", "SharedOrigin"
"""Reasons of the condition ``UsersIsolated``."""
_HOST, _PREFIX, _HOOK = "subdomain_host", "cookie_host_prefix_enabled", "subdomain_hook"
_FLAGS = "proxy.chp.extraCommandLineFlags"


@dataclass(frozen=True)
class Isolation:
    """Whether users' servers have host names of their own; ``reason`` is that of the condition."""

    isolated: bool
    reason: str
    message: str


def hub(spec: PDSHubSpec) -> dict[str, Any]:
    """The ``hub`` values; nothing where all servers share the hub's name.

    The prefix ``__Host-`` keeps the name of a server from setting cookies for that of the hub. It needs the path ``/``,
    at which servers that share a name would get each other's: so it comes with names of their own only.
    """
    if spec.isolation == "Path":
        return {}
    return {"config": {"JupyterHub": {_HOST: f"https://{spec.hostname}", _PREFIX: True}}}


def proxy(spec: PDSHubSpec) -> dict[str, Any]:
    """The ``proxy.chp`` values; the same keys in both charts."""
    return {} if spec.isolation == "Path" else {"extraCommandLineFlags": [FLAG]}


def _dig(document: Any, *path: str) -> Any:
    for part in path:
        document = document.get(part) if isinstance(document, Mapping) else None
    return document


def _flags(values: Mapping[str, Any]) -> list[Any]:
    found = _dig(values, *_FLAGS.split("."))
    return found if isinstance(found, list) else []


def trouble(spec: PDSHubSpec, values: Mapping[str, Any]) -> str:
    """Which of the values that Helm gets takes back what ``spec.isolation`` asks for; empty where none does."""
    if spec.isolation == "Path":
        return ""
    config = _dig(values, "hub", "config", "JupyterHub")
    where = "spec.values.hub.config.JupyterHub"
    for trait, wanted in hub(spec)["config"]["JupyterHub"].items():
        if _dig(config, trait) != wanted:
            return f"{where}.{trait} contradicts spec.isolation: leave it out of spec.values"
    if _dig(config, _HOOK) not in (None, "idna"):
        return f"{where}.{_HOOK} would give two people one name: leave it out of spec.values"
    if FLAG not in _flags(values):
        return f"spec.values.{_FLAGS} replaces the list that spec.isolation needs: add {FLAG} to yours"
    return ""


def judge(values: Mapping[str, Any]) -> Isolation:
    """What the values that Helm gets make of it, whoever said so: the spec, or values that do it by hand."""
    host = _dig(values, "hub", "config", "JupyterHub", _HOST)
    if isinstance(host, str) and host and FLAG in _flags(values):
        name = host.partition("://")[2] or host
        return Isolation(True, SUBDOMAIN, f"each user's server has a host name of its own below {name[:253]}")
    return Isolation(
        False,
        SHARED,
        "all servers share the hub's address: a page of one user's server can act at the hub as whoever opens it, an "
        "admin too, and get a token of theirs; where *.hostname is in DNS and in the certificate set isolation: "
        "Subdomain",
    )
