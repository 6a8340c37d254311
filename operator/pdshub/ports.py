"""TCP ports, where a program is not told another one. Charts and network policies repeat them; tests compare."""

from __future__ import annotations

NFS = 2049
"""Of NFS servers (IANA, service nfs; RFC 7530, section 3.1)."""
NODE_METRICS = 9807
"""Of the node: /metrics of the node plugin, plain HTTP, served by a container without rights beside it."""
NODE_REPORT = 9809
"""Of the node: /report of the node plugin, mutual TLS."""
SURVEYOR = 9810
"""Of a surveyor's pod: specs, answers and generations, mutual TLS."""
SURVEYOR_METRICS = 9811
"""Of a surveyor's pod: /metrics and /healthz, plain HTTP."""
OPERATOR_HEALTH = 8080
"""Of the operator's pod: /healthz and /metrics, plain HTTP."""
DOOR_HTTP, DOOR_HTTPS = 8080, 8443
"""Of a hub's own door: what people reach at 80 and 443, by its Service."""
HOMES_METRICS = 9812
"""Of the node: /metrics of the driver of homes, plain HTTP, served by a container without rights beside it."""
