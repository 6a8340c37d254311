"""csi-sanity, the conformance suite of CSI, against the running node plugin: identity and node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import Cluster
from tests.e2e.conftest import ROOT, SYSTEM

pytestmark = pytest.mark.alone  # it publishes and removes volumes at the plugin that all share
WORK = "/var/lib/kubelet/pdshub-sanity"
"""Below the kubelet's folder, which the plugin shares with the node: only there does it publish."""
PLUGIN = "/var/lib/kubelet/plugins/archive.pdshub.dev/csi.sock"
# The plugin has no controller and the suite's whole flow wants one: tests/lab/controller.py stands in front of it.
SCRIPT = f"""
cd {WORK}
timeout 400 python3 controller.py {WORK}/driver.sock "$1" {PLUGIN} "$2" &
trap "kill $!" EXIT
for i in $(seq 100); do [ -S driver.sock ] && break; sleep 0.2; done
timeout 380 ./csi-sanity -csi.endpoint unix://{WORK}/driver.sock \\
  -csi.mountdir {WORK}/mount -csi.stagingdir {WORK}/staging -csi.testnodevolumeattachlimit=false \\
  -ginkgo.no-color -ginkgo.focus "Identity Service|Node Service"
"""


@pytest.fixture
def work(cluster: Cluster) -> Iterator[None]:
    """The suite and its controller on the node."""
    node = cluster.facts["NODE_CONTAINER"]
    cluster.node("mkdir", "-p", WORK)
    cluster.engine("cp", str(Path(cluster.facts["BIN"], "csi-sanity").resolve()), f"{node}:{WORK}/csi-sanity")
    cluster.engine("cp", str(ROOT / "tests/lab/controller.py"), f"{node}:{WORK}/controller.py")
    yield
    cluster.node("rm", "-rf", "--one-file-system", WORK)


def test_identity_and_node_suites(cluster: Cluster, hub: dict[str, Any], work: None) -> None:
    namespace = hub["metadata"]["namespace"]
    view = f"{namespace}-{hub['metadata']['name']}"
    modes = {s["mode"] for s in cluster.get("archiveview", view)["status"]["sources"]}
    assert modes <= {"kernel-nfs", "user-space-nfs"}  # over NFS, not over a local directory
    pod = cluster.plugin_pods("node")[0]["metadata"]["name"]
    said = cluster.kubectl("exec", "-n", SYSTEM, pod, "--", "sh", "-c", SCRIPT, "sh", view, namespace, timeout=420)
    found = re.search(r"(\d+) Passed \| (\d+) Failed", said)
    assert found, said[-4000:]
    # three of identity; of the node service all but staging and expansion, which the plugin does not offer
    assert int(found[1]) >= 14 and found[2] == "0"
    assert not [line for line in cluster.mounts() if WORK in line]
