"""A drill from its tick to its verdict: a table of cases, and a whole one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pdshub.reconcile.hub.drill import progress
from pdshub.reconcile.hub.drill.conditions import verified
from pdshub.reconcile.hub.drill.decide import SETTLED, WAITING, WORKING, decide
from pdshub.reconcile.hub.drill.record import Drills, Verdict, read, written
from pdshub.reconcile.hub.drill.steps import CleanUp, Nothing, Start, Tell
from tests.unit.reconcile.hub.backup.given import job, pod
from tests.unit.reconcile.hub.drill.given import ALL, NAMES, NOW, at, facts, saved

COMPLETE, FAILED = ("Complete", "x"), ("Failed", "BackoffLimitExceeded")


def begun(**more: Any) -> Drills:
    step = decide(facts(**more))
    assert isinstance(step, Tell) and step.drills.running
    return step.drills


def kinds(drills: Drills) -> list[str]:
    return [f"{stage.kind} {stage.item or stage.part}".strip() for stage in drills.stages]


def test_a_drill_takes_a_sample_the_database_and_a_part_of_the_data() -> None:
    assert kinds(begun()) == [
        "compare database", "compare keys", "compare objects", "compare home/ada", "compare home/bela",
        "fetch database", "boot", "check 1/10",
    ]  # fmt: skip


def test_the_newest_snapshot_of_each_is_taken() -> None:
    older = saved(*ALL, started="2026-03-15T02:30:05Z")
    newer = saved("home/ada", "database", started="2026-03-16T02:30:05Z")
    drills = begun(runs=(older, newer))
    assert {stage.item: stage.taken_at[8:10] for stage in drills.stages if stage.kind == "compare"} == {
        "database": "16", "keys": "15", "objects": "15", "home/ada": "16", "home/bela": "15",
    }  # fmt: skip
    assert drills.age_seconds == at(NOW) - at("2026-03-15T02:30:05Z"), "the oldest is what would have been lost"


REFUSED = [
    {"refused": ("SecretMissing", "x")},
    {"key": "Lost"},
    {"namespace": ""},
    {"drill": {"schedule": "0 0 31 2 *"}},
]


@pytest.mark.parametrize("more", REFUSED)
def test_where_none_can_be_made_none_is_begun_and_keys_go(more: dict[str, Any]) -> None:
    assert decide(facts(**more)) == Nothing(SETTLED)
    assert decide(facts(left=True, **more)) == CleanUp()
    step = decide(facts(begun(), **more))
    assert isinstance(step, Tell) and not step.drills.running
    assert (
        step.drills.last is not None
        and not step.drills.last.ok
        and step.drills.queue == ["ada", "bela", "carl", "dora"]
    )


def test_what_is_left_goes_before_anything_is_begun() -> None:
    assert decide(facts(left=True)) == CleanUp()


def test_a_drill_waits_for_backups_and_not_these_for_it() -> None:
    drills = begun()
    assert decide(facts(drills, busy=True)) == Nothing(WAITING)
    assert decide(facts(drills)) == Start(0, 0)
    for index in range(6):
        drills = _ended(drills, index)
    assert decide(facts(drills, busy=True)) == Start(6, 0), "a hub that is booted has no network"


def _ended(drills: Drills, index: int, answer: Any = None) -> Drills:
    """A stage whose Job said it is well, or something else."""
    stage = drills.stages[index]
    name = progress.job_name(NAMES, index)
    good = {"ok": True, "message": "fine", "seconds": 2.0, "files": 3}
    if stage.kind == "compare":
        good["item"] = {"item": stage.item, "phase": "Completed", "seconds": 1.5}
    said = good if answer is None else answer
    ended = job(name, COMPLETE if said.get("ok") else FAILED)
    words = pod(name, said, "Succeeded" if said.get("ok") else "Failed")
    step = decide(facts(progress.working(drills, index, name, at(NOW)), jobs=[ended], pods=[words]))
    assert isinstance(step, Tell), step
    return step.drills


def whole(bad: dict[int, Any] | None = None, **more: Any) -> Drills:
    """A drill to its end; some stages say something else."""
    drills = begun(**more)
    while (index := progress.next_stage(drills)) is not None:
        drills = _ended(drills, index, (bad or {}).get(index))
    step = decide(facts(**{**more, "drills": drills}))
    assert isinstance(step, Tell) and not step.drills.running
    return step.drills


def condition(drills: Drills, now: str = NOW, refused: str = "") -> tuple[str, str, str]:
    settings = facts().settings
    ((_, status, reason, message),) = verified(settings, drills, refused, at(now))
    return status, reason, message


def test_a_drill_that_finds_all_well_says_what_it_measured() -> None:
    drills = whole()
    assert drills.last == drills.good and drills.last is not None and drills.last.ok
    assert drills.queue == ["carl", "dora", "ada", "bela"] and list(drills.read) == ["1/10"]
    status, reason, message = condition(drills)
    assert (status, reason) == ("True", "Verified")
    for words in (
        "5 items",
        "ada, bela",
        "h; each home within 2 drills",
        "damaged data within 10",
        "not all data was read yet",
    ):
        assert words in message
    assert kinds(begun(drills=drills.model_copy(update={"started": ""})))[3:5] == [
        "compare home/carl",
        "compare home/dora",
    ]


def test_a_good_drill_that_is_yet_to_come_is_no_proof() -> None:
    """Its clock was ahead. The next drill is due at once."""
    drills = whole()
    assert drills.good is not None
    good = drills.good.model_copy(update={"at": "2027-03-16T12:00:00Z"})
    status, reason, message = condition(drills.model_copy(update={"good": good, "last": good}))
    assert (status, reason) == ("False", "TooOld") and "2027" in message


DAMAGED = {"ok": False, "reason": "Damaged", "message": "home/ada: what came back has not the digest that was recorded"}
FOUND: list[tuple[int, dict[str, Any], str]] = [
    (0, {"ok": False, "reason": "Damaged", "message": "jupyterhub.sqlite came back damaged"}, "Damaged"),
    (3, DAMAGED, "Damaged"),
    (5, {"ok": False, "reason": "Full", "message": "x"}, "HubNotBooted"),
    (6, {"ok": False, "reason": "Damaged", "message": "the hub shows 3 users, the database holds 5"}, "Damaged"),
    (7, {"ok": False, "reason": "Damaged", "message": "restic check found 1 errors"}, "Damaged"),
]


@pytest.mark.parametrize(("stage", "answer", "reason"), FOUND)
def test_what_is_wrong_anywhere_is_the_verdict_and_the_rest_is_looked_at(stage: int, answer: Any, reason: str) -> None:
    drills = whole({stage: answer})
    status, found, message = condition(drills)
    assert (status, found) == ("False", reason) and answer["message"] in message
    assert all(one.over for one in drills.stages) and drills.good is None
    assert ("1/10" in drills.read) == (stage != 7), "a part that is damaged is read again by the next drill"


def test_a_damaged_home_is_taken_again_by_each_drill_until_it_is_whole() -> None:
    drills = whole({3: DAMAGED})
    assert drills.suspects == ["home/ada"] and drills.queue == ["carl", "dora", "ada", "bela"]
    drills = whole(drills=drills.model_copy(update={"started": ""}))
    assert [stage.item for stage in drills.stages if stage.kind == "compare"][3:] == [
        "home/ada",
        "home/carl",
        "home/dora",
    ]
    assert drills.suspects == []


@pytest.mark.parametrize("reason", ["NoRepository", "WrongKey", "Unreachable"])
def test_what_makes_all_hopeless_ends_the_drill_and_accuses_no_home(reason: str) -> None:
    drills = _ended(begun(), 0, {"ok": False, "reason": reason, "message": "x"})
    assert progress.next_stage(drills) is None
    step = decide(facts(drills))
    assert isinstance(step, Tell) and condition(step.drills)[:2] == ("False", reason)
    assert step.drills.suspects == [] and step.drills.queue[:2] == ["ada", "bela"]


def test_a_hub_is_not_booted_from_what_did_not_come_back() -> None:
    drills = whole({5: {"ok": False, "reason": "NotFound", "message": "x"}})
    assert drills.stages[6].reason == "NotFetched"


AGAIN: list[tuple[str, Any, Any]] = [
    ("its Job is gone", (), ()),
    ("its pod was evicted", [job(progress.job_name(NAMES, 0), FAILED)], ()),
    (
        "the repository was locked",
        [job(progress.job_name(NAMES, 0), FAILED)],
        [pod(progress.job_name(NAMES, 0), {"ok": False, "reason": "Locked", "message": "x"}, "Failed")],
    ),
]


@pytest.mark.parametrize(("jobs", "pods"), [case[1:] for case in AGAIN], ids=[case[0] for case in AGAIN])
def test_what_was_interrupted_is_begun_anew_and_not_for_ever(jobs: Any, pods: Any) -> None:
    drills = progress.working(begun(), 0, progress.job_name(NAMES, 0), at(NOW))
    assert decide(facts(drills, jobs=jobs, pods=pods)) == Start(0, 1)
    last = progress.job_name(NAMES, 0, progress.RETRIES)
    renamed = [{**one, "metadata": {**one["metadata"], "name": last}} for one in jobs]
    step = decide(facts(drills.model_copy(update={"job": last}), jobs=renamed, pods=pods))
    assert isinstance(step, Tell) and step.drills.stages[0].phase == "Failed"


def test_a_job_that_goes_on_is_waited_for() -> None:
    name = progress.job_name(NAMES, 0)
    drills = progress.working(begun(), 0, name, at(NOW))
    assert decide(facts(drills, jobs=[job(name)], pods=[pod(name, phase="Running")])) == Nothing(WORKING)


LIES = ["no answer", {"ok": True, "item": {"item": "home/bela", "phase": "Completed"}}, {"ok": True}, "x" * 5000]


@pytest.mark.parametrize("said", LIES)
def test_a_job_that_says_nothing_about_its_item_proves_nothing(said: Any) -> None:
    name = progress.job_name(NAMES, 3)
    drills = begun()
    for index in range(3):
        drills = _ended(drills, index)
    drills = progress.working(drills, 3, name, at(NOW))
    step = decide(facts(drills, jobs=[job(name, COMPLETE)], pods=[pod(name, said)]))
    assert isinstance(step, Tell) and step.drills.stages[3].phase == "Failed"


VERDICT = Verdict(at="2026-03-01T04:00:00Z", ok=True, reason="Verified", message="fine")
CONDITIONS = [
    ("none yet", Drills(), NOW, "", ("Unknown", "NoneYet")),
    ("good", Drills(last=VERDICT, good=VERDICT), "2026-03-10T00:00:00Z", "", ("True", "Verified")),
    ("too old", Drills(last=VERDICT, good=VERDICT), "2026-03-15T04:00:01Z", "", ("False", "TooOld")),
    ("refused", Drills(last=VERDICT, good=VERDICT), "2026-03-10T00:00:00Z", "no namespace", ("False", "NotDrilled")),
]


@pytest.mark.parametrize(
    ("drills", "now", "refused", "wanted"), [c[1:] for c in CONDITIONS], ids=[c[0] for c in CONDITIONS]
)
def test_the_condition(drills: Drills, now: str, refused: str, wanted: tuple[str, str]) -> None:
    assert condition(drills, now, refused)[:2] == wanted


def test_without_drills_there_is_no_condition_and_without_any_for_long_it_is_false() -> None:
    assert verified(None, Drills(), "", at(NOW)) == []
    settings = facts().settings
    ((_, status, reason, _),) = verified(settings, Drills(), "", at(NOW), at("2026-01-01T00:00:00Z"))
    assert (status, reason) == ("False", "TooOld")


def test_the_record_is_kept_and_read_again() -> None:
    drills = whole({3: DAMAGED})
    made = written(NAMES, "uid", drills)
    assert read(made) == drills and made["metadata"]["ownerReferences"][0]["uid"] == "uid"
    assert made["metadata"]["name"] == "demo-drills"


@pytest.mark.parametrize(
    "text", [None, "", "x", "[]", '{"stages": [{"kind": "delete"}]}', '{"queue": 5}', "[" * 100_000]
)
def test_a_record_that_is_none_is_a_fresh_one(text: Any) -> None:
    assert read({"data": {"drill.json": text}}) == Drills() and read(None) == Drills()


def test_a_record_has_a_bound() -> None:
    many = Drills(queue=[f"{'u' * 200}{n}@example.org" for n in range(20_000)])
    made = written(NAMES, "uid", many)
    assert len(made["data"]["drill.json"]) < 1 << 20 and read(made).queue == many.queue[: len(read(made).queue)]


OTHERS = progress.job_name(replace(NAMES, namespace="other"), 0)


@pytest.mark.parametrize("job_", ["x", "demo-d99", "ns-demo-d99", "ns-demo-i3", OTHERS])
def test_a_record_that_names_a_job_of_nobody_ends(job_: str) -> None:
    drills = begun().model_copy(update={"job": job_})
    step = decide(facts(drills))
    assert isinstance(step, Tell) and not step.drills.running


def test_whether_the_repository_is_read_is_known_by_the_record() -> None:
    drills = begun()
    assert not drills.reads
    reads = [progress.working(drills, n, progress.job_name(NAMES, n), at(NOW)).reads for n in (0, 5, 6, 7)]
    assert reads == [True, True, False, True], "a hub that is booted reads none"


def test_names_of_jobs_fit() -> None:
    long = replace(NAMES, namespace="n" * 63, name="h" * 63)
    assert len(progress.job_name(long, 999, 2)) <= 63 and progress.at(progress.job_name(long, 999, 2)) == (999, 2)
