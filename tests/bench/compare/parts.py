"""What a process is counted for, in each of the three. Pure: containers and pods as engine and cluster told them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tests.bench.compare.processes import Process

HUBS, INSTALLATION, PLATFORM, SERVER = "hub and proxy", "installation", "platform", "server of "
"""What answers people; what the project adds for all hubs of a cluster; what both run on; a person's server."""
Part = Callable[[Process], str]


def of_containers(containers: Mapping[str, str], project: str) -> Part:
    """Compose: ``containers`` of the project and of its servers, id by name. The engine itself is the platform."""
    servers = f"{project}-server-"

    def part(process: Process) -> str:
        for name, ident in containers.items():
            if process.inside(ident):
                return SERVER + name.removeprefix(servers) if name.startswith(servers) else HUBS
            if ident in process.command:  # conmon, containerd-shim
                return PLATFORM
        program = process.command.partition(" ")[0].rpartition("/")[2]
        serves = program in ("dockerd", "containerd") or (program == "podman" and " system service" in process.command)
        return PLATFORM if serves and not process.pod and "libpod-" not in process.group else ""

    return part


def of_machine(container: str) -> Part:
    """The Littlest JupyterHub in a machine that is a container: by units of its systemd."""

    def part(process: Process) -> str:
        if not process.inside(container):
            return ""
        unit = process.unit
        if unit in ("jupyterhub.service", "traefik.service"):
            return HUBS
        if unit.startswith("jupyter-"):
            return SERVER + unit.removeprefix("jupyter-").removesuffix(".service")
        return PLATFORM

    return part


def of_cluster(node: str, pods: Iterable[Mapping[str, Any]], space: str, installation: tuple[str, ...]) -> Part:
    """A PDSHub in ``space`` on a cluster whose node is a container. ``installation``: namespaces of PDSHub's own."""
    known: dict[str, str] = {}
    for pod in pods:
        meta = pod["metadata"]
        labels = meta.get("labels") or {}
        if meta["namespace"] == space:
            who = (meta.get("annotations") or {}).get("hub.jupyter.org/username", "")
            name = SERVER + who if labels.get("component") == "singleuser-server" else HUBS
        elif meta["namespace"] in installation:
            name = INSTALLATION
        else:
            name = PLATFORM if meta["namespace"].startswith(("kube-", "local-path-")) else ""
        for uid in (meta["uid"], (meta.get("annotations") or {}).get("kubernetes.io/config.hash", "")):
            known[uid] = name  # a static pod's cgroup has the hash of its file

    def part(process: Process) -> str:
        if not process.inside(node):
            return ""
        if not process.pod:
            return PLATFORM
        uid = process.pod
        return known.get(uid, known.get(uid.replace("-", ""), ""))

    return part
