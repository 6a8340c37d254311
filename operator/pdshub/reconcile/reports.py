"""Asks every node plugin for its report, over mutual TLS, and keeps the last answers."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from pdshub import pki
from pdshub.kube import POD, Kube, KubeError

log = logging.getLogger(__name__)

PORT = 9809
EVERY = 5.0
"""Seconds between two rounds of questions."""
TIMEOUT = 4.0
RENEWAL = 6 * 3600.0
SELECTOR = "app.kubernetes.io/name=pdshub,app.kubernetes.io/component=node"
SERVER_NAME = "pdshub-node"


@dataclass(frozen=True)
class NodeReport:
    """The last answer of one node and, if the last question failed, why."""

    node: str
    report: dict[str, Any] = field(default_factory=dict)
    at: float = 0.0
    """time.monotonic() of the answer; 0 when there was none."""
    error: str = ""


def context(credentials: pki.Credentials) -> ssl.SSLContext:
    """TLS that trusts the project's authority alone and shows the operator's certificate."""
    made = ssl.create_default_context(cadata=credentials.trust.decode())
    # ssl reads keys from files only; they live for a moment, in a directory of our own
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "crt"), Path(folder, "key")
        certificate.write_bytes(credentials.pair.certificate)
        key.touch(mode=0o600)
        key.write_bytes(credentials.pair.key)
        made.load_cert_chain(certificate, key)
    return made


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


class Reports:
    """All nodes' reports; ``changed`` is called after each round in which one of them changed."""

    def __init__(self, kube: Kube, namespace: str, changed: Callable[[], None]) -> None:
        self._kube, self._namespace, self._changed = kube, namespace, changed
        self._tls: ssl.SSLContext | None = None
        self._renew_at = 0.0
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
        if self._tls is None or time.monotonic() > self._renew_at:
            now = datetime.datetime.now(datetime.UTC)
            self._tls = context(await pki.ensure(self._kube, self._namespace, now))
            self._renew_at = time.monotonic() + RENEWAL
        where: dict[str, str] = {}
        for pod in await self._kube.items(POD, self._namespace, labels=SELECTOR):
            node = (pod.get("spec") or {}).get("nodeName")
            if node and not (node in where and pod["metadata"].get("deletionTimestamp")):
                where[str(node)] = str((pod.get("status") or {}).get("hostIP") or "")
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        # a connection a round: a kept one would outlive a renewed certificate
        async with aiohttp.ClientSession(timeout=timeout) as session:
            answers = await asyncio.gather(*(self._ask(session, node, ip) for node, ip in sorted(where.items())))
        before, first = self.nodes, not self.asked
        self.nodes, self.asked = {a.node: a for a in answers}, True
        return first or {n: (a.report, a.error) for n, a in before.items()} != {
            a.node: (a.report, a.error) for a in answers
        }

    async def _ask(self, session: aiohttp.ClientSession, node: str, address: str) -> NodeReport:
        old = self.nodes.get(node, NodeReport(node))
        if not address or self._tls is None:
            return NodeReport(node, old.report, old.at, "its pod has not started")
        url = f"https://{_host(address)}:{PORT}/report"
        try:
            async with session.get(url, ssl=self._tls, server_hostname=SERVER_NAME) as answer:
                if answer.status != 200:
                    return NodeReport(node, old.report, old.at, f"the node plugin answers {answer.status}")
                return NodeReport(node, await answer.json(content_type=None), time.monotonic())
        except TimeoutError:
            error = f"the node plugin did not answer within {TIMEOUT:.0f} s"
        except (aiohttp.ClientError, OSError, ValueError) as problem:
            error = f"the node plugin does not answer: {problem}"
        with contextlib.suppress(IndexError):
            error = error.splitlines()[0]
        return NodeReport(node, old.report, old.at, error)
