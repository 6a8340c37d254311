"""The cluster's node as a machine of its own: what its image has not is borrowed, Python from the operator's image,
etcdctl and etcdutl from hack/tools. All of it goes afterwards, with the program and what it saved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import SYSTEM, variant
from tests.programs import built

MACHINE = Path(__file__).parents[2] / "deploy/machine"
IMAGE, SOURCE = "/run/pdshub-machine-python", "/root/pdshub-machine"
PYTHON = f"""#!/bin/sh
# the operator image's own Python with its own C library
exec {IMAGE}/usr/lib64/ld-linux-x86-64.so.2 --library-path {IMAGE}/usr/lib/x86_64-linux-gnu {IMAGE}/usr/bin/python3 "$@"
"""
PYTHON_FILE = "/usr/local/bin/python3"
BACK = """
for folder in /root/manifests /etc/kubernetes/manifests-stopped-by-pdshub-machine; do
  [ -d $folder ] || continue
  mv -n $folder/*.yaml /etc/kubernetes/manifests/ || true
  rmdir $folder
done
"""
"""Manifests of a test that ended half way: the cluster is everybody's."""


def put(cluster: Cluster, source: Path, target: str) -> None:
    """Copy a file or folder of this machine onto the node."""
    cluster.engine("cp", str(source.resolve()), f"{cluster.facts['NODE_CONTAINER']}:{target}")


def programs_of_etcd(cluster: Cluster) -> None:
    """etcdctl and etcdutl on the node; the image of a cluster that was built here has etcd alone."""
    for program in ("etcdctl", "etcdutl"):
        there = f"/usr/local/bin/{program}"
        try:
            cluster.node("test", "-x", there)
        except CommandFailed:
            put(cluster, built("etcdutl", program), there)


@contextmanager
def borrowed(cluster: Cluster) -> Iterator[None]:
    """A node with Python, and with deploy/machine at ``SOURCE``, not installed."""
    away(cluster)  # what a run that was killed left
    try:
        cluster.node("mkdir", "-p", IMAGE)
        cluster.node("ctr", "-n", "k8s.io", "images", "mount", cluster.facts["IMAGE_OPERATOR"], IMAGE)
        cluster.node("sh", "-c", f"cat >{PYTHON_FILE} <<'END'\n{PYTHON}END\nchmod 755 {PYTHON_FILE}")
        put(cluster, MACHINE, SOURCE)
        yield
    finally:
        away(cluster)


def away(cluster: Cluster) -> None:
    """Program, timers, snapshots and what was borrowed."""
    for command in (
        BACK,
        f"[ ! -e {SOURCE}/install ] || sh {SOURCE}/install --remove",
        "systemctl reset-failed 'pdshub-*' 2>/dev/null || true",
        f"rm -rf {SOURCE} {PYTHON_FILE} /usr/local/bin/etcdctl /usr/local/bin/etcdutl /var/lib/pdshub-machine",
        "rm -rf /var/lib/etcd/pdshub-machine",
        "ctr -n k8s.io images unmount --rm /mnt 2>/dev/null || true",
        f"ctr -n k8s.io images unmount --rm {IMAGE} 2>/dev/null || true; rmdir {IMAGE} 2>/dev/null || true",
    ):
        cluster.node("sh", "-c", command)


def all_go_on(cluster: Cluster, sample: dict[str, Any], space: str, name: str) -> None:
    """Who watched goes on: the kubelet and the controllers start a pod, the operator sees a hub that is new."""
    cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=240s", timeout=250)
    image = f"--image={cluster.facts['IMAGE_OPERATOR']}"
    cluster.kubectl("create", "deployment", name, "-n", space, image, "--", "sleep", "600")
    cluster.kubectl("rollout", "status", f"deployment/{name}", "-n", space, "--timeout=240s", timeout=250)
    for target in ("daemonset/pdshub-node", "deployment/pdshub-operator"):
        cluster.kubectl("rollout", "status", target, "-n", SYSTEM, "--timeout=240s", timeout=250)
    cluster.apply(variant(sample, name, space, archive=None))
    eventually(
        lambda: cluster.condition("pdshub", name, "Stalled", space),
        lambda condition: condition.get("reason") == "NamespaceNotAllowed",
        within=240,
        what="the operator sees a hub that is new",
    )
