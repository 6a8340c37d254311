"""``users offboard --archive``: nothing goes that is not saved, and nothing without two confirmations."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from pdshub.cli import backup_status, offboard_archive, users_act
from pdshub.cli.archive import CliError
from tests.unit.cli.backup_cluster import ADA, BACKUP, SNAPSHOT, BackupCluster, home, item, status, volume
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless, spoiled

TODAY = "2026-11-26"
BOTH = f"--confirm-name {ADA} --confirm-date {TODAY}"
LINE = f"users offboard {ADA} --archive --yes"
SAVED = status("Completed", item(f"home/{ADA}", how="Stopped"))
UNREAD = item(f"home/{ADA}", unreadCount=1, unread=[{"path": "x", "why": "y"}])


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_act, "today", lambda: TODAY)
    monkeypatch.setattr("sys.stdin", io.StringIO())


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def kept(where: BackupCluster) -> bool:
    """Whether claim and volume of the home are as they were, and stay."""
    there = ("claim", "hub", "claim-ada") in where.objects and not where.deleted
    return there and where.found("volume", "pv-claim-ada", "")["spec"]["persistentVolumeReclaimPolicy"] == "Retain"


def test_the_whole_way(call: Call) -> None:
    where = BackupCluster().does("backup", {}, status("Running", item(f"home/{ADA}", "Running")), SAVED)
    code, out, err = call(where, f"{LINE} {BOTH}")
    assert code == 0, err
    assert ADA not in where.users["allowed"]
    (made,) = where.created
    assert made["kind"] == "HubBackup"
    assert made["spec"] == {"hub": "sbn", "trigger": "Offboard", "users": [ADA], "keep": True}
    assert where.deleted == ["persistentvolumeclaim claim-ada"]
    assert ("volume", "", "pv-claim-ada") not in where.objects and ("claim", "hub", "claim-bela") in where.objects
    assert "removed: claim claim-ada and volume pv-claim-ada" in out
    assert f"snapshot {SNAPSHOT[:12]} of backup sbn-offboard-x7k2p holds the home of {ADA}: 7 files, 2.0Ki" in err
    assert "NOT in it: caches (.cache, .npm" in err
    assert "the key of the backups has no declared copy outside of the cluster" in err


def test_the_order(call: Call) -> None:
    """Access ends, then the home is saved, then it goes: nobody writes to it in between."""
    where = BackupCluster().does("backup", SAVED)
    assert call(where, f"{LINE} {BOTH}")[0] == 0
    verbs = [line[0] for line in where.calls if line[0] in ("patch", "create", "delete")]
    assert verbs == ["patch", "patch", "create", "patch", "delete"]


# --- what is not enough -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "code", "why"),
    [
        (status("Failed", item(f"home/{ADA}", "Failed")), 1, "is Failed, not Completed"),
        (status("PartiallyCompleted", item(f"home/{ADA}", "PartiallyCompleted")), 4, "is PartiallyCompleted, not Com"),
        (status("Completed", UNREAD), 1, "could not read 1 path of it"),
        (status("Completed"), 1, f"says nothing of home/{ADA}"),
        (status("Completed", item("home/other@example.org")), 1, f"says nothing of home/{ADA}"),
        (status("Completed", item(f"home/{ADA}", "Running")), 1, "or not that it is Completed"),
        (status("Completed", item(f"home/{ADA}", snapshot="")), 1, "names no snapshot of it"),
        (status("Completed", item(f"home/{ADA}", snapshot="latest")), 1, "names no snapshot of it"),
        (status("Completed", item(f"home/{ADA}", snapshot=SNAPSHOT[:12])), 1, "names no snapshot of it"),
        (status("Running"), 3, "is Running, not Completed"),
        ({}, 3, "is Pending, not Completed"),
    ],
)
def test_a_home_that_is_not_saved_stays(call: Call, found: dict[str, Any], code: int, why: str) -> None:
    where = BackupCluster().does("backup", found)
    got, out, err = call(where, f"{LINE} {BOTH} --archive-timeout 0")
    assert (got, why in out) == (code, True), out + err
    assert "the home is kept: backup sbn-offboard-x7k2p" in out and kept(where)


def test_another_backup_than_was_asked_for() -> None:
    spec = {"hub": "sbn", "trigger": "Offboard", "users": [ADA], "keep": True}
    for change in ({"keep": False}, {"users": []}, {"users": [ADA, "x@example.org"]}):
        run = backup_status.run({"metadata": {"name": "b"}, "spec": {**spec, **change}, "status": SAVED})
        assert "is not the one that was asked for" in offboard_archive.trouble(run, ADA)
    run = backup_status.run({"metadata": {"name": "b"}, "spec": spec, "status": SAVED})
    assert offboard_archive.trouble(run, ADA) == ""


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_home_that_somebody_has_mounted_stays(call: Call, when: str) -> None:
    spec = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim-ada"}}]}
    pod = {"metadata": {"name": "jupyter-ada", "namespace": "hub"}, "spec": spec, "status": {"phase": "Running"}}

    def saves(where: BackupCluster, thing: dict[str, Any]) -> None:
        thing["status"] = SAVED
        where.put("pod", pod)

    where = BackupCluster(*([("pod", pod)] if when == "before" else [])).does("backup", saves)
    code, _, err = call(where, f"{LINE} {BOTH}")
    assert code == 1 and "pod jupyter-ada still has claim claim-ada: the same command goes on when it is gone" in err
    assert kept(where) and bool(where.created) is (when == "after")


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_pods_that_have_ended_hold_nothing(call: Call, phase: str) -> None:
    spec = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim-ada"}}, {"name": "w"}]}
    pod = {"metadata": {"name": "job", "namespace": "hub"}, "spec": spec, "status": {"phase": phase}}
    where = BackupCluster(("pod", pod)).does("backup", SAVED)
    assert call(where, f"{LINE} {BOTH}")[0] == 0 and where.deleted


def test_access_that_has_not_ended(call: Call) -> None:
    where = BackupCluster().set(works=False)
    code, out, _ = call(where, f"{LINE} {BOTH} --timeout 0")
    assert code == 3 and "the home is not archived: access has not ended yet; the same command goes on" in out
    assert not where.created and kept(where)


def test_the_same_command_goes_on(call: Call) -> None:
    where = BackupCluster().does("backup", status("Failed"), SAVED)
    assert call(where, f"{LINE} {BOTH}")[0] == 1
    where.objects.pop(("backup", "hub", "sbn-offboard-x7k2p"))
    code, out, err = call(where, f"{LINE} {BOTH}")
    assert code == 0 and "removed: claim claim-ada" in out, err


# --- confirmations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        (f"{ADA}\n{TODAY}\n", 0, "removed: claim claim-ada"),
        (f"  {ADA}  \n{TODAY}", 0, "removed: claim claim-ada"),
        (f"{ADA}\nyes\n", 1, "that is something else: the home is saved, and nothing was removed"),
        (f"{ADA}\n2026-11-25\n", 1, "that is something else"),
        ("yes\n", 1, "that is something else"),
        (f"{TODAY}\n{ADA}\n", 1, "that is something else"),
        (f"{ADA.upper()}\n{TODAY}\n", 1, "that is something else"),
        ("", 1, "that is something else"),
    ],
)
def test_name_and_date_are_typed(call: Call, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, said: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    where = BackupCluster().does("backup", SAVED)
    got, out, err = call(where, LINE)
    assert (got, said in out + err) == (code, True), err
    assert kept(where) is bool(code)
    assert f"Write the name, {ADA}, to remove the home:" in err


@pytest.mark.parametrize(
    ("name", "day"), [("bela@example.org", TODAY), (ADA, "2026-11-25"), (ADA, "today"), (ADA.upper(), TODAY)]
)
def test_other_confirmations_remove_nothing(call: Call, name: str, day: str) -> None:
    where = BackupCluster().does("backup", SAVED)
    code, _, err = call(where, f"{LINE} --confirm-name {name} --confirm-date {day}")
    assert code == 1 and f"are not '{ADA}' and '{TODAY}': the home is saved, and nothing was removed" in err
    assert kept(where)


def test_yes_alone_removes_nothing(call: Call) -> None:
    where = BackupCluster().does("backup", SAVED)
    code, out, err = call(where, LINE)
    assert code == 0, err
    assert "the home is saved, and is still here" in out and kept(where)


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (f"users offboard {ADA} bela@example.org --archive --yes", 2, "--archive is for one NAME at a time"),
        (f"{LINE} --no-wait", 2, "--archive waits until access has ended"),
        (f"{LINE} --confirm-name {ADA}", 2, "--confirm-name and --confirm-date belong together"),
        (f"{LINE} --confirm-date {TODAY}", 2, "--confirm-name and --confirm-date belong together"),
        (f"users offboard {ADA} --archive", 2, "Nobody is there to be asked: add --yes"),
    ],
)
def test_what_is_refused_before_anything_is_done(call: Call, line: str, code: int, said: str) -> None:
    where = BackupCluster().does("backup", SAVED)
    got, out, err = call(where, line)
    assert (got, said in err) == (code, True), err
    assert not out and not where.created and ADA in where.users["allowed"] and kept(where)


def test_a_hub_without_backups(call: Call) -> None:
    where = BackupCluster(backup=None)
    code, _, err = call(where, f"{LINE} {BOTH}")
    assert code == 1 and "has no spec.backup" in err and ADA in where.users["allowed"]


def test_somebody_without_a_home(call: Call) -> None:
    where = BackupCluster()
    del where.objects["claim", "hub", "claim-ada"]
    code, out, _ = call(where, f"{LINE} {BOTH}")
    assert code == 0 and "there is no home to archive" in out and not where.created


def test_a_dry_run(call: Call) -> None:
    where = BackupCluster()
    code, out, _ = call(where, f"{LINE} --dry-run")
    assert code == 0
    assert f"would save home/{ADA}, then ask for the name and for the date, and remove claim claim-ada" in out
    assert not where.created and ADA in where.users["allowed"] and kept(where)


# --- what goes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ({"uid": "another"}, "volume 'pv-claim-ada' does not belong to claim claim-ada: nothing was removed"),
        ({"name": "claim-bela"}, "does not belong to claim claim-ada"),
        ({"namespace": "other"}, "does not belong to claim claim-ada"),
    ],
)
def test_a_volume_of_somebody_else_stays(call: Call, ref: dict[str, str], said: str) -> None:
    where = BackupCluster(volume("claim-ada", **ref)).does("backup", SAVED)
    code, _, err = call(where, f"{LINE} {BOTH}")
    assert code == 1 and said in err and kept(where)


@pytest.mark.parametrize("name", ["--all", "../pv", "PV"])
def test_a_volume_whose_name_is_none(call: Call, name: str) -> None:
    kind, claim = home(ADA, "claim-ada")
    where = BackupCluster((kind, {**claim, "spec": {"volumeName": name}})).does("backup", SAVED)
    code, _, err = call(where, f"{LINE} {BOTH}")
    assert code == 1 and "does not belong to claim claim-ada" in err and not where.deleted
    assert not any(name in line for line in where.calls)


def test_a_claim_that_is_another_one_meanwhile(call: Call) -> None:
    def saves(where: BackupCluster, thing: dict[str, Any]) -> None:
        thing["status"] = SAVED
        where.found("claim", "claim-ada")["metadata"]["uid"] = "younger"

    where = BackupCluster().does("backup", saves)
    code, _, err = call(where, f"{LINE} {BOTH}")
    assert code == 1 and "claim claim-ada is another one than before: nothing was removed" in err and kept(where)


def test_who_may_not_change_volumes(call: Call) -> None:
    where = BackupCluster().does("backup", SAVED).set(broken={"patch&persistentvolume&pv-": "no rights"})
    code, _, err = call(where, f"{LINE} {BOTH}")
    assert code == 1 and "no rights" in err and kept(where)


def test_the_operator_that_was_in_between() -> None:
    """It sets the volume of a home back to Retain; a claim that is gone is none any more."""
    where = BackupCluster()
    claim = where.found("claim", "claim-ada")
    now = [0.0]

    def sleep(_: float) -> None:
        now[0] += 1.0

    def back(cluster: BackupCluster, thing: dict[str, Any]) -> None:
        if now[0] == 0.0 and cluster.deleted:
            thing["spec"]["persistentVolumeReclaimPolicy"] = "Retain"

    where.set(provisioner=False).does("volume", back)
    said = offboard_archive.remove(where, "hub", claim, sleep=sleep, clock=lambda: now[0])
    assert said.startswith("claim claim-ada is deleted, volume pv-claim-ada is still going")
    patches = [line for line in where.calls if line[0] == "patch" and "pv-claim-ada" in line]
    assert len(patches) == 2, "let go once more"


def test_a_volume_that_takes_long() -> None:
    where = BackupCluster().set(provisioner=False)
    now = [0.0]

    def sleep(_: float) -> None:
        now[0] += 50.0

    said = offboard_archive.remove(
        where, "hub", where.found("claim", "claim-ada"), sleep=sleep, clock=lambda: now[0]
    )  # fmt: skip
    assert said == "claim claim-ada is deleted, volume pv-claim-ada is still going: kubectl get pv pv-claim-ada"


def test_a_claim_without_a_volume() -> None:
    kind, claim = home(ADA, "claim-ada")
    where = BackupCluster((kind, {**claim, "spec": {}}))
    assert offboard_archive.remove(where, "hub", where.found("claim", "claim-ada")).endswith("which had no volume")


@pytest.mark.parametrize(
    ("exclude", "said"),
    [
        ({}, ["caches (.cache, "]),
        ({"caches": False}, []),
        ({"caches": False, "environments": True}, ["installed packages (.venv, "]),
        ({"caches": False, "patterns": ["*.iso"], "largerThan": "50G"}, ["what fits *.iso", "files larger than 50G"]),
    ],
)
def test_what_a_snapshot_lacks_is_said(exclude: dict[str, Any], said: list[str]) -> None:
    hub = {"metadata": {"name": "sbn", "namespace": "hub"}, "spec": {"backup": {**BACKUP, "exclude": exclude}}}
    found = offboard_archive.left_out(hub)
    assert len(found) == len(said) and all(one.startswith(start) for one, start in zip(found, said, strict=True))


def test_answers_for_programs_are_stable(call: Call) -> None:
    keys = {"hub", "command", "dryRun", "changed", "unchanged", "notes", "waited", "homes", "archive", "ended",
            "leftOut", "removed"}  # fmt: skip
    for more, removed in ((BOTH, ["claim-ada"]), ("", []), ("--dry-run", [])):
        answer = json.loads(call(BackupCluster().does("backup", SAVED), f"{LINE} {more} -o json")[1])
        assert set(answer) == keys and answer["removed"] == removed


@pytest.mark.parametrize("phase", ["Completed", "Failed", "Running"])
def test_nothing_that_is_printed_acts(call: Call, phase: str) -> None:
    bad = {**spoiled(item(f"home/{ADA}", message="m")), "item": f"home/{ADA}", "phase": phase}
    where = BackupCluster().does("backup", {**status(phase, message=NASTY), "items": [bad]})
    _, out, err = call(where, f"{LINE} {BOTH} --archive-timeout 0")
    harmless(out)
    harmless(err)
    assert kept(where)


def test_dates_are_those_of_the_day() -> None:
    class Args:
        confirm_name, confirm_date = ADA, TODAY

    with pytest.raises(CliError, match="nothing was removed"):
        offboard_archive.confirmed(Args(), ADA, "2026-11-27")  # type: ignore[arg-type]
    assert offboard_archive.confirmed(Args(), ADA, TODAY)  # type: ignore[arg-type]


def test_somebody_with_two_homes(call: Call) -> None:
    where = BackupCluster(home(ADA, "claim-ada-2"))
    code, _, err = call(where, f"{LINE} {BOTH}")
    assert code == 2 and f"{ADA} has several homes (claim-ada, claim-ada-2), and one is saved" in err
    assert ADA in where.users["allowed"] and not where.created and kept(where)
