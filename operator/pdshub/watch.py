"""Watches of the API server: changes of objects as they happen.

Source: Kubernetes API Concepts, Efficient detection of changes.
"""

from __future__ import annotations

import json
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from pdshub.kube import METADATA, Kube, KubeError, Object, Resource, selecting, unanswered

_SILENCE = 15.0
"""Seconds after the end that was asked of a watch for which nothing is heard before it counts as broken."""

READ_BUFFER = 32 << 10
"""Bytes; a TLS record has 16 KiB at most, and the objects of a watch come one by one."""


def small_buffers() -> None:
    """Let every TLS connection of this process that is made from now on have a read buffer of READ_BUFFER bytes.

    Each watch keeps its connection, and asyncio keeps 256 KiB for each: 295 kB a watch were measured, 71 kB with this.
    Source: CPython, Lib/asyncio/sslproto.py (SSLProtocol.max_size).
    """
    SSLProtocol.max_size = READ_BUFFER


@asynccontextmanager
async def watch(
    kube: Kube,
    resource: Resource,
    namespace: str,
    version: str,
    *,
    labels: str,
    metadata_only: bool,
    seconds: int,
    fields: str = "",
) -> AsyncIterator[AsyncIterator[tuple[str, Object]]]:
    """Changes since a resourceVersion, as type and object, for so many ``seconds`` at most.

    The watch is open once the context is entered. Raises KubeError when it is refused or breaks; its status is 410
    when the version is too old.
    """
    path = resource.path(namespace)
    query = {"watch": "true", "resourceVersion": version, "timeoutSeconds": str(seconds)}
    query |= {"allowWatchBookmarks": "true", **selecting(labels, fields)}
    accept = METADATA.format("") if metadata_only else "application/json"
    async with kube.stream(path, query, accept, seconds + _SILENCE) as content:
        yield _events(content, path)


async def _events(content: aiohttp.StreamReader, path: str) -> AsyncIterator[tuple[str, Object]]:
    """The lines of a watch. Raises KubeError for an error that the server tells, and for a watch that breaks."""
    with unanswered(f"the watch of {path} broke"):
        while line := await content.readline():
            event = json.loads(line)
            kind, item = str(event["type"]), dict(event["object"])
            if kind == "ERROR":
                raise KubeError(int(item.get("code") or 0), str(item.get("message") or "the watch failed"))
            yield kind, item
