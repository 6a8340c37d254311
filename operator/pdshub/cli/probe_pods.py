"""The pods of a probe: made, waited for, read and removed. They meet the ``restricted`` Pod Security Standard."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pdshub import restricted
from pdshub.cli import dial
from pdshub.cli.kubectl import Kubectl, KubectlError
from pdshub.cli.reach import CONTROL, HUB, LISTER, PROXY, STRANGER, SURVEYOR, USER, Target
from pdshub.wellknown import GROUP, PROBE_LABEL, UID

Json = dict[str, Any]
NEIGHBOUR = "neighbour"
"""Another user's server: it listens and asks nobody."""
LIFETIME = 240
"""Seconds after which Kubernetes ends a pod of a probe, whatever became of the plugin."""
_SERVER = {"app": "jupyterhub", "component": "singleuser-server"}
_SURVEYOR = {"app.kubernetes.io/name": "pdshub", "app.kubernetes.io/component": "surveyor"}
LABELS: Mapping[str, Mapping[str, str]] = {
    USER: _SERVER,
    NEIGHBOUR: _SERVER,
    # without the labels that the chart's Services look for: no request of a user may come here
    HUB: {"component": "hub"},
    PROXY: {"component": "proxy"},
    SURVEYOR: _SURVEYOR,
    LISTER: {**_SURVEYOR, f"{GROUP}/s3": "true"},  # render/surveyor.py, S3_LABEL
    STRANGER: {},
    CONTROL: {},
}
"""What makes policies take a pod for one of a role."""


class ProbeError(Exception):
    """The probe could not be made; the text says why."""


@dataclass(frozen=True)
class Times:
    """Seconds and rounds of a probe."""

    settle: float = 5.0
    """Before the first attempt: an engine needs a moment to know a new pod."""
    timeout: float = 2.0
    rounds: int = 2
    pause: float = 3.0
    start: float = 90.0
    """Until all pods have run."""

    def asked(self, targets: Iterable[Target]) -> Json:
        """What a pod is told."""
        return {
            "targets": [[target.name, target.host, target.port] for target in targets],
            "settle": self.settle,
            "timeout": self.timeout,
            "rounds": self.rounds,
            "pause": self.pause,
        }


def pod(token: str, role: str, namespace: str, image: str, release: str, asked: Json) -> Json:
    """The manifest of one pod. It never becomes ready, so that no Service sends anything to it."""
    labels = {**LABELS[role], **({"release": release} if role in (USER, NEIGHBOUR) else {}), PROBE_LABEL: token}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"pdshub-probe-{token}-{role}", "namespace": namespace, "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME,
            "terminationGracePeriodSeconds": 0,
            "securityContext": restricted.pod(UID),
            "containers": [
                {
                    "name": "probe",
                    "image": image,
                    "command": ["python3", "-c", inspect.getsource(dial), json.dumps(asked, separators=(",", ":"))],
                    "env": [{"name": "NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}}],
                    "readinessProbe": {"exec": {"command": ["false"]}, "periodSeconds": 60},
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "1Mi"},
                        "limits": {"cpu": "200m", "memory": "96Mi", "ephemeral-storage": "16Mi"},
                    },
                    "securityContext": restricted.container(),
                }
            ],
        },
    }


@dataclass
class Pods:
    """The pods of one probe, in one namespace or several."""

    kubectl: Kubectl
    token: str
    image: str
    release: str
    times: Times
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def create(self, role: str, namespace: str, asked: Json) -> None:
        """Raises KubectlError."""
        body = pod(self.token, role, namespace, self.image, self.release, asked)
        self.kubectl.run("create", "-f", "-", stdin=json.dumps(body))

    def _seen(self, namespace: str) -> dict[str, Json]:
        found = self.kubectl.items("pods", "-n", namespace, "-l", f"{PROBE_LABEL}={self.token}")
        return {item["metadata"]["name"].rpartition("-")[2]: item for item in found}

    def neighbour(self, namespace: str, port: int) -> str:
        """Makes another user's server that listens; its address. Raises KubectlError, ProbeError."""
        self.create(NEIGHBOUR, namespace, {"listen": port, "seconds": LIFETIME})

        def address(found: Mapping[str, Json]) -> str:
            status = found.get(NEIGHBOUR, {}).get("status") or {}
            return str(status.get("podIP") or "") if status.get("phase") == "Running" else ""

        return str(self._until(namespace, [NEIGHBOUR], address))

    def answers(self, roles: Mapping[str, str]) -> dict[str, dict[str, tuple[str, str]]]:
        """What each role was answered, once all have tried. ``roles``: namespaces by role.

        Raises KubectlError, ProbeError.
        """
        found = {}
        for namespace in sorted(set(roles.values())):
            mine = [role for role, where in roles.items() if where == namespace]
            self._until(namespace, mine, lambda seen, mine=mine: all(_ended(seen.get(role)) for role in mine))  # type: ignore[misc]
            for role in mine:
                text = self.kubectl.run("logs", "-n", namespace, f"pdshub-probe-{self.token}-{role}")
                found[role] = _answer(role, text)
        return found

    def _until(self, namespace: str, roles: Sequence[str], what: Callable[[Mapping[str, Json]], Any]) -> Any:
        end = self.clock() + self.times.start
        while True:
            seen = self._seen(namespace)
            if found := what(seen):
                return found
            if self.clock() >= end:
                missing = "; ".join(f"{role}: {_why(seen.get(role))}" for role in roles if not _ended(seen.get(role)))
                raise ProbeError(
                    f"pods of the probe in {namespace} have not run within {self.times.start:.0f} s: {missing}"
                )
            self.sleep(1.0)

    def remove(self, namespaces: Iterable[str]) -> list[str]:
        """Takes the pods away; what was refused, in words."""
        refused = []
        for namespace in sorted(set(namespaces)):
            chosen = ("-n", namespace, "-l", f"{PROBE_LABEL}={self.token}")
            try:
                self.kubectl.run("delete", "pods", *chosen, "--wait=false", "--ignore-not-found")
            except KubectlError as error:
                by_hand = f"kubectl delete pods {' '.join(chosen)}"
                refused.append(f"{error}; they end by themselves after {LIFETIME} s: {by_hand}")
        return refused


def _ended(item: Json | None) -> bool:
    return ((item or {}).get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _why(item: Json | None) -> str:
    """Why a pod has not run."""
    if item is None:
        return "it is not there"
    status = item.get("status") or {}
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason')} {waiting.get('message', '')}".strip()[:200]
    for condition in status.get("conditions") or []:
        if condition.get("type") == "PodScheduled" and condition.get("status") != "True":
            return str(condition.get("message") or condition.get("reason"))[:200]
    return f"it is {status.get('phase', 'unknown')}"


def _answer(role: str, text: str) -> dict[str, tuple[str, str]]:
    """What a pod printed: by target's name what came of it, and the address. Raises ProbeError."""
    try:
        found = json.loads(text.strip().splitlines()[-1])
        return {str(name): (str(result), str(address)) for name, (result, address) in found.items()}
    except (ValueError, IndexError, AttributeError, TypeError):
        raise ProbeError(f"the pod of role {role} says no result: {text.strip()[-200:]!r}") from None
