"""A NAS that hangs, after every file was opened: names, sizes and times go on listing at local speed and without a
call, in servers that were there, that hold something, and that start meanwhile; opens fail at once; all heals by
itself."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nas import Nas
from node import Node, entry, eventually, source
from test_generations import DATA_ONLY, catalogs
from walks import READ, WALK

from pdshub.node.mount import mountinfo
from pdshub.node.mount.catalog import COVER

FILES = {f"d{n % 3}/s/f{n}": f"file {n}\n" * (n + 1) for n in range(60)}
DIGESTS = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in FILES.items()}
KEPT = 65.0
"""Seconds after which the kernel's NFS client asks for attributes again, unless it is told otherwise (acregmax)."""
AT_ONCE = 5.0
"""Seconds for an open that fails without asking the server, on a machine that is busy; asking takes 15 and more."""
NOTICED = 30.0
"""Seconds from the end of the server, within which it is known to be away (docs/health.md)."""

_HOLD = r"""
import mmap, os, sys
os.chdir(sys.argv[1] + '/d1/s')
file = open('f1')
mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
print('holds', flush=True)
sys.stdin.readline()
print(file.read() == mapped[:].decode(), os.getcwd().endswith('/d1/s'), len(os.listdir('.')),
      len(open(os.getcwd() + '/f4').read()), len(open('f4').read()), flush=True)
"""


@pytest.fixture
def quick_node(nas: Nas) -> Iterator[Node]:
    """A node with the plugin's own times for a source that does not answer."""
    folder = Path(tempfile.mkdtemp(prefix="node-", dir="/run/lab"))
    folder.chmod(0o755)
    made = Node(folder, ("--probe-seconds", "8"))
    made.start()
    yield made
    made.close()


#: Calls that programs cause, by their place in the client's statistics (fs/nfs/nfs4xdr.c, nfs4_procedures): read, open,
#: close, access, getattr, lookup, readlink, readdir. The client itself renews its lease now and then.
_CAUSED = (1, 4, 6, 8, 17, 18, 19, 28, 29)


def calls() -> int:
    """Calls of this machine's NFS client so far that a program caused."""
    for line in Path("/proc/net/rpc/nfs").read_text().splitlines():
        if line.startswith("proc4 "):
            counts = [int(word) for word in line.split()[2:]]
            return sum(counts[place] for place in _CAUSED)
    raise AssertionError("no NFS client")


def quiet() -> None:
    """Wait until nobody has asked the server anything for a while: the last probe of a plugin goes on to its end."""
    before = -1
    while before != calls():
        before = calls()
        time.sleep(3)


def run(node: Node, code: str, root: Path) -> Any:
    done = subprocess.run(node.pod("python3", "-c", code, str(root)), capture_output=True, text=True, timeout=560)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def published(nas: Nas, node: Node, name: str, servers: int) -> tuple[Path, list[Path]]:
    """A generation of FILES in that many servers; answers the NAS's folder and their views."""
    folder = nas.export(name, FILES)
    tree = [entry(".", "nas")]
    generation = node.survey(name, {"nas": folder}, tree)
    node.view(name, [source("nas", f"/{name}")], tree, generation)
    targets = [node.publish(name) for _ in range(servers)]
    for target in targets:
        node.ready(target)
        eventually("the catalog is there", lambda t=target: catalogs(node, t) == [generation])
    return folder, [target / name for target in targets]


def covered(node: Node, view: Path) -> bool:
    top = mountinfo.top(node.mounts(), str(view))
    return top is not None and top.source.endswith(COVER)


def test_a_walk_of_files_that_were_read_asks_nobody(nas: Nas, quick_node: Node, kernel: tuple[int, int]) -> None:
    """overlayfs asks the source for the blocks of each file that was opened once; the plugin is stopped, so that every
    call is the walk's."""
    wait = float(os.environ.get("LAB_WALK_AFTER", str(KEPT)))
    folder, (view,) = published(nas, quick_node, "asks", 1)
    local = run(quick_node, WALK, view)
    costs = {}

    def cost(when: str, code: str) -> Any:
        before = calls()
        found = run(quick_node, code, view)
        costs[when] = (calls() - before, found["walk"][0] if isinstance(found, dict) else found[2])
        return found

    quick_node.kill()
    quiet()
    cost("cold", WALK)
    read = cost("read", READ)
    assert read[0] == DIGESTS and not read[1]
    cost("just after reading", WALK)
    time.sleep(wait)
    cost(f"{wait:g} s after reading", WALK)
    print(f"kernel {kernel}: calls and seconds of os.walk and stat of {len(FILES)} files: {costs}; at first {local}")
    if kernel >= DATA_ONLY:
        assert costs["cold"][0] == 0
    assert costs["just after reading"][0] == 0 and costs[f"{wait:g} s after reading"][0] == 0
    # close-to-open all the same: an open asks
    (folder / "d0/s/f0").write_text("as long")
    assert run(quick_node, READ, view)[0]["d0/s/f0"] == hashlib.sha256(b"as long").hexdigest()


def test_everything_was_opened_and_the_server_is_gone(nas: Nas, quick_node: Node, kernel: tuple[int, int]) -> None:
    node = quick_node
    _, (idle, holding) = published(nas, node, "hangs", 2)
    local = run(node, WALK, idle)
    for view in (idle, holding):
        assert run(node, READ, view)[0] == DIGESTS
    holder = subprocess.Popen(
        node.pod("python3", "-c", _HOLD, str(holding)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin and holder.stdout
    try:
        assert holder.stdout.readline() == "holds\n"
        nas.drop()
        try:
            gone = time.monotonic()
            early = node.publish("hangs") / "hangs"  # before anybody knows
            eventually("it is noticed", lambda: all(covered(node, v) for v in (idle, holding, early)))
            noticed = time.monotonic() - gone
            time.sleep(max(0.0, NOTICED - noticed))
            late = node.publish("hangs") / "hangs"
            eventually("a server that starts now has its names", lambda: covered(node, late))
            walks = {}
            for name, view in {"idle": idle, "holding": holding, "early": early, "late": late}.items():
                before = calls()
                walks[name] = run(node, WALK, view)
                walks[name]["calls"] = calls() - before
                found, errors, seconds = run(node, READ, view)
                assert not found, f"{name}: bytes from nowhere"
                assert len(errors) == len(FILES) if kernel >= DATA_ONLY else True
                slowest = max((took for _, took in errors.values()), default=0.0)
                assert slowest < AT_ONCE, f"{name}: an open took {slowest} s"
                walks[name]["opens"] = [seconds, sorted({number for number, _ in errors.values()})]
            print(f"kernel {kernel}: noticed after {noticed:.1f} s; at first {local}; without the server {walks}")
            if kernel >= DATA_ONLY:
                for walk in walks.values():
                    for way, (_, files, errors) in ((w, walk[w]) for w in ("walk", "ls", "find")):
                        assert (way, files, errors) == (way, len(FILES), [])
        finally:
            nas.reach()
        for view in (idle, holding, early, late):
            # a machine that is busy may take the server for away once more
            eventually("all is read again", lambda v=view: run(node, READ, v)[:2] == [DIGESTS, {}])
            eventually("the cover is gone", lambda v=view: not covered(node, v))
            left = len(catalogs(node, view.parent))
            assert left == 1 or kernel < (6, 5), "one mount, as before"
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == f"True True 20 {len(FILES['d1/s/f4'])} {len(FILES['d1/s/f4'])}\n"
    finally:
        holder.kill()
        holder.wait()
