"""Which servers are held at what they showed before: what a node knows of it, and what it tells the operator."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.node.reconcile import hold
from pdshub.node.reconcile.hold import HeldTarget, Holds
from pdshub.node.reconcile.plan import Actual
from pdshub.node.reconcile.select_generation import LIVE, Decision
from pdshub.node.reconcile.view_health import Showing
from pdshub.node.report import document
from pdshub.node.spec import View, pod_of
from tests.unit.node.views import policy, released

OLD, NEW = (f"sha256:{digit * 64}" for digit in "ab")
BEGAN, DEFAULT = 1795651200.0, 60.0  # 2026-11-26T00:00:00Z


def target(pod: str = "one", volume: str = "pv1") -> str:
    return f"/var/lib/kubelet/pods/{pod}/volumes/kubernetes.io~csi/{volume}/mount"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Both clocks of the process, moved by hand."""
    made = SimpleNamespace(now=0.0)
    times = SimpleNamespace(monotonic=lambda: 5.0 + made.now, time=lambda: BEGAN + made.now)
    monkeypatch.setattr(hold, "time", times)
    return made


ONE = target()
VIEW = View("v", released=released(NEW), update_policies=(policy("pv1", hold=600), policy("kept", "nextServer")))
SHOWS_OLD = {ONE: OLD}


@pytest.mark.parametrize(
    ("busy", "own", "shows", "current", "expected"),
    [
        ([], [], {ONE: NEW}, NEW, []),
        ([], [], SHOWS_OLD, NEW, []),  # about to be switched
        ([ONE], [], SHOWS_OLD, NEW, [HeldTarget(ONE, OLD, BEGAN, BEGAN + 600)]),
        ([ONE], [], {ONE: NEW}, NEW, []),  # a mount that is renewed, its generation the same
        ([ONE], [], {ONE: LIVE}, NEW, [HeldTarget(ONE, LIVE, BEGAN, BEGAN + DEFAULT)]),
        ([ONE], [], {ONE: ""}, NEW, []),  # nothing is shown yet
        ([ONE], [], SHOWS_OLD, "", []),
        ([], [target(volume="kept")], {target(volume="kept"): OLD}, NEW,
         [HeldTarget(target(volume="kept"), OLD, BEGAN, None)]),
        ([target(volume="kept")], [target(volume="kept")], {target(volume="kept"): OLD}, NEW,
         [HeldTarget(target(volume="kept"), OLD, BEGAN, None)]),  # and its mount is renewed
        ([target("x", "unknown")], [], {target("x", "unknown"): OLD}, NEW,
         [HeldTarget(target("x", "unknown"), OLD, BEGAN, BEGAN + DEFAULT)]),
        ([target("b"), target("a")], [], {target("b"): OLD, target("a"): OLD}, NEW,
         [HeldTarget(target(pod), OLD, BEGAN, BEGAN + 600) for pod in "ab"]),
        ([ONE, target("elsewhere")], [], SHOWS_OLD, NEW, [HeldTarget(ONE, OLD, BEGAN, BEGAN + 600)]),
    ],
)  # fmt: skip
def test_servers(
    clock: Any, busy: list[str], own: list[str], shows: dict[str, str], current: str, expected: list[HeldTarget]
) -> None:
    holds = Holds(DEFAULT)
    holds.watch("v", Decision({}, own={one: None for one in own}))
    holds.hold([(one, "sbn") for one in busy])
    assert holds.servers(VIEW, Showing(current, targets=shows)) == expected


def test_since_stays_and_until_is_when_it_is_taken_away(clock: Any) -> None:
    holds, showing, point = Holds(DEFAULT), Showing(NEW, targets=SHOWS_OLD), (ONE, "sbn")
    actual = Actual({}, {ONE: {"sbn": ()}}, True, {}, frozenset())
    for clock.now in (0.0, 100.0, 599.0):
        holds.hold([point])
        holds.watch("v", Decision({}))
        (held,) = holds.servers(VIEW, showing)
        assert (held.since, held.until) == (BEGAN, BEGAN + 600) and holds.overdue(VIEW, showing, actual) == frozenset()
    clock.now = 600.0
    assert holds.overdue(VIEW, showing, actual) == {point}
    holds.forget(actual, [])
    assert holds.servers(VIEW, showing) == []


def test_of_several_mounts_the_first_says_since_when_and_the_last_until_when(clock: Any) -> None:
    holds = Holds(DEFAULT)
    holds.hold([(ONE, "sbn/a")])
    clock.now = 10.0
    holds.hold([(ONE, "sbn/b")])
    assert holds.servers(VIEW, Showing(NEW, targets=SHOWS_OLD)) == [HeldTarget(ONE, OLD, BEGAN, BEGAN + 610)]


def test_a_server_that_kept_a_generation_and_began_anew(clock: Any) -> None:
    holds, kept = Holds(DEFAULT), target(volume="kept")
    showing = Showing(NEW, targets={kept: OLD})
    holds.watch("v", Decision({}, own={kept: None}))
    clock.now = 50.0
    holds.watch("other", Decision({}))
    holds.watch("v", Decision({}, own={kept: None}))
    assert [held.since for held in holds.servers(VIEW, showing)] == [BEGAN]
    holds.watch("v", Decision({}))
    assert holds.servers(VIEW, showing) == []
    holds.watch("v", Decision({}, own={kept: None}))
    assert [held.since for held in holds.servers(VIEW, showing)] == [BEGAN + 50]


@pytest.mark.parametrize(
    ("path", "pod"),
    [
        (target("0b5c7e4e-2f5c-4d4f-9a58-1f0f6a1f1c2e"), "0b5c7e4e-2f5c-4d4f-9a58-1f0f6a1f1c2e"),
        ("/var/lib/kubelet/pods/u/volumes/kubernetes.io~csi/pv", ""),
        (target("u v"), ""),
        ("/somewhere/a/b/c/d/e/mount", ""),
        ("mount", ""),
        ("", ""),
    ],
)
def test_the_pod_of_a_target(path: str, pod: str) -> None:
    assert pod_of(path) == pod


def test_what_the_operator_is_told(clock: Any) -> None:
    """By pods and times; and nothing of a target that is no pod's."""
    holds, kept, odd = Holds(DEFAULT), target("u2", "kept"), "/odd/mount"
    holds.watch("v", Decision({}, own={kept: None}))
    holds.hold([(ONE, "sbn"), (odd, "sbn")])
    showing = {"v": Showing(NEW, targets={ONE: OLD, kept: LIVE, odd: OLD})}
    told = document.held(VIEW, SimpleNamespace(holds=holds, showing=showing))  # type: ignore[arg-type]
    assert [one.model_dump() for one in told] == [
        {"pod": "one", "generation": OLD, "since": rfc3339.text(BEGAN), "until": "2026-11-26T00:10:00Z"},
        {"pod": "u2", "generation": LIVE, "since": rfc3339.text(BEGAN), "until": ""},
    ]
