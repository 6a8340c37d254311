"""Homes whose storage has checkpoints are saved from one, and as they are where there is none."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pdshub.api.backup import HubBackupStatus
from pdshub.kube import CLAIM, JOB
from pdshub.reconcile.hub.backup import checkpoint
from pdshub.reconcile.hub.backup.decide import WORKING, decide
from pdshub.reconcile.hub.backup.facts import Facts, Use
from pdshub.reconcile.hub.backup.order import order
from pdshub.reconcile.hub.backup.progress import Stage
from pdshub.reconcile.hub.backup.steps import Nothing, Start, Tell
from pdshub.render.backup_job import job as job_of_order
from pdshub.render.names import BACKUP_LABELS
from pdshub.wellknown import CHECKPOINT_REFUSED, HOMES_CHECKPOINTS, HOMES_DRIVER
from tests.unit.reconcile.hub.backup.estate import INSTALLATION, Estate
from tests.unit.reconcile.hub.backup.given import (
    NAMES,
    NOW,
    backup,
    claim,
    facts,
    home,
    job,
    pod,
    restore,
    run,
    running,
)

MADE_BY = {"volume.kubernetes.io/storage-provisioner": HOMES_DRIVER}
SAVE = Stage("backup", 0)
ONE = {"one-i0": job("one-i0")}


def own(name: str = "claim-ada", *modes: str) -> dict[str, Any]:
    """A home that the driver of homes has."""
    made = home(name)
    made["metadata"]["annotations"] = MADE_BY
    if modes:
        made["spec"]["accessModes"] = list(modes)
    return made


def given(*more: dict[str, Any], modes: tuple[str, ...] = (), **fields: Any) -> Facts:
    """A hub whose home of ada is the driver's, in the middle of saving it."""
    there = [own("claim-ada", *modes), home("claim-bela"), claim("hub-db-dir"), claim("vault"), *more]
    asked = run("one", running(("home/ada", "Pending"), ("keys", "Pending"), job=fields.pop("job", "")))
    fields.setdefault("spec", backup(suspend=True))  # no other run is due
    return facts(runs=(asked,), claims={one["metadata"]["name"]: one for one in there}, **fields)


def look(phase: str = "Pending", why: str = "", created: str = NOW) -> dict[str, Any]:
    """The claim by which the Job sees the checkpoint."""
    made = claim("one-i0", "ReadOnlyMany", **BACKUP_LABELS)
    made["metadata"]["creationTimestamp"] = created
    conditions = [{"type": CHECKPOINT_REFUSED, "status": "True", "message": why}] if why else []
    return {**made, "status": {"phase": phase, "conditions": conditions}}


WANTED = [
    ("a home of the driver", SAVE, 0, "home/ada", "claim-ada", True),
    ("another try", SAVE, 1, "home/ada", "claim-ada", False),
    ("a home of another class", SAVE, 0, "home/bela", "claim-bela", False),
    ("the database", SAVE, 0, "database", "hub-db-dir", False),
    ("a restore", Stage("restore"), 0, "home/ada", "claim-ada", False),
    ("a claim that is gone", SAVE, 0, "home/eve", "claim-eve", False),
]


@pytest.mark.parametrize(
    ("stage", "attempt", "item", "name", "is_so"), [c[1:] for c in WANTED], ids=[c[0] for c in WANTED]
)
def test_what_is_saved_from_a_checkpoint(stage: Stage, attempt: int, item: str, name: str, is_so: bool) -> None:
    assert checkpoint.wanted(given(), stage, attempt, item, name) is is_so


def test_the_job_sees_the_checkpoint_and_not_the_home() -> None:
    used = {"claim-ada": (Use("jupyter-ada", "n1"),)}
    step = decide(given(uses=used))
    assert isinstance(step, Start) and step.attempt == 0
    made = order(given(uses=used), step)
    assert made.checkpoint and made.request.how == "Snapshot" and made.nodes == (), "its volume says where"
    spec = job_of_order(NAMES, made, INSTALLATION.backup)["spec"]["template"]["spec"]
    seen = {v["name"]: v["persistentVolumeClaim"] for v in spec["volumes"] if "persistentVolumeClaim" in v}
    assert seen == {"repository": {"claimName": "vault"}, "data": {"claimName": "one-i0", "readOnly": True}}


def test_a_home_that_only_one_pod_may_have_is_saved_while_it_is_used() -> None:
    used = {"claim-ada": (Use("jupyter-ada", "n1"),)}
    facts_ = given(modes=("ReadWriteOncePod",), uses=used)
    assert isinstance(decide(facts_), Start)
    stuck = given(look("Pending", "x"), modes=("ReadWriteOncePod",), uses=used, job="one-i0", jobs=ONE)
    ended = decide(stuck)
    assert isinstance(ended, Tell) and isinstance(ended.status, HubBackupStatus)
    assert ended.status.items[0].phase == "Failed" and "no other pod" in ended.status.items[0].message


OLD = "2026-03-10T11:58:00Z"
WAITS: list[tuple[str, list[dict[str, Any]], Any]] = [
    ("it is being made", [look()], Nothing(WORKING)),
    ("it is there", [look("Bound")], Nothing(WORKING)),
    ("it is there, and was refused before", [look("Bound", "full")], Nothing(WORKING)),
    ("it is refused", [look("Pending", "the pool is full")], 1),
    ("nobody answers", [look(created=OLD)], 1),
    ("its claim is gone", [], 1),
]


@pytest.mark.parametrize(("there", "wanted"), [c[1:] for c in WAITS], ids=[c[0] for c in WAITS])
def test_a_job_that_waits_for_its_checkpoint(there: list[dict[str, Any]], wanted: Any) -> None:
    found = given(*there, job="one-i0", jobs=ONE)
    step = decide(found)
    if isinstance(wanted, Nothing):
        assert step == wanted
        return
    assert isinstance(step, Start) and step.attempt == wanted
    made = order(found, step)
    assert not made.checkpoint and made.request.how == "Stopped" and made.home == "claim-ada"


def test_one_that_cannot_be_mounted_is_none() -> None:
    waiting = pod("one-i0", phase="Pending")
    late = job("one-i0", created="2026-03-10T11:00:00Z")
    step = decide(given(look("Bound"), job="one-i0", jobs={"one-i0": late}, pods=(waiting,)))
    assert isinstance(step, Start) and step.attempt == 1


def test_a_restore_goes_into_the_home_itself() -> None:
    there = given(
        restores=(restore("back", {"phase": "Running", "started": NOW}),), uses={"claim-ada": (Use("x", "n1"),)}
    )
    step = decide(there)
    assert isinstance(step, Start) and step.stage.action == "restore"
    made = order(there, step)
    assert made.home == "claim-ada" and not made.checkpoint and made.nodes == ("n1",)


# --- the whole loop


class Driver(Estate):
    """A hub whose homes are the driver's, and the driver. ``refuses``: why it makes no checkpoint."""

    def __init__(self, refuses: str = "") -> None:
        super().__init__()
        self.refuses = refuses
        self.shown: list[str] = []

    def home(self, user: str, namespace: str = "ns") -> None:
        super().home(user, namespace)
        self.kube.objects[CLAIM.plural, namespace, f"claim-{user}"]["metadata"]["annotations"] |= MADE_BY

    def kubernetes(self) -> None:
        waits = []
        for (plural, namespace, name), found in list(self.kube.objects.items()):
            if plural != CLAIM.plural or found["spec"].get("storageClassName") != HOMES_CHECKPOINTS:
                continue
            found["metadata"].setdefault("creationTimestamp", self.stamp())
            assert (CLAIM.plural, namespace, found["spec"]["dataSource"]["name"]) in self.kube.objects
            if self.refuses:
                why = [{"type": CHECKPOINT_REFUSED, "status": "True", "message": self.refuses}]
                found["status"] = {"phase": "Pending", "conditions": why}
                waits.append(name)
            elif name not in self.shown:
                self.shown.append(name)
                found["status"] = {"phase": "Bound"}
        # the pod of a Job whose claim is not bound is not scheduled
        held = {
            key: self.kube.objects.pop(key)
            for key in list(self.kube.objects)
            if key[0] == JOB.plural and key[2] in waits
        }
        super().kubernetes()
        self.kube.objects |= held

    def claims(self) -> list[str]:
        return sorted(name for plural, _, name in self.kube.objects if plural == CLAIM.plural)


ALWAYS = ["claim-ada", "hub-db-dir", "vault"]


@pytest.mark.parametrize("refuses", ["", "the pool of homes is 97% full"])
def test_a_run_says_of_each_home_how_it_was_saved(refuses: str) -> None:
    async def main() -> None:
        estate = Driver(refuses)
        estate.hub(users=("ada",))
        estate.ask("one")
        ended = await estate.finish("one")
        assert ended["phase"] == "Completed", ended
        assert ended["items"][0]["how"] == ("Stopped" if refuses else "Snapshot")
        assert estate.shown == ([] if refuses else ["one-i0"])
        assert estate.claims() == ALWAYS and estate.left() == [], "what shows a checkpoint goes with its Job"

    asyncio.run(main())


def test_killed_after_every_write_no_claim_is_left() -> None:
    async def main() -> None:
        for kills in range(1, 40):
            estate = Driver()
            estate.hub(users=("ada",))
            estate.ask("one")
            await estate.survive("one", kills)
            for _ in range(3):
                await estate.look()
            ended = estate.status("one")
            assert (ended["phase"], ended["snapshots"], ended["job"]) == ("Completed", 4, ""), (kills, ended)
            assert estate.claims() == ALWAYS and estate.left() == [], kills

    asyncio.run(main())


def test_a_home_with_the_name_of_a_job_is_nobody_s_to_delete() -> None:
    """HubBackup claim and a user i0: the Job's name is the home's. It is not shown as ada's, and it stays."""

    async def main() -> None:
        estate = Driver()
        estate.hub(users=("ada",))
        estate.home("i0")
        estate.ask("claim", users=["ada"])
        ended = await estate.finish("claim")
        assert ended["phase"] == "Failed" and "another's" in ended["items"][0]["message"]
        assert estate.claims() == ["claim-ada", "claim-i0", "hub-db-dir", "vault"]

    asyncio.run(main())
