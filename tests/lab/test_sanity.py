"""csi-sanity, the conformance suite of CSI: identity and node, over kernel NFS."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from nas import Nas
from node import Node, entry, eventually, source

CONTROLLER = Path(__file__).with_name("controller.py")


def test_identity_and_node_suites(nas: Nas, node: Node) -> None:
    nas.export("sanity", {"data/label.xml": "<label/>"})
    node.view("sanity", [source("nas", "/sanity")], [entry("data", "nas:data")])
    target = node.publish("sanity")
    assert node.ready(target)["sources"]["nas"]["mode"] == "kernel-nfs"
    node.unpublish("sanity", target)

    driver, pods = Path("/run/lab/driver.sock"), node.layout.kubelet / "pods"
    command = [sys.executable, str(CONTROLLER), str(driver), "sanity", str(node.layout.csi_socket)]
    with subprocess.Popen(node.inside(*command)) as controller:
        try:
            eventually("the test controller listens", driver.exists)
            suite = [os.environ["LAB_SANITY"], "-csi.endpoint", f"unix://{driver}"]
            suite += ["-csi.mountdir", f"{pods}/sanity", "-csi.stagingdir", f"{pods}/sanity-staging"]
            suite += ["-csi.testnodevolumeattachlimit=false", "-ginkgo.no-color"]
            suite += ["-ginkgo.focus", "Identity Service|Node Service"]
            done = subprocess.run(node.inside(*suite), capture_output=True, text=True, timeout=600)
        finally:
            controller.terminate()
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    found = re.search(r"(\d+) Passed \| (\d+) Failed", done.stdout)
    assert found, done.stdout[-2000:]
    # three of identity; of the node service all but staging and expansion, which the plugin does not offer
    assert int(found[1]) >= 14
    assert not [m for m in node.mounts() if m.point.startswith(f"{pods}/sanity")]
