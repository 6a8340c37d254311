"""deploy/machine on the node: its etcd is saved by the service, changed, and brought back, and hubs go on.

What is not in the node's image is borrowed (tests/e2e/machine_node.py). A machine of its own has it
(docs/recover-machine.md).
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.e2e import machine_node
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import namespace
from tests.e2e.machine_node import SOURCE
from tests.manual import shown_after

# the API server is stopped, and comes back with what it knew before; twice, which takes some minutes
pytestmark = [pytest.mark.alone, pytest.mark.long]
SPACE = "e2e-machine"
BUSY, REFUSED = 3, 5


class Node:
    """The program on the node."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def run(self, *words: str, code: int = 0) -> str:
        """What it prints; ``code``: the exit code that it must have."""
        while True:
            try:
                said, found = self.cluster.node("pdshub-machine", *words, timeout=900), 0
            except CommandFailed as failed:
                said, found = failed.out + failed.err, failed.code
            if found != BUSY:  # a timer went off in this very moment
                assert found == code, said
                return said
            time.sleep(0.5)

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "-o", "json"))


@pytest.fixture
def node(cluster: Cluster) -> Iterator[Node]:
    """A node with the program and its timers; all go afterwards, and so do snapshots."""
    with machine_node.borrowed(cluster):
        with contextlib.suppress(CommandFailed):  # the cluster has another image of etcd
            text = shown_after("recover-machine.md", "where\nthat has none")
            cluster.node("sh", "-e", "-c", text, timeout=300)
        machine_node.programs_of_etcd(cluster)
        cluster.node("sh", f"{SOURCE}/install", "etcd", "root")
        namespace(cluster, SPACE, development=False, guarded=False)
        cluster.kubectl("label", "namespace", SPACE, "pdshub.dev/hubs-")
        try:
            yield Node(cluster)
        finally:
            cluster.kubectl("delete", "namespace", SPACE, "--ignore-not-found", "--wait=false")


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
    for timer in ("etcd-snapshot", "root-checkpoint", "root-space"):
        cluster.node("systemctl", "is-active", f"pdshub-{timer}.timer")
    cluster.node("systemctl", "start", "pdshub-etcd-snapshot.service", timeout=300)
    (only,) = node.json("etcd", "list")
    assert only["members"] == 1 and only["keys"] > 100
    modes = cluster.node("find", "/var/lib/pdshub-machine", "-printf", "%m %y\n").split("\n")
    assert {mode for mode in modes if mode} == {"700 d", "600 f"}, "it holds every Secret of the cluster"
    node.run("etcd", "verify")
    told = node.json("status")
    assert told["etcd"]["kept"] == 1 and not told["etcd"]["old"] and "absent" in told["root"]
    assert "it has no checkpoints" in node.run("root", "checkpoint", code=REFUSED)
    unit = "pdshub-root-checkpoint.service"
    ended = f"systemctl start {unit} 2>/dev/null; systemctl show --value --property ExecMainStatus {unit}"
    assert cluster.node("sh", "-c", ended).strip() == str(REFUSED)

    config_map(cluster, "marker")
    cluster.kubectl("delete", "configmap", "kept", "-n", SPACE)
    assert names(cluster) == {"marker"}
    for words in ([], ["--stop"], ["--replace"]):
        node.run("etcd", "restore", only["name"], *words, code=REFUSED)
    assert names(cluster) == {"marker"}, "a refusal changes nothing"

    said = node.run("etcd", "restore", only["name"], "--stop", "--replace")
    assert said.splitlines()[-1] == "etcd answers"
    eventually(lambda: names(cluster), lambda found: found == {"kept"}, within=300, what="what was saved, and no more")
    machine_node.all_go_on(cluster, sample, SPACE, "first")
    eventually(lambda: answering(cluster), lambda found: found >= hubs, within=300, what=f"{hubs} answer")

    (before,) = node.json("status")["etcd"]["before"]
    assert before.startswith("/var/lib/etcd/pdshub-machine/before-")
    node.run("etcd", "snapshot")
    assert len(node.json("etcd", "list")) == 2

    # and forward again: to what was there, above every revision that somebody has seen
    node.run("etcd", "restore", Path(before).name, "--stop", "--replace")
    eventually(lambda: names(cluster), lambda found: found == {"marker"}, within=300, what="what was there before")
    machine_node.all_go_on(cluster, sample, SPACE, "second")
    eventually(lambda: answering(cluster), lambda found: found >= hubs, within=300, what=f"{hubs} answer")

    cluster.node("sh", f"{SOURCE}/install", "--remove")
    folders = "/etc/systemd/system /usr/local/lib /usr/local/sbin /var/lib/systemd/timers"
    left = cluster.node("sh", "-c", f"ls {folders} 2>/dev/null | grep pdshub || true")
    assert left.strip() == "", "nothing of the program"
    assert len(cluster.node("ls", "/var/lib/pdshub-machine/etcd").split()) == 2, "and what was saved"
