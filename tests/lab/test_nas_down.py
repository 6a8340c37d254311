"""The NAS goes away while pods have it, and while pods start: said quickly, never waited for, healed alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from nas import Nas
from node import Node, entry, eventually, source

QUICK = 10.0
"""Seconds that the kubelet may be kept waiting here; the plugin itself settles for 1.5, emulation adds."""


@pytest.fixture(params=["off", "unreachable"])
def outage(request: pytest.FixtureRequest, nas: Nas) -> Iterator[tuple[str, Nas]]:
    yield request.param, nas
    if request.param == "off":
        nas.start()
    else:
        nas.reach()


def test_outage_and_return(outage: tuple[str, Nas], node: Node) -> None:
    kind, nas = outage
    name = f"outage-{kind}"
    nas.export(name, {"d/f": "there"})
    node.view(name, [source("nas", f"/{name}")], [entry("d", "nas:d")])
    before = node.publish(name)
    node.ready(before)

    (nas.stop if kind == "off" else nas.drop)()
    sick = eventually("the outage is noticed", lambda: not (h := node.health(before))["ready"] and h)
    state = sick["sources"]["nas"]
    assert not state["ready"]
    assert "127.0.0.1" in state["message"], "it says which server"
    assert state["message"] in sick["message"]
    assert node.condition(name, before).abnormal
    assert "nas" in (node.look(before) / "ARCHIVE-UNAVAILABLE.txt").read_text()

    started = time.monotonic()
    during = node.publish(name)
    assert time.monotonic() - started < QUICK
    started = time.monotonic()
    node.unpublish(name, during)
    assert time.monotonic() - started < QUICK

    during = node.publish(name)
    (nas.start if kind == "off" else nas.reach)()
    for target in (before, during):
        node.ready(target)
        path = node.look(target) / name / "d/f"
        assert eventually("the file is read again", lambda path=path: path.read_text()) == "there"
        assert not (node.look(target) / "ARCHIVE-UNAVAILABLE.txt").exists()
        node.unpublish(name, target)
    # the fixture brings the server back once more, for the case that the test failed before this line
    (nas.stop if kind == "off" else nas.drop)()


def test_pod_starts_without_nas(outage: tuple[str, Nas], node: Node) -> None:
    """Nothing of the view was ever mounted: the pod starts, and gets its archive while it runs."""
    kind, nas = outage
    name = f"absent-{kind}"
    nas.export(name, {"d/f": "there"})
    (nas.stop if kind == "off" else nas.drop)()
    node.view(name, [source("nas", f"/{name}")], [entry("d", "nas:d")])
    time.sleep(2)
    started = time.monotonic()
    target = node.publish(name)
    assert time.monotonic() - started < QUICK
    eventually("it says why", lambda: "127.0.0.1" in node.health(target)["message"])
    (nas.start if kind == "off" else nas.reach)()
    node.ready(target)
    assert (node.look(target) / name / "d/f").read_text() == "there"
    node.unpublish(name, target)
    (nas.stop if kind == "off" else nas.drop)()
