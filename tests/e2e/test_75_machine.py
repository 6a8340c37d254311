"""deploy/machine on the node: its etcd is saved by the service, changed, and brought back, and hubs go on.

What is not in the node's image is borrowed: Python from the operator's image, etcdctl and etcdutl from hack/tools. A
machine of its own has both (docs/recover-machine.md).
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import SYSTEM, namespace, variant
from tests.programs import built

pytestmark = pytest.mark.alone  # the API server is stopped, and comes back with what it knew before
MACHINE = Path(__file__).parents[2] / "deploy/machine"
IMAGE, SOURCE = "/run/pdshub-machine-python", "/root/pdshub-machine"
SPACE = "e2e-machine"
PYTHON = f"""#!/bin/sh
# the operator image's own Python with its own C library
exec {IMAGE}/usr/lib64/ld-linux-x86-64.so.2 --library-path {IMAGE}/usr/lib/x86_64-linux-gnu {IMAGE}/usr/bin/python3 "$@"
"""
PYTHON_FILE = "/usr/local/bin/python3"
REFUSED = 5


class Node:
    """The program on the node."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def run(self, *words: str, code: int = 0) -> str:
        """What it prints; ``code``: the exit code that it must have."""
        try:
            said = self.cluster.node("pdshub-machine", *words, timeout=900)
        except CommandFailed as failed:
            assert failed.code == code, failed
            return failed.out + failed.err
        assert code == 0, said
        return said

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "-o", "json"))


@pytest.fixture
def node(cluster: Cluster) -> Iterator[Node]:
    """A node with the program and its timer; both go afterwards, and so do snapshots."""
    container = cluster.facts["NODE_CONTAINER"]
    image = cluster.facts["IMAGE_OPERATOR"]

    def copy(source: Path, target: str) -> None:
        cluster.engine("cp", str(source.resolve()), f"{container}:{target}")

    def away() -> None:
        for command in (
            f"[ ! -e {SOURCE}/install ] || sh {SOURCE}/install --remove",
            f"rm -rf {SOURCE} {PYTHON_FILE} /usr/local/bin/etcdctl /usr/local/bin/etcdutl /var/lib/pdshub-machine",
            "rm -rf /var/lib/etcd/pdshub-machine",
            f"ctr -n k8s.io images unmount --rm {IMAGE} 2>/dev/null || true; rmdir {IMAGE} 2>/dev/null || true",
        ):
            cluster.node("sh", "-c", command)

    away()  # what a run that was killed left
    cluster.node("mkdir", "-p", IMAGE)
    cluster.node("ctr", "-n", "k8s.io", "images", "mount", image, IMAGE)
    cluster.node("sh", "-c", f"cat >{PYTHON_FILE} <<'END'\n{PYTHON}END\nchmod 755 {PYTHON_FILE}")
    copy(MACHINE, SOURCE)
    for program in ("etcdctl", "etcdutl"):
        copy(built("etcdutl", program), f"/usr/local/bin/{program}")
    cluster.node("sh", f"{SOURCE}/install", "etcd")
    namespace(cluster, SPACE, development=False, guarded=False)
    cluster.kubectl("label", "namespace", SPACE, "pdshub.dev/hubs-")
    yield Node(cluster)
    cluster.kubectl("delete", "namespace", SPACE, "--wait=false")
    away()


def config_map(cluster: Cluster, name: str) -> None:
    meta = {"name": name, "namespace": SPACE}
    cluster.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"name": name}})


def names(cluster: Cluster) -> set[str]:
    found = {one["metadata"]["name"] for one in cluster.items("configmaps", SPACE)}
    return found - {"kube-root-ca.crt"}


def answering(cluster: Cluster) -> set[str]:
    """Addresses of hubs that are Ready and answer a person."""
    found = set()
    for hub in cluster.items("pdshub"):
        status = hub.get("status", {})
        if any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", [])):
            with contextlib.suppress(requests.RequestException):
                if requests.get(f"{status.get('address')}/hub/health", timeout=10).status_code == 200:
                    found.add(status["address"])
    return found


def test_etcd_of_the_node_goes_back(cluster: Cluster, node: Node, sample: dict[str, Any]) -> None:
    hubs = answering(cluster)
    assert hubs, "hack/up leaves one"
    config_map(cluster, "kept")

    # the service of the timer, with all that it may not do
    assert "pdshub-etcd-snapshot.timer" in cluster.node("systemctl", "list-timers", "--no-pager")
    cluster.node("systemctl", "start", "pdshub-etcd-snapshot.service", timeout=300)
    (only,) = node.json("etcd", "list")
    assert only["members"] == 1 and only["keys"] > 100
    node.run("etcd", "verify")
    told = node.json("status")
    assert told["etcd"]["kept"] == 1 and not told["etcd"]["old"] and "absent" in told["root"]

    config_map(cluster, "marker")
    cluster.kubectl("delete", "configmap", "kept", "-n", SPACE)
    assert names(cluster) == {"marker"}
    for words in ([], ["--stop"], ["--replace"]):
        node.run("etcd", "restore", only["name"], *words, code=REFUSED)
    assert names(cluster) == {"marker"}, "a refusal changes nothing"

    said = node.run("etcd", "restore", only["name"], "--stop", "--replace")
    assert said.splitlines()[-1] == "etcd answers"
    eventually(lambda: names(cluster), lambda found: found == {"kept"}, within=300, what="what was saved, and no more")

    # who watched goes on: the kubelet and the controllers start a pod, the operator sees a new hub, hubs answer
    cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=240s", timeout=250)
    image = f"--image={cluster.facts['IMAGE_OPERATOR']}"
    cluster.kubectl("create", "deployment", "alive", "-n", SPACE, image, "--", "sleep", "600")
    cluster.kubectl("rollout", "status", "deployment/alive", "-n", SPACE, "--timeout=240s", timeout=250)
    for target in ("daemonset/pdshub-node", "deployment/pdshub-operator"):
        cluster.kubectl("rollout", "status", target, "-n", SYSTEM, "--timeout=240s", timeout=250)
    cluster.apply(variant(sample, "seen", SPACE, archive=None))
    eventually(
        lambda: cluster.condition("pdshub", "seen", "Stalled", SPACE),
        lambda condition: condition.get("reason") == "NamespaceNotAllowed",
        within=240,
        what="the operator sees a hub that is new",
    )
    eventually(lambda: answering(cluster), lambda found: found >= hubs, within=300, what=f"{hubs} answer")

    (before,) = node.json("status")["etcd"]["before"]
    assert before.startswith("/var/lib/etcd/pdshub-machine/before-")
    node.run("etcd", "snapshot")
    assert len(node.json("etcd", "list")) == 2
