"""Bounds of a hub's namespace: ResourceQuotas for all servers, a LimitRange for containers that name no bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pdshub.api.base import parse_quantity
from pdshub.api.hub import PDSHubSpec
from pdshub.render.names import Names
from pdshub.wellknown import SERVER_PRIORITY

_SMALL: Mapping[str, str] = {"cpu": "10m", "memory": "16Mi", "ephemeral-storage": "0"}
"""Requests of a container that makes none: without them Kubernetes would reserve as much as its limit."""


def _body(kind: str, names: Names, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    meta = {"name": name, "namespace": names.namespace, "labels": names.labels}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec}


def quotas(spec: PDSHubSpec, names: Names, storage_class: str) -> list[dict[str, Any]]:
    """The ResourceQuotas that ``spec.quota`` asks for; none without one.

    What servers use is counted by their priority class, so that hub and proxy never wait for room. Storage is counted
    by ``storage_class``, that of homes: the archive's claim has none, and is no storage. Without a class there are no
    homes to count. Source: Kubernetes, "Resource Quotas", Resource quota per PriorityClass, Storage resource quota.
    """
    asked = spec.quota
    if asked is None:
        return []
    servers = {
        "pods": None if asked.servers is None else str(asked.servers),
        "limits.cpu": asked.cpu,
        "limits.memory": asked.memory,
        "limits.ephemeral-storage": asked.ephemeral_storage,
    }
    hard = {key: value for key, value in servers.items() if value is not None}
    made = []
    if hard:
        scope = {"scopeName": "PriorityClass", "operator": "In", "values": [SERVER_PRIORITY]}
        content = {"hard": hard, "scopeSelector": {"matchExpressions": [scope]}}
        made.append(_body("ResourceQuota", names, names.server_quota, content))
    if asked.storage is not None and storage_class:
        content = {"hard": {f"{storage_class}.storageclass.storage.k8s.io/requests.storage": asked.storage}}
        made.append(_body("ResourceQuota", names, names.storage_quota, content))
    return made


def limit_range(spec: PDSHubSpec, names: Names) -> dict[str, Any]:
    """The LimitRange of the namespace: small requests, and the scratch limit of servers for whoever names none.

    Memory and CPU get no limit by it: it would be the hub's as well, and end a hub with many users.
    """
    item: dict[str, Any] = {"type": "Container", "defaultRequest": dict(_SMALL)}
    scratch = spec.server.resources.ephemeral_storage
    if scratch is not None and scratch.limit is not None:
        item["default"] = {"ephemeral-storage": scratch.limit}
    return _body("LimitRange", names, names.limit_range, {"limits": [item]})


def same(have: Any, wanted: Any) -> bool:
    """Whether an object's spec is what was written: the API server writes 1024Mi as 1Gi."""
    if isinstance(have, Mapping) and isinstance(wanted, Mapping):
        return have.keys() == wanted.keys() and all(same(have[key], wanted[key]) for key in have)
    if isinstance(have, list) and isinstance(wanted, list):
        return len(have) == len(wanted) and all(same(a, b) for a, b in zip(have, wanted, strict=True))
    try:
        return bool(parse_quantity(have) == parse_quantity(wanted))
    except (TypeError, ValueError):
        return bool(have == wanted)
