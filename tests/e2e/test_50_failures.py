"""Things that break while people work: each heals by itself and loses nothing."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import NAMESPACE, SYSTEM, namespace, person, variant, wait_ready
from tests.e2e.hubclient import Person

pytestmark = pytest.mark.alone  # what breaks here breaks for everybody
VIEW = "/archive/demo"


def plugin_ready(cluster: Cluster) -> None:
    """Wait until every part of the installation is up again."""
    for target in ("daemonset/pdshub-node", "deployment/pdshub-operator"):
        cluster.kubectl("rollout", "status", target, "-n", SYSTEM, "--timeout=240s", timeout=250)
    helper = ["-l", "app.kubernetes.io/component=nfs-helper"]  # OnDelete: it has no rollout to ask for
    cluster.kubectl("wait", "--for=condition=Ready", "pod", *helper, "-n", SYSTEM, "--timeout=240s", timeout=250)


def kill(cluster: Cluster, component: str) -> None:
    """SIGKILL the program of a component on the node, as the kernel's OOM killer would."""
    pod = cluster.plugin_pods(component)[0]
    container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
    pid = cluster.node("sh", "-c", f"ctr -n k8s.io task ls | awk '$1 == \"{container}\" {{print $2}}'").strip()
    assert pid, container
    cluster.node("kill", "-9", pid)


def leaked(cluster: Cluster) -> list[str]:
    """Published mounts whose pod no longer exists."""
    alive = {pod["metadata"]["uid"] for pod in cluster.items("pods")}
    return [m for m in cluster.mounts() if (u := re.search(r"/pods/([0-9a-f-]{36})/", m)) and u[1] not in alive]


def registry_mounts(cluster: Cluster) -> list[str]:
    """Mounts over the folder where plugins register: a container that mounts it for itself leaves one at each start."""
    table = cluster.node("cat", "/proc/1/mountinfo").splitlines()
    return [line for line in table if line.split()[4].endswith("/plugins_registry")]


def test_a_long_read_outlives_the_node_plugin(cluster: Cluster, ada: Person, manifest: dict[str, Any]) -> None:
    big = manifest["facts"]["big"]
    code = (
        "import hashlib, time\nh, n = hashlib.sha256(), 0\n"
        f"with open('{VIEW}/{big['path']}', 'rb') as f:\n"
        "    while block := f.read(1 << 20):\n        h.update(block); n += len(block)\n"
        "        if n == 20 << 20: print('underway', flush=True)\n        time.sleep(0.02)\n"
        "print(n, h.hexdigest())"
    )
    with ada.kernel() as kernel:
        message = kernel.send(code)
        kill(cluster, "node")
        text = kernel.wait(message, within=300).ok()
    plugin_ready(cluster)
    assert text.splitlines()[-1] == f"{big['size']} {big['sha256']}"
    assert registry_mounts(cluster) == []


def test_a_pod_deleted_while_the_plugin_is_down_leaves_nothing(cluster: Cluster, bela: Person) -> None:
    never = {"spec": {"template": {"spec": {"nodeSelector": {"pdshub.dev/nowhere": "true"}}}}}
    cluster.kubectl("patch", "daemonset", "pdshub-node", "-n", SYSTEM, "-p", json.dumps(never))
    eventually(lambda: cluster.plugin_pods("node"), lambda pods: not pods, what="the plugin is gone")
    cluster.kubectl("delete", "pod", "jupyter-bela", "-n", NAMESPACE, "--wait=false")
    back = [{"op": "remove", "path": "/spec/template/spec/nodeSelector/pdshub.dev~1nowhere"}]
    cluster.kubectl("patch", "daemonset", "pdshub-node", "-n", SYSTEM, "--type=json", "-p", json.dumps(back))
    plugin_ready(cluster)
    eventually(
        lambda: [p for p in cluster.items("pods", NAMESPACE) if p["metadata"]["name"] == "jupyter-bela"],
        lambda pods: not pods,
        within=240,
        what="bela's pod is gone",
    )
    eventually(lambda: leaked(cluster), lambda mounts: not mounts, what="no mount is left")
    again = person(cluster, "bela")
    again.stop()
    again.start()


def test_a_restarted_kubelet_disturbs_nobody(cluster: Cluster, ada: Person) -> None:
    with ada.kernel() as kernel:
        kernel.run("x = 7").ok()
        cluster.node("systemctl", "restart", "kubelet")
        cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=180s", timeout=190)
        eventually(lambda: ada.call("GET", "/user/ada/api/status").status_code, lambda c: c == 200, what="ada's server")
        kernel.connect()
        assert kernel.run(f"import os; print(x, len(os.listdir('{VIEW}')) > 0)").ok() == "7 True"
    plugin_ready(cluster)
    assert leaked(cluster) == []


def test_a_nas_that_is_down_at_start_is_said_and_heals(cluster: Cluster, sample: dict[str, Any]) -> None:
    where = namespace(cluster, "e2e-late")  # not that of test_28, whose database stays there
    cluster.engine("stop", "-t", "2", cluster.facts["NAS_CONTAINER"])
    try:
        cluster.apply(variant(sample, "late", where))
        wait_ready(cluster, "late", where)
        said = eventually(
            lambda: cluster.condition("pdshub", "late", "ArchiveReady", where),
            lambda c: c.get("status") == "False" and "main" in c["message"],
            within=60,
            what="ArchiveReady names the source",
        )
        assert cluster.facts["NAS_IP"] in said["message"]
        user = person(cluster, "ada", "late", where)
        user.start()
        with user.kernel() as kernel:
            eventually(
                lambda: kernel.run("print(open('/archive/ARCHIVE-UNAVAILABLE.txt').read())").ok(),
                lambda words: "main" in words,
                what="/archive says which source is away",
            )
            eventually(
                lambda: user.page("/hub/home"),
                lambda html: "archive" in html.lower() and "main" in html,
                what="the hub's pages say it",
            )
            cluster.engine("start", cluster.facts["NAS_CONTAINER"])
            eventually(
                lambda: cluster.condition("pdshub", "late", "ArchiveReady", where),
                lambda c: c.get("status") == "True",
                within=180,
                what="ArchiveReady heals",
            )
            listing = eventually(
                lambda: kernel.run(
                    "import os; print(sorted(os.listdir('/archive')), os.listdir('/archive/late')[:1])"
                ).ok(),
                lambda text: "ARCHIVE-UNAVAILABLE.txt" not in text and "Error" not in text,
                what="the running server sees the archive",
            )
            assert "late" in listing
    finally:
        cluster.engine("start", cluster.facts["NAS_CONTAINER"])
        cluster.kubectl("delete", "pdshub", "late", "-n", where, "--timeout=180s", timeout=190)
        cluster.kubectl("delete", "namespace", where, "--wait=false")
    cluster.kubectl(
        "wait", "--for=condition=ArchiveReady", "pdshub/demo", "-n", NAMESPACE, "--timeout=180s", timeout=190
    )


def test_a_restarted_node_comes_back_by_itself(cluster: Cluster, ada: Person) -> None:
    with ada.kernel() as kernel:
        kernel.run("from pathlib import Path; Path.home().joinpath('reboot.txt').write_text('before')").ok()
    cluster.engine("restart", "-t", "20", cluster.facts["NODE_CONTAINER"], timeout=240)
    eventually(
        lambda: cluster.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=20s"),
        within=240,
        what="the node",
    )
    plugin_ready(cluster)
    for target in ("deployment/hub", "deployment/proxy"):
        cluster.kubectl("rollout", "status", target, "-n", NAMESPACE, "--timeout=240s", timeout=250)
    cluster.kubectl(
        "wait", "--for=condition=ArchiveReady", "pdshub/demo", "-n", NAMESPACE, "--timeout=240s", timeout=250
    )
    again = eventually(lambda: person(cluster, "ada"), within=180, what="ada signs in")
    if again.model().get("servers"):
        again.stop()
    again.start()
    with again.kernel() as kernel:
        assert (
            kernel.run("from pathlib import Path; print(Path.home().joinpath('reboot.txt').read_text())").ok()
            == "before"
        )
        assert int(kernel.run(f"import os; print(len(os.listdir('{VIEW}')))").ok()) > 0
    eventually(lambda: leaked(cluster), lambda mounts: not mounts, what="no mount is left")


@pytest.mark.long
def test_ten_kills_of_the_node_plugin_leak_nothing(cluster: Cluster, ada: Person) -> None:
    before = len(cluster.mounts())
    for _ in range(10):
        (pod,) = cluster.plugin_pods("node")
        kill(cluster, "node")
        # a pod of its own each time: the kubelet would wait longer and longer before it starts a container again
        name = pod["metadata"]["name"]
        cluster.kubectl("delete", "pod", name, "-n", SYSTEM, "--grace-period=0", "--force")
        eventually(lambda gone=name: [p["metadata"]["name"] for p in cluster.plugin_pods("node")] not in ([], [gone]))
        plugin_ready(cluster)
    eventually(lambda: len(cluster.mounts()), lambda count: count == before, what="as many mounts as before")
    assert registry_mounts(cluster) == []
