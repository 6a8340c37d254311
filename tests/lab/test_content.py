"""Labels that travel with a generation, over the kernel's NFS client: what they cost, and who answers for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nas import Nas
from node import Node, entry, eventually, source
from test_generations import DATA_ONLY, calls, catalogs

LABELS = 60
FILES = {f"d{n % 3}/p{n}.xml": f"<label number='{n}'/>" * 50 for n in range(LABELS)}
DATA = {f"d{n % 3}/p{n}.dat": f"data {n}" for n in range(LABELS)}
_READ = """
import pathlib, sys
print(sum(len(path.read_bytes()) for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.xml"))))
"""


def told(node: Node, target: Path) -> dict[str, Any]:
    """What users are told of what travels."""
    found = json.loads((node.look(target) / ".pdshub/generation.json").read_text())
    return dict(found.get("content") or {})


def test_labels_are_read_without_the_nas(nas: Nas, node: Node, kernel: tuple[int, int]) -> None:
    """No call for 60 labels, all right; with the NAS away they are read as ever; data still comes from it."""
    name = "content"
    root = nas.export(name, {**FILES, **DATA})
    sources, tree = [source("one", f"/{name}")], [entry(".", "one")]
    generation = node.survey(name, {"one": root}, tree)
    digest = node.content(generation, {"one": root})
    node.view(name, sources, tree, generation, digest)
    target = node.publish(name)
    node.ready(target)
    size = str(sum(len(text) for text in FILES.values()))
    if kernel < DATA_ONLY:
        assert node.in_pod("python3", "-c", _READ, str(target / name)).stdout.strip() == size
        assert not told(node, target), "a kernel without layers for data reads all from the NAS, and says nothing else"
        node.unpublish(name, target)
        return
    eventually("what travels is there", lambda: told(node, target).get("digest") == digest)
    assert catalogs(node, target) == [generation]
    assert {k: told(node, target)[k] for k in ("complete", "files")} == {"complete": True, "files": LABELS}
    before = calls()
    done = node.in_pod("python3", "-c", _READ, str(target / name))
    cost = calls() - before
    assert done.stdout.strip() == size, done.stderr
    print(f"kernel {kernel}: {LABELS} labels found and read: {cost} NFS calls with the probes' of that time")
    assert cost < 10, "nothing but the plugin's own probes"
    seen = node.look(target) / name
    assert (seen / "d0/p3.dat").read_text() == "data 3"
    nas.drop()
    try:
        done = node.in_pod("python3", "-c", _READ, str(target / name))
        assert done.stdout.strip() == size, done.stderr
        eventually("the node knows that it is away", lambda: not node.health(target)["ready"])
        done = node.in_pod("python3", "-c", _READ, str(target / name))
        assert done.stdout.strip() == size, "and behind the cover, too"
    finally:
        nas.reach()
    node.ready(target)
    eventually("data is read again", lambda: (seen / "d1/p4.dat").read_text() == "data 4")
    node.unpublish(name, target)
    assert not [m for m in node.mounts() if m.point.startswith(str(target))]


def test_a_label_replaced_on_the_nas_is_the_generations(nas: Nas, node: Node, kernel: tuple[int, int]) -> None:
    """A pinned label keeps its bytes; the next generation has the new ones, and never a mixture."""
    name = "frozen"
    root = nas.export(name, {"a.xml": "<first/>", "b.xml": "<same/>", "a.dat": "data"})
    sources, tree = [source("one", f"/{name}")], [entry(".", "one")]
    first = node.survey(name, {"one": root}, tree)
    digest = node.content(first, {"one": root})
    node.view(name, sources, tree, first, digest)
    target = node.publish(name)
    node.ready(target)
    if kernel >= DATA_ONLY:
        eventually("what travels is there", lambda: told(node, target).get("digest") == digest)
        (root / "a.new").write_text("<second, of another length/>")
        (root / "a.new").rename(root / "a.xml")
        seen = node.look(target) / name
        assert (seen / "a.xml").read_text() == "<first/>" and (seen / "b.xml").read_text() == "<same/>"
        second = node.survey(name, {"one": root}, tree)
        node.view(name, sources, tree, second)
        eventually("the next one", lambda: catalogs(node, target) == [second])
        assert (seen / "a.xml").read_text() == "<second, of another length/>"
        node.view(name, sources, tree, second, later := node.content(second, {"one": root}))
        eventually("and what travels with it", lambda: told(node, target).get("digest") == later)
        assert (seen / "a.xml").read_text() == "<second, of another length/>"
        assert (seen / "b.xml").read_text() == "<same/>"
    node.unpublish(name, target)
