"""``kubectl pdshub restore user``: what is asked for, what comes of it, and what is not done without a question."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from pdshub.cli import backup_status, restore, snapshots
from pdshub.cli.backup_status import restored
from pdshub.wellknown import CHANGED_BY
from tests.unit.cli.backup_cluster import ADA, BELA, SNAPSHOT, BackupCluster, backup, item
from tests.unit.cli.test_backup import Call
from tests.unit.cli.test_backup import call as call
from tests.unit.cli.test_hostile import NASTY, harmless, spoiled

PATH = "--path notebooks/x.ipynb"
OTHER = "beef" * 16
RUNS = [
    backup("sbn-b", "2026-11-25T02:30:00Z", item("database"), item(f"home/{ADA}"), item(f"home/{BELA}")),
    backup("sbn-a", "2026-11-24T02:30:00Z", item(f"home/{ADA}", "PartiallyCompleted", snapshot=OTHER, unreadCount=2),
           keep=True),
    backup("sbn-0", "2026-11-23T02:30:00Z", item(f"home/{ADA}", "Failed")),
    backup("of-another", "2026-11-26T02:30:00Z", item(f"home/{ADA}", snapshot="0" * 64), hub="other"),
]  # fmt: skip


def done(phase: str = "Completed", **more: Any) -> dict[str, Any]:
    return {"phase": phase, "snapshot": SNAPSHOT, "takenAt": "2026-11-25T02:31:07Z", "files": 1, "sizeBytes": 12595,
            "place": "restored-2026-11-25", **more}  # fmt: skip


def asked(where: BackupCluster) -> dict[str, Any]:
    (made,) = where.created
    assert made["kind"] == "HubRestore"
    return dict(made["spec"])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# --- what is asked for ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "spec"),
    [
        (PATH, {"path": "notebooks/x.ipynb"}),
        ("--path /home/jovyan/notebooks/x.ipynb", {"path": "notebooks/x.ipynb"}),
        ("--path '~/notebooks/x.ipynb'", {"path": "notebooks/x.ipynb"}),
        ("--path ./notebooks/", {"path": "notebooks"}),
        ("--path .", {"path": "."}),
        ("--path ./", {"path": "."}),
        ("--path /home/jovyan", {"path": "."}),
        ("--path '~'", {"path": "."}),
        ("--path ' odd name\n+@%'", {"path": " odd name\n+@%"}),
        ("--path .bashrc", {"path": ".bashrc"}),
        (f"{PATH} --to here/there/", {"to": "here/there"}),
        (f"{PATH} --snapshot 1A2B3C4D", {"snapshot": "1a2b3c4d"}),
        (f"{PATH} --at 2026-11-24T12:00:00Z", {"asOf": "2026-11-24T12:00:00Z"}),
        (f"{PATH} --at '2026-11-24 12:00 +02:00'", {"asOf": "2026-11-24T10:00:00Z"}),
        (f"{PATH} --in-place --yes", {"inPlace": True}),
        (f"{PATH} --in-place --warn 0 --yes", {"inPlace": True, "warnSeconds": 0}),
    ],
)
def test_what_is_asked_for(call: Call, line: str, spec: dict[str, Any]) -> None:
    where = BackupCluster(*RUNS).does("restore", done())
    code, _, err = call(where, f"restore user Ada@example.org {line}")
    assert code == 0, err
    usual = {"hub": "sbn", "user": ADA, "path": "notebooks/x.ipynb", "inPlace": False, "warnSeconds": 60}
    assert asked(where) == {**usual, **spec}


def test_names_are_no_arguments_and_who_asked_is_noted(call: Call) -> None:
    where = BackupCluster().does("restore", done())
    code, _, err = call(where, f'restore user "{BELA}" {PATH}')
    assert code == 0, err
    assert asked(where)["user"] == BELA
    assert not any(BELA in word for line in where.calls for word in line)
    by = json.loads(where.created[0]["metadata"]["annotations"][CHANGED_BY])
    assert by["by"] == "ada@desk" and "--path notebooks/x.ipynb" in by["command"]


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (ADA, 2, "say what of the home: --path notebooks/x.ipynb, a folder, or --path . for all of it"),
        (f"{ADA} --path /etc/passwd", 2, "--path '/etc/passwd': paths begin in the home"),
        (f"{ADA} --path /", 2, "--path '/': paths begin in the home"),
        (f"{ADA} --path ../bela/x", 2, "--path: '../bela/x' contains '..'"),
        (f"{ADA} --path a//b", 2, "--path: 'a//b' contains an empty part"),
        (f"{ADA} --path {'x' * 513}", 2, "--path: at most 512 characters"),
        (f"{ADA} {PATH} --to ../x", 2, "--to: '../x' contains '..'"),
        (f"{ADA} {PATH} --to /tmp", 2, "--to '/tmp': paths begin in the home"),
        (f"{ADA} {PATH} --to x --in-place", 2, "--to has no meaning with --in-place"),
        (f"{ADA} {PATH} --snapshot latest", 2, "--snapshot 'latest': write 8 or more of its hexadecimal digits"),
        (f"{ADA} {PATH} --snapshot 1a2b", 2, "--snapshot '1a2b': write 8 or more of its hexadecimal digits"),
        (f"{ADA} {PATH} --snapshot 1a2b3c4d --at yesterday", 2, "--at and --snapshot: choose one of them"),
        (f"{ADA} {PATH} --at tomorrow", 2, "--at 'tomorrow' is no moment: write yesterday"),
        (f"{ADA} {PATH} --at 2999-01-01", 2, "--at '2999-01-01' is in the future"),
        (f"nobody@example.org {PATH}", 2, "nobody@example.org: no home in namespace hub to restore into"),
        (f"'a b@example.org' {PATH}", 2, "holds ' ' (U+0020 SPACE)"),
        (f"'a\nb' {PATH}", 2, "U+000A"),
        (f"{ADA} {PATH} --hub hub/other", 1, "not found"),
        (f"{ADA} {PATH} --in-place", 2, "Nobody is there to be asked: add --yes"),
    ],
)
def test_what_is_refused(call: Call, monkeypatch: pytest.MonkeyPatch, line: str, code: int, said: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    where = BackupCluster(*RUNS)
    got, out, err = call(where, f"restore user {line}")
    assert (got, said in err) == (code, True), err
    assert not out and not where.created
    harmless(err)


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("y\n", 0), ("no\n", 1), ("", 1)])
def test_in_place_is_asked_before(call: Call, monkeypatch: pytest.MonkeyPatch, answer: str, code: int) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    where = BackupCluster(*RUNS).does("restore", done(replaced="replaced-2026-11-26"))
    got, out, err = call(where, f"restore user {ADA} {PATH} --in-place")
    assert got == code
    words = f"The server of {ADA} stops, 60 s after a warning in their JupyterLab. notebooks/x.ipynb in their home is"
    assert f"{words} replaced; what is there now is moved" in err
    assert bool(where.created) is not bool(code)
    assert ("what was there before is at: replaced-2026-11-26/notebooks/x.ipynb" in out) is not bool(code)


def test_beside_is_not_asked_for(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert call(BackupCluster().does("restore", done()), f"restore user {ADA} {PATH}")[0] == 0


# --- what comes of it -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "code", "lines"),
    [
        (
            done(),
            0,
            [
                f"notebooks/x.ipynb of {ADA} as of 2026-11-25T02:31:07Z (snapshot 1a2b3c4d1a2b): 1 file, 12.3Ki",
                "it is in the home at: restored-2026-11-25/x.ipynb",
            ],
        ),
        (
            done("PartiallyCompleted", message="the home is full"),
            4,
            [
                f"notebooks/x.ipynb of {ADA} as of 2026-11-25T02:31:07Z (snapshot 1a2b3c4d1a2b): 1 file, 12.3Ki",
                "NOT ALL of it: the home is full",
                "it is in the home at: restored-2026-11-25/x.ipynb",
            ],
        ),
        (
            {"phase": "Failed", "message": "snapshot 1a2b3c4d has no notebooks/x.ipynb"},
            1,
            ["restore sbn-restore-x7k2p failed: snapshot 1a2b3c4d has no notebooks/x.ipynb"],
        ),
        ({"phase": "Failed"}, 1, ["restore sbn-restore-x7k2p failed: no reason is given"]),
    ],
)
def test_each_end_has_a_code(call: Call, found: dict[str, Any], code: int, lines: list[str]) -> None:
    where = BackupCluster(*RUNS).does("restore", {}, {"phase": "Running"}, found)
    got, out, err = call(where, f"restore user {ADA} {PATH}")
    assert (got, out.splitlines()) == (code, lines), err
    assert "being restored" in err


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "no end within 0 s: it is Pending and nobody has begun with it"),
        ({"phase": "Running"}, "no end within 0 s: it is Running"),
        (
            {"phase": "Running", "message": "the server of ada is stopped"},
            "it is Running: the server of ada is stopped",
        ),
    ],
)
def test_a_status_that_never_changes(call: Call, found: dict[str, Any], said: str) -> None:
    code, out, _ = call(BackupCluster().does("restore", found), f"restore user {ADA} {PATH} --timeout 0")
    assert code == 3 and said in out
    again = "it goes on in the cluster: kubectl get hubrestores.pdshub.dev sbn-restore-x7k2p -n hub -o yaml"
    assert again in out


def test_without_waiting(call: Call) -> None:
    code, out, _ = call(BackupCluster(), f"restore user {ADA} {PATH} --no-wait")
    assert code == 0 and out.startswith("restore sbn-restore-x7k2p is asked for: kubectl get hubrestores.pdshub.dev")


def test_a_dry_run(call: Call) -> None:
    where = BackupCluster(*RUNS)
    code, out, err = call(where, f"restore user {ADA} {PATH} --at 2026-11-24T12:00:00Z --dry-run")
    assert code == 0
    assert err.splitlines() == [
        "the newest snapshot not after 2026-11-24T12:00:00Z: beefbeefbeef of 2026-11-24T02:30:00Z, if there is no other"
        " since",
        "that backup could not read all of the home: kubectl pdshub backup show sbn-a",
    ]
    assert out.splitlines() == [
        "would restore notebooks/x.ipynb to a new folder restored-<date> of the home", "nothing was stored: --dry-run",
    ]  # fmt: skip
    assert not where.created and any("--dry-run=server" in line for line in where.calls)
    assert "in its place" in call(where, f"restore user {ADA} {PATH} --in-place --dry-run")[1]


def test_backups_that_may_not_be_read_keep_nobody(call: Call) -> None:
    where = BackupCluster(*RUNS).does("restore", done()).set(broken={"get hubbackups": "no rights"})
    code, _, err = call(where, f"restore user {ADA} {PATH}")
    assert code == 0 and err.splitlines()[0] == "the newest snapshot"
    assert call(where, f"restore user {ADA} --list")[0] == 1


# --- snapshots --------------------------------------------------------------------------------------------------------


def test_the_list(call: Call) -> None:
    code, out, err = call(BackupCluster(*RUNS), f"restore user {ADA} --list")
    assert code == 0, err
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:4] == [
        f"home of {ADA} at hub hub/sbn",
        "SNAPSHOT BEGAN FILES SIZE HOW NOT READ KEPT BACKUP",
        "1a2b3c4d1a2b 2026-11-25T02:30:00Z 7 2.0Ki while in use - - sbn-b",
        "beefbeefbeef 2026-11-24T02:30:00Z 7 2.0Ki while in use 2 kept sbn-a",
    ]
    assert len(lines) == 5 and lines[4].startswith("note: a HubBackup is kept for spec.backup.history runs")
    assert "no HubBackup that is left names a snapshot" in call(BackupCluster(), f"restore user {ADA} --list")[1]


def test_who_has_left_is_listed_too(call: Call) -> None:
    gone = backup("sbn-z", "2026-11-22T02:30:00Z", item("home/gone@example.org"))
    answer = json.loads(call(BackupCluster(gone), "restore user gone@example.org --list -o json")[1])
    assert set(answer) == {"hub", "user", "snapshots"}
    (one,) = answer["snapshots"]
    assert set(one) == {"snapshot", "at", "files", "sizeBytes", "how", "unreadCount", "partial", "keep", "backup"}
    assert one["snapshot"] == SNAPSHOT


@pytest.mark.parametrize(
    ("snapshot", "as_of", "found"),
    [
        ("", "", "sbn-b"),
        ("beefbeef", "", "sbn-a"),
        ("00000000", "", ""),
        ("", "2026-11-25T02:30:00Z", "sbn-b"),
        ("", "2026-11-25T02:29:59Z", "sbn-a"),
        ("", "2026-11-01T00:00:00Z", ""),
    ],
)
def test_which_one_is_likely(snapshot: str, as_of: str, found: str) -> None:
    runs = [backup_status.run(thing) for _, thing in RUNS if thing["spec"]["hub"] == "sbn"]
    chosen = snapshots.chosen(snapshots.of(runs, ADA), snapshot, as_of)
    assert (chosen.backup if chosen else "") == found


@pytest.mark.parametrize("user", ["ada", "example.org", "ADA@example.org", "", f"{ADA}/x", "../ada@example.org"])
def test_nobody_is_shown_the_snapshots_of_another(user: str) -> None:
    assert snapshots.of([backup_status.run(thing) for _, thing in RUNS], user) == []


# --- what others write ------------------------------------------------------------------------------------------------


def test_answers_for_programs_are_stable(call: Call) -> None:
    for line in ("", " --dry-run", " --no-wait"):
        answer = json.loads(
            call(BackupCluster().does("restore", done()), f"restore user {ADA} {PATH} -o json{line}")[1]
        )
        assert set(answer) == {"hub", "user", "dryRun", "asOf", "likely", "ended", "restore"}
    where = BackupCluster().does("restore", done())
    assert set(json.loads(call(where, f"restore user {ADA} {PATH} -o json")[1])["restore"]) == {
        "namespace", "name", "hub", "user", "path", "inPlace", "phase", "message", "snapshot", "takenAt", "place",
        "replaced", "files", "sizeBytes", "where", "before",
    }  # fmt: skip


@pytest.mark.parametrize("phase", ["Pending", "Running", "Completed", "PartiallyCompleted", "Failed", "Other"])
@pytest.mark.parametrize("form", ["", " -o json"])
def test_nothing_that_is_printed_acts(call: Call, phase: str, form: str) -> None:
    nasty = {**spoiled(done(message="m", replaced="r")), "phase": phase}
    runs = backup(f"x{NASTY}", NASTY, spoiled(item("y", how="z")) | {"item": f"home/{ADA}", "phase": "Completed"})
    for line in (f"{PATH} --timeout 0", "--list", f"--path 'x{NASTY[:4]}' --timeout 0"):
        _, out, err = call(BackupCluster(runs).does("restore", nasty), f"restore user {ADA} {line}{form}")
        assert out
        harmless(out)
        harmless(err)
        if form:
            json.loads(out)


@pytest.mark.parametrize(
    ("path", "in_place", "where", "before"),
    [
        ("notebooks/x.ipynb", False, "here/x.ipynb", "aside/notebooks/x.ipynb"),
        ("x.ipynb", False, "here/x.ipynb", "aside/x.ipynb"),
        (".", False, "here", "aside"),
        ("notebooks", True, "here", "aside/notebooks"),
        (".", True, "here", "aside"),
    ],
)
def test_where_it_is(path: str, in_place: bool, where: str, before: str) -> None:
    spec = {"path": path, "inPlace": in_place}
    found = restored({"metadata": {}, "spec": spec, "status": {"place": "here", "replaced": "aside"}})
    assert (found.where, found.before) == (where, before)
    nothing = restored({"metadata": {}, "spec": spec})
    assert (nothing.where, nothing.before) == ("", "")


@pytest.mark.parametrize("odd", [{}, {"status": 7}, {"status": {"phase": [], "files": "x", "place": {}}}, {"spec": []}])
def test_a_status_that_is_none(odd: dict[str, Any]) -> None:
    found = restored({"metadata": {"name": "r"}, **odd})
    assert (found.phase, found.files, found.place, found.path) == ("Pending", 0, "", ".")


@pytest.mark.parametrize(
    ("written", "path"), [("x", "x"), ("x/", "x"), ("./x", "x"), ("", "."), ("~/", "."), (".x/", ".x")]
)
def test_paths(written: str, path: str) -> None:
    assert restore.beneath(written, "--path") == path
