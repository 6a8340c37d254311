"""A cluster behind kubectl for the commands of every day: nodes, events, quotas, logs, reviews of rights."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from pdshub.cli.kubectl import KubectlError
from tests.unit.cli.backup_cluster import ADA, BackupCluster
from tests.unit.cli.fake_cluster import KINDS, Object

KINDS |= {
    "events": "event", "nodes": "node", "resourcequotas": "quota", "persistentvolumes": "volume",
    "storageclasses": "class", "daemonsets.apps": "daemonset", "configmaps": "configmap", "csidriver": "csidriver",
    "customresourcedefinition": "crd", "services": "service", "namespaces": "namespace",
}  # fmt: skip
POD, CLAIM = "jupyter-ada", "claim-ada"
READY = {"type": "Ready", "status": "True"}


def pod(
    name: str = POD, user: str = ADA, node: str = "n1", phase: str = "Running", **status: Any
) -> tuple[str, Object]:
    """A server's pod."""
    meta = {"name": name, "namespace": "hub", "uid": f"uid-{name}", "labels": {"component": "singleuser-server"},
            "annotations": {"hub.jupyter.org/username": user}}  # fmt: skip
    return "pod", {"metadata": meta, "spec": {"nodeName": node} if node else {}, "status": {"phase": phase, **status}}


def event(reason: str, message: str, name: str = POD, kind: str = "Pod", **more: Any) -> tuple[str, Object]:
    """An event about a pod or a claim."""
    of = {"kind": kind, "name": name, "namespace": "hub", "uid": more.pop("uid", f"uid-{name}")}
    called = f"{name}.{reason}.{more.get('lastTimestamp', '')}"
    return "event", {
        "metadata": {"name": called.lower().replace(":", ""), "namespace": "hub"}, "involvedObject": of,
        "reason": reason, "message": message, "type": more.pop("type", "Warning"),
        "lastTimestamp": "2026-11-26T08:00:00Z", **more,
    }  # fmt: skip


def node(name: str = "n1", *conditions: Object, kernel: str = "6.12.0", **spec: Any) -> tuple[str, Object]:
    """A node."""
    info = {"kernelVersion": kernel, "operatingSystem": "linux", "architecture": "amd64"}
    found = {"conditions": list(conditions) or [READY], "nodeInfo": info}
    return "node", {"metadata": {"name": name}, "spec": spec, "status": found}


def quota(name: str, hard: Object, used: Object) -> tuple[str, Object]:
    """A ResourceQuota."""
    return "quota", {"metadata": {"name": name, "namespace": "hub"}, "status": {"hard": hard, "used": used}}


class DayTwoCluster(BackupCluster):
    """The same cluster as backups have, with what else there is on a bad day."""

    def __init__(self, *objects: tuple[str, Object], **more: Any) -> None:
        super().__init__(*objects, **more)
        self.__dict__.update(
            texts={},
            allowed=lambda attributes: True,
            audit="",
            executed=[],
            versions=["v1", "apps/v1"],
            server="v1.34.2",
        )

    texts: dict[str, str]
    """What is in a call -> what kubectl prints then."""
    allowed: Callable[[Object], bool | None]
    audit: str
    executed: list[tuple[str, ...]]
    versions: list[str]
    server: str

    def execute(
        self, namespace: str, target: str, container: str, command: Sequence[str], told: Callable[[str], None],
        stdin: str | None = None,
    ) -> str:  # fmt: skip
        self.executed.append((namespace, target, *command))
        if not self.audit:
            raise KubectlError("pods is forbidden")
        return self.audit

    def run(self, *arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        whole = " ".join(arguments)
        for words, text in self.texts.items():
            if words in whole:
                self.calls.append(arguments)
                return text
        if arguments[0] == "version":
            return json.dumps({"serverVersion": {"gitVersion": self.server}})
        if arguments[0] == "api-versions":
            return "\n".join(self.versions)
        if arguments[0] == "create" and "SelfSubjectAccessReview" in stdin:
            asked = json.loads(stdin)["spec"]["resourceAttributes"]
            return json.dumps({"status": {"allowed": self.allowed(asked)}})
        if arguments[:2] in (("get", "secrets"),) and "-o" in arguments:
            return "".join(
                f"{name}\tOpaque\t{''.join(f'{k}={len(v)} ' for k, v in found['data'].items())}\n"
                for (kind, space, name), found in self.objects.items() if kind == "secret" and space in arguments
            )  # fmt: skip
        if arguments[0] == "get" and arguments[1] not in KINDS and arguments[1] != "--raw":
            return json.dumps({"items": []})
        text = super().run(*arguments, seconds=seconds, stdin=stdin)
        if "--field-selector" in arguments:
            return json.dumps({"items": self._chosen(text, arguments[arguments.index("--field-selector") + 1])})
        return text

    @staticmethod
    def _chosen(text: str, selector: str) -> list[Object]:
        """Events that a field selector selects."""
        wanted = dict(part.split("=") for part in selector.replace("involvedObject.", "").split(","))
        found = json.loads(text)["items"]
        return [one for one in found if all(one["involvedObject"].get(key) == value for key, value in wanted.items())]
