"""Every request to JupyterHub goes through here: over the proxy, as people come in, so that an answer proves both."""

from __future__ import annotations

import asyncio

import aiohttp

from pdshub.kube import Kube, KubeError

PROXY_SERVICE = "proxy-public"
"""The Service in front of the proxy, as the zero-to-jupyterhub chart names it."""
_SECONDS = 4.0


async def healthy(kube: Kube, namespace: str, base_url: str = "/") -> str:
    """Ask the hub whether it is well; empty when it is, else what was the matter.

    Outside the cluster the API server passes the question on.
    """
    path = f"{base_url.rstrip('/')}/hub/health"
    try:
        if not kube.in_cluster:
            await kube.raw("GET", f"/api/v1/namespaces/{namespace}/services/{PROXY_SERVICE}:http/proxy{path}")
            return ""
        timeout = aiohttp.ClientTimeout(total=_SECONDS)
        url = f"http://{PROXY_SERVICE}.{namespace}.svc{path}"
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as answer:
            return "" if answer.status == 200 else f"the hub answers {answer.status} at {path}"
    except TimeoutError:
        return f"the hub did not answer within {_SECONDS:.0f} s at {path}"
    except (aiohttp.ClientError, OSError) as error:
        return f"the hub does not answer at {path}: {error}"
    except KubeError as error:
        return f"the hub does not answer at {path}: {error}"
    except asyncio.IncompleteReadError:
        return f"the hub broke off its answer at {path}"
