"""A run's status, step by step: what is taken down, what is counted, and that it has an end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.api.backup import HubBackupStatus, ItemStatus, Unread
from pdshub.reconcile.hub.backup import progress
from pdshub.reconcile.hub.backup.outcome import Outcome, State
from pdshub.reconcile.hub.backup.progress import Stage
from tests.unit.reconcile.hub.backup.given import ID, NOW, done, run

END = "2026-03-10T12:10:00Z"
NAMES = ["one", "demo-202603110230", "i5-r1", "x-init", "a.b", "y" * 253, "z-forget-r2"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("attempt", [0, 1, 2])
@pytest.mark.parametrize(
    "stage", [Stage("init"), Stage("backup", 0), Stage("backup", 123456), Stage("forget"), Stage("restore")]
)
def test_the_name_of_a_job_tells_its_stage(name: str, attempt: int, stage: Stage) -> None:
    job = progress.job_name(name, stage, attempt)
    assert progress.at(job) == (stage, attempt) and len(job) <= 63


def test_long_names_of_runs_do_not_meet() -> None:
    assert progress.job_name("y" * 60 + "a", Stage("init")) != progress.job_name("y" * 60 + "b", Stage("init"))


@pytest.mark.parametrize("job", ["", "one", "one-i", "one-i1-r", "-", "one-prune"])
def test_other_names_are_none(job: str) -> None:
    with pytest.raises(ValueError, match="no Job"):
        progress.at(job)


def said(**more: Any) -> Outcome:
    from pdshub.api.backup_job import JobAnswer

    return Outcome(State.ENDED, more.get("reason", ""), more.get("message", ""), JobAnswer.model_validate(more))


def item(name: str, **more: Any) -> dict[str, Any]:
    return {"item": name, "phase": "Completed", "snapshot": ID, **more}


def test_a_run_from_its_begin_to_its_end() -> None:
    status = progress.begun(["home/ada", "home/zoe", "keys"], {"home/zoe": "claim claim-zoe is missing"}, NOW)
    assert [i.phase for i in status.items] == ["Pending", "Failed", "Pending"] and status.started == NOW
    status = progress.working(status, "one-init")
    assert status.job == "one-init" and status.items[0].phase == "Pending"
    status = progress.after(status, Stage("init"), said(ok=True), NOW)
    assert progress.next_stage(status, True) == Stage("backup", 0)
    status = progress.working(status, "one-i0")
    assert status.items[0].phase == "Running" and progress.next_stage(status, True) == Stage("backup", 0)
    saved = said(ok=True, item=item("home/ada", sizeBytes=100, addedBytes=7, files=3))
    status = progress.after(status, Stage("backup", 0), saved, NOW)
    assert (status.snapshots, status.size_bytes, status.added_bytes, status.files, status.job) == (1, 100, 7, 3, "")
    status = progress.after(status, Stage("backup", 2), said(ok=True, item=item("keys", sizeBytes=5)), NOW)
    assert progress.next_stage(status, True) == Stage("forget") and progress.next_stage(status, False) is None
    status = progress.finished(progress.after(status, Stage("forget"), said(ok=True), NOW), END)
    assert (status.phase, status.seconds, status.snapshots, status.size_bytes) == ("PartiallyCompleted", 600, 2, 105)
    assert "not saved: home/zoe (claim claim-zoe is missing)" in status.message


PHASES = [
    ([("a", "Completed"), ("b", "Completed")], "Completed", True),
    ([], "Completed", True),
    ([("a", "Completed"), ("b", "PartiallyCompleted")], "PartiallyCompleted", True),
    ([("a", "Completed"), ("b", "Failed")], "PartiallyCompleted", False),
    ([("a", "Failed"), ("b", "Failed")], "Failed", False),
]


@pytest.mark.parametrize(("items", "phase", "whole"), PHASES)
def test_how_a_run_ends(items: list[tuple[str, Any]], phase: str, whole: bool) -> None:
    rows = [ItemStatus(item=f"home/{name}", phase=how) for name, how in items]
    ended = progress.finished(HubBackupStatus(phase="Running", started=NOW, items=rows), END)
    assert ended.phase == phase
    assert progress.saved_all(run(status=ended.wire())) is whole


@pytest.mark.parametrize("wrong", [{"snapshot": ""}, {"phase": "Failed"}])
def test_what_names_no_snapshot_is_not_saved(wrong: dict[str, Any]) -> None:
    """BackedUp would be true of nothing."""
    status = progress.begun(["home/ada"], {}, NOW)
    after = progress.after(status, Stage("backup", 0), said(ok=True, item=item("home/ada", **wrong)), NOW)
    assert after.items[0].phase == "Failed" and after.items[0].message.startswith("BadAnswer")


def test_what_fails_keeps_its_reason_and_nothing_of_a_snapshot() -> None:
    status = progress.begun(["home/ada"], {}, NOW)
    full = said(
        ok=False, reason="Full", message="no space left", item=item("home/ada", unread=[{"path": "x", "why": "y"}])
    )
    after = progress.after(status, Stage("backup", 0), full, NOW)
    (row,) = after.items
    assert (row.phase, row.snapshot, row.message) == ("Failed", "", "Full: no space left") and row.unread_count == 1


def test_a_run_that_ends_early_keeps_what_it_saved() -> None:
    status = HubBackupStatus.model_validate(done("home/ada"))
    status = status.model_copy(update={"phase": "Running", "items": [*status.items, ItemStatus(item="keys")]})
    ended = progress.failed(status, "NoHub: it is gone", END)
    assert (ended.phase, ended.snapshots, [i.phase for i in ended.items]) == (
        "PartiallyCompleted", 1, ["Completed", "Failed"],
    )  # fmt: skip
    assert progress.failed(progress.begun(["keys"], {}, NOW), "x", END).phase == "Failed"


def test_a_status_of_a_thousand_homes_has_room_in_an_object() -> None:
    """Each with as much as a Job can say. etcd takes 1.5 MiB."""
    users = [f"home/{'u' * 40}{number}@example.org" for number in range(1000)]
    status = progress.begun(users, {}, NOW)
    unread = [Unread(path="p" * 256, why="w" * 128).wire() for _ in range(20)]
    for index, name in enumerate(users):
        row = item(name, unread=unread, unreadCount=20, phase="PartiallyCompleted", message="m" * 512, digest=ID)
        status = progress.after(status, Stage("backup", index), said(ok=True, item=row), NOW)
    ended = progress.finished(status, END)
    assert sum(len(i.unread) for i in ended.items) == progress.UNREAD
    assert sum(i.unread_count for i in ended.items) == 20_000
    assert len(json.dumps(ended.wire())) < 1_000_000


def test_what_is_put_back_is_done_again() -> None:
    status = progress.working(progress.begun(["home/ada"], {}, NOW), "one-i0")
    back = progress.put_back(status, Stage("backup", 0), "server jupyter-ada started on another node")
    assert (back.job, back.items[0].phase) == ("", "Pending") and "jupyter-ada" in back.items[0].message
