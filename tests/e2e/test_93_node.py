"""Who has rights on a node, and who answers strangers there: never the same process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually

SYSTEM = "pdshub-system"
METRICS, REPORT = 9807, 9809

PROCESSES = """
import json, os, pathlib
found = []
for status in pathlib.Path("/proc").glob("[0-9]*/status"):
    try:
        lines = dict(line.partition(":")[::2] for line in status.read_text().splitlines())
        command = (status.parent / "cmdline").read_bytes().decode(errors="replace").split("\\0")
        sockets = [os.readlink(fd) for fd in (status.parent / "fd").iterdir()]
    except OSError:
        continue
    if int(status.parent.name) != os.getpid():
        inodes = [s[8:-1] for s in sockets if s.startswith("socket:[")]
        found.append({"command": command, "uid": lines["Uid"].split(), "caps": int(lines["CapEff"], 16),
                      "privileges": lines["NoNewPrivs"].strip(), "sockets": inodes})
listening = {}
for table in ("/proc/net/tcp", "/proc/net/tcp6"):
    for line in open(table).readlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            listening[fields[9]] = int(fields[1].rpartition(":")[2], 16)
for one in found:
    one["ports"] = sorted({listening[s] for s in one.pop("sockets") if s in listening})
print(json.dumps(found))
"""
"""Run in a container: its processes, as whom they run, and the TCP ports at which they listen."""

ASK = """
import json, os, sys, urllib.request
there = os.path.exists
text = urllib.request.urlopen("http://127.0.0.1:PORT/metrics", timeout=10).read().decode()
print(json.dumps({"text": text, "kubelet": there("/var/lib/kubelet"), "writes": os.access("/run/pdshub", os.W_OK),
                  "token": there("/var/run/secrets/kubernetes.io/serviceaccount/token")}))
""".replace("PORT", str(METRICS))
IN_CLEAR = """
import json, socket
with socket.create_connection(("127.0.0.1", PORT), 10) as asking:
    asking.sendall(b"GET /report HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
    try:
        said = asking.recv(100)
    except ConnectionError:
        said = b""
print(json.dumps(b"HTTP/" in said))
""".replace("PORT", str(REPORT))


def inside(cluster: Cluster, pod: str, container: str, code: str) -> Any:
    """What Python prints in a container, as JSON."""
    return json.loads(cluster.kubectl("exec", "-n", SYSTEM, pod, "-c", container, "--", "python3", "-c", code))


@pytest.fixture(scope="module")
def plugins(cluster: Cluster) -> list[str]:
    names = [pod["metadata"]["name"] for pod in cluster.plugin_pods("node")]
    assert names
    return names


def test_metrics_are_served_by_who_has_no_rights(cluster: Cluster, plugins: list[str]) -> None:
    for pod in plugins:
        found = eventually(lambda p=pod: inside(cluster, p, "metrics", ASK), what="metrics")
        assert "pdshub_node_plugin_info{" in found["text"] and "pdshub_node_metrics_age_seconds " in found["text"]
        assert not found["kubelet"] and not found["token"] and not found["writes"]
        serving = [one for one in inside(cluster, pod, "metrics", PROCESSES) if METRICS in one["ports"]]
        assert serving, "this container's own"
        for one in serving:
            assert set(one["uid"]) == {"65532"} and one["caps"] == 0 and one["privileges"] == "1"


def test_the_plugin_listens_for_the_operator_alone(cluster: Cluster, plugins: list[str]) -> None:
    """And serves nothing in clear text: what is at its port is TLS that wants a certificate."""
    for pod in plugins:
        ports = {port for one in inside(cluster, pod, "node", PROCESSES) for port in one["ports"]}
        assert ports == {REPORT}
        assert inside(cluster, pod, "node", IN_CLEAR) is False


def test_the_plugin_is_healthy_by_its_file(cluster: Cluster, plugins: list[str]) -> None:
    for pod in plugins:
        text = cluster.kubectl("exec", "-n", SYSTEM, pod, "-c", "node", "--", "cat", "/run/pdshub/health")
        assert text.startswith("ok")


def test_who_speaks_to_a_nas_from_user_space_has_no_rights(cluster: Cluster) -> None:
    """The helper's own processes may mount; those of sources can do nothing but connect from a low port."""
    for pod in cluster.plugin_pods("nfs-helper"):
        found = inside(cluster, pod["metadata"]["name"], "nfs-helper", PROCESSES)
        serving = [one for one in found if "nfs-mount" in one["command"]]
        for one in serving:
            assert set(one["uid"]) == {"65533"} and one["caps"] == 1 << 10 and one["privileges"] == "1", one
        if not serving:  # the kernel mounts NFS, or there is nothing to mount: a shell waits
            assert not [one for one in found if any("python" in word for word in one["command"])]
