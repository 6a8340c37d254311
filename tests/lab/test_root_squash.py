"""An export on which root is nobody: the source says as whom to read it."""

from __future__ import annotations

import os

from nas import Nas
from node import Node, entry, source

OWNER = 4321


def test_run_as_reads_what_root_can_not(nas: Nas, node: Node) -> None:
    folder = nas.export("squashed", {"private/label.xml": "<private/>", "open/label.xml": "<open/>"}, "root_squash")
    for path in (folder / "private", folder / "private/label.xml"):
        os.chown(path, OWNER, OWNER)
        path.chmod(0o750 if path.is_dir() else 0o640)
    tree = [entry("private", "squashed:private"), entry("open", "squashed:open")]
    node.view("squashed", [source("squashed", "/squashed", runAs={"uid": OWNER, "gid": OWNER})], tree)
    target = node.publish("squashed")
    assert node.ready(target)["sources"]["squashed"]["mode"] == "kernel-nfs"
    seen = node.look(target) / "squashed"
    assert (seen / "open/label.xml").read_text() == "<open/>"
    assert (seen / "private/label.xml").read_text() == "<private/>"
    done = node.in_pod("cat", str(target / "squashed/private/label.xml"))
    assert "Permission denied" in done.stderr, "a pod's user has the file's own permissions"
    node.unpublish("squashed", target)
