"""Whether a hub is well."""

from __future__ import annotations

import asyncio

import aiohttp

from pdshub.hub_api import address
from pdshub.kube import Kube, KubeError


async def healthy(kube: Kube, namespace: str, base_url: str = "/") -> str:
    """Ask the hub whether it is well; empty when it is, else what was the matter.

    Outside the cluster the API server passes the question on.
    """
    try:
        path = address.path_of(base_url)
    except ValueError as error:
        return str(error)
    try:
        if not kube.in_cluster:
            await kube.raw("GET", f"/api/v1/namespaces/{namespace}/services/{address.PROXY_SERVICE}:http/proxy{path}")
            return ""
        timeout = aiohttp.ClientTimeout(total=address.SECONDS)
        url = address.public(namespace, path)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False) as answer,
        ):
            return "" if answer.status == 200 else f"the hub answers {answer.status} at {path}"
    except TimeoutError:
        return f"the hub did not answer within {address.SECONDS:.0f} s at {path}"
    except (aiohttp.ClientError, OSError) as error:
        return f"the hub does not answer at {path}: {error}"
    except KubeError as error:
        return f"the hub does not answer at {path}: {error}"
    except asyncio.IncompleteReadError:
        return f"the hub broke off its answer at {path}"
