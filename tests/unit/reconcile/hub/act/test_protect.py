"""Reclaim policies: which volumes are kept, which may go, and that a claim rules only its own volume."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from pdshub.kube import CLAIM, VOLUME, Kube, KubeError
from pdshub.reconcile.hub.act.protect import act, discard, retain, retain_all
from tests.unit.reconcile.hub.act.acting import Acting
from tests.unit.reconcile.test_decide import facts

OWN = {"namespace": "ns", "name": "claim", "uid": "u"}
CASES: list[tuple[str, dict[str, Any], Any, str, bool]] = [
    ("its own", {"volumeName": "pv"}, OWN, "Delete", True),
    ("not bound back yet", {"volumeName": "pv"}, None, "Delete", True),
    ("kept already", {"volumeName": "pv"}, OWN, "Retain", False),
    ("not bound", {}, OWN, "Delete", False),
    ("no such volume", {"volumeName": "gone"}, OWN, "Delete", False),
    ("the volume of another claim", {"volumeName": "pv"}, {**OWN, "name": "other"}, "Delete", False),
    ("the volume of another namespace", {"volumeName": "pv"}, {**OWN, "namespace": "victim"}, "Delete", False),
    ("the volume of an earlier claim of that name", {"volumeName": "pv"}, {**OWN, "uid": "v"}, "Delete", False),
]


def made(spec: dict[str, Any], ref: Any, policy: str, **meta: Any) -> tuple[Acting, dict[str, Any]]:
    bench = Acting()
    claim = bench.put(CLAIM, "claim", spec, uid="u", **meta)
    bench.put(VOLUME, "pv", {"persistentVolumeReclaimPolicy": policy, **({"claimRef": ref} if ref else {})})
    return bench, claim


def policy(bench: Acting, name: str = "pv") -> str:
    return str(bench.get(VOLUME, name)["spec"]["persistentVolumeReclaimPolicy"])


@pytest.mark.parametrize(("spec", "ref", "before", "changed"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_retain(spec: dict[str, Any], ref: Any, before: str, changed: bool) -> None:
    bench, claim = made(spec, ref, before)
    assert asyncio.run(retain(cast(Kube, bench.kube), claim)) is changed
    assert policy(bench) == ("Retain" if changed else before)


@pytest.mark.parametrize(
    ("labels", "before", "marks"),
    [
        ({"pdshub.dev/hub": "demo"}, "Delete", {"pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}),
        ({"pdshub.dev/hub": "demo"}, "Retain", {"pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}),
        ({}, "Delete", {}),
    ],
    ids=["a home", "a home of storage that keeps", "somebody's"],
)
def test_a_home_that_is_kept_is_marked_once(labels: dict[str, str], before: str, marks: Any) -> None:
    """By its marks it is known when its namespace is going and cannot be read any more."""
    bench, claim = made({"volumeName": "pv"}, OWN, before, labels=labels)
    assert asyncio.run(retain(cast(Kube, bench.kube), claim))
    assert bench.get(VOLUME, "pv")["metadata"].get("labels") == marks and policy(bench) == "Retain"
    assert not asyncio.run(retain(cast(Kube, bench.kube), claim))


def test_a_claim_that_is_going_is_left_alone() -> None:
    bench, claim = made({"volumeName": "pv"}, OWN, "Delete", deletionTimestamp="x")
    assert not asyncio.run(retain(cast(Kube, bench.kube), claim))


@pytest.mark.parametrize(
    ("spec", "ref", "goes"),
    [(c[1], c[2], c[0] in ("its own", "not bound back yet", "kept already")) for c in CASES],
    ids=[c[0] for c in CASES],
)
def test_discard(spec: dict[str, Any], ref: Any, goes: bool) -> None:
    bench, _ = made(spec, ref, "Retain")
    asyncio.run(discard(cast(Kube, bench.kube), "claim", "ns"))
    assert policy(bench) == ("Delete" if goes else "Retain")
    assert bench.names(CLAIM) == set()


def test_an_api_server_that_is_away_is_not_asked_for_every_claim() -> None:
    bench = Acting()
    claims = [bench.put(CLAIM, f"claim-{n}", {"volumeName": "pv"}) for n in range(9)]
    asked = []

    async def away(*args: Any, **more: Any) -> None:
        asked.append(args)
        raise KubeError(0, "no answer")

    bench.kube.get = away  # type: ignore[method-assign,assignment]
    with pytest.raises(KubeError):
        asyncio.run(retain_all(cast(Kube, bench.kube), claims))
    assert len(asked) == 3


def test_the_databases_volume_is_kept_and_marked_and_one_refusal_holds_up_no_other() -> None:
    bench = Acting()
    for name in ("a", "b"):
        bench.put(VOLUME, name, {"persistentVolumeReclaimPolicy": "Delete"}, labels={"theirs": "x"})
    bench.kube.refused = {"a"}
    with pytest.raises(KubeError, match="a: denied"):
        bench.run(act, facts(unprotected=("a", "b")))
    assert (policy(bench, "a"), policy(bench, "b")) == ("Delete", "Retain")
    marks = {"theirs": "x", "pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}
    assert bench.get(VOLUME, "b")["metadata"]["labels"] == marks
