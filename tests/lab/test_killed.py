"""The plugin is killed: pods don't notice, nothing is mounted twice, and what it missed is made good."""

from __future__ import annotations

import hashlib
import subprocess

from nas import Nas
from node import Node, entry, eventually, source

SIZE = 24 << 20
_READ = """
import hashlib, sys, time
digest = hashlib.sha256()
with open(sys.argv[1], 'rb') as f:
    print('reading', flush=True)
    while data := f.read(1 << 20):
        digest.update(data)
        time.sleep(0.2)
print(digest.hexdigest())
"""


def test_reads_go_on_and_nothing_leaks(nas: Nas, own_node: Node) -> None:
    node = own_node
    folder = nas.export("killed", {"a/f": "a", "b/f": "b"})
    data = bytes(range(256)) * (SIZE // 256)
    (folder / "a/big").write_bytes(data)
    node.view("killed", [source("nas", "/killed")], [entry("x", "nas:a", "nas:b"), entry("y", "nas:b")])
    node.start()
    stays, goes = node.publish("killed"), node.publish("killed")
    for target in (stays, goes):
        node.ready(target)
    before = {(m.point, m.content) for m in node.mounts()}

    reader = subprocess.Popen(
        node.pod("python3", "-c", _READ, str(stays / "killed/x/big")), stdout=subprocess.PIPE, text=True
    )
    assert reader.stdout
    assert reader.stdout.readline() == "reading\n"
    node.kill()
    assert (node.look(stays) / "killed/y/f").read_text() == "b"
    assert {(m.point, m.content) for m in node.mounts()} == before

    node.start()
    node.ready(stays)
    assert sorted((m.point, m.content) for m in node.mounts()) == sorted(before), "the same mounts, once each"
    assert reader.communicate(timeout=300)[0].strip() == hashlib.sha256(data).hexdigest()
    assert reader.returncode == 0

    # while it was away a pod ended and the view changed
    node.kill()
    node.view("killed", [source("nas", "/killed")], [entry("x", "nas:b", "nas:a")])
    node.start()
    node.unpublish("killed", goes)
    eventually("the change arrives", lambda: (node.look(stays) / "killed/x/f").read_text() == "b")
    eventually("the removed entry is gone", lambda: not (node.look(stays) / "killed/y").exists())
    node.unpublish("killed", stays)
    assert not [m for m in node.mounts() if "/pods/" in m.point]
