"""The claims of homes: which is somebody's, and whether anybody has it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pdshub.cli import users_act
from pdshub.cli.archive import CliError
from pdshub.cli.hub_choice import UseError
from pdshub.cli.kubectl import Kubectl, KubectlError

Json = dict[str, Any]


def name(claim: Json) -> str:
    """What a claim is called."""
    return str(claim["metadata"]["name"])


def homeless(kubectl: Kubectl, namespace: str, people: Sequence[str]) -> list[str]:
    """Who of some people has no home here; nobody where claims can not be read: the operator finds out."""
    try:
        return [who for who in people if not users_act.homes(kubectl, namespace, [who])]
    except KubectlError:
        return []


def only(kubectl: Kubectl, namespace: str, who: str) -> Json:
    """The one claim of somebody's home. Raises UseError where there is none, or more than one; KubectlError."""
    found = users_act.homes(kubectl, namespace, [who])
    if len(found) == 1:
        return found[0]
    if not found:
        raise UseError(f"{who}: no home in namespace {namespace}: kubectl pdshub homes lists them")
    names = ", ".join(map(name, found))
    raise UseError(f"{who} has several homes in namespace {namespace} ({names}): condition HomesKnown says what to do")


def unused(kubectl: Kubectl, namespace: str, claims: Sequence[Json]) -> None:
    """Raises CliError while a pod has one of the claims; KubectlError."""
    names = {name(claim) for claim in claims}
    for pod in kubectl.items("pods", "-n", namespace):
        if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
            continue
        for volume in (pod.get("spec") or {}).get("volumes") or []:
            held = str((volume.get("persistentVolumeClaim") or {}).get("claimName") or "")
            if held in names:
                raise CliError(
                    f"pod {pod['metadata']['name']} still has claim {held}: the same command goes on when it is gone"
                )
