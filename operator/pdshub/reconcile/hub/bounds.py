"""The bounds of a hub's namespace, as they are and as the spec wants them: pure."""

from __future__ import annotations

from collections.abc import Sequence

from pdshub.api.hub import PDSHubSpec
from pdshub.kube import Object
from pdshub.reconcile.common.objects import Step
from pdshub.render import homes, limits
from pdshub.render.names import HUB_LABEL, Names


def judge_bounds(
    spec: PDSHubSpec, names: Names, classes: Sequence[Object], quotas: Sequence[Object], ranges: Sequence[Object]
) -> tuple[Step, ...]:
    """What has to be written or removed. ``quotas`` and ``ranges``: the namespace's objects with the hub's marks."""
    found = homes.find(spec.server.home.storage_class_name, classes)
    wanted = [
        *limits.quotas(spec, names, str(found["metadata"]["name"]) if found else ""),
        limits.limit_range(spec, names),
    ]
    have = {(str(item["kind"]), str(item["metadata"]["name"])): item for item in (*quotas, *ranges)}
    steps = []
    for body in wanted:
        key = str(body["kind"]), str(body["metadata"]["name"])
        if not limits.same((have.pop(key, None) or {}).get("spec"), body["spec"]):
            steps.append(Step(f"{key[0]} {key[1]} is written", body, "apply"))
    for (kind, name), item in have.items():
        if (item["metadata"].get("labels") or {}).get(HUB_LABEL) == names.name:
            body = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": names.namespace}}
            steps.append(Step(f"{kind} {name} is removed", body, "delete"))
    return tuple(steps)
