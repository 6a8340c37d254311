"""Where people reach a hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def node_address(nodes: Sequence[Mapping[str, Any]]) -> str:
    """The internal address of the first node, by name; empty when there is none."""
    for node in sorted(nodes, key=lambda n: str(n["metadata"]["name"])):
        for address in node.get("status", {}).get("addresses", []):
            if address["type"] == "InternalIP":
                return str(address["address"])
    return ""


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def address(
    hostname: str | None, service: Mapping[str, Any] | None, nodes: Sequence[Mapping[str, Any]], namespace: str
) -> str:
    """The URL of the hub: its host name where the spec has one, else what the proxy's Service offers."""
    if hostname:
        return f"https://{hostname}"
    if service is None:
        return ""
    spec = service.get("spec", {})
    port = next((p for p in spec.get("ports", []) if p.get("name") in ("http", None)), None) or {}
    if spec.get("type") == "NodePort" and port.get("nodePort") and (node := node_address(nodes)):
        return f"http://{_host(node)}:{port['nodePort']}"
    if spec.get("type") == "LoadBalancer":
        for ingress in service.get("status", {}).get("loadBalancer", {}).get("ingress", []):
            if where := ingress.get("hostname") or ingress.get("ip"):
                return f"http://{_host(where)}"
        return ""
    return f"http://{service['metadata']['name']}.{namespace}.svc"
