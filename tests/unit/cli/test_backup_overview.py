"""``kubectl pdshub backup status``: conditions, drills with what they measured, restores and who asked for them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.cli import backup_drills, backup_overview
from pdshub.reconcile.hub.drill import record
from pdshub.reconcile.hub.earlier.look import PAGE
from pdshub.render.names import Names
from tests.unit.cli.backup_cluster import ADA, BackupCluster, backup, item
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless, spoiled

NAMES = Names("hub", "sbn")
GOOD = record.Verdict(at="2026-11-19T03:00:00Z", ok=True, reason="Verified", message="3 homes and the database",
                      recovery_seconds=48.4, age_seconds=7200)  # fmt: skip
BAD = record.Verdict(at="2026-11-26T03:00:00Z", ok=False, reason="Damaged", message="home/bela came back otherwise")
STAGE = record.Stage(kind="compare", item="database", phase="Completed", seconds=9, restore_seconds=1.5, files=1,
                     size_bytes=4096, snapshot="a" * 64)  # fmt: skip


def drills(**fields: Any) -> tuple[str, dict[str, Any]]:
    """The ConfigMap as the operator writes it."""
    found = record.written(NAMES, "uid", record.Drills(number=7, started=GOOD.at, stages=[STAGE], **fields))
    return "configmap", found


def restore(name: str, asked: str, phase: str = "Completed", **more: Any) -> tuple[str, dict[str, Any]]:
    meta = {"name": name, "namespace": "hub", "creationTimestamp": asked, **more}
    spec = {"hub": "sbn", "user": ADA, "path": "notebooks/x.ipynb"}
    return "restore", {"metadata": meta, "spec": spec, "status": {"phase": phase, "place": "restored-2026-11-25"}}


def cluster(*objects: tuple[str, dict[str, Any]], **conditions: tuple[str, str, str]) -> BackupCluster:
    where = BackupCluster(*objects)
    where.found("pdshub", "sbn")["status"]["conditions"] += [
        {"type": kind, "status": status, "reason": reason, "message": message, "lastTransitionTime": "2026-11-26"}
        for kind, (status, reason, message) in conditions.items()
    ]
    return where


def test_the_operators_map_is_read() -> None:
    name = record.written(NAMES, "uid", record.Drills())["metadata"]["name"]
    assert (name, record.FILE) == (f"sbn{backup_drills.SUFFIX}", backup_drills.FILE)
    assert backup_overview.ASKED in PAGE and PAGE[backup_overview.ASKED] == "page"
    found = backup_drills.read(drills(last=BAD, good=GOOD, suspects=["home/bela"], running=True)[1])
    assert (found.number, found.running, found.suspects) == (7, True, ["home/bela"])
    assert found.last and not found.last.ok and found.last.reason == "Damaged"
    assert found.good and (found.good.recovery_seconds, found.good.age_seconds) == (48.4, 7200)
    (stage,) = found.stages
    assert (stage.item, stage.seconds, stage.restore_seconds, stage.size_bytes) == ("database", 9, 1.5, 4096)


def test_all_well(call: Call) -> None:
    where = cluster(
        backup("sbn-b", "2026-11-25T02:30:00Z", item("database")),
        drills(last=GOOD, good=GOOD),
        restore("earlier-q1", "2026-11-26T10:00:00Z", labels=PAGE),
        restore("sbn-restore-x", "2026-11-26T09:00:00Z", "Failed"),
        BackedUp=("True", "Saved", "the last good one is sbn-b"),
        RestoreVerified=("True", "Verified", "drill of 2026-11-19"),
    )
    code, out, err = call(where, "backup status")
    assert code == 0, err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines == [
        "hub hub/sbn",
        "BackedUp: True (Saved): the last good one is sbn-b",
        "KeyEscrowed: not known yet",
        "RestoreVerified: True (Verified): drill of 2026-11-19",
        "last: backup sbn-b: Completed in 3 min 0 s, 1 snapshot of 4.0Ki, 2.0Ki new",
        "last drill: 2026-11-19T03:00:00Z, all well: 3 homes and the database; measured: 48 s to a hub that answers; "
        "what would have been lost: 2 h 0 min",
        "ASKED RESTORE BY USER PATH PHASE WHERE",
        f"2026-11-26T10:00:00Z earlier-q1 user {ADA} notebooks/x.ipynb Completed restored-2026-11-25/x.ipynb",
        f"2026-11-26T09:00:00Z sbn-restore-x administrator {ADA} notebooks/x.ipynb Failed restored-2026-11-25/x.ipynb",
    ]


def test_a_drill_that_found_something(call: Call) -> None:
    where = cluster(drills(last=BAD, good=GOOD, suspects=["home/bela"], running=True))
    out = call(where, "backup status")[1]
    assert "last drill: 2026-11-26T03:00:00Z, NOT well (Damaged): home/bela came back otherwise\n" in out
    assert "last good drill: 2026-11-19T03:00:00Z, all well: 3 homes" in out
    assert "did NOT come back as they were saved, and are tried again by each drill: home/bela" in out
    assert "drill 7, begun at 2026-11-19T03:00:00Z: 1 of 1 stages done" in out


KEYS = {"namespace", "name", "configured", "conditions", "running", "last", "drills", "restores", "notes"}
DRILL_KEYS = {"number", "started", "running", "last", "good", "stages", "suspects"}


def test_answers_for_programs_are_stable(call: Call) -> None:
    for where in (cluster(), cluster(drills(last=BAD, good=GOOD), restore("r", "2026-11-26T09:00:00Z"))):
        (found,) = json.loads(call(where, "backup status -o json")[1])["hubs"]
        assert set(found) == KEYS and set(found["drills"]) == DRILL_KEYS
        assert set(found["conditions"]) == set(backup_overview.CONDITIONS)
    assert set(found["drills"]["last"]) == {"at", "ok", "reason", "message", "recoverySeconds", "ageSeconds"}
    assert found["drills"]["good"]["recoverySeconds"] == 48.4
    assert set(found["restores"][0]) == {"name", "user", "path", "asked", "by", "phase", "where"}


def test_what_is_not_there(call: Call) -> None:
    out = call(cluster(), "backup status")[1]
    assert "last drill: none has ended yet\nrestores: none that are left to be read" in out
    assert call(BackupCluster(backup=None), "backup status")[1] == "hub hub/sbn: it has no spec.backup\n"
    blind = cluster().set(broken={"get configmap&drills": "no rights"})
    assert "note: what was found by drills can not be read: no rights" in call(blind, "backup status")[1]


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "[" * 100_000, '{"stages": 7, "last": [], "good": {"at": 7}}'])
def test_a_map_that_is_none(text: str) -> None:
    assert backup_drills.read({"data": {"drill.json": text}}) == backup_drills.Drills()
    assert backup_drills.read({}) == backup_drills.Drills()


def test_nothing_of_it_draws_on_a_terminal(call: Call) -> None:
    kind, found = drills(last=BAD, good=GOOD, suspects=["home/bela"])
    content = spoiled(json.loads(found["data"]["drill.json"]))
    where = cluster(
        (kind, {**found, "data": {"drill.json": json.dumps(content)}}),
        spoiled_restore(),
        BackedUp=("False", NASTY, NASTY),
    )
    _, out, err = call(where, "backup status")
    harmless(out)
    harmless(err)


def spoiled_restore() -> tuple[str, dict[str, Any]]:
    kind, found = restore("r", "2026-11-26T09:00:00Z")
    return kind, {**found, "spec": {**found["spec"], "path": NASTY}, "status": spoiled(found["status"])}
