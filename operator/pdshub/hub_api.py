"""Every request to JupyterHub goes through here: over the proxy, as people come in, so that an answer proves both."""

from __future__ import annotations

import asyncio
import re

import aiohttp
from yarl import URL

from pdshub.kube import Kube, KubeError

PROXY_SERVICE = "proxy-public"
"""The Service in front of the proxy, as the zero-to-jupyterhub chart names it."""
_SECONDS = 4.0
_BASE = re.compile(r"(/[A-Za-z0-9_~@:,;=+!$&'()*.-]+)*/?")
"""A base URL as hub charts take it. It comes from values, which others write: nothing of it may end the path."""


def path_of(base_url: str) -> str:
    """The path at which a hub tells its health. Raises ValueError for a base that is no plain path."""
    if not _BASE.fullmatch(base_url) or {".", ".."} & set(base_url.split("/")):
        raise ValueError("hub.baseUrl is no plain path: the hub is not asked for its health")
    return f"{base_url.rstrip('/')}/hub/health"


def _public(namespace: str, path: str) -> URL:
    """The proxy's Service, from parts: no part can name another host."""
    return URL.build(scheme="http", host=f"{PROXY_SERVICE}.{namespace}.svc", path=path)


async def healthy(kube: Kube, namespace: str, base_url: str = "/") -> str:
    """Ask the hub whether it is well; empty when it is, else what was the matter.

    Outside the cluster the API server passes the question on.
    """
    try:
        path = path_of(base_url)
    except ValueError as error:
        return str(error)
    try:
        if not kube.in_cluster:
            await kube.raw("GET", f"/api/v1/namespaces/{namespace}/services/{PROXY_SERVICE}:http/proxy{path}")
            return ""
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        url = _public(namespace, path)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return "" if answer.status == 200 else f"the hub answers {answer.status} at {path}"
    except TimeoutError:
        return f"the hub did not answer within {_SECONDS:.0f} s at {path}"
    except (aiohttp.ClientError, OSError) as error:
        return f"the hub does not answer at {path}: {error}"
    except KubeError as error:
        return f"the hub does not answer at {path}: {error}"
    except asyncio.IncompleteReadError:
        return f"the hub broke off its answer at {path}"
