"""Whether a hub's namespace keeps pods from the node: asked of the API server, which alone knows all that admits pods.

A label says what shall be enforced, not what is: whoever may label a namespace, an exemption of the API server's
configuration, or a policy engine may decide otherwise. So a privileged pod is tried, and beside it one that asks for
nothing: only where the second would be made does the refusal of the first mean anything. Neither is ever made.
Source: Kubernetes, "Pod Security Admission"; API Concepts, Dry-run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pdshub.kube import POD, Kube, KubeError
from pdshub.wellknown import UID

UNGUARDED = "NamespaceUnguarded"
"""Reason: the namespace admits privileged pods, by which whoever writes a PDSHub would rule its nodes."""
_NEVER_PULLED = "registry.k8s.io/pause:3.10"
_SMALL: Mapping[str, str] = {"cpu": "1m", "memory": "1Mi", "ephemeral-storage": "1Mi"}


@dataclass(frozen=True)
class Guard:
    """Whether privileged pods are kept out: True, False, or None where that is not known; and why it is not."""

    enforced: bool | None = None
    why: str = ""


def _pod(namespace: str, image: str, privileged: bool) -> dict[str, Any]:
    restricted = {
        "runAsNonRoot": True,
        "runAsUser": UID,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "never",
        "image": image,
        # within whatever quota the namespace has
        "resources": {"requests": dict(_SMALL), "limits": dict(_SMALL)},
        "securityContext": {"privileged": True} if privileged else restricted,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"generateName": "pdshub-never-", "namespace": namespace},
        "spec": {"automountServiceAccountToken": False, "restartPolicy": "Never", "containers": [container]},
    }


async def _refusal(kube: Kube, body: dict[str, Any]) -> KubeError | None:
    """Why a pod would not be made. Raises KubeError when the API server does not answer."""
    try:
        await kube.dry_run(POD, body)
    except KubeError as error:
        if error.status == 0:
            raise
        return error
    return None


async def read_guard(kube: Kube, namespace: str, image: str = "") -> Guard:
    """Try both pods. ``image``: one that the namespace admits anyway, where there are rules about images.

    Raises KubeError when the API server does not answer.
    """
    image = image or _NEVER_PULLED
    refused = await _refusal(kube, _pod(namespace, image, privileged=True))
    if refused is None:
        return Guard(False)
    if refused.status < 500:
        control = await _refusal(kube, _pod(namespace, image, privileged=False))
        if control is None:
            return Guard(True)
        refused = control
    return Guard(None, f"a pod that asks for no rights is refused as well: {str(refused)[:300]}")


def unguarded(namespace: str) -> str:
    """What is wrong with a namespace that admits privileged pods, and the command that mends it."""
    return (
        f"namespace {namespace} admits privileged pods: whoever writes a PDSHub there would rule its nodes. "
        f"Enforce Pod Security (kubectl label namespace {namespace} pod-security.kubernetes.io/enforce=restricted)"
    )
