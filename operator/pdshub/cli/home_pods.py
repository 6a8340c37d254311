"""Pods that work in homes: without rights, as the user that servers run as, with a program that is given as text."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from pdshub import restricted
from pdshub.cli import users_act
from pdshub.cli.archive import CliError
from pdshub.cli.hub_choice import is_object_name
from pdshub.cli.kubectl import Kubectl, KubectlError

Json = dict[str, Any]
UID = 1000
"""The user that owns homes, as servers run (render/server.py)."""
_LOADER = """import json, sys, types
asked = json.loads(sys.argv[1])
for name in ("pdshub", "pdshub.cli"):
    sys.modules[name] = types.ModuleType(name)
for name, text in json.loads(sys.argv[2]):
    made = sys.modules[name] = types.ModuleType(name)
    setattr(sys.modules["pdshub.cli"], name.rpartition(".")[2], made)
    exec(compile(text, name, "exec"), made.__dict__)
sys.exit(made.main(asked))
"""
"""Runs modules of the project that import each other and the standard library: the last one's ``main``."""


def program(modules: Sequence[ModuleType], asked: Json) -> list[str]:
    """The command of a container that runs modules; what a module imports of the project is before it."""
    texts = [[module.__name__, inspect.getsource(module)] for module in modules]
    return ["python3", "-I", "-c", _LOADER, json.dumps(asked), json.dumps(texts)]


def body(
    metadata: Json,
    command: Sequence[str],
    image: tuple[str, Sequence[Json]],
    mounts: Mapping[str, tuple[str, bool]],
    *,
    seconds: int,
    memory: str = "128Mi",
    node: str = "",
) -> Json:
    """A pod that meets the ``restricted`` Pod Security Standard.

    ``image``: and by what it is pulled; ``mounts``: by path the claim, and whether it is only read; ``seconds``: after
    which it is ended; ``node``: where it has to run, since somebody has the claim there.
    """
    name, pull = image
    only = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = {"nodeSelectorTerms": [{"matchFields": [only]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}
    volumes, mounted = list[Json](), list[Json]()
    for number, (path, (claim, read_only)) in enumerate(mounts.items()):
        volume = "home" if not number else f"home{number}"
        # on the claim too, or the kubelet takes the volume for its own to chown
        more = {"readOnly": True} if read_only else {}
        volumes.append({"name": volume, "persistentVolumeClaim": {"claimName": claim, **more}})
        mounted.append({"name": volume, "mountPath": path, **more})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": seconds,
            "terminationGracePeriodSeconds": 0,
            **({"imagePullSecrets": list(pull)} if pull else {}),
            **({"affinity": affinity} if node else {}),
            "securityContext": restricted.pod(UID, volumes=UID),
            "volumes": volumes,
            "containers": [
                {
                    "name": "home",
                    "image": name,
                    "command": list(command),
                    "volumeMounts": mounted,
                    "resources": {
                        "requests": {"cpu": "10m", "memory": "32Mi", "ephemeral-storage": "1Mi"},
                        "limits": {"cpu": "1", "memory": memory, "ephemeral-storage": "16Mi"},
                    },
                    "securityContext": restricted.container(),
                }
            ],
        },
    }


def image(kubectl: Kubectl, named: str, namespace: str) -> tuple[str, Sequence[Json]]:
    """An image with python3, and by what it is pulled: the hub's, if none is named. Raises CliError."""
    if named:
        return named, ()
    try:
        template = kubectl.get("deployment", "hub", "-n", namespace)["spec"]["template"]["spec"]
        return str(template["containers"][0]["image"]), template.get("imagePullSecrets") or ()
    except (KubectlError, KeyError, IndexError, TypeError) as error:
        raise CliError(f"the hub's image is not known ({error}): name one that has python3 with --image") from None


def create(kubectl: Kubectl, pod: Json, *, dry_run: bool = False) -> str:
    """Makes a pod; its name. Raises CliError, KubectlError."""
    namespace, only = str(pod["metadata"]["namespace"]), ["--dry-run=server"] if dry_run else []
    made = json.loads(kubectl.run("create", "-n", namespace, "-f", "-", "-o", "json", *only, stdin=json.dumps(pod)))
    name = str(made["metadata"].get("name") or "")
    if not dry_run and not is_object_name(name):
        raise CliError("the API server gave the pod no name")
    return name


def remove(kubectl: Kubectl, namespace: str, name: str) -> None:
    """Takes a pod away; says how, where that is refused."""
    try:
        kubectl.run("delete", "pod", name, "-n", namespace, "--wait=false", "--ignore-not-found")
    except KubectlError as error:
        users_act.tell(f"pod {name} was not removed: {error}; it has ended: kubectl delete pod {name} -n {namespace}")


def phase(found: Json) -> str:
    """How far a pod is."""
    return str((found.get("status") or {}).get("phase") or "")


def why(found: Json) -> str:
    """Why a pod does not run."""
    status = found.get("status") or {}
    for condition in status.get("conditions") or []:
        if condition.get("status") != "True" and condition.get("message"):
            return str(condition["message"])[:300]
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting:
            return f"{waiting.get('reason')} {waiting.get('message', '')}".strip()[:300]
    return f"it is {phase(found) or 'not there'}"


def result(kubectl: Kubectl, namespace: str, name: str, ended: str) -> Json:
    """The last line of what a pod printed, an object. Raises CliError, KubectlError."""
    printed = kubectl.run("logs", "-n", namespace, name, "--tail=50").strip()
    try:
        answer = json.loads(printed.splitlines()[-1])
    except (ValueError, IndexError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise CliError(f"pod {name} ended as {ended} and says no result: {printed[-200:]!r}")
    return answer


def pairs(found: Any) -> list[dict[str, str]]:
    """Names and reasons of an answer, whatever else it holds."""
    listed = [pair for pair in found if isinstance(pair, list) and len(pair) == 2] if isinstance(found, list) else []
    return [{"name": str(name), "why": str(said)} for name, said in listed]
