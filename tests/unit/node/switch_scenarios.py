"""Many switches and many targets, with real mounts; each function is one test of test_generations.py."""

from __future__ import annotations

import json
import sys
import time

from pdshub.node.mount import mountinfo
from tests.unit.node import scenarios
from tests.unit.node.generations import catalogs, two_releases
from tests.unit.node.machine import Machine, eventually

STORM = """
import errno, json, os, sys
root, stop, out = sys.argv[1:]
counts, bad, seen = {"opens": 0, "lists": 0, "gone": 0}, {}, set()
def wrong(what): bad[what] = bad.get(what, 0) + 1
while not os.path.exists(stop):
    for _ in range(50):
        for name in ("both", "f", "d/common"):
            counts["opens"] += 1
            try:
                with open(f"{root}/{name}") as file: text = file.read()
                if name == "f": seen.add(text)
                if text not in {"both": ["the same"], "f": ["first", "second!"], "d/common": ["c"]}[name]: wrong(text)
            except OSError as error: wrong(f"{name}: {errno.errorcode[error.errno]}")
        counts["lists"] += 1
        try:
            names = sorted(os.listdir(f"{root}/d"))
            if names not in (["common", "one"], ["common", "two"]): wrong(str(names))
            top = sorted(os.listdir(root))
            if top not in (["both", "d", "f", "old"], ["both", "d", "f", "new"]): wrong(str(top))
        except OSError as error: wrong(f"list: {errno.errorcode[error.errno]}")
        for name in ("old/deep/y", "new/z"):
            try:
                with open(f"{root}/{name}") as file: file.read()
            except FileNotFoundError: counts["gone"] += 1
            except OSError as error: wrong(f"{name}: {errno.errorcode[error.errno]}")
with open(out, "w") as file: json.dump([counts, bad, sorted(seen)], file)
"""


def a_hundred_switches(m: Machine) -> None:
    """Eight readers: no open of a path in both generations fails, a listing is wholly old or wholly new, and what is
    gone is ENOENT."""
    view, first, second = two_releases(m)
    view.release(first)
    m.start()
    eventually(lambda: m.health()["ready"])
    m.publish()
    eventually(lambda: catalogs(m) == [first])
    (m.directory / "storm.py").write_text(STORM)
    stop = m.directory / "stop"
    readers = [
        m.pod(f"exec nice {sys.executable} {m.directory}/storm.py $A/sbn {stop} {m.directory}/out{n}") for n in range(8)
    ]
    started = time.monotonic()
    for turn in range(100):
        name = (second, first)[turn % 2]
        view.release(name)
        eventually(lambda name=name: catalogs(m)[-1:] == [name], 30)  # type: ignore[misc]
    took = time.monotonic() - started
    stop.touch()
    for reader in readers:
        assert reader.wait(60) == 0
    results = [json.loads((m.directory / f"out{n}").read_text()) for n in range(8)]
    total = {key: sum(counts[key] for counts, _, _ in results) for key in ("opens", "lists", "gone")}
    print(f"100 switches in {took:.1f} s under 8 readers: {total}, wrong: {[bad for _, bad, _ in results if bad]}")
    assert not any(bad for _, bad, _ in results), results
    assert all(seen == ["first", "second!"] for _, _, seen in results)
    eventually(lambda: catalogs(m) == [first] and len(m.mounts()) == 2)


def fifty_targets(m: Machine) -> None:
    """The bar: 200 ms for all of them, measured in the plugin from the first switch to the last."""
    view, first, second = two_releases(m)
    view.release(first)
    m.start()
    eventually(lambda: m.health()["ready"])
    pods = [f"p{n}" for n in range(50)]
    for pod in pods:
        m.publish(pod)
    eventually(lambda: all(catalogs(m, pod) == [first] for pod in pods), 30)
    times = []
    for name in (second, first, second, first, second):
        view.release(name)
        watched = [str(m.target(pod) / "sbn") for pod in pods]
        begun, done = 0.0, False
        while not done:
            now = time.monotonic()
            sources = labels(watched)
            new = sum(source.endswith(name.removeprefix("sha256:")) for source in sources)
            if new and not begun:
                begun = now
            done = new == len(watched)
        times.append(time.monotonic() - (begun or now))
    print("50 targets switched within", [f"{t * 1000:.0f} ms" for t in times])
    eventually(lambda: all(len(m.mounts(pod)) == 2 for pod in pods))
    assert min(times) < 0.2, times


def labels(points: list[str]) -> list[str]:
    """The sources of the topmost mounts."""
    found: dict[str, str] = {}
    wanted = set(points)
    mounts = [mount for mount in mountinfo.read() if mount.point in wanted]
    for point in points:
        here = mountinfo.stack([x for x in mounts if x.point == point], point)
        if here:
            found[point] = here[-1].source
    return list(found.values())


ALL = {f.__name__: f for f in (a_hundred_switches, fifty_targets)}


if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]])
