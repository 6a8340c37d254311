"""A NAS that is far away: read-ahead and connections of every mount of it, and what small reads cost then."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from nas import Nas, sh
from node import Node, entry, eventually, source
from test_generations import catalogs

MIB = 1 << 20
_RANDOM = """
import os, random, sys
random.seed(7)
with open(sys.argv[1], "rb", buffering=0) as file:
    size = os.fstat(file.fileno()).st_size
    for _ in range(100):
        file.seek(random.randrange(size // 4096) * 4096)
        assert len(file.read(4096)) == 4096
"""


@contextmanager
def delay(milliseconds: float) -> Iterator[None]:
    """Every packet passes lo once, so a round trip has the delay twice."""
    had = "netem" in sh("tc", "qdisc", "show", "dev", "lo")
    sh("tc", "qdisc", "replace", "dev", "lo", "root", "netem", "delay", f"{milliseconds * 500:.0f}us")
    try:
        yield
    finally:
        if had:
            sh("tc", "qdisc", "replace", "dev", "lo", "root", "netem", "delay", "0us")
        else:
            sh("tc", "qdisc", "del", "dev", "lo", "root")


def read_aheads() -> dict[str, int]:
    """Device of each NFS file system -> KiB that are read ahead."""
    rows = [line.split() for line in Path("/proc/fs/nfsfs/volumes").read_text().splitlines()[1:]]
    return {row[3]: int(Path(f"/sys/class/bdi/{row[3]}/read_ahead_kb").read_text()) for row in rows}


def read_bytes() -> int:
    """Bytes that this machine's NFS clients have received so far, by TCP."""
    return sum(
        int(line.split("bytes_received:")[1].split()[0])
        for line in subprocess.run(
            ["ss", "-tinH", "dport", "=", "2049"], capture_output=True, text=True, check=True
        ).stdout.splitlines()
        if "bytes_received:" in line
    )


@pytest.mark.parametrize(
    ("milliseconds", "least", "connections"), [(0.0, 128, 1), (20.0, 16384, 4)], ids=["beside", "far"]
)
def test_every_mount_of_a_source_fits_its_distance(
    nas: Nas, own_node: Node, milliseconds: float, least: int, connections: int
) -> None:
    name = f"distance-{milliseconds:.0f}"
    root = nas.export(name, {"a/f": "x"})
    (root / "a/large.img").write_bytes(bytes(8 * MIB))
    sources, tree = [source("one", f"/{name}")], [entry(".", "one")]
    generation = own_node.survey(name, {"one": root}, tree)
    before = read_aheads()
    alone = not before  # connections are shared by all that is mounted from a server: the first mount decides
    with delay(milliseconds):
        own_node.view(name, sources, tree, generation)
        own_node.start()
        target = own_node.publish(name)
        own_node.ready(target)
        eventually("the catalog", lambda: catalogs(own_node, target) == [generation])
        found = {device: size for device, size in read_aheads().items() if device not in before}
        assert len(found) == 2, "the source's own mount, and the catalog's"
        assert set(found.values()) == ({16384} if milliseconds else set(found.values()))
        assert min(found.values()) >= least
        (mount,) = [m for m in own_node.mounts() if m.fstype == "nfs4" and m.source.endswith(f"/{name}")]
        assert not alone or ("nconnect=4" in mount.super_options) is (connections == 4)
        received = read_bytes()
        done = own_node.in_pod("python3", "-c", _RANDOM, str(target / name / "a/large.img"))
        assert done.returncode == 0, done.stderr
        cost = read_bytes() - received
        print(f"{milliseconds} ms: 100 random reads of 4 kB: {cost} bytes over the line")
        assert cost < 3 * 100 * 4096, "nobody pays for what is read ahead in large files"
        own_node.unpublish(name, target)


def test_what_the_view_says_counts(nas: Nas, own_node: Node) -> None:
    nas.export("stated", {"f": "x"})
    one = source("one", "/stated")
    one["nfs"] |= {"readAhead": "2Mi", "connections": 2}
    before = read_aheads()
    own_node.view("stated", [one], [entry(".", "one")])
    own_node.start()
    own_node.ready(own_node.publish("stated"))
    found = {device: size for device, size in read_aheads().items() if device not in before}
    assert set(found.values()) == {2048}
