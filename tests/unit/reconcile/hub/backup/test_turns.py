"""Whose turn it is at a repository that several hubs have."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.kube import Object
from pdshub.reconcile.hub.backup.asked import Restore, Run
from pdshub.reconcile.hub.backup.progress import Stage
from pdshub.reconcile.hub.backup.turns import Claimant, alone, claimants, in_the_way, repositories
from tests.unit.reconcile.hub.backup.given import BACKUP, restore, run, running

SAVE, INIT, FORGET, BACK = Stage("backup", 0), Stage("init"), Stage("forget"), Stage("restore")


def saving(namespace: str, done: int = 0, job: str = "", created: str = "2026-03-10T11:00:00Z") -> Run:
    items = [("home/a", "Completed")] * done + [("home/b", "Running" if job else "Pending")]
    return run("one", running(*items, job=job), created, namespace)


def restoring(namespace: str, job: str = "") -> Restore:
    return restore("back", {"phase": "Running", "started": "x", "job": job}, namespace=namespace)


CASES: list[tuple[str, Any, Stage, list[Any], str]] = [
    ("alone", saving("a"), SAVE, [], ""),
    ("another saves", saving("a"), SAVE, [saving("b", job="one-i0")], "b"),
    ("another makes the repository", saving("a"), SAVE, [saving("b", job="one-init")], "b"),
    ("another takes old snapshots away", saving("a"), SAVE, [saving("b", job="one-forget")], "b"),
    ("somebody's file comes back", saving("a"), SAVE, [restoring("b", "back-restore")], ""),
    ("old snapshots wait for a file", saving("a"), FORGET, [restoring("b", "back-restore")], "b"),
    ("a first look waits for a file", saving("a"), INIT, [restoring("b", "back-restore")], "b"),
    ("a file waits for nobody who saves", restoring("a"), BACK, [saving("b", job="one-i0")], ""),
    ("a file waits for old snapshots", restoring("a"), BACK, [saving("b", job="one-forget-r1")], "b"),
    ("a file waits for no file", restoring("a"), BACK, [restoring("b", "back-restore")], ""),
    ("a file waits for no queue", restoring("a"), BACK, [saving("b"), saving("c")], ""),
    ("another has done less", saving("a", 3), SAVE, [saving("b", 2)], "b"),
    ("another has done more", saving("a", 2), SAVE, [saving("b", 3)], ""),
    ("another has waited longer", saving("a"), SAVE, [saving("b", created="2026-03-10T10:00:00Z")], "b"),
    ("another came later", saving("a"), SAVE, [saving("b", created="2026-03-10T11:30:00Z")], ""),
    ("at the same moment", saving("b"), SAVE, [saving("a")], "a"),
    ("one that goes on is not queued again", saving("a", 9, job="one-i9"), SAVE, [saving("b")], ""),
    ("another had its turn later", saving("a", 3), SAVE, [(saving("b"), 7)], ""),
    ("another had none yet", (saving("a"), 1), SAVE, [saving("b", 9)], "b"),
    ("a Job of no known kind", saving("a"), SAVE, [saving("b", job="what")], "b"),
]


def of(given: Any) -> Claimant:
    """A claimant: a run or a restore, or one with the number of its hub's last turn."""
    about, served = given if isinstance(given, tuple) else (given, 0)
    return Claimant(about, "r", served)


@pytest.mark.parametrize(("mine", "stage", "others", "waits"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_who_is_in_the_way(mine: Any, stage: Stage, others: list[Any], waits: str) -> None:
    me, them = of(mine), map(of, others)
    held = in_the_way(me, stage, [me, *them])
    assert (held.about.namespace if held else "") == waits


def test_another_repository_is_nobodys_business() -> None:
    assert in_the_way(Claimant(saving("a"), "r"), SAVE, [Claimant(saving("b", job="one-i0"), "s")]) is None


@pytest.mark.parametrize(("others", "waits"), [
    ([], ""),
    ([saving("b"), saving("c", job="one-i0"), restoring("d", "back-restore")], ""),
    ([saving("b", job="one-i0"), saving("c", job="one-init")], "c"),
    ([saving("b", job="one-forget-r2")], "b"),
])  # fmt: skip
def test_a_recovery_waits_for_who_has_the_repository_for_itself(others: list[Any], waits: str) -> None:
    them = list(map(of, others))
    held = alone("r", them)
    assert (held.about.namespace if held else "") == waits and alone("s", them) is None


def test_exactly_one_of_all_who_wait_is_next() -> None:
    """Whatever the numbers are: never nobody, never two."""
    waiting = [Claimant(saving(f"ns{n}", done=n % 3, created=f"2026-03-10T11:0{n % 4}:00Z"), "r") for n in range(12)]
    assert sum(in_the_way(mine, SAVE, waiting) is None for mine in waiting) == 1


def test_a_hub_with_a_thousand_homes_holds_up_nobody() -> None:
    """Job by Job: the small run is through before the large one has done as many again."""
    done = {"large": 0, "small": 0}
    total = {"large": 50, "small": 5}
    order = []
    while any(done[n] < total[n] for n in done):
        waiting = [Claimant(saving(n, done=done[n]), "r") for n in done if done[n] < total[n]]
        (turn,) = [c for c in waiting if in_the_way(c, SAVE, waiting) is None]
        order.append(turn.about.namespace)
        done[turn.about.namespace] += 1
    assert order[:10].count("small") == 5


def test_a_hub_with_a_thousand_runs_holds_up_nobody_either() -> None:
    """Each of its runs has done nothing yet, and is older: after its turn comes another's all the same."""
    served, order = {"greedy": 0, "modest": 0}, []
    for number in range(1, 11):
        runs = [saving("greedy", created=f"2026-03-10T10:{number:02}:00Z"), saving("modest", done=number)]
        waiting = claimants(runs, [], {(n, "demo"): "r" for n in served}, {(n, "demo"): k for n, k in served.items()})
        (turn,) = [c for c in waiting if in_the_way(c, SAVE, waiting) is None]
        order.append(turn.about.namespace)
        served[turn.about.namespace] = number
    assert order == ["greedy", "modest"] * 5


def hub(namespace: str, name: str = "demo", created: str = "2026-01-01T00:00:00Z", **more: Any) -> Object:
    meta = {"namespace": namespace, "name": name, "creationTimestamp": created, **more.pop("meta", {})}
    return {"metadata": meta, "spec": {"signIn": {"development": {}}, "backup": BACKUP, **more}}


S3 = {
    "repository": {"s3": {"endpoint": "https://s3.example.org:443/", "bucket": "b-1", "prefix": "p", "secretRef": "k"}}
}
SAME = {"repository": {"s3": {"endpoint": "https://S3.example.org", "bucket": "b-1", "prefix": "p", "secretRef": "x"}}}
HUBS: list[tuple[str, Object, bool]] = [
    ("as it should be", hub("open"), True),
    ("in a namespace that is closed", hub("closed"), False),
    ("going", hub("open", meta={"deletionTimestamp": "x"}), False),
    ("without backups", hub("open", backup=None), False),
    ("with backups that are none", hub("open", backup={"repository": {}}), False),
    ("with a spec that is refused elsewhere", hub("open", signIn={}), False),
    ("with a port that is none", hub("open", backup={"repository": {"rest": {"url": "https://x:99999/"}}}), False),
]


@pytest.mark.parametrize(("given", "counts"), [c[1:] for c in HUBS], ids=[c[0] for c in HUBS])
def test_who_goes_on_with_nothing_holds_up_nothing(given: Object, counts: bool) -> None:
    assert bool(repositories([given], {"open"})) is counts


def test_the_younger_of_two_hubs_of_a_namespace_holds_up_nothing() -> None:
    found = repositories([hub("open", "b", "2026-01-02T00:00:00Z"), hub("open", "a")], {"open"})
    assert set(found) == {("open", "a")}


def test_one_place_under_two_names() -> None:
    found = repositories([hub("a", backup=S3), hub("b", backup=SAME), hub("c")], {"a", "b", "c"})
    assert found["a", "demo"] == found["b", "demo"] != found["c", "demo"]


def test_of_the_runs_of_a_hub_one_competes() -> None:
    first, second = saving("a", created="2026-03-10T09:00:00Z"), run("two", {}, "2026-03-10T10:00:00Z", "a")
    ended = run("zero", {"phase": "Completed"}, "2026-03-10T08:00:00Z", "a")
    elsewhere = run("one", {}, "2026-03-10T08:00:00Z", "unknown")
    found = claimants([second, ended, first, elsewhere], [restoring("a"), restoring("unknown")], {("a", "demo"): "r"})
    assert [(c.about.name, c.is_restore) for c in found] == [("one", False), ("back", True)]
    goes_on = saving("a", job="one-i0", created="2026-03-10T11:00:00Z")
    assert claimants([second, goes_on], [], {("a", "demo"): "r"})[0].about is goes_on
