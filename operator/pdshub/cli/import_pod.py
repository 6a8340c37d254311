"""Claims of homes, and the pods by which files come into them. They meet the ``restricted`` Pod Security Standard."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdshub.cli.archive import CliError
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.wellknown import GROUP, HOME_OF, PLUGIN, USERNAME

Json = dict[str, Any]
LABEL = f"{GROUP}/import"
CONTAINER = "import"
LIFETIME = 6 * 3600
"""Seconds after which Kubernetes ends a pod of an import, whatever became of the plugin."""
UID = 1000
"""As whom users' servers run, and so the owner of what is in a home."""
SYSTEM = "pdshub-system"
_OPERATOR = "app.kubernetes.io/name=pdshub,app.kubernetes.io/component=operator"


def claim(name: str, namespace: str, hub: str, user: str, size: str, storage_class: str) -> Json:
    """The claim of a home, marked as the hub's spawner and the operator mark it: the first server finds it."""
    spec: Json = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
    if storage_class:
        spec["storageClassName"] = storage_class
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app": "jupyterhub", "component": "singleuser-storage", f"{GROUP}/hub": hub},
            "annotations": {USERNAME: user, HOME_OF: user},
        },
        "spec": spec,
    }


def pod(name: str, namespace: str, image: str, mounts: Mapping[str, str], command: Sequence[str]) -> Json:
    """A pod that waits. ``mounts``: claim -> path."""
    volumes = [
        {"name": f"v{number}", "persistentVolumeClaim": {"claimName": claimed}} for number, claimed in enumerate(mounts)
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {LABEL: name}},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME,
            "terminationGracePeriodSeconds": 0,
            "volumes": [*volumes, {"name": "tmp", "emptyDir": {"sizeLimit": "1Gi"}}],
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": UID,
                "runAsGroup": UID,
                "fsGroup": UID,
                "fsGroupChangePolicy": "OnRootMismatch",
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": CONTAINER,
                    "image": image,
                    "command": list(command),
                    "env": [{"name": "HOME", "value": "/tmp"}],  # noqa: S108 - the pod's own
                    "volumeMounts": [
                        *({"name": f"v{n}", "mountPath": path} for n, path in enumerate(mounts.values())),
                        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
                    ],
                    "resources": {
                        "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "1Mi"},
                        "limits": {"cpu": "2", "memory": "512Mi", "ephemeral-storage": "1Gi"},
                    },
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": True,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }


WAIT = ("python3", "-c", f"import time; time.sleep({LIFETIME})")


@dataclass
class Pods:
    """Pods of one import, in the hub's namespace."""

    kubectl: Kubectl
    namespace: str
    image: str
    start: float = 180.0
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def run(self, name: str, mounts: Mapping[str, str]) -> None:
        """Makes a pod and waits until it runs. Raises KubectlError, CliError."""
        body = pod(name, self.namespace, self.image, mounts, WAIT)
        self.kubectl.run("create", "-f", "-", stdin=json.dumps(body))
        end = self.clock() + self.start
        while True:
            found = self.kubectl.get("pod", name, "-n", self.namespace)
            phase = str((found.get("status") or {}).get("phase") or "")
            if phase == "Running":
                return
            if phase in ("Failed", "Succeeded") or self.clock() >= end:
                raise CliError(f"pod {name} does not run: {why(found)}")
            self.sleep(1.0)

    def remove(self, name: str) -> None:
        """Takes a pod away; what is refused is left to its deadline."""
        try:
            self.kubectl.run(
                "delete", "pod", name, "-n", self.namespace, "--ignore-not-found", "--wait=true", seconds=120
            )
        except KubectlError:
            return


def why(found: Mapping[str, Any]) -> str:
    """Why a pod does not run."""
    status = found.get("status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason')} {waiting.get('message', '')}".strip()[:300]
    for condition in status.get("conditions") or []:
        if condition.get("status") != "True" and condition.get("message"):
            return str(condition["message"])[:300]
    return f"it is {status.get('phase', 'unknown')}"


def operator_image(kubectl: Kubectl, system: str = SYSTEM) -> str:
    """The installation's own image, which has Python. Raises CliError, KubectlError."""
    for item in kubectl.items("deployments.apps", "-n", system, "-l", _OPERATOR):
        for container in item["spec"]["template"]["spec"]["containers"]:
            if image := str(container.get("image") or ""):
                return image
    raise CliError(f"the installation's image is not known: is PDSHub in {system}? Name an image with python3: --image")


def create(kubectl: Kubectl, body: Json) -> None:
    """An object in the plugin's own name. Raises KubectlError."""
    kubectl.run("create", f"--field-manager={PLUGIN}", "-f", "-", stdin=json.dumps(body))
