"""``kubectl pdshub backup``: made, followed, listed; and what a status may hold that draws on a terminal."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import Any

import pytest

from pdshub.cli import backup, backup_run, backup_status, backup_words, main
from pdshub.cli.backup_status import Item, Run
from pdshub.cli.kubectl import KubectlError
from pdshub.wellknown import CHANGED_BY
from tests.unit.cli.backup_cluster import ADA, BELA, SNAPSHOT, BackupCluster, item, status
from tests.unit.cli.backup_cluster import backup as ended
from tests.unit.cli.test_hostile import NASTY, harmless, spoiled

Said = tuple[int, str, str]
Call = Callable[[BackupCluster, str], Said]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command line, as a shell would hand it over, and does not wait between looks."""
    monkeypatch.setattr(backup_run, "POLL_SECONDS", 0.0)

    def made(where: BackupCluster, line: str) -> Said:
        monkeypatch.setattr(main, "Kubectl", lambda flags: where)
        try:
            code = main.main(shlex.split(line))
        except SystemExit as end:
            code = int(str(end.code))
        said = capsys.readouterr()
        return code, said.out, said.err

    return made


DONE = status("Completed", item("database", how="SQLite"), item(f"home/{ADA}"), snapshots=2)
UNREAD = {"unreadCount": 3, "unread": [{"path": "secret/x", "why": "permission denied"}]}
PARTLY = status("PartiallyCompleted", item("database"), item(f"home/{ADA}", "PartiallyCompleted", **UNREAD),
                message="1 of 2 items is not whole")  # fmt: skip
BROKEN = status("Failed", item("database", "Failed", message="the repository is full"), message="nothing was saved")


# --- one now ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        (DONE, 0, "backup sbn-manual-x7k2p: Completed in 3 min 0 s, 2 snapshots of 4.0Ki, 2.0Ki new"),
        (PARTLY, 4, "PartiallyCompleted in 3 min 0 s, 2 snapshots of 4.0Ki, 2.0Ki new: 1 of 2 items is not whole"),
        (BROKEN, 1, "backup sbn-manual-x7k2p: Failed in 3 min 0 s"),
        (status("Failed", message="the key in Secret sbn-backup-key does not open it"), 1, "does not open it"),
    ],
)
def test_each_end_has_a_code(call: Call, found: dict[str, Any], code: int, said: str) -> None:
    where = BackupCluster().does("backup", {}, status("Running"), found)
    got, out, err = call(where, "backup now")
    assert (got, said in out) == (code, True), out + err


def test_what_is_asked_for(call: Call) -> None:
    where = BackupCluster().does("backup", DONE)
    code, _, err = call(where, f'backup now --user {ADA} --user "{BELA}" --user ADA@example.org --keep')
    assert code == 0, err
    (made,) = where.created
    assert made["kind"] == "HubBackup" and made["apiVersion"] == "pdshub.dev/v1alpha1"
    assert made["spec"] == {"hub": "sbn", "trigger": "Manual", "users": [ADA, BELA], "keep": True}
    by = json.loads(made["metadata"]["annotations"][CHANGED_BY])
    assert by["by"] == "ada@desk" and by["command"].startswith("backup now --user ada@example.org")
    assert not any(ADA in word or BELA in word for line in where.calls for word in line), "names are no arguments"


def test_steps_are_told_once_and_in_their_order(call: Call) -> None:
    going = status("Running", item("database"), item(f"home/{ADA}", "Running"), item(f"home/{BELA}", "Pending"))
    where = BackupCluster().does(
        "backup", {}, status("Pending", message="another run is under way"), going, going, PARTLY
    )
    _, out, err = call(where, "backup now")
    assert err.splitlines() == [
        "backup sbn-manual-x7k2p of hub hub/sbn",
        "waiting: another run is under way",
        "database: saved, 7 files, 1.0Ki new",
        f"home/{ADA}: being saved",
        f"home/{ADA}: saved but for 3 paths",
    ]
    assert f"not saved: home/{ADA}: secret/x: permission denied" in out
    assert f"not saved: home/{ADA}: 2 more" in out


def test_the_table(call: Call) -> None:
    _, out, _ = call(BackupCluster().does("backup", PARTLY), "backup now")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == "ITEM PHASE SNAPSHOT FILES SIZE NEW TOOK HOW MESSAGE"
    assert lines[1] == "database Completed 1a2b3c4d1a2b 7 2.0Ki 1.0Ki 1 s while in use -"
    assert lines[2].startswith(f"home/{ADA} PartiallyCompleted 1a2b3c4d1a2b 7 2.0Ki 1.0Ki 1 s while in use 3 paths not")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "no end within 0 s: it is Pending and nobody has begun with it: another run may be under way"),
        (status("Pending", message="hours.begin is 22:00"), "no end within 0 s: it is Pending: hours.begin is 22:00"),
        (status("Running"), "no end within 0 s: it is Running"),
        (status("Polishing"), "no end within 0 s: it is Polishing"),
    ],
)
def test_a_status_that_never_changes(call: Call, found: dict[str, Any], said: str) -> None:
    code, out, _ = call(BackupCluster().does("backup", found), "backup now --timeout 0")
    assert code == 3 and said in out
    assert "it goes on in the cluster: kubectl pdshub backup show sbn-manual-x7k2p -n hub" in out


def test_without_waiting(call: Call) -> None:
    code, out, err = call(BackupCluster(), "backup now --no-wait")
    assert code == 0 and not err
    assert out == "backup sbn-manual-x7k2p is asked for: kubectl pdshub backup show sbn-manual-x7k2p -n hub\n"


def test_a_dry_run_says_what_would_be_saved(call: Call) -> None:
    where = BackupCluster()
    code, out, err = call(where, "backup now --dry-run")
    assert code == 0, err
    assert out.splitlines() == [
        "would save 5 items of hub hub/sbn:", "  database", "  keys", "  objects", f"  home/{ADA}", f"  home/{BELA}",
        "nothing was stored: --dry-run",
    ]  # fmt: skip
    assert not where.created and any("--dry-run=server" in line for line in where.calls)
    only = BackupCluster(backup={"repository": {}, "what": {"homes": False, "keys": False}})
    assert json.loads(call(only, "backup now --dry-run -o json")[1])["planned"] == ["database", "objects"]
    blind = BackupCluster().set(broken={"get configmap": "no rights"})
    assert "and every home; whose there are is not known here: no rights" in call(blind, "backup now --dry-run")[1]


WRONG = [
    ("backup now --user nobody@example.org", 2, "nobody@example.org: no home in namespace hub: kubectl pdshub homes"),
    ("backup now --user 'a b@example.org'", 2, "holds ' ' (U+0020 SPACE), which no name may hold"),
    ("backup now --user 'a\nb'", 2, "U+000A"),
    ("backup now --user a/b", 2, "U+002F SOLIDUS"),
    ("backup now --hub hub/other", 1, "not found"),
    ("backup now --hub sbn", 2, "write NAMESPACE/NAME"),
    ("backup show --kubeconfig=/x ../../y", 2, "is no name of an object"),
    ("backup show nothing-here", 1, "not found"),
    ("backup", 2, "COMMAND"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "said"), WRONG)
def test_what_is_refused(call: Call, line: str, code: int, said: str) -> None:
    where = BackupCluster()
    got, out, err = call(where, line)
    assert (got, said in err) == (code, True), err
    assert not out and not where.created


def test_a_hub_without_backups(call: Call) -> None:
    where = BackupCluster(backup=None)
    for line in ("backup now", f"restore user {ADA} --list", "backup key"):
        code, _, err = call(where, line)
        assert code == 1 and "hub hub/sbn has no spec.backup: say there where backups are kept" in err
    assert "hub hub/sbn: it has no spec.backup\nno backups" in call(where, "backup list")[1]


def test_a_cluster_of_before(call: Call) -> None:
    why = 'resource mapping not found for name: "" namespace: "hub": no matches for kind "HubBackup" in version "p/v1"'
    code, _, err = call(BackupCluster().set(broken={"create": why}), "backup now")
    assert code == 1 and "the cluster knows no HubBackup: upgrade PDSHub and its CustomResourceDefinitions" in err


def test_claims_that_may_not_be_read_keep_nobody(call: Call) -> None:
    where = BackupCluster().does("backup", DONE).set(broken={"get persistentvolumeclaims": "no rights"})
    assert call(where, f"backup now --user {ADA}")[0] == 0


# --- following --------------------------------------------------------------------------------------------------------


class Away(BackupCluster):
    """The API server is silent for some looks."""

    def run(self, *arguments: str, seconds: float | None = 60.0, stdin: str = "") -> str:
        if arguments[:2] == ("get", backup_run.BACKUPS) and self.__dict__.setdefault("left", 0) > 0:
            self.__dict__["left"] -= 1
            raise KubectlError("the server was unable to return a response in the time allotted")
        return super().run(*arguments, seconds=seconds, stdin=stdin)


@pytest.mark.parametrize(("looks", "ends"), [(3, True), (59, True), (62, False)])
def test_an_api_server_that_is_away(looks: int, ends: bool) -> None:
    where = Away().does("backup", DONE)
    made = json.loads(where.run("create", "-f", "-", stdin=json.dumps(
        {"kind": "HubBackup", "metadata": {"name": "b", "namespace": "hub"}, "spec": {"hub": "sbn"}})))  # fmt: skip
    where.__dict__["left"] = looks
    now = [0.0]

    def sleep(_: float) -> None:
        now[0] += 1.0

    def follow() -> backup_run.Followed:
        return backup_run.follow(
            where, backup_run.BACKUPS, made, lambda found: backup_status.run(found).over, lambda _: [], print, 1e6,
            sleep=sleep, clock=lambda: now[0],
        )  # fmt: skip

    if ends:
        assert follow().over
    else:
        with pytest.raises(backup.backup_run.CliError, match=r"the API server is away: .*\nit goes on in the cluster"):
            follow()


def test_signs_of_life_while_nothing_is_new() -> None:
    where = BackupCluster().does("backup", status("Running", item("database", "Running")))
    made = json.loads(where.run("create", "-f", "-", stdin=json.dumps(
        {"kind": "HubBackup", "metadata": {"name": "b", "namespace": "hub"}, "spec": {"hub": "sbn"}})))  # fmt: skip
    now, told = [0.0], list[str]()

    def sleep(_: float) -> None:
        now[0] += 20.0

    followed = backup_run.follow(
        where, backup_run.BACKUPS, made, lambda found: backup_status.run(found).over,
        lambda found: backup_words.steps(backup_status.run(found)), told.append, 190, sleep=sleep, clock=lambda: now[0],
    )  # fmt: skip
    assert not followed.over
    assert told == [
        "database: being saved", *(f"… still going on, {minutes} min by now" for minutes in (1, 2, 3)),
    ]  # fmt: skip


def test_a_backup_that_is_deleted_meanwhile(call: Call) -> None:
    def gone(where: BackupCluster, thing: dict[str, Any]) -> None:
        where.objects.pop(("backup", "hub", thing["metadata"]["name"]))

    code, _, err = call(BackupCluster().does("backup", status("Running"), gone), "backup now")
    assert code == 1 and "HubBackup hub/sbn-manual-x7k2p was deleted before its end" in err


def test_a_person_who_leaves_is_told_that_it_goes_on(call: Call) -> None:
    def leaves(where: BackupCluster, thing: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    code, _, err = call(BackupCluster().does("backup", status("Running"), leaves), "backup now")
    assert code == 130 and "it goes on in the cluster: kubectl pdshub backup show" in err


# --- those there are --------------------------------------------------------------------------------------------------

RUNS = [
    ended("sbn-b", "2026-11-25T02:30:00Z", item("database"), item(f"home/{ADA}")),
    ended("sbn-a", "2026-11-24T02:30:00Z", item(f"home/{ADA}"), keep=True, users=[ADA]),
    ended("of-another", "2026-11-26T02:30:00Z", item("database"), hub="other"),
]


def test_the_list(call: Call) -> None:
    code, out, err = call(BackupCluster(*RUNS), "backup list")
    assert code == 0, err
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "hub hub/sbn",
        "BACKUP TRIGGER PHASE BEGAN TOOK SNAPSHOTS SIZE NEW MESSAGE",
        "sbn-b Schedule Completed 2026-11-25T02:30:00Z 3 min 0 s 2 4.0Ki 2.0Ki -",
        "sbn-a Schedule, kept Completed 2026-11-24T02:30:00Z 3 min 0 s 1 4.0Ki 2.0Ki -",
    ]


def test_one(call: Call) -> None:
    code, out, err = call(BackupCluster(*RUNS), "backup show sbn-a -n hub")
    assert code == 0, err
    assert "1 snapshot of 4.0Ki, 2.0Ki new, kept whatever the retention says" in out
    assert f"only homes of: {ADA}" in out and SNAPSHOT[:12] in out


RUN_KEYS = {"namespace", "name", "hub", "trigger", "keep", "users", "created", "phase", "message", "started", "ended",
            "seconds", "snapshots", "sizeBytes", "addedBytes", "files", "items"}  # fmt: skip
ITEM_KEYS = {"item", "phase", "snapshot", "how", "sizeBytes", "files", "addedBytes", "seconds", "unreadCount", "unread",
             "message"}  # fmt: skip


def test_answers_for_programs_are_stable(call: Call) -> None:
    where = BackupCluster(*RUNS).does("backup", PARTLY)
    code, out, _ = call(where, "backup now -o json")
    answer = json.loads(out)
    assert code == 4 and set(answer) == {"hub", "dryRun", "planned", "ended", "backup"} and answer["ended"] is True
    assert set(answer["backup"]) == RUN_KEYS
    assert all(set(one) == ITEM_KEYS for one in answer["backup"]["items"])
    assert answer["backup"]["items"][1]["unread"] == UNREAD["unread"]
    listed = json.loads(call(where, "backup list -o json")[1])["hubs"][0]["backups"]
    assert all(set(one) == RUN_KEYS - {"items"} for one in listed)
    assert set(json.loads(call(where, "backup show sbn-a -n hub -o json")[1])) == RUN_KEYS


# --- what nobody should write into a status ---------------------------------------------------------------------------

ODD: list[dict[str, Any]] = [
    {"status": None},
    {"status": []},
    {"status": {"phase": 7, "items": "many", "seconds": "x", "snapshots": -1, "files": True}},
    {
        "status": {
            "phase": "Completed",
            "items": [7, None, {}, {"item": 7}, {"item": "x", "unread": 7, "seconds": "NaN"}],
        }
    },
    {"status": {"items": [{"item": "home/x", "unread": [7, {}], "unreadCount": 1e99, "seconds": -1, "files": None}]}},
    {"spec": None, "status": {"phase": "Failed", "message": ["x"]}},
    {"spec": {"users": 7, "keep": "yes", "hub": {}}, "status": {}},
]


@pytest.mark.parametrize("odd", ODD)
def test_a_status_that_is_none(call: Call, odd: dict[str, Any]) -> None:
    where = BackupCluster(("backup", {"metadata": {"name": "b", "namespace": "hub"}, "spec": {"hub": "sbn"}, **odd}))
    assert call(where, "backup list")[0] == 0
    assert call(where, "backup show b -n hub")[0] == 0
    assert set(json.loads(call(where, "backup show b -n hub -o json")[1])) == RUN_KEYS


PHASES = {"Running", "Completed", "PartiallyCompleted", "Failed", "Pending", "hub", "sbn"}


@pytest.mark.parametrize("phase", ["Running", "Completed", "PartiallyCompleted", "Failed", "Pending", "Other"])
@pytest.mark.parametrize("line", ["backup now --timeout 0", "backup list", "backup show sbn-b -n hub"])
@pytest.mark.parametrize("form", ["", " -o json"])
def test_nothing_that_is_printed_acts(call: Call, phase: str, line: str, form: str) -> None:
    bad = item(f"home/{ADA}", phase if phase in PHASES else "Failed", message="m", **UNREAD)
    nasty = {key: value if key == "phase" else spoiled(value) for key, value in status(phase, message="m").items()}
    nasty["items"] = [{key: value if key == "phase" else spoiled(value) for key, value in bad.items()}]
    meta = {"name": "sbn-b", "namespace": "hub", "creationTimestamp": NASTY}
    spec = {"hub": "sbn", "trigger": NASTY, "users": [NASTY]}
    where = BackupCluster(("backup", {"metadata": meta, "spec": spec, "status": nasty}))
    where.does("backup", nasty)
    _, out, err = call(where, line + form)
    assert out
    harmless(out)
    harmless(err)
    if form:
        json.loads(out)


def test_what_kubectl_complains_of_is_text(call: Call) -> None:
    code, out, err = call(BackupCluster().set(broken={"create": f"error: no{NASTY}"}), "backup now")
    assert code == 1 and not out
    harmless(err)


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "said"), [(0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7800, "2 h 10 min")]
)
def test_times(seconds: float, said: str) -> None:
    assert backup_words.duration(seconds) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Item("keys"), ""),
        (Item("keys", message="another node has it"), "keys: waits: another node has it"),
        (Item("keys", "Running"), "keys: being saved"),
        (Item("keys", "Completed", files=1, added_bytes=5), "keys: saved, 1 file, 5 new"),
        (Item("keys", "PartiallyCompleted", unread_count=1), "keys: saved but for 1 path"),
        (Item("keys", "PartiallyCompleted", message="half"), "keys: saved in part: half"),
        (Item("keys", "Failed"), "keys: FAILED: no reason is given"),
    ],
)
def test_steps_of_an_item(found: Item, said: str) -> None:
    run = Run("n", "r", "h", "Manual", False, (), "", "Running", "", "", "", 0, 0, 0, 0, 0, (found,))
    assert backup_words.steps(run) == ([said] if said else [])


def test_a_run_that_goes_on_in_a_sentence() -> None:
    items = (Item("keys", "Completed"), Item("objects"))
    run = Run("n", "r", "h", "Manual", False, (), "", "Running", "waits", "", "", 0, 0, 0, 0, 0, items)
    assert backup_words.summary(run) == "backup r is Running: 1 of 2 items done; waits"
