"""``kubectl pdshub homes reset``: saved first, moved and not deleted; the program that moves runs on a real folder."""

from __future__ import annotations

import inspect
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pdshub.cli import aside, backup_run, homes_reset, users_act
from tests.unit.cli.backup_cluster import ADA, BackupCluster, home, item, status
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless

TODAY = "2026-11-26"
LINE = f"homes reset {ADA} --yes"
SAVED = status("Completed", item(f"home/{ADA}"))
PODS = {"spec": {"template": {"spec": {"containers": [{"image": "hub:1"}], "imagePullSecrets": [{"name": "pull"}]}}}}
HUB = "deployment", {"metadata": {"name": "hub", "namespace": "hub"}, **PODS}
MOVED = {"folder": f"before-reset-{TODAY}", "moved": [".jupyter", ".bashrc"], "kept": []}


@pytest.fixture(autouse=True)
def one_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_act, "today", lambda: TODAY)
    monkeypatch.setattr("sys.stdin", io.StringIO())


def cluster(
    *more: tuple[str, Any], log: str = json.dumps(MOVED), phase: str = "Succeeded", **kept: Any
) -> BackupCluster:
    where = BackupCluster(HUB, *more, **kept).does("backup", SAVED).does("pod", {}, {"phase": phase})
    return where.set(log=log)


def made(where: BackupCluster, kind: str) -> list[dict[str, Any]]:
    return [thing for thing in where.created if thing["kind"] == kind]


def test_the_whole_way(call: Call) -> None:
    where = cluster()
    code, out, err = call(where, LINE)
    assert code == 0, err
    assert out == f"moved to before-reset-{TODAY}: .jupyter, .bashrc\n"
    assert [thing["kind"] for thing in where.created] == ["HubBackup", "Pod"], "saved first"
    assert made(where, "HubBackup")[0]["spec"] == {"hub": "sbn", "trigger": "Manual", "users": [ADA], "keep": True}
    assert where.deleted == ["pod pdshub-reset-x7k2p"]


def test_the_pod(call: Call) -> None:
    where = cluster()
    assert call(where, LINE)[0] == 0
    spec = made(where, "Pod")[0]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == "hub:1" and spec["imagePullSecrets"] == [{"name": "pull"}]
    assert spec["volumes"] == [{"name": "home", "persistentVolumeClaim": {"claimName": "claim-ada"}}]
    assert spec["securityContext"]["runAsUser"] == spec["securityContext"]["fsGroup"] == 1000
    assert spec["securityContext"]["runAsNonRoot"] and not spec["automountServiceAccountToken"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    asked = json.loads(container["command"][-1])
    assert asked["home"] == container["volumeMounts"][0]["mountPath"] and ".jupyter" in asked["names"]
    assert not {".ssh", ".gitconfig", ".netrc", ".bash_history"} & set(asked["names"])
    everything = cluster()
    call(everything, f"{LINE} --all")
    assert json.loads(made(everything, "Pod")[0]["spec"]["containers"][0]["command"][-1])["names"] == ["*"]


@pytest.mark.parametrize(
    "found",
    [
        status("Failed", item(f"home/{ADA}", "Failed", message="the repository is full")),
        status("Completed"),
        status("Completed", item("home/other@example.org")),
        status("Running", item(f"home/{ADA}", "Running")),
    ],
)
def test_what_is_not_saved_is_not_touched(call: Call, found: dict[str, Any]) -> None:
    where = cluster().does("backup", found)
    code, _, err = call(where, f"{LINE} --timeout 0")
    assert code == 1 and "the home was not saved, and is as it was; --without-copy goes on without" in err
    assert not made(where, "Pod")


def test_a_home_that_is_saved_in_part_is_good_enough(call: Call) -> None:
    where = cluster().does("backup", status("PartiallyCompleted", item(f"home/{ADA}", "PartiallyCompleted")))
    assert call(where, LINE)[0] == 0 and made(where, "Pod")


def test_without_a_copy(call: Call) -> None:
    where = cluster(backup=None)
    code, _, err = call(where, LINE)
    assert code == 1 and "has no spec.backup" in err and not where.created
    assert call(where, f"{LINE} --without-copy")[0] == 0
    assert [thing["kind"] for thing in where.created] == ["Pod"]


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_home_in_use_is_left_alone(call: Call, when: str) -> None:
    spec = {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "claim-ada"}}]}
    pod = {"metadata": {"name": "jupyter-ada", "namespace": "hub"}, "spec": spec, "status": {"phase": "Running"}}

    def saves(where: BackupCluster, thing: dict[str, Any]) -> None:
        thing["status"] = SAVED
        where.put("pod", pod)

    where = cluster(*([("pod", pod)] if when == "before" else [])).does("backup", saves)
    code, _, err = call(where, LINE)
    assert code == 1 and "pod jupyter-ada still has claim claim-ada" in err and not made(where, "Pod")


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        ("homes reset", 2, "NAME is missing: kubectl pdshub homes reset ada@example.org"),
        ("homes reset nobody@example.org -y", 2, "nobody@example.org: no home in namespace hub"),
        ("homes reset 'a b' -y", 2, "U+0020 SPACE"),
        (f"homes reset {ADA}", 2, "Nobody is there to be asked: add --yes"),
        (f"homes list {ADA}", 2, f"'{ADA}' has no meaning here"),
        (f"homes {ADA}", 2, "invalid choice"),
        (f"homes reset {ADA} -y --hub hub/other", 1, "not found"),
    ],
)
def test_what_is_refused(call: Call, line: str, code: int, said: str) -> None:
    where = cluster()
    got, out, err = call(where, line)
    assert (got, said in err) == (code, True), err
    assert not out and not where.created


def test_somebody_with_two_homes(call: Call) -> None:
    where = cluster(home(ADA, "claim-ada-2"))
    code, _, err = call(where, LINE)
    assert code == 2 and "has several homes in namespace hub (claim-ada, claim-ada-2)" in err and not where.created


def test_a_dry_run(call: Call) -> None:
    where = cluster()
    code, out, _ = call(where, f"homes reset {ADA} --dry-run")
    assert code == 0 and f"would save home/{ADA}, then move settings" in out and not where.created
    assert any("--dry-run=server" in line for line in where.calls), "the API server says whether the pod may be"


def test_a_hub_whose_image_is_not_known(call: Call) -> None:
    where = BackupCluster().does("backup", SAVED).does("pod", {"phase": "Succeeded"}).set(log=json.dumps(MOVED))
    code, _, err = call(where, LINE)
    assert code == 1 and "name one that has python3 with --image" in err and not where.created
    assert call(where, f"{LINE} --image python:3")[0] == 0
    assert made(where, "Pod")[0]["spec"]["containers"][0]["image"] == "python:3"


@pytest.mark.parametrize(
    ("log", "phase", "code", "said"),
    [
        (
            json.dumps({**MOVED, "kept": [[".local", "Directory not empty"]]}),
            "Succeeded",
            1,
            "NOT moved: .local: Direc",
        ),
        (json.dumps({"folder": "", "moved": [], "kept": []}), "Succeeded", 0, "there was nothing to move"),
        (json.dumps({"error": "No space left on device"}), "Succeeded", 1, "the home is as it was: No space left"),
        ("", "Failed", 1, "ended as Failed and says no result: ''"),
        ("Traceback\nKeyError", "Failed", 1, "says no result: 'Traceback"),
        ("[]", "Succeeded", 1, "says no result"),
        ('{"moved": 7, "kept": "x"}', "Succeeded", 0, "there was nothing to move"),
        (json.dumps({**MOVED, "moved": [NASTY, 7], "kept": [[NASTY, NASTY], [1]]}), "Succeeded", 1, "NOT moved: "),
    ],
)
def test_what_the_pod_says(call: Call, log: str, phase: str, code: int, said: str) -> None:
    where = cluster(log=log, phase=phase)
    got, out, err = call(where, LINE)
    assert (got, said in out + err) == (code, True), out + err
    assert where.deleted == ["pod pdshub-reset-x7k2p"], "whatever came of it"
    harmless(out)
    harmless(err)


def test_a_pod_that_never_runs(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(homes_reset, "START_SECONDS", 0.0)
    why = {"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}
    where = cluster().does("pod", {"phase": "Pending", "conditions": [why]})
    code, _, err = call(where, LINE)
    assert code == 1 and "has not run within 0 s: 0/1 nodes are available; the home is as it was" in err
    assert where.deleted == ["pod pdshub-reset-x7k2p"]


def test_answers_for_programs_are_stable(call: Call) -> None:
    for more in ("", "--dry-run", "--without-copy"):
        answer = json.loads(call(cluster(), f"{LINE} {more} -o json")[1])
        assert set(answer) == {"hub", "user", "claim", "dryRun", "backup", "folder", "moved", "kept"}


# --- the program in the pod -------------------------------------------------------------------------------------------


def run(folder: Path, names: list[str], where: str = "before") -> dict[str, Any]:
    """As the pod runs it: the module's text, without anything of the project."""
    asked = json.dumps({"home": str(folder), "folder": where, "names": names})
    line = [sys.executable, "-I", "-c", inspect.getsource(aside), asked]
    done = subprocess.run(line, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "home"
    (made / ".jupyter/lab").mkdir(parents=True)
    (made / ".jupyter/lab/x").write_text("x")
    (made / ".bashrc").write_text("exit 1\n")
    (made / ".ssh").mkdir()
    (made / "notebooks").mkdir()
    (made / "odd\n\x1b name").write_text("")
    (made / "lost+found").mkdir()
    (made / ".pdshub-restore").mkdir()
    (made / "restored-2026-11-01").mkdir()
    return made


def test_settings_are_moved(folder: Path) -> None:
    found = run(folder, list(homes_reset.SETTINGS))
    assert found == {"folder": "before", "moved": [".jupyter", ".bashrc"], "kept": []}
    assert (folder / "before/.jupyter/lab/x").read_text() == "x"
    assert sorted(os.listdir(folder)) == [
        ".pdshub-restore", ".ssh", "before", "lost+found", "notebooks", "odd\n\x1b name", "restored-2026-11-01",
    ]  # fmt: skip


def test_all_is_moved_but_what_pdshub_made(folder: Path) -> None:
    found = run(folder, ["*"], "before-reset-2026-11-26")
    assert sorted(found["moved"]) == [".bashrc", ".jupyter", ".ssh", "notebooks", "odd\n\x1b name"]
    left = [".pdshub-restore", "before-reset-2026-11-26", "lost+found", "restored-2026-11-01"]
    assert sorted(os.listdir(folder)) == left


def test_a_second_time_goes_to_a_second_folder(folder: Path) -> None:
    run(folder, [".bashrc"])
    (folder / ".bashrc").write_text("again")
    assert run(folder, [".bashrc"])["folder"] == "before-2"
    assert (folder / "before-2/.bashrc").read_text() == "again" and (
        folder / "before/.bashrc"
    ).read_text() == "exit 1\n"


def test_no_folder_for_nothing(folder: Path) -> None:
    assert run(folder, [".zshrc"]) == {"folder": "", "moved": [], "kept": []}
    assert not (folder / "before").exists()


@pytest.mark.parametrize("name", ["before", ".jupyter"])
def test_links_are_not_followed(folder: Path, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "x").write_text("x")
    (folder / ".jupyter").rename(folder / "j")
    (folder / name).symlink_to(outside)
    found = run(folder, [".jupyter", ".bashrc"])
    assert found["folder"] == ("before-2" if name == "before" else "before")
    assert os.listdir(outside) == ["x"]
    if name == ".jupyter":
        assert (folder / "before/.jupyter").is_symlink()


def test_a_home_that_can_not_be_written(folder: Path) -> None:
    if os.geteuid() == 0:
        found = run(folder / ".bashrc", ["*"])
        assert found == {"error": "Not a directory"}
        return
    folder.chmod(0o500)
    try:
        assert run(folder, [".bashrc"]) == {"error": "Permission denied"}
    finally:
        folder.chmod(0o700)


def test_names_are_names_at_the_top(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("")
    assert run(folder, ["../outside", ".jupyter/lab", "notebooks/."])["moved"] == []
    assert (tmp_path / "outside").exists()


def test_waiting_is_for_that_pod() -> None:
    assert backup_run.POLL_SECONDS > 0 and homes_reset.LIFETIME > homes_reset.START_SECONDS
