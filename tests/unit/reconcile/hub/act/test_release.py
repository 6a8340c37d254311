"""Runs of helm: what is remembered of a failure, and what an interrupted one leaves."""

from __future__ import annotations

import time

import pytest

from pdshub.api.hub import PDSHubStatus
from pdshub.helm import HelmError
from pdshub.kube import SECRET, KubeError
from pdshub.reconcile.hub.act.release import failed, install_or_upgrade, uninstall, unlock
from pdshub.reconcile.hub.decide import BUDGET
from pdshub.reconcile.hub.facts import Attempt
from pdshub.reconcile.hub.release import decode
from pdshub.reconcile.hub.seal import KEY_SECRET
from tests.unit.reconcile.hub.act.acting import Acting
from tests.unit.reconcile.test_decide import PUBLIC, facts, release, tried

MARK = {"custom": {"pdshub": {"hub": "demo"}}}
NAME = "sh.helm.release.v1.demo.v1"


@pytest.mark.parametrize(
    ("before", "permanent", "failures"),
    [
        (Attempt(), False, 1),
        (tried(2), False, 3),
        (tried(2, key="0-b"), False, 1),
        (tried(2), True, BUDGET),
    ],
)
def test_failures_are_counted_for_each_key(before: Attempt, permanent: bool, failures: int) -> None:
    found = failed(before, "1-a", HelmError("HelmFailed", "words", permanent=permanent))
    assert found == Attempt("1-a", failures, "HelmFailed", "words")


def test_an_installation_says_what_it_did_and_forgets_failures() -> None:
    bench = Acting()
    memory = bench.context.memory("ns", "demo")
    memory.attempt, memory.retry_at = tried(2), time.monotonic() + 99
    assert "revision 1" in bench.run(install_or_upgrade, facts(chart=PUBLIC, values=MARK, release=None))
    assert (memory.attempt, memory.retry_at) == (Attempt(), 0.0)


def test_a_failure_is_remembered_after_those_that_the_status_told_of() -> None:
    bench = Acting()
    bench.helm.error = HelmError("HelmFailed", "words", permanent=False)
    before = time.monotonic()
    assert bench.run(install_or_upgrade, facts(chart=PUBLIC, values=MARK, attempt=tried(2))) == ""
    memory = bench.context.memory("ns", "demo")
    assert memory.attempt.failures == 3 and memory.retry_at > before


@pytest.mark.parametrize("status", ["pending-install", "pending-upgrade", "uninstalling"])
def test_an_interrupted_revision_is_marked_as_failed(status: str) -> None:
    bench = Acting()
    bench.helm._store("demo", "ns", 1, status, PUBLIC, MARK)
    assert status in bench.run(unlock, facts(release=release(status)))
    secret = bench.get(SECRET, NAME)
    assert decode(secret).status == "failed" and secret["metadata"]["labels"]["status"] == "failed"


@pytest.mark.parametrize("status", ["deployed", "failed"])
def test_a_revision_that_was_finished_meanwhile_stays_as_it_is(status: str) -> None:
    bench = Acting()
    bench.helm._store("demo", "ns", 1, status, PUBLIC, MARK)
    assert bench.run(unlock, facts(release=release("pending-upgrade"))) == ""
    assert decode(bench.get(SECRET, NAME)).status == status and bench.kube.writes == []


@pytest.mark.parametrize("data", [None, {"release": "!!"}], ids=["gone", "unreadable"])
def test_what_cannot_be_unlocked_is_left_to_the_next_look(data: dict[str, str] | None) -> None:
    bench = Acting()
    if data:
        bench.kube.put(SECRET, {"metadata": {"name": NAME, "namespace": "ns"}, "data": data})
    assert bench.run(unlock, facts(release=release("pending-upgrade"))) == "" and bench.kube.writes == []


def test_a_secret_that_changed_since_it_was_read_is_a_conflict() -> None:
    bench = Acting()
    bench.helm._store("demo", "ns", 1, "pending-upgrade", PUBLIC, MARK)
    patch = bench.kube.patch

    async def late(*args: object, **more: object) -> object:
        bench.helm._store("demo", "ns", 1, "deployed", PUBLIC, MARK)
        return await patch(*args, **more)  # type: ignore[arg-type]

    bench.kube.patch = late  # type: ignore[method-assign,assignment]
    with pytest.raises(KubeError) as refused:
        bench.run(unlock, facts(release=release("pending-upgrade")))
    assert refused.value.conflict and decode(bench.get(SECRET, NAME)).status == "deployed"


def test_uninstalling_keeps_what_is_not_helms() -> None:
    bench = Acting()
    bench.helm._store("demo", "ns", 1, "deployed", PUBLIC, MARK)
    bench.put(SECRET, "demo-keys")
    bench.run(uninstall, facts(status=PDSHubStatus(revision=1)))
    assert bench.names(SECRET) == {"demo-keys", KEY_SECRET}


def test_a_release_that_nobody_vouches_for_is_not_removed_by_helm() -> None:
    bench = Acting()
    bench.helm._store("demo", "ns", 1, "deployed", PUBLIC, MARK)
    assert bench.run(uninstall, facts()) == "" and bench.helm.runs == []
