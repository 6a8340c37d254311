"""The NAS goes away while pods have it, and while pods start: said quickly, never waited for, healed alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from nas import Nas
from node import Node, entry, eventually, source


def took(action: Callable[[], object]) -> float:
    """Seconds."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def quick(seconds: float, healthy: float) -> bool:
    """No longer than with the NAS there, but for the 1.5 s that the plugin gives a view to settle. (The machine
    may be an emulated one with busy neighbours: only comparing says anything; a wait for NFS is 15 s or more.)
    """
    return seconds < 3 * healthy + 5


class Outage:
    """One way for the NAS to be gone; ends at the latest with the test."""

    def __init__(self, nas: Nas, kind: str) -> None:
        self.nas, self.kind, self.on = nas, kind, False

    def begin(self) -> None:
        (self.nas.stop if self.kind == "off" else self.nas.drop)()
        self.on = True

    def end(self) -> None:
        if self.on:
            (self.nas.start if self.kind == "off" else self.nas.reach)()
        self.on = False


@pytest.fixture(params=["off", "unreachable"])
def outage(request: pytest.FixtureRequest, nas: Nas) -> Iterator[Outage]:
    made = Outage(nas, request.param)
    yield made
    made.end()


def test_outage_and_return(nas: Nas, outage: Outage, node: Node) -> None:
    name = f"outage-{outage.kind}"
    nas.export(name, {"d/f": "there"})
    node.view(name, [source("nas", f"/{name}")], [entry("d", "nas:d")])
    before = node.target()
    healthy = took(lambda: node.publish(name, before))
    node.ready(before)

    outage.begin()
    sick = eventually("the outage is noticed", lambda: not (h := node.health(before))["ready"] and h)
    state = sick["sources"]["nas"]
    assert not state["ready"]
    assert state["message"] in sick["message"] and "127.0.0.1" not in sick["message"], "users read no server's name"
    eventually("it says which server", lambda: "127.0.0.1" in node.told(before))
    notice = node.look(before) / "ARCHIVE-UNAVAILABLE.txt"
    eventually("the notice names the source", lambda: "source nas" in notice.read_text())

    during = node.target()
    assert quick(took(lambda: node.publish(name, during)), healthy)
    assert quick(took(lambda: node.unpublish(name, during)), healthy)

    during = node.publish(name)
    outage.end()
    for target in (before, during):
        node.ready(target)
        path = node.look(target) / name / "d/f"
        assert eventually("the file is read again", lambda path=path: path.read_text()) == "there"
        notice = node.look(target) / "ARCHIVE-UNAVAILABLE.txt"
        eventually("the notice is gone", lambda notice=notice: not notice.exists())
        node.unpublish(name, target)


def test_pod_starts_without_nas(nas: Nas, outage: Outage, node: Node) -> None:
    """Nothing of the view was ever mounted: the pod starts, and gets its archive while it runs."""
    name = f"absent-{outage.kind}"
    nas.export(name, {"d/f": "there"})
    outage.begin()
    node.view(name, [source("nas", f"/{name}")], [entry("d", "nas:d")])
    time.sleep(2)
    target = node.publish(name)
    eventually("it says why", lambda: "127.0.0.1" in node.told(target))
    outage.end()
    node.ready(target)
    assert (node.look(target) / name / "d/f").read_text() == "there"
    node.unpublish(name, target)
