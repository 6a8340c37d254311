"""The kind cluster: create it, look after it, take it away."""

from __future__ import annotations

import os
import shutil
import string
import time
from dataclasses import dataclass
from pathlib import Path

from . import golang, store
from .artefact import digest
from .engine import Engine
from .machine import keep_ranges_inside, unmount_below
from .run import StepFailed, output, run, succeeds
from .settings import HUB_NODE_PORT, HUB_PORT, POD_RANGE, ROOT, SERVICE_RANGE, Paths

KIND_FILES = ROOT / "hack" / "kind"
AUDIT = "audit.yaml"
"""The API server's audit policy: in hack/kind, and in the cluster's folder, where the node sees it."""
NODE_IMAGES = "/pdshub-images"
"""Where the node container sees the cache's folder of saved images."""


@dataclass(frozen=True)
class Tools:
    """Where kind and kubectl are."""

    kind: Path
    kubectl: Path


def kind_config(template: str, images: Path, containerd: Path, audit: Path, built: bool) -> str:
    """The kind configuration; ``containerd`` is the node's image store, ``audit`` the API server's audit policy.

    ``built``: the node image was built here, and so has no kindnet.
    """
    return string.Template(template).substitute(
        disable_default_cni=str(built).lower(),
        pod_range=POD_RANGE,
        service_range=SERVICE_RANGE,
        hub_node_port=HUB_NODE_PORT,
        hub_port=hub_port(),
        images=images,
        containerd=containerd,
        audit=audit,
    )


def hub_port() -> int:
    """The port on this machine's loopback that leads to the hub: PDSHUB_PORT, or 8080."""
    return int(os.environ.get("PDSHUB_PORT") or HUB_PORT)


def _answers(paths: Paths, tools: Tools) -> bool:
    argv: list[str | Path] = [
        tools.kubectl,
        "--kubeconfig",
        paths.kubeconfig,
        "--request-timeout=5s",
        "get",
        "--raw",
        "/readyz",
    ]
    return paths.kubeconfig.exists() and succeeds(argv, timeout=10)


def is_current(paths: Paths, engine: Engine, tools: Tools, node_ref: str, built: bool) -> bool:
    """Whether there is a cluster of ``node_ref`` and today's configuration that answers; it may take a minute to."""
    made_of = paths.cluster / "made-of"
    state = engine.inspect(paths.node_container)
    if not state or not state["State"]["Running"] or not made_of.exists():
        return False
    if made_of.read_text() != _wanted(paths, engine, node_ref, built):
        return False
    until = time.monotonic() + 60
    while not _answers(paths, tools):
        if time.monotonic() > until:
            return False
        time.sleep(2)
    return True


def _wanted(paths: Paths, engine: Engine, node_ref: str, built: bool) -> str:
    return digest([node_ref, _config(paths, built), (KIND_FILES / AUDIT).read_text(), engine.settings()])


def _config(paths: Paths, built: bool) -> str:
    template = (KIND_FILES / "cluster.yaml").read_text()
    return kind_config(template, paths.images, paths.cluster / store.FOLDER, paths.cluster / AUDIT, built)


def create(paths: Paths, engine: Engine, tools: Tools, node_ref: str, built: bool, images: Path) -> None:
    """Make the cluster, anew if there is one: that takes seconds, and hack/up made everything in it.

    ``images`` is a prepared store (see store.py).
    """
    remove(paths, engine, tools)
    paths.cluster.mkdir(parents=True, exist_ok=True)
    paths.images.mkdir(parents=True, exist_ok=True)
    store.clone(images / store.FOLDER, paths.cluster / store.FOLDER)
    shutil.copy(KIND_FILES / AUDIT, paths.cluster / AUDIT)
    file = paths.cluster / "kind.yaml"
    file.write_text(_config(paths, built))
    keep_ranges_inside()
    run(
        [
            *(tools.kind, "create", "cluster", "--name", paths.cluster_name, "--image", node_ref),
            *("--config", file, "--kubeconfig", paths.kubeconfig),
        ],
        env=engine.env,
        timeout=600,
    )
    (paths.cluster / "made-of").write_text(_wanted(paths, engine, node_ref, built))


def add_ons(paths: Paths, tools: Tools, built: bool) -> None:
    """Network policy where the node image has none; wait for the node."""
    if built:
        kubectl(paths, tools, "apply", "-f", KIND_FILES / "kube-router.yaml")
    kubectl(paths, tools, "wait", "--for=condition=Ready", "node", "--all", "--timeout=120s")
    if built:
        kubectl(paths, tools, "-n", "kube-system", "rollout", "status", "daemonset/kube-router", "--timeout=120s")


def kubectl(paths: Paths, tools: Tools, *args: str | Path, stdin: str | None = None) -> None:
    """Run kubectl against this cluster."""
    run([tools.kubectl, "--kubeconfig", paths.kubeconfig, *args], stdin=stdin)


def remove(paths: Paths, engine: Engine, tools: Tools) -> None:
    """Take the cluster away, also one that kind itself can't remove any more."""
    state = engine.inspect(paths.node_container) or {}
    volumes = [m["Name"] for m in state.get("Mounts", []) if m.get("Type") == "volume"]
    argv: list[str | Path] = [tools.kind, "delete", "cluster", "--name", paths.cluster_name]
    argv += ["--kubeconfig", paths.kubeconfig]
    if not succeeds(argv, env=engine.env, timeout=120) or engine.inspect(paths.node_container):
        engine.remove(paths.node_container, timeout=120)
    if engine.inspect(paths.node_container):
        raise StepFailed(f"{engine.name} can't remove {paths.node_container}: try {engine.name} rm -f yourself")
    for volume in volumes:  # the node's /var
        engine.ok("volume", "rm", "-f", volume)
    unmount_below(paths.cluster)
    shutil.rmtree(paths.cluster, ignore_errors=True)


def find_tools(paths: Paths) -> tuple[Tools, bool]:
    """kind and kubectl from PATH when recent enough, else from their modules; and whether one was built."""
    built = False
    found: dict[str, Path] = {}
    # our own bin folder holds links to what is found here: a caller who has it on PATH must not make them circular
    own = paths.bin
    search = os.pathsep.join(p for p in os.environ.get("PATH", "").split(os.pathsep) if Path(p) != own)
    for name, module, least in (("kind", "kind", (0, 30)), ("kubectl", "kubernetes", (1, 33))):
        path = shutil.which(name, path=search)
        if path and recent(_version(Path(path)), least):
            found[name] = Path(path)
        else:
            built |= golang.tool(paths, module).ensure(paths)[1]
            found[name] = golang.program(paths, module, name)
    return Tools(found["kind"], found["kubectl"]), built


def _version(program: Path) -> str:
    """What kind or kubectl says of its version; nothing if it does not run."""
    client = ["--client"] if program.name == "kubectl" else []
    try:
        return output([program, "version", *client], timeout=20)
    except StepFailed:
        return ""


def recent(text: str, least: tuple[int, int]) -> bool:
    """Whether the version in a program's answer is at least ``least`` and of the same major number."""
    version = golang.version_of(text)
    return version[0] == least[0] and version >= least
