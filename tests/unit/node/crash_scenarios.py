"""The plugin is killed at every step of publish, switch and unpublish, once each: a reader in a pod never notices, and
the next plugin brings about what was asked for, with nothing left over. Tests of test_generations.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc

from pdshub.node.mount import mountinfo
from tests.unit.node import scenarios
from tests.unit.node.generations import LABEL, Release, catalogs, two_releases
from tests.unit.node.machine import Machine, eventually

READER = """
import os, sys, time
path, stop = sys.argv[1:]
opens = bad = 0
while not os.path.exists(stop):
    for _ in range(20):
        opens += 1
        try:
            with open(path) as file: assert file.read() == "the same"
        except OSError as error:
            bad += 1; print(time.time(), error, file=sys.stderr)
    time.sleep(0.002)
print(opens, bad)
"""
MOST = 80  # steps of one action


class Crasher(Machine):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.place = directory / "crash"
        self.place.mkdir()
        os.environ["PDSHUB_TEST_CRASH"] = str(self.place)

    def command(self, *more: str) -> list[str]:
        words = super().command(*more)
        words[words.index("pdshub.node.main")] = "tests.unit.node.crashing"
        return words

    def arm(self, number: int) -> None:
        (self.place / "calls").unlink(missing_ok=True)
        (self.place / "armed").write_text(str(number))

    def disarm(self) -> list[str]:
        """What was done."""
        (self.place / "armed").unlink(missing_ok=True)
        calls = self.place / "calls"
        return calls.read_text().splitlines() if calls.exists() else []

    @property
    def dead(self) -> bool:
        """unshare has become the plugin: it is the process that is killed."""
        return self.plugin is None or self.plugin.poll() is not None

    def tidy(self, name: str, targets: int) -> bool:
        """Nothing but: one front, one catalog, what every target has, and the sources."""
        own = f"{self.kubelet}/plugins/archive.pdshub.dev/"
        mounts = [x for x in mountinfo.read() if x.point.startswith(f"{self.kubelet}/")]
        inside = sorted(x.point.removeprefix(own).split("/")[0] for x in mounts if x.point.startswith(own))
        in_pods = [x for x in mounts if "/pods/" in x.point]
        here = [x for x in mounts if x.source == LABEL + name.removeprefix("sha256:")]
        entries = self.kubelet / "plugins/archive.pdshub.dev/views/sbn/entries"
        return (
            inside == ["sources", "sources", "views", "views"]
            and len(in_pods) == 2 * targets
            and len(here) == targets + 1
            and len(list(entries.iterdir())) == 1
        )


def at_every_step(
    m: Crasher, name: str, action: Callable[[int], None], done: Callable[[int], bool], undo: Callable[[int], None]
) -> None:
    for number in range(1, MOST):
        m.arm(number)
        begin = lambda number=number: quietly(lambda: action(number))  # noqa: E731
        begin()
        eventually(lambda number=number: m.dead or done(number), 30, f"{name}, step {number}")  # type: ignore[misc]
        died = m.dead
        calls = m.disarm()
        if died:
            m.channel.close()
            m.start()
            begin()  # the kubelet asks again until it is answered
        eventually(lambda number=number: done(number), 30, f"{name}, killed before step {number} ({calls})")  # type: ignore[misc]
        undo(number)
        if not died:
            print(f"{name}: killed before each of {number - 1} steps: {' '.join(calls)}")
            return
    raise AssertionError(f"more than {MOST} steps")


def quietly(action: Callable[[], None]) -> None:
    """A call whose answer never comes is not an error here."""
    try:
        action()
    except grpc.RpcError as error:
        assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED), error


def begin(m: Crasher) -> tuple[Release, str, str, subprocess.Popen[str]]:
    view, first, second = two_releases(m)
    view.release(first)
    m.start()
    m.publish()
    eventually(lambda: catalogs(m) == [first] and m.health()["ready"])
    (m.directory / "reader.py").write_text(READER)
    command = f"exec nice {sys.executable} {m.directory}/reader.py $A/sbn/both {m.directory}/stop"
    return view, first, second, m.pod(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(m: Crasher, reader: subprocess.Popen[str]) -> None:
    (m.directory / "stop").touch()
    out, errors = reader.communicate(timeout=30)
    opens, bad = map(int, out.split())
    print("reader:", opens, "opens,", bad, "failed", errors[:200], errors[-200:])
    assert bad == 0 and opens > 1000
    m.unpublish()
    assert not [x for x in m.mounts("") if "/pods/" in x.point]


def killed_while_publishing(m: Crasher) -> None:
    _, first, _, reader = begin(m)

    def publish(number: int) -> None:
        m.publish(f"p{number}")

    def undo(number: int) -> None:
        m.unpublish(f"p{number}")
        eventually(lambda: m.tidy(first, 1))

    at_every_step(m, "publish", publish, lambda n: catalogs(m, f"p{n}") == [first] and m.tidy(first, 2), undo)
    end(m, reader)


def killed_while_switching(m: Crasher) -> None:
    view, first, second, reader = begin(m)
    m.publish("two")
    names = (first, second)

    def settled(number: int) -> bool:
        name = names[number % 2]
        return catalogs(m) == catalogs(m, "two") == [name] and m.tidy(name, 2) and view.stored() == {name}

    at_every_step(m, "switch", lambda n: view.release(names[n % 2]) and None, settled, lambda _: None)
    m.unpublish("two")
    end(m, reader)


def killed_while_unpublishing(m: Crasher) -> None:
    _, first, _, reader = begin(m)
    m.publish("p1")

    def gone(number: int) -> bool:
        return not m.mounts(f"p{number}") and not m.target(f"p{number}").exists() and m.tidy(first, 1)

    def undo(number: int) -> None:
        m.publish(f"p{number + 1}")
        eventually(lambda: m.tidy(first, 2))

    at_every_step(m, "unpublish", lambda n: m.unpublish(f"p{n}"), gone, undo)
    for pod in (m.kubelet / "pods").iterdir():
        if pod.name != "one":
            m.unpublish(pod.name)
    end(m, reader)


ALL = {f.__name__: f for f in (killed_while_publishing, killed_while_switching, killed_while_unpublishing)}


if __name__ == "__main__":
    scenarios.run(ALL[sys.argv[1]], Crasher)  # type: ignore[arg-type]
