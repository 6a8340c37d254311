"""Where a hub answers: behind its proxy's Service, at a path that values name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from yarl import URL

PROXY_SERVICE = "proxy-public"
"""The Service in front of the proxy, as the zero-to-jupyterhub chart names it."""
SECONDS = 4.0
"""Seconds for one question."""
_BASE = re.compile(r"(/[A-Za-z0-9_~@:,;=+!$&'()*.-]+)*/?")
"""A base URL as hub charts take it. It comes from values, which others write: nothing of it may end the path."""


def base_url(values: Any) -> str:
    """The base URL of a hub, which only values of its chart can set; "/" where they say nothing that is one."""
    for key in ("hub", "baseUrl"):
        values = values.get(key) if isinstance(values, Mapping) else None
    return values if isinstance(values, str) and values else "/"


def path_of(base: str, page: str = "health") -> str:
    """The path of a page of a hub; by default the one that tells its health.

    Raises ValueError for a base that is no plain path.
    """
    if not _BASE.fullmatch(base) or {".", ".."} & set(base.split("/")):
        raise ValueError("hub.baseUrl is no plain path: the hub is not asked anything")
    return f"{base.rstrip('/')}/hub/{page}"


def public(namespace: str, path: str) -> URL:
    """The proxy's Service, from parts: no part can name another host."""
    return URL.build(scheme="http", host=f"{PROXY_SERVICE}.{namespace}.svc", path=path)
