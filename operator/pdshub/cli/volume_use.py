"""How full homes are, as the kubelet of the node says that mounts them. Only what is mounted can be told.

Source: Kubernetes, the kubelet's summary API (k8s.io/kubelet/pkg/apis/stats/v1alpha1, VolumeStats). It asks for the
right to get ``nodes/proxy``, which many people do not have, and which not every kind of storage answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pdshub.cli.hub_choice import is_object_name
from pdshub.cli.kubectl import Kubectl, KubectlError

Json = Mapping[str, Any]
SECONDS = 15.0
MOST_NODES = 500
_SERVERS = "component=singleuser-server"
IDLE = "no server runs that mounts it"
SILENT = "its storage does not tell the node"


@dataclass
class Use:
    """What is known of homes in use."""

    bytes: dict[str, int] = field(default_factory=dict)
    """Claim -> bytes that are used."""
    why: dict[str, str] = field(default_factory=dict)
    """Claim -> why that is not known."""
    notes: list[str] = field(default_factory=list)

    def of(self, claim: str) -> tuple[int | None, str]:
        """Bytes that are used in a claim's volume, or None and why they are not known."""
        if claim in self.bytes:
            return self.bytes[claim], ""
        return None, self.why.get(claim, IDLE)


def mounted(pods: list[Json]) -> dict[str, set[str]]:
    """Node -> claims that running pods mount there. Names that are none are left out."""
    found: dict[str, set[str]] = {}
    for pod in pods:
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        if status.get("phase") != "Running" or not is_object_name(spec.get("nodeName")):
            continue
        for volume in spec.get("volumes") or []:
            claim = str((volume.get("persistentVolumeClaim") or {}).get("claimName") or "")
            if is_object_name(claim):
                found.setdefault(spec["nodeName"], set()).add(claim)
    return found


def used(summary: Any, namespace: str) -> dict[str, int]:
    """Claim -> bytes that are used, of the volumes of a namespace in a node's summary; {} where it is none."""
    found: dict[str, int] = {}
    pods = summary.get("pods") if isinstance(summary, Mapping) else None
    for pod in pods if isinstance(pods, list) else []:
        volumes = pod.get("volume") if isinstance(pod, Mapping) else None
        for volume in volumes if isinstance(volumes, list) else []:
            claim = volume.get("pvcRef") if isinstance(volume, Mapping) else None
            if not isinstance(claim, Mapping) or claim.get("namespace") != namespace:
                continue
            name, amount = claim.get("name"), volume.get("usedBytes")
            if isinstance(name, str) and isinstance(amount, int) and not isinstance(amount, bool) and amount >= 0:
                found[name] = amount
    return found


def read(kubectl: Kubectl, namespace: str) -> Use:
    """How full the homes of a namespace are, as far as the person may read it."""
    use = Use()
    try:
        nodes = mounted(list(kubectl.items("pods", "-n", namespace, "-l", _SERVERS)))
    except KubectlError as error:
        return Use(notes=[f"how full homes are is not known, pods can not be read: {error}"])
    for node, claims in sorted(nodes.items())[:MOST_NODES]:
        path = f"/api/v1/nodes/{node}/proxy/stats/summary"
        try:
            told = used(json.loads(kubectl.run("get", "--raw", path, seconds=SECONDS)), namespace)
        except (KubectlError, ValueError, RecursionError) as error:
            use.why |= dict.fromkeys(claims, f"node {node} does not tell you")
            use.notes.append(f"how full the {len(claims)} homes on node {node} are is not known: {error}")
            continue
        for claim in claims:
            if claim in told:
                use.bytes[claim] = told[claim]
            else:
                use.why[claim] = SILENT
    return use
