"""Where the API server is, as Kubernetes itself says it: the policy of hubs lets them go there and not everywhere."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from ipaddress import ip_network
from typing import Any

from pdshub.installation import Network
from pdshub.kube import Kube, Resource
from pdshub.render.network import ApiServer

SLICE = Resource("discovery.k8s.io/v1", "endpointslices", "EndpointSlice")
"""The operator may get the one of this name alone, which the API server keeps for itself.

Source: Kubernetes, pkg/controlplane/reconcilers (EndpointSlice ``kubernetes`` of namespace ``default``).
"""
_NAME, _NAMESPACE = "kubernetes", "default"
_SECONDS = 60.0


class ApiServerFinder:
    """Remembers for a minute where the API server is."""

    def __init__(self) -> None:
        self._found: tuple[float, ApiServer] | None = None

    async def find(self, kube: Kube, settings: Network) -> ApiServer:
        """Where hubs reach the API server; without an address where nobody knows it. Raises KubeError."""
        if settings.api_server == "any":
            return ApiServer(any_address=True)
        if settings.api_server != "found":
            return ApiServer.of(settings.api_server)
        if self._found is None or time.monotonic() - self._found[0] > _SECONDS:
            found = await kube.get(SLICE, _NAME, _NAMESPACE)
            service = os.environ.get("KUBERNETES_SERVICE_HOST", "") if kube.in_cluster else ""
            self._found = time.monotonic(), addresses(found or {}, service)
        return self._found[1]


def addresses(found: Mapping[str, Any], service: str = "") -> ApiServer:
    """The addresses of an EndpointSlice and, for engines that look before the service's address is replaced, that one.

    An endpoint that is not ready counts: it may be a moment later, and it is an API server all the same.
    """
    ports = [int(port["port"]) for port in found.get("ports") or [] if port.get("port")]
    hosts = [str(host) for endpoint in found.get("endpoints") or [] for host in endpoint.get("addresses") or []]
    pairs = {(_range(host), port) for host in hosts for port in ports} | {(_range(service), 443)}
    return ApiServer(tuple(sorted((cidr, port) for cidr, port in pairs if cidr)))


def _range(host: str) -> str:
    """One address as a range; empty for a name, which no policy can hold."""
    try:
        return str(ip_network(host))
    except ValueError:
        return ""
