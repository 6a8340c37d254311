"""A change of the view reaches running pods: no open fails, no file is missing in between."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
from nas import Nas
from node import Node, entry, eventually, source

from pdshub.node.mount import mountinfo

READERS = 8
#: Reads one file again and again in READERS processes until a file called stop appears in its own folder.
_READ = """
import json, os, sys, time
path, stop = sys.argv[1:3]
ends = []
for _ in range(int(sys.argv[3])):
    out, into = os.pipe()
    if os.fork() == 0:
        seen, failed, opens = {}, {}, 0
        # Eight loops must not starve the plugin, whose probes of the NAS have a time limit, and what they cost the
        # server is not nice: they rest in proportion to what their opens took. Without a rest somebody always has
        # a file open, and each switch waits for the end of its hold time.
        os.nice(19)
        took = 0
        while not os.path.exists(stop):
            time.sleep(0.05 + 7 * took)
            begun = time.monotonic()
            for _ in range(4):
                opens += 1
                try:
                    with open(path) as f:
                        text = f.read()
                    seen[text] = seen.get(text, 0) + 1
                except OSError as error:
                    failed[str(error)] = failed.get(str(error), 0) + 1
            took = time.monotonic() - begun
        os.write(into, json.dumps([opens, seen, failed]).encode())
        os._exit(0)
    os.close(into)
    ends.append(out)
print('reading', flush=True)
print(json.dumps([json.loads(os.read(out, 65536)) for out in ends]))
"""


def _specs() -> list[list[dict[str, object]]]:
    """Trees that all have x/f, from other layers each time."""
    return [
        [entry("x", "one:a")],
        [entry("x", "two:b", "one:a")],
        [entry("x", "one:a", "two:b")],
        [entry("x", "two:b")],
    ]


@pytest.mark.parametrize("rounds", [1, pytest.param(10, marks=pytest.mark.long)])
def test_switch_under_readers(nas: Nas, node: Node, kernel: tuple[int, int], rounds: int, tmp_path: Path) -> None:
    name = f"switch-{rounds}"
    nas.export(f"{name}-one", {"a/f": "from one", "a/only-one": "1"})
    nas.export(f"{name}-two", {"b/f": "from two", "b/only-two": "2"})
    sources = [source("one", f"/{name}-one"), source("two", f"/{name}-two")]
    trees = _specs()
    node.view(name, sources, trees[0])
    target = node.publish(name)
    node.ready(target)
    stop = Path(f"/run/lab/stop-{name}")
    seen = node.look(target) / name / "x"
    reader = subprocess.Popen(
        node.pod("python3", "-c", _READ, str(target / name / "x/f"), str(stop), str(READERS)),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert reader.stdout
        assert reader.stdout.readline() == "reading\n"
        for _ in range(rounds):
            for tree in (*trees[1:], trees[0]):
                layers = tree[0]["layers"]
                assert isinstance(layers, list)
                wanted = {f"only-{layer['source']}" for layer in layers} | {"f"}
                first = f"from {layers[0]['source']}"
                node.view(name, sources, tree)
                eventually(
                    f"{wanted} with f {first}",
                    lambda wanted=wanted, first=first: (
                        {p.name for p in seen.iterdir()} == wanted and (seen / "f").read_text() == first
                    ),
                )
        stop.touch()
        results = json.loads(reader.communicate(timeout=120)[0])
    finally:
        stop.touch()
        reader.kill()
    assert len(results) == READERS
    assert [failed for _, _, failed in results] == [{}] * READERS
    assert {text for _, texts, _ in results for text in texts} == {"from one", "from two"}
    here = mountinfo.stack(node.mounts(), str(target / name / "x"))
    # before Linux 6.5 the old ones stay below until the pod ends, in bounded number
    assert len(here) == 1 if kernel >= (6, 5) else len(here) <= 7
    node.unpublish(name, target)
    assert not [m for m in node.mounts() if m.point.startswith(str(target))]


def test_open_file_and_working_directory_outlive_a_switch(nas: Nas, node: Node) -> None:
    nas.export("hold-one", {"a/f": "old" * 1000})
    nas.export("hold-two", {"a/f": "new"})
    sources = [source("one", "/hold-one"), source("two", "/hold-two")]
    node.view("hold", sources, [entry("x", "one:a")])
    target = node.publish("hold")
    node.ready(target)
    script = 'cd "$0"; exec 3<f; echo holding; read -r _; pwd -P; cat <&3'
    holder = subprocess.Popen(
        node.pod("sh", "-c", script, str(target / "hold/x")), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout
    assert holder.stdout.readline() == "holding\n"
    node.view("hold", sources, [entry("x", "two:a")])
    eventually("the plugin has read the change", lambda: '"generation": 2' in (
        node.look(target) / ".pdshub/view.json"
    ).read_text())  # fmt: skip
    out, _ = holder.communicate("go\n", timeout=120)
    where, text = out.split("\n", 1)
    assert where == str(target / "hold/x")
    assert text == "old" * 1000
    eventually("the new file is read", lambda: (node.look(target) / "hold/x/f").read_text() == "new")
    node.unpublish("hold", target)


def test_changes_while_a_file_is_held_leave_one_mount(nas: Nas, node: Node, kernel: tuple[int, int]) -> None:
    """A switch that waits for an open file is overtaken by two more: what comes is the last, and nothing else stays."""
    names = ("one", "two", "three", "four")
    for name in names:
        nas.export(f"late-{name}", {"a/f": name})
    sources = [source(name, f"/late-{name}") for name in names]
    node.view("late", sources, [entry("x", "one:a")])
    target = node.publish("late")
    node.ready(target)
    document, file = node.look(target) / ".pdshub/view.json", node.look(target) / "late/x/f"
    with subprocess.Popen(
        node.pod("sh", "-c", 'exec 3<"$0"; echo holding; read -r _', str(target / "late/x/f")),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as holder:  # fmt: skip
        assert holder.stdout
        assert holder.stdout.readline() == "holding\n"
        for generation, name in enumerate(names[1:], start=2):
            node.view("late", sources, [entry("x", f"{name}:a")])
            eventually(
                f"the plugin has read change {generation}",
                lambda generation=generation: f'"generation": {generation}' in document.read_text(),
            )
            time.sleep(2)
        holder.communicate("go\n", timeout=120)
    eventually("the last one is read", lambda: file.read_text() == "four")
    here = mountinfo.stack(node.mounts(), str(target / "late/x"))
    assert len(here) == 1 if kernel >= (6, 5) else len(here) <= 7
    node.unpublish("late", target)
