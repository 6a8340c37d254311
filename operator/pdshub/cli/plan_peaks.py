"""What servers take: from a Prometheus over a month, or from the kubelets at this moment. Nothing in it is trusted.

Sources: Prometheus, HTTP API, "Instant queries"; Kubernetes, the kubelet's summary API
(k8s.io/kubelet/pkg/apis/stats/v1alpha1, PodStats). The latter asks for the right to get ``nodes/proxy``.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from pdshub.cli.hub_choice import is_object_name
from pdshub.cli.kubectl import Kubectl, KubectlError

Json = Mapping[str, Any]
SECONDS, MOST_NODES = 30.0, 500
SERVERS = "component=singleuser-server"
CONTAINER = "notebook"
"""What KubeSpawner calls a server's container."""
_WHERE = re.compile(r"([a-z0-9-]{1,63})/([a-z0-9-]{1,63}):([0-9]{1,5})")
_ABSURD = float(1 << 50)


@dataclass
class Peaks:
    """What is known; None where nobody tells. ``source``: who told."""

    at_once: float | None = None
    running: int | None = None
    memory: float | None = None
    cores: float | None = None
    source: str = ""
    notes: list[str] = field(default_factory=list)


def prometheus(text: str) -> tuple[str, str, str]:
    """Namespace, Service and port of ``--prometheus``. Raises argparse.ArgumentTypeError."""
    found = _WHERE.fullmatch(text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: write NAMESPACE/SERVICE:PORT, like monitoring/prometheus:9090")
    return found[1], found[2], found[3]


def queries(namespace: str) -> dict[str, str]:
    """The month's peaks of servers of a namespace, in PromQL, by what they are.

    The metrics are cAdvisor's, which every kubelet has at /metrics/cadvisor.
    """
    chosen = f'{{namespace="{namespace}",container="{CONTAINER}"}}'
    memory, cores = f"container_memory_working_set_bytes{chosen}", f"container_cpu_usage_seconds_total{chosen}"
    return {
        "at_once": f"max_over_time(count({memory})[30d:10m])",
        "memory": f"max(max_over_time({memory}[30d]))",
        "cores": f"max(max_over_time(rate({cores}[5m])[30d:5m]))",
    }


def value(answer: Any) -> float | None:
    """The number of an instant query's answer; None where there is none."""
    data = answer.get("data") if isinstance(answer, Mapping) else None
    result = data.get("result") if isinstance(data, Mapping) else None
    first = result[0] if isinstance(result, list) and result else None
    pair = first.get("value") if isinstance(first, Mapping) else None
    if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[1], str)):
        return None
    try:
        number = float(pair[1][:40])
    except ValueError:
        return None
    return number if math.isfinite(number) and 0 <= number < _ABSURD else None


def of_prometheus(kubectl: Kubectl, where: tuple[str, str, str], namespace: str) -> Peaks:
    """Peaks of the last 30 days."""
    space, service, port = where
    at = f"/api/v1/namespaces/{space}/services/http:{service}:{port}/proxy/api/v1/query"
    found = Peaks(source=f"Prometheus {space}/{service}, 30 days")
    for key, query in queries(namespace).items():
        try:
            path = f"{at}?query={quote(query, safe='')}"
            told = value(json.loads(kubectl.run("get", "--raw", path, seconds=SECONDS)))
        except (KubectlError, ValueError, RecursionError) as error:
            found.notes.append(f"Prometheus does not tell {key}: {error}")
            continue
        if told is None:
            found.notes.append(f"Prometheus has no {key} of namespace {namespace}")
        setattr(found, key, told)
    return found


def servers(summary: Any, namespace: str, pods: set[str]) -> Iterator[tuple[float | None, float | None]]:
    """Bytes and cores of each server in a node's summary. ``pods``: names of servers' pods."""
    listed = summary.get("pods") if isinstance(summary, Mapping) else None
    for pod in listed if isinstance(listed, list) else []:
        ref = pod.get("podRef") if isinstance(pod, Mapping) else None
        if not isinstance(ref, Mapping) or ref.get("namespace") != namespace or ref.get("name") not in pods:
            continue
        containers = pod.get("containers")
        for container in containers if isinstance(containers, list) else []:
            if isinstance(container, Mapping) and container.get("name") == CONTAINER:
                memory, cpu = container.get("memory"), container.get("cpu")
                cores = _number(cpu, "usageNanoCores")
                yield _number(memory, "workingSetBytes"), None if cores is None else cores / 1e9


def _number(of: Any, key: str) -> float | None:
    found = of.get(key) if isinstance(of, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < _ABSURD:
        return None
    return float(found)


def of_kubelets(kubectl: Kubectl, namespace: str) -> Peaks:
    """What servers take at this moment, as far as the person may read it."""
    found = Peaks(source="kubelets, at this moment")
    try:
        pods = kubectl.items("pods", "-n", namespace, "-l", SERVERS)
    except KubectlError as error:
        found.notes.append(f"what servers take is not known, pods can not be read: {error}")
        return found
    by_node: dict[str, set[str]] = {}
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName")
        if (pod.get("status") or {}).get("phase") == "Running" and isinstance(node, str) and is_object_name(node):
            by_node.setdefault(node, set()).add(str(pod["metadata"].get("name")))
    found.running = sum(map(len, by_node.values()))
    if not found.running:
        found.notes.append("what servers take is not known: none runs at this moment")
    for node, names in sorted(by_node.items())[:MOST_NODES]:
        path = f"/api/v1/nodes/{node}/proxy/stats/summary"
        try:
            told = list(servers(json.loads(kubectl.run("get", "--raw", path, seconds=SECONDS)), namespace, names))
        except (KubectlError, ValueError, RecursionError) as error:
            found.notes.append(f"what the {len(names)} servers on node {node} take is not known: {error}")
            continue
        found.memory = max([found.memory or 0.0, *(each for each, _ in told if each is not None)]) or None
        found.cores = max([found.cores or 0.0, *(each for _, each in told if each is not None)]) or None
    return found
