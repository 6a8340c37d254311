"""Homes whose CSI driver has VolumeSnapshots: which are saved from one, and when one is believed."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.api.backup import HubBackupStatus
from pdshub.installation import SnapshotClass
from pdshub.kube import Object
from pdshub.reconcile.hub.backup import checkpoint, snapshot
from pdshub.reconcile.hub.backup.decide import WORKING, decide
from pdshub.reconcile.hub.backup.facts import Facts, Snapshots, Use
from pdshub.reconcile.hub.backup.order import order
from pdshub.reconcile.hub.backup.progress import Stage, working
from pdshub.reconcile.hub.backup.steps import Nothing, Start, Sweep
from pdshub.render.names import BACKUP_LABELS
from tests.unit.reconcile.hub.backup.ebs import EBS, OLD, READY, STORAGE, YOUNG, ebs_home, taken
from tests.unit.reconcile.hub.backup.given import NOW, backup, claim, facts, home, job, run, running

SAVE = Stage("backup", 0)
GIB = 1 << 30


def look(**more: Any) -> Object:
    """The claim from it."""
    made = claim("one-i0", **BACKUP_LABELS)
    made["metadata"]["creationTimestamp"] = more.pop("created", NOW)
    source = {"apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "one-i0"}
    made["spec"] |= {"dataSource": source, "storageClassName": "gp3", **more.pop("spec", {})}
    return {**made, "status": {"phase": "Pending", **more}}


def given(
    *claims: Object,
    there: Object | None = None,
    mine: bool = False,
    ada: Object | None = None,
    classes: tuple[SnapshotClass, ...] = (EBS,),
    **fields: Any,
) -> Facts:
    """A hub whose home of ada is on EBS, in the middle of saving it."""
    known = [ada or ebs_home("claim-ada"), home("claim-bela"), claim("hub-db-dir"), claim("vault"), *claims]
    asked = run("one", running(("home/ada", "Pending"), ("keys", "Pending"), job=fields.pop("job", "")))
    found = Snapshots(
        classes={each.driver: each for each in classes},
        storage=STORAGE,
        there={"one-i0": there} if there else {},
        made=frozenset(["one-i0"] if mine else []),
    )
    fields.setdefault("spec", backup(suspend=True))
    fields.setdefault("runs", (asked,))
    return facts(claims={one["metadata"]["name"]: one for one in known}, snapshots=found, **fields)


# --- which homes

HOMES: list[tuple[str, Object, bool, str]] = [
    ("on EBS", ebs_home("claim-ada"), True, ""),
    ("of another driver", home("claim-ada"), False, ""),
    ("of a class that keeps volumes", ebs_home("claim-ada", "gp3-retain"), False, "reclaimPolicy Delete"),
    ("of a class of another driver", ebs_home("claim-ada", "nfs"), False, "reclaimPolicy Delete"),
    ("of no class", ebs_home("claim-ada", ""), False, "reclaimPolicy Delete"),
    ("without a volume", {**ebs_home("claim-ada"), "status": {"phase": "Pending"}}, False, "no volume yet"),
    ("of no size", ebs_home("claim-ada", size="much"), False, "no volume yet"),
    ("of blocks", ebs_home("claim-ada", volumeMode="Block"), False, "no file system"),
]


@pytest.mark.parametrize(("ada", "is_so", "why"), [c[1:] for c in HOMES], ids=[c[0] for c in HOMES])
def test_which_homes_are_saved_from_a_snapshot(ada: Object, is_so: bool, why: str) -> None:
    found = given(ada=ada)
    assert checkpoint.wanted(found, SAVE, 0, "home/ada", "claim-ada") is is_so
    assert not checkpoint.wanted(found, SAVE, 1, "home/ada", "claim-ada"), "another try"
    assert why in snapshot.unfit(found, ada) and bool(snapshot.unfit(found, ada)) is bool(why)
    step = decide(found)
    assert isinstance(step, Start) and step.attempt == 0 and why in step.why
    made = order(found, step)
    assert (made.checkpoint, made.snapshot is not None, made.request.how) == (
        is_so,
        is_so,
        "Snapshot" if is_so else "Stopped",
    )


def test_nothing_of_it_where_the_installation_names_no_class() -> None:
    step = decide(given(classes=()))
    assert isinstance(step, Start) and step.why == ""
    assert not order(given(classes=()), step).checkpoint


def test_the_database_is_saved_by_sqlite_whatever_its_storage_can() -> None:
    database = ebs_home("hub-db-dir", "gp3-retain")
    asked = run("one", running(("database", "Pending"), ("keys", "Pending")))
    step = decide(given(database, runs=(asked,)))
    assert isinstance(step, Start) and (step.attempt, step.why) == (0, "")
    assert not order(given(database, runs=(asked,)), step).checkpoint


SIZES: list[tuple[str, Object, Any, str, int]] = [
    ("as large as the home", ebs_home("claim-ada"), {}, "gp3", 10 * GIB),
    (
        "as large as it is to be",
        ebs_home("claim-ada", resources={"requests": {"storage": "12Gi"}}),
        {},
        "gp3",
        12 * GIB,
    ),
    ("as the snapshot needs", ebs_home("claim-ada"), {"restoreSize": "11Gi"}, "gp3", 11 * GIB),
    ("a number", ebs_home("claim-ada"), {"restoreSize": 11 * GIB}, "gp3", 11 * GIB),
    ("never smaller", ebs_home("claim-ada"), {"restoreSize": "1Gi"}, "gp3", 10 * GIB),
    ("a size that is none", ebs_home("claim-ada"), {"restoreSize": "x"}, "gp3", 10 * GIB),
    ("a fraction", ebs_home("claim-ada", size="1500m"), {}, "gp3", 2),
    ("in a class for it", ebs_home("claim-ada", "gp3-retain"), {}, "brief", 10 * GIB),
]


@pytest.mark.parametrize(("ada", "status", "storage", "size"), [c[1:] for c in SIZES], ids=[c[0] for c in SIZES])
def test_the_size_and_class_of_the_claim(ada: Object, status: Any, storage: str, size: int) -> None:
    classes = (EBS.model_copy(update={"storage_class_name": "brief"} if storage == "brief" else {}),)
    found = given(ada=ada, there=taken({"readyToUse": True, **status}), classes=classes)
    wanted = snapshot.taken(found, "claim-ada", "one-i0")
    assert wanted is not None and (wanted.storage_class, wanted.size) == (storage, size)


# --- how far a snapshot is

ERROR = {"readyToUse": False, "error": {"message": "driver name mismatch\x1b[31m", "time": NOW}}
STATES: list[tuple[str, dict[str, Any], Any]] = [
    ("there is none yet", {}, "make"),
    ("it was just made", {"there": taken(), "mine": True}, "wait"),
    ("it has no flag", {"there": taken({"boundVolumeSnapshotContentName": "x"})}, "wait"),
    ("it is not ready", {"there": taken({"readyToUse": False})}, "wait"),
    ("its flag is a text", {"there": taken({"readyToUse": "true"})}, "wait"),
    ("its flag is a number", {"there": taken({"readyToUse": 1})}, "wait"),
    ("its status is none", {"there": taken("ready")}, "wait"),
    ("its error is none", {"there": taken({"error": "x"}, YOUNG)}, "wait"),
    ("it is ready", {"there": taken(READY)}, "use"),
    ("it is ready, after an error", {"there": taken({**ERROR, "readyToUse": True}, YOUNG)}, "use"),
    ("it has an error of a moment", {"there": taken(ERROR)}, "wait"),
    ("it has an error that stays", {"there": taken(ERROR, YOUNG)}, "driver name mismatch\N{REPLACEMENT CHARACTER}[31m"),
    ("it was never ready", {"there": taken({"readyToUse": False}, OLD)}, "not ready within 600 s"),
    ("it never had a status", {"there": taken(None, OLD)}, "not ready within 600 s"),
    ("it is of hours ago", {"there": taken(READY, OLD)}, "too old"),
    ("it is of tomorrow", {"there": taken(READY, "2026-03-11T12:00:00Z")}, "too old"),
    ("it is of no time", {"there": taken(READY, "")}, "too old"),
    ("it was taken away", {"mine": True}, "gone"),
    ("it is of another run", {"there": taken(READY, owner="uid-ns-two")}, "another's"),
    ("it is of another home", {"there": taken(READY, of="claim-bela")}, "another's"),
    ("it is of another class", {"there": taken(READY, volumeSnapshotClassName="x")}, "another's"),
    ("it is of no claim", {"there": taken(READY, source={"volumeSnapshotContentName": "of-them"})}, "another's"),
    ("it is of both", {"there": taken(READY, source={"persistentVolumeClaimName": "claim-ada",
                                                     "volumeSnapshotContentName": "of-them"})}, "another's"),
    ("it asks for a large volume", {"there": taken({**READY, "restoreSize": "16Ti"})}, "says that it needs"),
    ("it asks for more than there is", {"there": taken({**READY, "restoreSize": "1e999999"})}, "says that it needs"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "wanted"), [c[1:] for c in STATES], ids=[c[0] for c in STATES])
def test_a_run_and_its_snapshot(fields: dict[str, Any], wanted: str) -> None:
    found = given(job="one-i0", **fields)
    step = decide(found)
    if wanted == "wait":
        assert step == Nothing(WORKING)
        return
    assert isinstance(step, Start)
    made = order(found, step)
    if wanted in ("make", "use"):
        assert (step.attempt, made.job, made.request.how, made.checkpoint) == (0, "one-i0", "Snapshot", True)
        assert made.snapshot is not None and made.snapshot.ready is (wanted == "use")
        assert made.nodes == (), "its volume says where"
        return
    assert step.attempt == 1 and wanted in step.why and step.why.isprintable()
    assert (made.snapshot, made.checkpoint, made.request.how, made.home) == (None, False, "Stopped", "claim-ada")
    said = working(HubBackupStatus.model_validate(running(("home/ada", "Pending"))), made.job, step.why)
    assert said.items[0].message.startswith("not from a checkpoint: ")


@pytest.mark.parametrize("fields", [c[1] for c in STATES if c[2] != "use"], ids=[c[0] for c in STATES if c[2] != "use"])
def test_the_first_look_of_all_believes_nothing_either(fields: dict[str, Any]) -> None:
    """Somebody has put a snapshot of its name there before the Job is named: no claim is ever made from it."""
    found = given(**fields)
    assert isinstance(decide(found), Sweep if "there" in fields else Start)
    made = order(found, Start(run("one"), SAVE, 0, "home/ada"))
    assert made.snapshot is not None and not made.snapshot.ready


JOBS = {"one-i0": job("one-i0")}
LATE = {"one-i0": job("one-i0", created="2026-03-10T11:00:00Z")}
CLAIMS: list[tuple[str, list[Object], dict[str, Object], str]] = [
    ("a volume is being made", [look()], JOBS, ""),
    ("it is there", [look(phase="Bound")], JOBS, ""),
    ("it was refused", [], JOBS, "refused"),
    ("no volume is made", [look(created=OLD)], JOBS, "no volume"),
    ("a claim of somebody's", [look(phase="Bound", spec={"dataSource": None})], JOBS, "another's"),
    ("its pod does not start", [look(phase="Bound")], LATE, "not started"),
]


@pytest.mark.parametrize(("there", "jobs", "why"), [c[1:] for c in CLAIMS], ids=[c[0] for c in CLAIMS])
def test_a_job_and_its_claim(there: list[Object], jobs: dict[str, Object], why: str) -> None:
    step = decide(given(*there, job="one-i0", jobs=jobs, there=taken(READY), made=frozenset(jobs)))
    if not why:
        assert step == Nothing(WORKING)
    else:
        assert isinstance(step, Start) and step.attempt == 1 and why in step.why


def test_a_job_that_somebody_took_away_is_not_made_from_the_same_snapshot_again_and_again() -> None:
    step = decide(given(look(phase="Bound"), job="one-i0", there=taken(READY), made=frozenset(["one-i0"])))
    assert isinstance(step, Start) and step.attempt == 1


def test_a_home_that_is_in_use_is_saved_on_its_node_without_a_snapshot_only() -> None:
    used = {"claim-ada": (Use("jupyter-ada", "n1"),)}
    for fields, nodes in (({"there": taken(READY)}, ()), ({"there": taken(None, OLD)}, ("n1",))):
        found = given(job="one-i0", uses=used, **fields)
        step = decide(found)
        assert isinstance(step, Start) and order(found, step).nodes == nodes


# --- runs of many homes


@pytest.mark.parametrize(
    ("hows", "attempt"),
    [
        (["InUse", "InUse"], 0),
        (["InUse", "Stopped", "InUse"], 1),
        (["Snapshot", "InUse", "InUse"], 0),
        (["Snapshot", "InUse", "InUse", "InUse"], 1),
        (["Snapshot", "Snapshot", "Snapshot"], 0),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_controller_that_is_away_is_not_waited_for_a_thousand_times(hows: list[str], attempt: int) -> None:
    homes = {f"u{n}": f"claim-u{n}" for n in range(len(hows) + 1)}
    status = running(*((f"home/{user}", "Completed") for user in homes))
    for row, how in zip(status["items"], hows, strict=False):
        row["how"] = how
    status["items"][-1]["phase"] = "Pending"
    found = given(*(ebs_home(name) for name in homes.values()), homes=homes, runs=(run("one", status),))
    step = decide(found)
    assert isinstance(step, Start) and step.attempt == attempt and bool(step.why) is bool(attempt)


# --- what is left behind


def test_what_nobody_waits_for_is_swept() -> None:
    ended = run("one", {"phase": "Failed", "started": NOW})
    assert decide(given(there=taken(READY), runs=(ended,))) == Sweep(("one-i0",))
    assert decide(given(there=taken(READY), runs=(), refused=("NoBackup", "x"))) == Sweep(("one-i0",))
