"""Checks of what is applied to the cluster: manifests/overlays/eks, as ``kubectl kustomize`` prints it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from aws.template import Finding, Json, listed

LEAST_IDLE, LEAST_START = 600, 600
"""Seconds. A node that has to be made first takes four to eight minutes, with the image."""
_EBS = "ebs.csi.aws.com"
_ZONE = "topology.ebs.csi.aws.com/zone"
Documents = Sequence[Json]


def lives(seconds: Any) -> bool:
    """Whether kernels survive so many idle seconds. They say something every 30 s; a tab that sleeps does not."""
    return str(seconds).isdecimal() and int(seconds) >= LEAST_IDLE


def _of(documents: Documents, kind: str) -> Iterator[tuple[str, Json]]:
    for one in documents:
        if one.get("kind") == kind:
            yield str((one.get("metadata") or {}).get("name")), one


def _at(value: Any, *path: str) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def idle(documents: Documents) -> Iterator[Finding]:
    """A06: the load balancer is made from the hub's Ingress."""
    for name, hub in _of(documents, "PDSHub"):
        alb = _at(hub, "spec", "tls", "alb")
        if isinstance(alb, Mapping) and not lives(alb.get("idleTimeoutSeconds", 3600)):
            yield Finding("A06", name, f"tls.alb.idleTimeoutSeconds is less than {LEAST_IDLE}: idle kernels are cut")
        if isinstance(alb, Mapping) and not alb.get("trusted"):
            yield Finding("A06", name, "tls.alb.trusted is empty: every client has the load balancer's address")


def volumes(documents: Documents) -> Iterator[Finding]:
    """A18: volumes that wait in another zone, that are in the clear, or gone with their claim."""
    classes = dict(_of(documents, "StorageClass"))
    for name, found in classes.items():
        if found.get("provisioner") != _EBS:
            continue
        zones = [
            zone
            for topology in listed(found.get("allowedTopologies"))
            for one in listed(topology.get("matchLabelExpressions"))
            if one.get("key") == _ZONE
            for zone in listed(one.get("values"))
        ]
        if len(zones) != 1 or found.get("volumeBindingMode") != "WaitForFirstConsumer":
            yield Finding("A18", name, "is not pinned to one zone: a home may wait where no node for users is")
        if _at(found, "parameters", "encrypted") != "true":
            yield Finding("A18", name, "is in the clear: set parameters.encrypted")
        if found.get("reclaimPolicy") != "Retain":
            yield Finding("A18", name, "reclaimPolicy is not Retain: a volume goes with its claim")
    for name, hub in _of(documents, "PDSHub"):
        wanted = _at(hub, "spec", "server", "home", "storageClassName")
        if wanted not in classes or classes[wanted].get("provisioner") != _EBS:
            yield Finding("A18", name, "homes are on storage that knows no sizes: name a class of EBS")


def strict(documents: Documents) -> Iterator[Finding]:
    """A19: in strict mode a pod without a policy reaches nothing, the name service included."""
    for _, policy in _of(documents, "NetworkPolicy"):
        spec = policy.get("spec") or {}
        everything = spec.get("ingress") == [{}] and spec.get("egress") == [{}] and spec.get("podSelector") == {}
        if everything and _at(policy, "metadata", "namespace") == "kube-system":
            return
    yield Finding("A19", "kube-system", "its pods have no policy: in strict mode nothing finds a name")


def scheduling(documents: Documents) -> Iterator[Finding]:
    """A20: servers on the nodes of hubs, starts that end before a node is there, upgrades that end notebooks."""
    for name, hub in _of(documents, "PDSHub"):
        for pods in ("corePods", "userPods"):
            where = _at(hub, "spec", "values", "scheduling", pods, "nodeAffinity", "matchNodePurpose")
            if where != "require":
                yield Finding("A20", name, f"values.scheduling.{pods}.nodeAffinity.matchNodePurpose is not require")
        seconds = _at(hub, "spec", "server", "startTimeoutSeconds") or 300
        if seconds < LEAST_START:
            yield Finding("A20", name, f"startTimeoutSeconds is {seconds}: a start fails before its node is there")
    for _, budget in _of(documents, "PodDisruptionBudget"):
        if _at(budget, "spec", "selector", "matchLabels", "component") == "singleuser-server":
            return
    yield Finding("A20", "PodDisruptionBudget", "servers have none: an upgrade of nodes ends them under their users")


RULES: tuple[Callable[[Documents], Iterator[Finding]], ...] = (idle, volumes, strict, scheduling)


def check(documents: Documents) -> list[Finding]:
    """Everything that is wrong with what is applied."""
    return [finding for rule in RULES for finding in rule(documents)]
