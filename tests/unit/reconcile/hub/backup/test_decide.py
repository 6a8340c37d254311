"""The next step of a hub's backups, from what was found: a table of cases."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from pdshub.api.backup import HubBackupStatus
from pdshub.api.backup_job import JobAnswer
from pdshub.reconcile.common.objects import Step as Write
from pdshub.reconcile.hub.backup import decide as deciding
from pdshub.reconcile.hub.backup import progress
from pdshub.reconcile.hub.backup.asked import Run
from pdshub.reconcile.hub.backup.decide import SETTLED, WAITING, WORKING, decide
from pdshub.reconcile.hub.backup.facts import Facts, Use, nodes_of
from pdshub.reconcile.hub.backup.jobs import job_of
from pdshub.reconcile.hub.backup.order import how, order
from pdshub.reconcile.hub.backup.outcome import Outcome, State
from pdshub.reconcile.hub.backup.progress import Stage, job_name
from pdshub.reconcile.hub.backup.steps import MakeRun, Nothing, Prepare, Prune, Start, StopServer, Sweep, Tell
from pdshub.render.backup_job import host_of
from pdshub.render.names import Names
from tests.unit.reconcile.hub.backup.given import (
    APPLIED,
    HOMES,
    NAMES,
    READY,
    backup,
    claim,
    done,
    facts,
    home,
    job,
    pod,
    restore,
    run,
    running,
    saved,
)

BEGUN = {"phase": "Running", "started": "2026-03-10T11:59:00Z"}
COMPLETE, FAILED = ("Complete", "x"), ("Failed", "BackoffLimitExceeded")
YESTERDAY = run(
    "auto", done("home/ada", "home/bela", "database", "keys", "objects"), "2026-03-10T02:30:05Z", trigger="Schedule"
)
"""Today's run by schedule is done."""
ALL = ["home/ada", "home/bela", "database", "keys", "objects"]


def step(*runs: Run, **more: Any) -> Any:
    return decide(facts(runs=(YESTERDAY, *runs), **more))


def test_a_settled_hub_waits_for_its_next_run() -> None:
    assert step() == Nothing(SETTLED)
    near = facts("2026-03-11T02:29:30Z", runs=(YESTERDAY,))
    assert decide(near) == Nothing(30.0)


DUE: list[tuple[str, Facts, Any]] = [
    ("at the tick", facts("2026-03-11T02:30:00Z", runs=(YESTERDAY,)), MakeRun("demo-202603110230")),
    ("missed", facts("2026-03-13T09:00:00Z", runs=(YESTERDAY,)), MakeRun("demo-202603130230")),
    ("the first, at the first tick", facts("2026-03-02T03:00:00Z"), MakeRun("demo-202603020230")),
    ("not before it", facts("2026-03-01T00:00:30Z"), Nothing(SETTLED)),
    (
        "one by hand is none by schedule",
        facts("2026-03-11T02:30:00Z", runs=(YESTERDAY, run("x", done("keys"), "2026-03-11T02:29:00Z"))),
        MakeRun("demo-202603110230"),
    ),
    ("suspended", facts("2026-03-11T02:30:00Z", backup(suspend=True), runs=(YESTERDAY,)), Nothing(SETTLED)),
    (
        "not within the hours",
        facts("2026-03-11T02:30:00Z", backup(hours={"begin": "02:31", "end": "05:00"}), runs=(YESTERDAY,)),
        Nothing(60.0),
    ),
    (
        "within them",
        facts("2026-03-11T02:31:00Z", backup(hours={"begin": "02:31", "end": "05:00"}), runs=(YESTERDAY,)),
        MakeRun("demo-202603110230"),
    ),
]


@pytest.mark.parametrize(("given", "wanted"), [c[1:] for c in DUE], ids=[c[0] for c in DUE])
def test_when_a_run_is_made(given: Facts, wanted: Any) -> None:
    assert decide(given) == wanted


def test_a_run_by_schedule_that_goes_on_is_the_only_one() -> None:
    slow = run("demo-202603110230", running(("keys", "Running"), job="demo-202603110230-i0"), "2026-03-11T02:30:01Z")
    slow = replace(slow, spec=slow.spec.model_copy(update={"trigger": "Schedule"}) if slow.spec else None)
    jobs = {slow.status.job: job(slow.status.job, created="2026-03-14T02:29:00Z")}
    assert decide(facts("2026-03-14T02:30:00Z", runs=(YESTERDAY, slow), jobs=jobs)) == Nothing(WORKING)


def test_what_a_run_saves() -> None:
    told = step(run())
    assert isinstance(told, Tell) and isinstance(told.status, HubBackupStatus)
    assert [item.item for item in told.status.items] == ALL and told.status.phase == "Running"
    assert all(item.phase == "Pending" for item in told.status.items)


ITEMS: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, str]]] = [
    ("of one user", {}, {"users": ["bela"]}, {"home/bela": "Pending"}),
    ("of nobody", {}, {"users": ["cleo"]}, {"home/cleo": "Failed"}),
    ("twice the same", {}, {"users": ["ada", "ada"]}, {"home/ada": "Pending"}),
    (
        "no homes",
        {"spec": backup(what={"homes": False})},
        {},
        {"database": "Pending", "keys": "Pending", "objects": "Pending"},
    ),
    (
        "only the objects",
        {"spec": backup(what={"homes": False, "database": False, "keys": False})},
        {},
        {"objects": "Pending"},
    ),
    (
        "a home whose claim is gone",
        {"homes": {"ada": "claim-ada", "zoe": "claim-zoe"}},
        {},
        {"home/ada": "Pending", "home/zoe": "Failed", "database": "Pending", "keys": "Pending", "objects": "Pending"},
    ),
    (
        "no database and no keys",
        {"claims": {"claim-ada": home("claim-ada"), "claim-bela": home("claim-bela")}, "secrets": ()},
        {},
        {"home/ada": "Pending", "home/bela": "Pending", "database": "Failed", "keys": "Failed", "objects": "Pending"},
    ),
]


@pytest.mark.parametrize(("found", "asked", "items"), [c[1:] for c in ITEMS], ids=[c[0] for c in ITEMS])
def test_items(found: dict[str, Any], asked: dict[str, Any], items: dict[str, str]) -> None:
    told = step(run(**asked), **found)
    assert {item.item: item.phase for item in told.status.items} == items
    assert all(item.message for item in told.status.items if item.phase == "Failed")


def test_the_order_of_a_run() -> None:
    """Init, each item, forget, end; one Job at a time, each of the item that it is about."""
    items = [("home/ada", "Pending"), ("database", "Pending")]
    assert step(run(status=running(*items, conditions=()))) == Start(
        run(status=running(*items, conditions=())), Stage("init"), 0
    )
    first = step(run(status=running(*items)))
    assert (first.stage, first.item, first.attempt) == (Stage("backup", 0), "home/ada", 0)
    second = step(run(status=running(("home/ada", "Failed"), items[1])))
    assert (second.stage, second.item) == (Stage("backup", 1), "database")
    assert step(run(status=running(("home/ada", "Completed"), ("database", "Failed")))).stage == Stage("forget")
    ended = step(run(status=running(("home/ada", "Completed"), conditions=(READY, APPLIED))))
    assert isinstance(ended, Tell) and ended.status.phase == "Completed" and ended.status.job == ""


@pytest.mark.parametrize(
    ("asked", "spec", "forgets"),
    [
        ({}, backup(), True),
        ({"users": ["ada"]}, backup(), False),
        ({"keep": True, "trigger": "PreUpgrade"}, backup(), False),
        ({}, backup(repository={"rest": {"url": "https://b.example.org/x", "appendOnly": True}}), False),
    ],
)
def test_who_applies_the_retention(asked: dict[str, Any], spec: Any, forgets: bool) -> None:
    found = step(run(status=running(("home/ada", "Completed")), **asked), spec=spec)
    assert isinstance(found, Start if forgets else Tell)


NAME = job_name("one", Stage("backup", 0))
AGAIN = job_name("one", Stage("backup", 0), 1)
LAST = job_name("one", Stage("backup", 0), 2)
INIT = job_name("one", Stage("init"))
FULL = {"ok": False, "reason": "Full", "message": "no space left"}
AWAY = {"ok": False, "reason": "Unreachable", "message": "connection refused"}
HELD = {"ok": False, "reason": "Locked", "message": "locked"}
MADE = frozenset({NAME, AGAIN, LAST, job_name("back", Stage("restore"), 2)})
"""Jobs that this operator made itself: that one is missing is somebody's doing."""
JOBS: list[tuple[str, str, list[Any], list[Any], Any]] = [
    ("it runs", NAME, [job(NAME)], [], WORKING),
    ("it is done", NAME, [job(NAME, COMPLETE)], [pod(NAME, saved("home/ada"))], "Completed"),
    ("it failed and said why", NAME, [job(NAME, FAILED)], [pod(NAME, FULL, "Failed")], "Failed"),
    ("it was taken away", NAME, [], [], AGAIN),
    ("the repository was away", NAME, [job(NAME, FAILED)], [pod(NAME, AWAY, "Failed")], AGAIN),
    ("it is away for the third time", LAST, [job(LAST, FAILED)], [pod(LAST, AWAY, "Failed")], "Failed"),
    ("somebody held the repository", AGAIN, [job(AGAIN, FAILED)], [pod(AGAIN, HELD, "Failed")], LAST),
    ("it was evicted", NAME, [job(NAME, FAILED)], [pod(NAME, phase="Failed", reason="Evicted")], AGAIN),
    ("it was taken away again", AGAIN, [], [], LAST),
    ("it was taken away for the third time", LAST, [], [], "Failed"),
    ("it took too long", NAME, [job(NAME, ("Failed", "DeadlineExceeded"))], [], "Failed"),
]


@pytest.mark.parametrize(("name", "jobs", "pods", "wanted"), [c[1:] for c in JOBS], ids=[c[0] for c in JOBS])
def test_what_a_job_leads_to(name: str, jobs: list[Any], pods: list[Any], wanted: Any) -> None:
    present = run(status=running(("home/ada", "Running"), ("database", "Pending"), job=name))
    found = step(present, jobs={j["metadata"]["name"]: j for j in jobs}, pods=tuple(pods), made=MADE)
    if isinstance(found, Nothing):
        assert found.seconds == wanted
    elif isinstance(found, Start):
        assert job_name("one", found.stage, found.attempt) == wanted and found.item == "home/ada"
    else:
        assert isinstance(found, Tell) and found.status.items[0].phase == wanted, found
        assert found.status.job == "" and found.status.phase == "Running", "the other items are gone on with"
        assert found.status.items[1].phase == "Pending"


@pytest.mark.parametrize("name", [NAME, AGAIN, LAST])
def test_a_job_that_was_never_made_is_made_and_counts_as_no_attempt(name: str) -> None:
    """The operator ended between the status and the Job, however often."""
    found = step(run(status=running(("home/ada", "Running"), job=name)))
    assert isinstance(found, Start) and job_name("one", found.stage, found.attempt) == name
    back = job_name("back", Stage("restore"), 2)
    found = step(restores=(restore(status={**BEGUN, "job": back}),))
    assert isinstance(found, Start) and job_name("back", found.stage, found.attempt) == back


@pytest.mark.parametrize(
    "reason", ["Unreachable", "WrongKey", "NoRepository", "ReadOnly", "NotStarted", "Refused", "Full", "Failed"]
)
def test_what_is_wrong_with_the_repository_is_looked_at_before_the_next_item(reason: str) -> None:
    """So a run of a thousand homes ends soon where the server is away, and goes on where one home was the matter."""
    present = run(status=running(("home/ada", "Running"), ("keys", "Pending"), job=LAST))
    said = pod(LAST, {"ok": False, "reason": reason, "message": "so"}, "Failed")
    told = step(present, jobs={LAST: job(LAST, FAILED)}, pods=(said,), made=MADE)
    assert told.status.items[0].message == f"{reason}: so" and told.status.phase == "Running"
    following = step(replace(present, status=told.status))
    asks = reason not in ("Full", "Failed")
    assert following.stage == (Stage("init") if asks else Stage("backup", 1))
    if asks:
        good = progress.after(told.status, Stage("init"), Outcome(State.ENDED, answer=JobAnswer(ok=True)), "x")
        assert step(replace(present, status=good)).stage == Stage("backup", 1)
        bad = progress.after(told.status, Stage("init"), Outcome(State.ENDED, reason, "still"), "x")
        assert (bad.phase, bad.message, bad.items[1].phase) == ("Failed", f"{reason}: still", "Failed")


def test_a_repository_that_is_not_ready_ends_the_run() -> None:
    present = run(status=running(("home/ada", "Pending"), job=INIT, conditions=()))
    wrong = pod(INIT, {"ok": False, "reason": "WrongKey", "message": "wrong password"}, "Failed")
    told = step(present, jobs={INIT: job(INIT, FAILED)}, pods=(wrong,))
    assert (told.status.phase, told.status.message) == ("Failed", "WrongKey: wrong password")
    assert told.status.items[0].phase == "Failed" and told.status.ended


def test_a_retention_that_fails_loses_nothing() -> None:
    name = job_name("one", Stage("forget"), 2)
    present = run(status=running(("home/ada", "Completed"), job=name))
    locked = pod(name, HELD, "Failed")
    told = step(present, jobs={name: job(name, FAILED)}, pods=(locked,))
    assert told.status.phase == "Running"
    ended = decide(facts(runs=(YESTERDAY, replace(present, status=told.status))))
    assert isinstance(ended, Tell) and ended.status.phase == "PartiallyCompleted"
    assert "old snapshots are still there: Locked" in ended.status.message


def test_jobs_of_nobody_are_swept_before_anything_begins() -> None:
    present = run(status=running(("home/ada", "Pending")))
    assert step(present, jobs={"old-i3": job("old-i3")}) == Sweep(("old-i3",))


@pytest.mark.parametrize("user", ["a\nb", "a\u202eb", "", "x" * 255])
def test_names_that_are_nobodys_end_what_asks_for_them(user: str) -> None:
    for asked in (step(run(users=[user])), step(restores=(restore(user=user),))):
        assert isinstance(asked, Tell) and asked.status.phase == "Failed" and "InvalidSpec" in asked.status.message


def test_a_status_that_was_tampered_with_ends_the_run() -> None:
    for name in ("nonsense", "one-i7", "two-i0", "one-restore", "hub-i0", "one-i0-r9"):
        told = step(run(status=running(("home/ada", "Running"), job=name)))
        assert told.status.phase == "Failed" and "BadStatus" in told.status.message
    for name in ("nonsense", "one-i0", "two-restore", "back-init", "back-restore-r9"):
        told = step(restores=(restore(status={**BEGUN, "job": name}),))
        assert told.status.phase == "Failed" and "BadStatus" in told.status.message


def test_a_job_of_another_is_never_taken_away_by_a_status() -> None:
    """Whoever may write a status has the rights of whoever may delete what it names, otherwise."""
    assert job_of(run(status=running(job="one-i0"))) == "one-i0"
    for name in ("", "two-i0", "hub-i0", "nonsense"):
        assert job_of(run(status=running(job=name))) == job_of(restore(status={**BEGUN, "job": name})) == ""


REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("no spec.backup", {"backup": None}, "NoBackup"),
    ("a place that is not allowed", {"refused": ("NotAllowed", "no")}, "NotAllowed"),
    ("the key is gone", {"key": "Lost"}, "KeyMissing"),
]


@pytest.mark.parametrize(("found", "reason"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_cannot_be_done_is_ended_and_nothing_is_begun(found: dict[str, Any], reason: str) -> None:
    asked = {"runs": (YESTERDAY, run(status=running(("home/ada", "Running"), job=NAME))), "restores": (restore(),)}
    given = facts("2026-03-11T02:30:00Z", **asked, **found)
    first = decide(given)
    assert isinstance(first, Tell) and first.about.name == "back" and reason in first.status.message
    second = decide(replace(given, restores=()))
    assert isinstance(second, Tell) and second.status.phase == "Failed" and reason in second.status.message
    assert decide(replace(given, restores=(), runs=(YESTERDAY,), jobs={NAME: job(NAME)})) == Sweep((NAME,))
    assert decide(replace(given, restores=(), runs=(YESTERDAY,))) == Nothing(SETTLED), "and none is due"


def test_the_key_and_the_volume_come_first() -> None:
    volume = Write("x", {"kind": "PersistentVolume"})
    assert decide(facts(key="Absent", steps=(volume,))) == Prepare(True, (volume,))
    assert decide(facts(steps=(volume,))) == Prepare(False, (volume,))


def test_one_run_at_a_time_in_a_hub() -> None:
    later = run("two", running(("keys", "Running"), job="two-i0"), "2026-03-10T11:30:00Z")
    found = step(run("one"), later, jobs={"two-i0": job("two-i0")})
    assert found == Nothing(WORKING), "the one that has begun, though it is younger"


def test_what_has_to_wait_leaves_room_for_others() -> None:
    """A restore that waits for the repository must not hold up the run that has it."""
    present = run(status=running(("home/ada", "Running"), job=NAME))
    given = facts(
        runs=(YESTERDAY, present),
        restores=(restore(status={"phase": "Running", "started": "2026-03-10T11:59:59Z"}),),
        jobs={NAME: job(NAME, COMPLETE)},
        pods=(pod(NAME, saved("home/ada")),),
    )
    assert isinstance(decide(given), Start)
    told = decide(given, {("HubRestore", "back")})
    assert isinstance(told, Tell) and told.about.name == "one"
    alone = replace(given, runs=(YESTERDAY,), jobs={}, pods=())
    assert decide(alone, {("HubRestore", "back")}) == Nothing(WAITING)


def test_history() -> None:
    old = [run(f"r{n}", done("keys"), f"2026-03-0{n}T02:30:00Z") for n in range(1, 8)]
    bad = [run(f"b{n}", {**done(phase="Failed"), "items": []}, f"2026-03-0{n}T05:00:00Z") for n in range(1, 8)]
    goes_on = run("slow", running(("keys", "Running"), job="slow-i0"), "2026-03-01T00:00:00Z")
    keep = backup(history=3)
    jobs = {"slow-i0": job("slow-i0")}
    found = decide(facts(spec=keep, runs=(*old, YESTERDAY, goes_on), jobs=jobs))
    assert found == Prune(("r1", "r2", "r3", "r4", "r5")), "the newest three, and what goes on"
    only = tuple(sorted((old[0], *bad), key=lambda r: r.created))
    kept = deciding.beyond(facts(spec=keep, runs=only))
    assert "r1" not in kept and len(kept) == 4, "the newest that saved everything stays"


# --- restores

STOPPED = {**READY, "type": "ServerStopped", "reason": "Stopped"}
SERVER = {"claim-ada": (Use("jupyter-ada", "n1"),)}
NOW_ = {"in_place": True, "warn_seconds": 0}
BACK = job_name("back", Stage("restore"))
PLACED = {"ok": True, "place": "restored-2026-03-09", "files": 3}
RESTORES: list[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], Any]] = [
    ("it begins", {}, {}, {}, "Running"),
    ("nobody of that name", {"user": "cleo"}, {}, {}, "NotFound"),
    ("no moment", {"as_of": "last tuesday"}, {}, {}, "BadRequest"),
    ("beside, while the server runs", {}, BEGUN, {"uses": SERVER}, Start),
    ("in place, nobody asked the hub yet", {"in_place": True}, BEGUN, {}, StopServer),
    ("in place, the server runs", NOW_, {**BEGUN, "conditions": [STOPPED]}, {"uses": SERVER}, StopServer),
    ("in place, it has ended", {"in_place": True}, {**BEGUN, "conditions": [STOPPED]}, {}, Start),
    (
        "in place, it does not end",
        {"in_place": True},
        {**BEGUN, "started": "2026-03-10T11:55:00Z", "message": "a server of ada is stopping"},
        {"uses": SERVER},
        "NotStopped",
    ),
    ("its Job runs", {}, {**BEGUN, "job": BACK}, {"jobs": {BACK: job(BACK)}}, Nothing),
    (
        "its Job is done",
        {},
        {**BEGUN, "job": BACK},
        {"jobs": {BACK: job(BACK, COMPLETE)}, "pods": (pod(BACK, PLACED),)},
        "Completed",
    ),
    (
        "its Job was evicted",
        {},
        {**BEGUN, "job": BACK},
        {"jobs": {BACK: job(BACK, FAILED)}, "pods": (pod(BACK, phase="Failed", reason="Evicted"),)},
        Start,
    ),
    ("its Job was never made", {}, {**BEGUN, "job": BACK}, {}, Start),
    ("its Job was taken away three times", {}, {**BEGUN, "job": f"{BACK}-r2"}, {"made": MADE}, "JobGone"),
    (
        "the repository was away",
        {},
        {**BEGUN, "job": BACK},
        {"jobs": {BACK: job(BACK, FAILED)}, "pods": (pod(BACK, AWAY, "Failed"),)},
        Start,
    ),
    (
        "its Job failed and said why",
        {},
        {**BEGUN, "job": BACK},
        {"jobs": {BACK: job(BACK, FAILED)}, "pods": (pod(BACK, FULL, "Failed"),)},
        "Full",
    ),
]


@pytest.mark.parametrize(
    ("asked", "status", "found", "wanted"), [c[1:] for c in RESTORES], ids=[c[0] for c in RESTORES]
)
def test_a_restore(asked: dict[str, Any], status: dict[str, Any], found: dict[str, Any], wanted: Any) -> None:
    given = step(restores=(restore(status=status, **asked),), **found)
    if isinstance(wanted, type):
        assert isinstance(given, wanted)
        return
    assert isinstance(given, Tell)
    assert wanted in (given.status.phase, given.status.message.partition(":")[0])
    assert given.status.phase in ("Running", "Completed") or given.status.phase == "Failed"


def test_restores_run_side_by_side_and_beside_a_run() -> None:
    present = run(status=running(("home/ada", "Running"), job=NAME))
    first = restore("a", {**BEGUN, "job": "a-restore"})
    second = restore("b", BEGUN, user="bela")
    found = step(present, restores=(first, second), jobs={NAME: job(NAME), "a-restore": job("a-restore")})
    assert isinstance(found, Start) and found.about.name == "b"


def test_restores_of_one_home_come_one_after_the_other() -> None:
    """What they lay aside until it is whole lies in one place of the home."""
    first, second, other = (restore(name, BEGUN, f"2026-03-10T11:0{n}:00Z") for n, name in enumerate("abc"))
    other = replace(other, spec=other.spec.model_copy(update={"user": "bela"}) if other.spec else None)
    asked = facts(runs=(YESTERDAY,), restores=(first, second, other))
    assert [about.name for about in deciding.present(asked)] == ["a", "c"]
    begun = restore("b", {**BEGUN, "job": "b-restore"}, "2026-03-10T11:01:00Z")
    pending = restore("a", {}, "2026-03-10T11:00:00Z")
    assert [about.name for about in deciding.present(replace(asked, restores=(pending, begun)))] == ["b"]
    broken = [restore(name, {}, user="x\n") for name in "de"]
    assert len(deciding.present(replace(asked, restores=tuple(broken)))) == 2, "each is told so"


AT_WORK = {
    "metadata": {"name": "back-restore-x", "creationTimestamp": "2026-03-10T11:00:00Z"},
    "spec": {"volumes": [{"name": "target", "persistentVolumeClaim": {"claimName": "claim-ada"}}]},
    "status": {"phase": "Running"},
}
SAVES = {**AT_WORK, "spec": {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "claim-ada"}}]}}


def ending(at: str) -> Any:
    return {**AT_WORK, "metadata": {**AT_WORK["metadata"], "deletionTimestamp": at}}  # type: ignore[dict-item]


PODS: list[tuple[str, Any, Any]] = [
    ("it has ended", {**AT_WORK, "status": {"phase": "Failed"}}, Start),
    ("it saves that home", SAVES, Start),
    ("it is ending", ending("2026-03-10T11:59:50Z"), Nothing),
    ("its node is lost", ending("2026-03-10T11:30:00Z"), "InUse"),
    ("it is somebody else's home", {**AT_WORK, "spec": {"volumes": [{"name": "target"}]}}, Start),
]


@pytest.mark.parametrize("again", [False, True], ids=["the first attempt", "after one that was taken away"])
@pytest.mark.parametrize(("pod", "wanted"), [c[1:] for c in PODS], ids=[c[0] for c in PODS])
def test_no_restore_begins_while_another_may_write_into_the_home(pod: Any, wanted: Any, again: bool) -> None:
    status = {**BEGUN, **({"job": BACK} if again else {})}
    found = step(restores=(restore(status=status),), pods=(pod,), made=frozenset({BACK}))
    if isinstance(wanted, type):
        assert isinstance(found, wanted)
    else:
        assert found.status.phase == "Failed" and found.status.message.startswith(wanted)


def test_what_was_not_saved_last_time_comes_last() -> None:
    """A home that takes until the deadline every day keeps nobody else waiting."""
    bad = done("database", phase="PartiallyCompleted")
    bad["items"].append({"item": "home/ada", "phase": "Failed", "message": "Deadline: it took too long"})
    before = run("before", bad, "2026-03-10T03:00:00Z")
    told = step(before, run("one", created="2026-03-10T11:00:00Z"))
    assert [item.item for item in told.status.items] == ["home/bela", "home/ada", "database", "keys", "objects"]


# --- where a Job runs


def uses(**nodes: str) -> dict[str, tuple[Use, ...]]:
    return {f"claim-{user}": (Use(f"jupyter-{user}", node),) for user, node in nodes.items()}


RWX, RWOP = claim("claim-ada", "ReadWriteMany"), claim("claim-ada", "ReadWriteOncePod")
CLAIMS = {"claim-ada": home("claim-ada"), "vault": claim("vault")}
NODES: list[tuple[str, dict[str, Any], tuple[str, ...], bool]] = [
    ("nobody has it", {}, (), False),
    ("its server is on n2", {"uses": uses(ada="n2")}, ("n2",), False),
    ("its server has no node yet", {"uses": uses(ada="")}, (), False),
    ("its server is ending", {"uses": {"claim-ada": (Use("x", "n2", going=True),)}}, (), False),
    ("any node can have it", {"uses": uses(ada="n2"), "claims": {**CLAIMS, "claim-ada": RWX}}, (), False),
    ("no other pod can have it", {"uses": uses(ada="n2"), "claims": {**CLAIMS, "claim-ada": RWOP}}, (), True),
    ("the repository is on the same", {"uses": {**uses(ada="n2"), "vault": (Use("r", "n2"),)}}, ("n2",), False),
    ("the repository is on another", {"uses": {**uses(ada="n2"), "vault": (Use("r", "n1"),)}}, (), True),
]


@pytest.mark.parametrize(("found", "nodes", "trouble"), [c[1:] for c in NODES], ids=[c[0] for c in NODES])
def test_a_claim_in_use_says_where_a_job_has_to_run(
    found: dict[str, Any], nodes: tuple[str, ...], trouble: bool
) -> None:
    given = facts(runs=(YESTERDAY,), **found)
    where, why = nodes_of(given, ["claim-ada", "vault"])
    assert (where, bool(why)) == (nodes, trouble)
    begun = replace(given, runs=(YESTERDAY, run(status=running(("home/ada", "Pending")))))
    following = decide(begun)
    if trouble:
        assert isinstance(following, Tell) and isinstance(following.status, HubBackupStatus)
        assert following.status.items[0].message.startswith("InUse: ")
    else:
        assert isinstance(following, Start) and order(begun, following).nodes == nodes


def test_a_server_that_starts_elsewhere_is_not_held_up() -> None:
    """Its pod waits for the volume, which the Job has on another node: the Job makes room, and follows it."""
    present = run(status=running(("home/ada", "Running"), job=NAME))
    both = {"claim-ada": (Use(f"{NAME}-x7k2p", "n1"), Use("jupyter-ada", "n2"))}
    told = step(present, jobs={NAME: job(NAME)}, uses=both)
    assert isinstance(told, Tell) and told.status.job == "" and told.status.items[0].phase == "Pending"
    here = {"claim-ada": (Use(f"{NAME}-x7k2p", "n1"), Use("jupyter-ada", "n1"))}
    assert step(present, jobs={NAME: job(NAME)}, uses=here) == Nothing(WORKING)
    shared = {**CLAIMS, "claim-ada": RWX}
    assert step(present, jobs={NAME: job(NAME)}, uses=both, claims=shared) == Nothing(WORKING)


def test_a_home_whose_claim_went_meanwhile() -> None:
    told = step(run(status=running(("home/ada", "Pending"))), claims={})
    assert isinstance(told, Tell) and told.status.items[0].message == "NotFound: claim claim-ada is gone"


@pytest.mark.parametrize(
    ("item", "found", "wanted"),
    [
        ("home/ada", {"uses": uses(ada="n1")}, "InUse"),
        ("home/ada", {"uses": uses(bela="n1")}, "Stopped"),
        ("database", {}, "SQLite"),
        ("keys", {}, ""),
    ],
)
def test_how_consistent_an_item_is(item: str, found: dict[str, Any], wanted: str) -> None:
    assert how(facts(**found), item) == wanted


ONE_NAME = host_of(NAMES, "uid-demo")


def at_work(phase: str, host: str = ONE_NAME, **meta: Any) -> Any:
    return {"metadata": {"name": "x", **meta}, "spec": {"hostname": host}, "status": {"phase": phase}}


UNLOCKS: list[tuple[str, Start, tuple[Any, ...], str, bool]] = [
    ("the first Job of a run", Start(run(), Stage("init"), 0), (), ONE_NAME, True),
    ("old snapshots go", Start(run(), Stage("forget"), 0), (), ONE_NAME, True),
    ("a home, maybe beside a restore", Start(run(), Stage("backup", 0), 0, "home/ada"), (), ONE_NAME, False),
    ("a file, beside others", Start(restore(), Stage("restore"), 0, "home/ada"), (), ONE_NAME, False),
    ("a pod is ending", Start(run(), Stage("forget"), 1), (at_work("Running", deletionTimestamp="x"),), "", True),
    ("a pod whose node is lost", Start(run(), Stage("init"), 0), (at_work("Unknown"),), "", True),
    ("one that was never scheduled", Start(run(), Stage("init"), 0), (at_work("Pending"),), "", True),
    ("pods have ended", Start(run(), Stage("init"), 0), (at_work("Succeeded"), at_work("Failed")), ONE_NAME, True),
    ("a look of somebody's", Start(run(), Stage("forget"), 0), (at_work("Running", "another"),), ONE_NAME, True),
    ("beside one that ends", Start(restore(), Stage("restore"), 0), (at_work("Running"),), ONE_NAME, False),
]


@pytest.mark.parametrize(("given", "pods", "host", "unlocks"), [c[1:] for c in UNLOCKS], ids=[c[0] for c in UNLOCKS])
def test_who_takes_away_locks_of_killed_jobs(given: Start, pods: tuple[Any, ...], host: str, unlocks: bool) -> None:
    """All Jobs of a hub have one host name, and a pod sees nobody else's processes: who is not alone under it takes
    none of it."""
    made = order(facts(pods=pods), given)
    assert (made.host, made.request.unlock) == (host, unlocks)


def test_no_two_hubs_have_one_host_name() -> None:
    """Not even one that was restored under the same name into another cluster, and has the same repository."""
    names = {host_of(Names(*name), uid) for name in (("a", "b-c"), ("a-b", "c"), ("a", "b")) for uid in ("1", "2")}
    assert len(names) == 6 and all(re.fullmatch(r"[a-z0-9-]{1,63}", name) for name in names)


def test_what_a_job_mounts_is_its_item_and_nothing_else() -> None:
    names: dict[str, Any] = {
        "home/ada": ("claim-ada", "", (), {}),
        "database": ("", "hub-db-dir", (), {}),
        "keys": ("", "", ("demo-keys",), {}),
        "objects": ("", "", (), {"pdshub.json": "{}"}),
    }
    for index, (item, wanted) in enumerate(names.items()):
        made = order(facts(), Start(run(), Stage("backup", index), 0, item))
        assert (made.home, made.database, made.secrets, dict(made.objects)) == wanted
    back = order(facts(), Start(restore(), Stage("restore"), 0, "home/ada"))
    assert (back.home, back.database, back.secrets, back.request.action) == (HOMES["ada"], "", (), "restore")
