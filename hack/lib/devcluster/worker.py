"""A second node for the tests that need one: it joins the cluster that is there, and leaves it.

kind adds no node to a cluster. So a container is made as kind makes those of workers, with kind's own labels, and
kubeadm joins it; ``kind delete cluster`` takes it along. Its images are a copy of the store that the first node was
made of. What is left of a run that was killed goes with the next ``join``, ``leave``, hack/up, hack/test or hack/down.

A cluster whose node image was built here has no network of several nodes: each gets a range of its own, and a route and
a rule for that of the other. kindnet, which kindest/node brings, does both by itself.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from . import store
from .app_images import IN_CLUSTER, archive_name
from .cluster import KIND_FILES, NODE_IMAGES
from .engine import NETWORK, Engine
from .facts import read
from .machine import unmount_below
from .run import StepFailed, output, run, succeeds
from .settings import POD_RANGE, Paths

CONFLIST = "10-pdshub.conflist"
FIRST_RANGE, SECOND_RANGE = "10.244.0.0/24", "10.244.1.0/24"
"""Addresses of the pods of either node, within POD_RANGE; the first is that of CONFLIST."""
SOCKET = "unix:///run/containerd/containerd.sock"
ADMIN = ("env", "KUBECONFIG=/etc/kubernetes/admin.conf")
_BEGIN, _JOIN, _READY = 60.0, 180.0, 180.0


def name_of(paths: Paths) -> str:
    """The node's name, and its container's: as kind calls the first worker."""
    return f"{paths.cluster_name}-worker"


def _folder(paths: Paths) -> Path:
    """What the node has of its own on this machine; it is there for as long as anything of the node may be."""
    return paths.cluster / "worker"


def conflist(text: str) -> str:
    """The network configuration of the first node as one of the second: its pods have addresses of another range."""
    document: dict[str, Any] = json.loads(text)
    ranges = [
        ipam for plugin in document["plugins"] for each in plugin.get("ipam", {}).get("ranges", []) for ipam in each
    ]
    if [each["subnet"] for each in ranges] != [FIRST_RANGE]:
        raise StepFailed(f"{CONFLIST} has other ranges than {FIRST_RANGE}: adapt worker.py")
    ranges[0]["subnet"] = SECOND_RANGE
    return json.dumps(document)


def run_arguments(
    engine: str, cluster: str, name: str, image: str, first: tuple[str, str], mounts: list[str]
) -> list[str]:
    """Arguments of the engine's ``run`` for the node. ``first``: name and address of the first node.

    Source: kind 0.33, pkg/cluster/internal/providers (commonArgs, runArgsForNode of docker and podman).
    """
    docker = ("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--init=false")
    options = "" if engine == "docker" else ":suid,exec,dev"
    return [
        *("run", "--detach", "--tty", "--name", name, "--hostname", name, "--net", NETWORK),
        *("--label", f"io.x-k8s.kind.cluster={cluster}", "--label", "io.x-k8s.kind.role=worker"),
        *("-e", f"container={engine}", "--cgroupns=private", "--privileged"),
        *(docker if engine == "docker" else ()),
        *("--tmpfs", "/tmp", "--tmpfs", "/run"),  # noqa: S108 - of the container
        *("--volume", f"{name}-var:/var{options}", "--volume", "/lib/modules:/lib/modules:ro"),
        # not by the engine's name service: kubeconfigs name the API server so from the first moment on
        *("--add-host", f"{first[0]}:{first[1]}"),
        *(word for mount in mounts for word in ("--volume", mount)),
        image,
    ]


def _address(state: dict[str, Any]) -> str:
    found = ((state.get("NetworkSettings") or {}).get("Networks") or {}).get(NETWORK) or {}
    return str(found.get("IPAddress") or "")


def _kubectl(paths: Paths) -> list[str | Path]:
    return [paths.bin / "kubectl", "--kubeconfig", paths.kubeconfig, "--request-timeout=60s"]


def join(paths: Paths, engine: Engine) -> str:
    """A second node, Ready, with every image of the project; its name. Raises StepFailed."""
    leave(paths, engine)
    first = engine.inspect(paths.node_container)
    if first is None or not first["State"]["Running"]:
        raise StepFailed("no cluster: run hack/up")
    name, image, airgap = name_of(paths), str(first["Config"]["Image"]), read(paths.env).get("AIRGAP") == "true"
    folder = _folder(paths)
    folder.mkdir(parents=True)
    mounts = [f"{paths.images}:{NODE_IMAGES}:ro"]
    stores = paths.artefacts / "node-store"
    if stores.is_dir() and (filled := store.newest(stores, image)):
        store.clone(filled / store.FOLDER, folder / store.FOLDER)
        mounts.append(f"{folder / store.FOLDER}:/var/lib/containerd")
    if airgap:
        (folder / CONFLIST).write_text(conflist((KIND_FILES / CONFLIST).read_text()))
        mounts.append(f"{folder / CONFLIST}:/kind/{CONFLIST}:ro")
    address = _address(first)
    engine.run(*run_arguments(engine.name, paths.cluster_name, name, image, (paths.node_container, address), mounts))
    _wait_for_containerd(engine, name)
    _load(paths, engine, name)
    made = engine.inspect(name)
    if airgap and made is not None:
        _connect(engine, paths.node_container, SECOND_RANGE, _address(made))
        _connect(engine, name, FIRST_RANGE, address)
    token = engine.output("exec", paths.node_container, *ADMIN, "kubeadm", "token", "create", "--ttl", "15m").split()[
        -1
    ]
    words = ("--token", token, "--discovery-token-unsafe-skip-ca-verification", "--skip-phases=preflight")
    endpoint = f"{paths.node_container}:6443"
    engine.run(
        *("exec", name, "kubeadm", "join", endpoint, "--node-name", name, "--cri-socket", SOCKET, *words),
        timeout=_JOIN,
    )
    run([*_kubectl(paths), "wait", "--for=condition=Ready", f"node/{name}", f"--timeout={_READY:.0f}s"])
    return name


def _wait_for_containerd(engine: Engine, name: str) -> None:
    until = time.monotonic() + _BEGIN
    while not engine.ok("exec", name, "ctr", "version"):
        if time.monotonic() > until:
            raise StepFailed(f"{name} does not start: {engine.name} logs {name}")
        time.sleep(0.5)


def _load(paths: Paths, engine: Engine, name: str) -> None:
    """Import the images that the store lacks: those that hack/dev built since."""
    have = set(engine.output("exec", name, "ctr", "-n", "k8s.io", "images", "ls", "-q").split())
    wanted = {n: ref for n in IN_CLUSTER if (ref := read(paths.env).get(f"IMAGE_{n.upper()}"))}
    for image, ref in wanted.items():
        if ref not in have:
            archive = f"{NODE_IMAGES}/{archive_name(image, ref)}"
            engine.run("exec", name, "ctr", "-n", "k8s.io", "images", "import", "--all-platforms", archive)


_BETWEEN_PODS = ("POSTROUTING", "-s", POD_RANGE, "-d", POD_RANGE, "-j", "ACCEPT")
"""Pods know each other by their own addresses: else network policies would see a node's. For iptables -t nat."""


def _connect(engine: Engine, node: str, pods: str, address: str) -> None:
    """Let a node reach the pods of the other one, which has this address."""
    engine.run("exec", node, "ip", "route", "replace", pods, "via", address)
    engine.run("exec", node, "iptables", "-w", "-t", "nat", "-I", *_BETWEEN_PODS)


def _disconnect(engine: Engine, node: str) -> None:
    engine.ok("exec", node, "ip", "route", "del", SECOND_RANGE)
    while engine.ok("exec", node, "iptables", "-w", "-t", "nat", "-D", *_BETWEEN_PODS):
        pass


def leave(paths: Paths, engine: Engine) -> bool:
    """Take the node away, with whatever runs on it; whether anything of it was there. Raises StepFailed."""
    folder, name = _folder(paths), name_of(paths)
    if not folder.exists():
        return False
    engine.remove(name, timeout=120)
    if engine.inspect(name):
        raise StepFailed(f"{engine.name} can't remove {name}: try {engine.name} rm -f yourself")
    engine.ok("volume", "rm", "-f", f"{name}-var")
    kubectl = _kubectl(paths)
    if succeeds([*kubectl, "get", "--raw", "/readyz"], timeout=70):
        run([*kubectl, "delete", "node", name, "--ignore-not-found", "--timeout=60s"])
        _forget_pods(kubectl, name)
        succeeds([*kubectl, "uncordon", paths.node_container])  # a test that was killed had pods go to the second one
        _disconnect(engine, paths.node_container)
    unmount_below(folder)
    shutil.rmtree(folder)
    return True


def _forget_pods(kubectl: list[str | Path], name: str) -> None:
    """Nobody is left to say that they ended; Kubernetes itself forgets them after a minute or two."""
    pods = output([*kubectl, "get", "pods", "-A", "--field-selector", f"spec.nodeName={name}", "-o", "json"])
    for pod in json.loads(pods)["items"]:
        meta = pod["metadata"]
        words = ("-n", meta["namespace"], meta["name"], "--force", "--grace-period=0", "--ignore-not-found")
        run([*kubectl, "delete", "pod", *words, "--wait=false"])
