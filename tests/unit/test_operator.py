"""The operator around reconcile(): which change leads to which look, and when it is unwell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pdshub import loops as program
from pdshub.kube import ARCHIVE_VIEW, CLAIM, NETWORK_POLICY, PDSHUB, VOLUME
from pdshub.loops import Operator
from pdshub.reconcile.common import workqueue
from pdshub.reconcile.hub.drill import reading as drill_reading
from pdshub.reconcile.hub.recovery import reading as recovery_reading
from pdshub.wellknown import MANAGER
from tests.unit.settled import SURVEYORS, Cluster, eventually, heard, no_look, running

LABELS = {"pdshub.dev/hub": "hub", "pdshub.dev/view": "sbn"}
MADE = {"app.kubernetes.io/managed-by": MANAGER}
HOME = {"component": "singleuser-storage", "pdshub.dev/hub": "hub"}


def claim(name: str, namespace: str, labels: dict[str, str], volume: str = "pv") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": {"volumeName": volume}}


def neighbours(cluster: Cluster) -> None:
    cluster.view(name="sbn")
    cluster.view(name="other")
    cluster.hub("ns1")
    cluster.hub("ns1", "second", view="other")
    cluster.hub("ns2")
    cluster.hub("ns3", view="other")
    cluster.open("ns1", "ns2", "ns3")


def respec(cluster: Cluster, namespace: str, name: str, **archive: Any) -> None:
    known = cluster.server.objects[PDSHUB.path(namespace, name)]
    cluster.put(PDSHUB, {**known, "spec": {**known["spec"], "archive": archive}})


HUB1, SECOND, HUB2, HUB3 = ("ns1", "hub"), ("ns1", "second"), ("ns2", "hub"), ("ns3", "hub")
CHANGES: list[tuple[str, Callable[[Cluster], Any], set[Any]]] = [
    ("a hub's spec", lambda c: respec(c, "ns1", "hub", viewRef="sbn", updates="live"), {HUB1, SECOND, "sbn"}),
    ("a hub's view", lambda c: respec(c, "ns2", "hub", viewRef="other"), {HUB2, "sbn", "other"}),
    ("a hub that goes", lambda c: c.server.remove(PDSHUB, "hub", "ns1"), {HUB1, SECOND, "sbn"}),
    ("a hub that comes", lambda c: c.hub("ns3", "new"), {("ns3", "new"), HUB3, "sbn"}),
    (
        "a hub's status, written by somebody else",
        lambda c: c.put(PDSHUB, {**c.server.objects[PDSHUB.path("ns2", "hub")], "status": {"users": 1}}),
        {HUB2},
    ),
    ("a view's survey", lambda c: c.view(survey="100 files"), {"sbn"}),
    ("a view's generation", lambda c: c.view("sha256:" + "a" * 64), {"sbn", HUB1, HUB2}),
    ("a view that is not whole", lambda c: c.view(name="other", ready="False"), {"other", SECOND, HUB3}),
    ("a view that goes", lambda c: c.server.remove(ARCHIVE_VIEW, "sbn"), {"sbn", HUB1, HUB2}),
    ("a hub's claim", lambda c: c.put(CLAIM, claim("a", "ns1", LABELS)), {HUB1}),
    ("a surveyor's claim", lambda c: c.put(CLAIM, claim("a", SURVEYORS, {"pdshub.dev/view": "sbn"})), {"sbn"}),
    ("a wall of a hub", lambda c: c.put(NETWORK_POLICY, claim("hub-network-deny", "ns1", MADE)), {HUB1, SECOND}),
    ("somebody's policy", lambda c: c.put(NETWORK_POLICY, claim("own", "ns1", {})), set()),
    ("somebody's claim", lambda c: c.put(CLAIM, claim("a", "ns1", {})), set()),
]


@pytest.mark.parametrize(("change", "looks"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_what_leads_to_a_look(change: Callable[[Cluster], Any], looks: set[Any]) -> None:
    async def main() -> None:
        async with running(no_look, before=neighbours) as (cluster, operator):
            await eventually("all is known", lambda: len(cluster.looks) >= 6)
            await heard(cluster, operator)
            await eventually("all is watched", lambda: all(i.current for i in operator.informers.caches))
            cluster.looks.clear()
            change(cluster)
            await heard(cluster, operator)
            await eventually("what is to look looks", lambda: looks <= set(cluster.looks))
            assert {key for key in cluster.looks if "last-" not in str(key)} == looks

    asyncio.run(main())


def test_homes_are_protected_when_they_are_bound_and_found_again_by_the_resync() -> None:
    async def main() -> None:
        async with running(no_look, before=neighbours) as (cluster, operator):
            cluster.put(VOLUME, {"metadata": {"name": "pv"}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}})
            cluster.put(CLAIM, claim("home", "ns1", HOME))

            def policy(name: str) -> Any:
                return cluster.server.objects[VOLUME.path(None, name)]["spec"]["persistentVolumeReclaimPolicy"]

            await eventually("it is protected", lambda: policy("pv") == "Retain")
            cluster.server.silent = True
            cluster.put(VOLUME, {"metadata": {"name": "pv2"}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}})
            cluster.put(CLAIM, claim("home", "ns2", HOME, "pv2"))
            await operator.resync()
            assert policy("pv2") == "Retain"

    asyncio.run(main())


# --- unwell


def test_a_look_that_hangs_makes_the_operator_unwell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before, only looks at hubs counted: a view whose look hung was never looked at again."""

    async def main(hanging: str) -> tuple[str, str]:
        gate = asyncio.Event()

        async def hang(*_: Any) -> float:
            await gate.wait()
            return 3600.0

        hub, view = (hang, no_look) if hanging == "hub" else (no_look, hang)
        async with running(hub, view, neighbours) as (cluster, operator):
            await eventually("it is looked at", lambda: cluster.looks["sbn"] and cluster.looks[HUB1])
            before = operator.unhealthy_reason()
            began = workqueue.time.monotonic()
            monkeypatch.setattr(workqueue.time, "monotonic", lambda: began + program.STUCK + 1)
            operator._beat = began + program.STUCK
            after = operator.unhealthy_reason()
            assert operator.longest_busy() > program.STUCK
            monkeypatch.undo()
            gate.set()
        return before, after

    for what in ("hub", "view"):
        before, after = asyncio.run(main(what))
        assert before == "" and after.startswith(f"one look at a {what} has taken 90"), (what, after)


def test_a_resync_that_does_not_come_and_a_task_that_ended_make_it_unwell() -> None:
    async def main() -> None:
        async with running(no_look) as (_, operator):
            assert operator.unhealthy_reason() == ""
            operator._beat -= 3 * program.RESYNC + 61
            assert operator.unhealthy_reason().startswith("the last resync was")
            operator._beat += 3 * program.RESYNC + 61
            ended = asyncio.create_task(asyncio.sleep(0), name="reports")
            await ended
            operator._tasks.append(ended)
            assert operator.unhealthy_reason() == "ended: reports"

    asyncio.run(main())


def test_a_watch_that_went_silent_is_noticed_by_the_resync() -> None:
    async def main() -> None:
        async with running(no_look, before=neighbours) as (cluster, operator):
            await heard(cluster, operator)
            cluster.server.silent = True
            cluster.hub("ns9")

            def knows(operator: Operator = operator) -> bool:
                return any(i["metadata"]["namespace"] == "ns9" for i in operator.informers.objects(PDSHUB))

            await operator.resync()
            assert ("ns9", "hub") in operator.hubs.keys and not knows(), "the resync itself looks at it"
            await operator.resync()
            await eventually("everything is listed again", knows)

    asyncio.run(main())


def test_whoever_wants_a_repository_looks_for_its_turn_under_one_lock() -> None:
    async def main() -> None:
        async with running(no_look) as (_, operator):
            own = operator.backups.context
            for beside in (operator.drills.context, operator.recoveries.context):
                assert beside.backups.turn is beside.live().backups.turn is own.turn
            assert set(own.live().readers) == {drill_reading.reads, recovery_reading.reads}

    asyncio.run(main())
