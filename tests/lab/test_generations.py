"""Catalogs over the kernel's NFS client: what is shown, what it costs, switches under readers, a NAS that is away."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from nas import Nas
from node import Node, entry, eventually, source

from pdshub.node.mount import mountinfo
from pdshub.node.reconcile.observe import generation

READERS = 8
LABEL = "pdshub-generation:"
DATA_ONLY = (6, 5)
#: Readers until a file called stop appears; a report of what went wrong from each.
_STORM = """
import errno, json, os, sys, time
root, stop, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
ends = []
for _ in range(number):
    out, into = os.pipe()
    if os.fork() == 0:
        os.nice(19)
        opens, wrong = 0, {}
        def bad(what): wrong[what] = wrong.get(what, 0) + 1
        while not os.path.exists(stop):
            time.sleep(0.05)
            for _ in range(10):
                opens += 1
                try:
                    with open(root + "/both") as f:
                        if f.read() != "the same": bad("content")
                    names = sorted(os.listdir(root + "/d"))
                    if names not in (["common", "one"], ["common", "two"]): bad(str(names))
                except OSError as error: bad(errno.errorcode[error.errno])
                for name in ("old/x", "new/z"):
                    try: open(root + "/" + name).close()
                    except FileNotFoundError: pass
                    except OSError as error: bad(name + errno.errorcode[error.errno])
        os.write(into, json.dumps([opens, wrong]).encode())
        os._exit(0)
    os.close(into)
    ends.append(out)
print('reading', flush=True)
print(json.dumps([json.loads(os.read(out, 65536)) for out in ends]))
"""
_WALK = """
import os, sys
for top, folders, files in os.walk(sys.argv[1]):
    for name in files: os.stat(top + "/" + name)
"""


def calls() -> int:
    """Calls of this machine's NFS client so far."""
    for line in Path("/proc/net/rpc/nfs").read_text().splitlines():
        if line.startswith("rpc "):
            return int(line.split()[1])
    raise AssertionError("no NFS client")


def catalogs(node: Node, target: Path) -> list[str]:
    """Generations mounted in a target, as catalogs or as covers."""
    mounts = [m for m in node.mounts() if m.point.startswith(f"{target}/")]
    return [generation(m) for m in mounts if m.source.startswith(LABEL)]


def on_top(node: Node, target: Path, folder: str) -> str:
    top = mountinfo.top(node.mounts(), str(target / folder))
    return generation(top) if top else ""


def form(node: Node, target: Path) -> str:
    return str(json.loads((node.look(target) / ".pdshub/generation.json").read_text())["form"])


@pytest.mark.parametrize("shared", [False, True], ids=["single", "nested"])
def test_what_is_shown_and_what_it_costs(nas: Nas, node: Node, kernel: tuple[int, int], shared: bool) -> None:
    name = "nested" if shared else "single"
    one = nas.export(f"{name}-one", {f"a/f{n}": f"one {n}" for n in range(40)} | {"a/later": "not decided"})
    two = nas.export(f"{name}-two", {"b/g": "two"} | ({"a/f7": "superseded!"} if shared else {}))
    (one / "a/later").rename(one / "later")
    sources, tree = [source("one", f"/{name}-one"), source("two", f"/{name}-two")], [entry(".", "one", "two")]
    generation = node.survey(name, {"one": one, "two": two}, tree)
    (one / "a/after").write_text("after the survey")
    (one / "after").write_text("after the survey")
    node.view(name, sources, tree, generation)
    target = node.publish(name)
    node.ready(target)
    eventually("the catalog is there", lambda: catalogs(node, target) == [generation])
    assert form(node, target) == ("catalog" if kernel >= DATA_ONLY else "catalog-merged")
    seen = node.look(target) / name
    before = calls()
    done = node.in_pod("python3", "-c", _WALK, str(target / name))
    assert done.returncode == 0, done.stderr
    cost = calls() - before
    print(f"kernel {kernel}: os.walk and stat of 42 files: {cost} NFS calls with the probes' of that time")
    if kernel >= DATA_ONLY:
        assert cost < 10, "nothing but the plugin's own probes"
        # smaller than NFS's own (test_facts): Python reads as much at once, and readahead grows from there (decision 8)
        assert (seen / "a/f7").stat().st_blksize <= 4096
    assert sorted(p.name for p in seen.iterdir()) == ["a", "b", "later"]
    assert len(list((seen / "a").iterdir())) == 40
    assert (seen / "a/f7").read_text() == "one 7" and (seen / "b/g").read_text() == "two"
    assert node.in_pod("cat", str(target / name / "a/f7")).stdout == "one 7"
    assert "Read-only" in node.in_pod("touch", str(target / name / "new")).stderr
    node.unpublish(name, target)
    assert not [m for m in node.mounts() if m.point.startswith(str(target))]


def two_releases(nas: Nas, node: Node, name: str) -> tuple[Callable[[str], None], str, str]:
    """Two generations of two exports, and how to release one."""
    files = {"both": "the same", "d/common": "c"}
    one = nas.export(f"{name}-one", {**files, "f": "first", "old/x": "x", "d/one": "1"})
    two = nas.export(f"{name}-two", {**files, "f": "second!", "new/z": "z", "d/two": "2"})
    sources, roots = [source("one", f"/{name}-one"), source("two", f"/{name}-two")], {"one": one, "two": two}
    tree = [entry(".", "one")]
    first, second = node.survey(name, roots, tree), node.survey(name, roots, [entry(".", "two")])
    return (lambda generation: node.view(name, sources, tree, generation)), first, second


@pytest.mark.parametrize("rounds", [5, pytest.param(20, marks=pytest.mark.long)])
def test_switches_under_readers(nas: Nas, node: Node, kernel: tuple[int, int], rounds: int) -> None:
    name = f"storm-{rounds}"
    release, first, second = two_releases(nas, node, name)
    release(first)
    targets = [node.publish(name) for _ in range(2)]
    target = targets[0]
    node.ready(target)
    eventually("the first one", lambda: on_top(node, target, name) == first)
    stop = Path(f"/run/lab/stop-{name}")
    reader = subprocess.Popen(
        node.pod("python3", "-c", _STORM, str(target / name), str(stop), str(READERS)),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reader.stdout
        assert reader.stdout.readline() == "reading\n"
        for _ in range(rounds):
            for generation in (second, first):
                release(generation)
                for one in targets:
                    eventually("the switch", lambda g=generation, t=one: on_top(node, t, name) == g)
        stop.touch()
        results = json.loads(reader.communicate(timeout=120)[0])
    finally:
        stop.touch()
        reader.kill()
    print(f"kernel {kernel}: {2 * rounds} switches under {sum(opens for opens, _ in results)} opens")
    assert [wrong for _, wrong in results] == [{}] * READERS
    limit = 1 if kernel >= (6, 5) else 7
    eventually("none is left below", lambda: len(catalogs(node, target)) <= limit)
    for one in targets:
        node.unpublish(name, one)
    assert not [m for m in node.mounts() if m.point.startswith(str(target))]


def test_fifty_targets(nas: Nas, node: Node, kernel: tuple[int, int]) -> None:
    name = "fifty"
    release, first, second = two_releases(nas, node, name)
    release(first)
    targets = [node.publish(name) for _ in range(50)]
    eventually("all have the first", lambda: all(on_top(node, t, name) == first for t in targets))
    release(second)
    begun, now = 0.0, time.monotonic()
    deadline = now + 180
    while now < deadline:
        now = time.monotonic()
        label = LABEL + second.removeprefix("sha256:")
        new = sum(m.source == label and "/pods/" in m.point for m in node.mounts())
        begun = begun or (now if new else 0.0)
        if new == len(targets):
            break
    print(f"kernel {kernel}: 50 targets switched within {(now - begun) * 1000:.0f} ms (emulated, as seen from outside)")
    eventually("all have the second", lambda: all(on_top(node, t, name) == second for t in targets))
    for target in targets:
        node.unpublish(name, target)


def test_nas_away_while_mounting(nas: Nas, node: Node, kernel: tuple[int, int]) -> None:
    """A generation that is mounted without its NAS: names, no bytes; whole by itself when the NAS is back."""
    name = "away"
    root = nas.export(name, {"d/f": "there"})
    tree = [entry(".", "nas")]
    generation = node.survey(name, {"nas": root}, tree)
    nas.stop()
    try:
        node.view(name, [source("nas", f"/{name}")], tree, generation)
        target = node.publish(name)
        eventually("the catalog without its data", lambda: catalogs(node, target) == [generation])
        seen = node.look(target) / name / "d"
        assert [p.name for p in seen.iterdir()] == ["f"]
        if kernel >= DATA_ONLY:
            assert (seen / "f").stat().st_size == 5
        with pytest.raises(OSError, match=r"not connected|Input/output"):
            (seen / "f").read_text()
        eventually("it says so", lambda: "127.0.0.1" in node.told(target))
    finally:
        nas.start()
    node.ready(target)
    assert eventually("the file is read", (seen / "f").read_text) == "there"
    eventually("one mount", lambda: len(catalogs(node, target)) <= (1 if kernel >= (6, 5) else 7))
    node.unpublish(name, target)


def test_squashed_root(nas: Nas, node: Node) -> None:
    """runAs: a catalog over an export on which root is nobody."""
    import os

    name, owner = "squashed-catalog", 4321
    root = nas.export(name, {"private/label.xml": "<private/>"}, "root_squash")
    for path in (root / "private", root / "private/label.xml"):
        os.chown(path, owner, owner)
        path.chmod(0o750 if path.is_dir() else 0o640)
    tree = [entry(".", "nas")]
    generation = node.survey(name, {"nas": root}, tree)
    node.view(name, [source("nas", f"/{name}", runAs={"uid": owner, "gid": owner})], tree, generation)
    target = node.publish(name)
    node.ready(target)
    file = node.look(target) / name / "private/label.xml"
    assert eventually("it is read", file.read_text) == "<private/>"
    assert "Permission denied" in node.in_pod("cat", str(target / name / "private/label.xml")).stderr
    node.unpublish(name, target)
