"""Asks every node plugin for its report, over mutual TLS, and keeps the last answers."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import aiohttp
from yarl import URL

from pdshub import ports, tls_names
from pdshub.api.report import Report
from pdshub.kube import POD, Kube, KubeError
from pdshub.reconcile.common.tls import Tls
from pdshub.survey_api import reason

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two rounds of questions."""
TIMEOUT = 4.0
LIMIT = 2 << 20
"""Bytes of an answer: a node that floods the operator is one that does not answer. A view takes about 1 KiB; reading
nonsense of this size takes one to two seconds, in which the operator does nothing else."""
SELECTOR = "app.kubernetes.io/name=pdshub,app.kubernetes.io/component=node"


@dataclass(frozen=True)
class NodeReport:
    """The last answer of one node and, if the last question failed, why.

    The answer as the node gave it is kept to tell whether the next one differs; ``parsed`` is what may be read of it.
    """

    node: str
    _report: dict[str, Any] = field(default_factory=dict)
    at: float = 0.0
    """time.monotonic() of the answer; 0 when there was none."""
    error: str = ""

    @cached_property
    def parsed(self) -> Report:
        """The answer as far as it is well-formed: whoever holds a node holds its answer. Never raises."""
        return Report.read(self._report)


async def _answer(response: aiohttp.ClientResponse) -> dict[str, Any]:
    """The JSON object of a response. Raises ValueError where it is none or longer than LIMIT."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > LIMIT:
            raise ValueError(f"its answer is longer than {LIMIT} bytes")
    try:
        found = json.loads(body)
    except RecursionError:
        raise ValueError("its answer is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("its answer is no report")
    return found


class Reports:
    """All nodes' reports; ``changed`` is called after each round in which one of them changed."""

    def __init__(self, kube: Kube, namespace: str, changed: Callable[[], None], tls: Tls | None = None) -> None:
        """``namespace``: the installation's own, where the node plugins run."""
        self._kube, self._namespace, self._changed = kube, namespace, changed
        self._tls = tls or Tls(kube, namespace)
        self.nodes: dict[str, NodeReport] = {}
        self.asked = False
        """A first round is over."""

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            began = time.monotonic()
            try:
                if await self.round():
                    self._changed()
            except KubeError as error:
                log.warning("node plugins were not found: %s", error)
            except Exception:
                log.exception("asking the node plugins failed")
            await asyncio.sleep(max(0.5, EVERY - (time.monotonic() - began)))

    async def round(self) -> bool:
        """Ask every node once; True when an answer differs from the one before. Raises KubeError."""
        tls = await self._tls.get()
        where: dict[str, str] = {}
        for pod in await self._kube.items(POD, self._namespace, labels=SELECTOR):
            node = (pod.get("spec") or {}).get("nodeName")
            if node and not (node in where and pod["metadata"].get("deletionTimestamp")):
                where[str(node)] = str((pod.get("status") or {}).get("hostIP") or "")
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        # a connection a round: a kept one would outlive a renewed certificate
        async with aiohttp.ClientSession(timeout=timeout) as session:
            answers = await asyncio.gather(*(self._ask(session, tls, node, ip) for node, ip in sorted(where.items())))
        before, first = self.nodes, not self.asked
        self.nodes, self.asked = {a.node: a for a in answers}, True
        return first or {n: (a._report, a.error) for n, a in before.items()} != {
            a.node: (a._report, a.error) for a in answers
        }

    async def _ask(self, session: aiohttp.ClientSession, tls: ssl.SSLContext, node: str, address: str) -> NodeReport:
        old = self.nodes.get(node, NodeReport(node))
        if not address:
            return NodeReport(node, old._report, old.at, "its pod has not started")
        try:
            url = URL.build(scheme="https", host=address, port=ports.NODE_REPORT, path="/report")
            asking = session.get(url, ssl=tls, server_hostname=tls_names.NODE, allow_redirects=False)
            async with asking as answer:
                if answer.status != 200:
                    return NodeReport(node, old._report, old.at, f"the node plugin answers {answer.status}")
                return NodeReport(node, await _answer(answer), time.monotonic())
        except TimeoutError:
            error = f"the node plugin did not answer within {TIMEOUT:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            error = f"the node plugin does not answer: {reason(problem)}"
        return NodeReport(node, old._report, old.at, error)
