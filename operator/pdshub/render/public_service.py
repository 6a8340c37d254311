"""What the proxy's own Service, which the chart makes, has to say of client addresses. Pure."""

from __future__ import annotations

from typing import Any

from pdshub.api.hub import PDSHubSpec
from pdshub.api.hub_tls import HAS_DOOR, mode_of
from pdshub.render.names import Names
from pdshub.render.routes import PROXY

FROM_OUTSIDE = ("NodePort", "LoadBalancer")


def public_service(spec: PDSHubSpec, names: Names) -> dict[str, Any] | None:
    """The one field that is set beside the chart's; None where nobody comes to this Service from outside.

    Where TLS ends before the cluster the proxy believes named addresses. Nodes pass connections on under their own
    address unless they are told to keep them: then nobody is believed, and whoever names the nodes instead believes
    everybody who comes by them. No chart has a value for it.
    Source: Kubernetes, Service v1, externalTrafficPolicy: Local goes to this node's pods alone, and keeps the address.
    """
    mode = mode_of(spec.tls)
    if not mode or mode in HAS_DOOR or spec.service.type not in FROM_OUTSIDE:
        return None
    policy = "Local" if mode == "Offload" else "Cluster"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": PROXY, "namespace": names.namespace},
        "spec": {"externalTrafficPolicy": policy},
    }
