"""The next step of a question about earlier versions: a table of cases."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.api.earlier import Question
from pdshub.installation import Backup as Settings
from pdshub.reconcile.hub.earlier import decide as deciding
from pdshub.reconcile.hub.earlier.decide import LOOKS, RESTORES, Bring, Say, Seen, StartLook, beyond, decide, left_over
from pdshub.reconcile.hub.earlier.look import PAGE, look_name, objects, order, restore, restore_name
from pdshub.reconcile.hub.earlier.versions import by_user, words_of
from tests.unit.reconcile.hub.backup.given import NAMES, backup, done, facts, job, pod, run
from tests.unit.reconcile.hub.backup.given import restore as given_restore

ID, OTHER = "a1" * 16, "b2" * 16
ADAS, BELAS, SHARED = "1a" * 32, "2b" * 32, "3c" * 32
LOOK = look_name("demo", ID)


def question(
    what: str = "restore", snapshot: str = ADAS, path: str = "notebooks/x.ipynb", user: str = "ada", **more: Any
) -> Question:
    fields = {"id": ID, "number": 1, "user": user, "what": what, "snapshot": snapshot, "path": path, **more}
    return Question.model_validate(fields)


def saved(**ids: str) -> Any:
    """A run that saved homes: user -> snapshot."""
    rows = [
        {"item": f"home/{user}", "phase": "Completed", "snapshot": id, "files": 2, "sizeBytes": 9}
        for user, id in ids.items()
    ]
    return run("auto", {**done(), "items": rows})


RUNS = (saved(ada=ADAS, bela=BELAS),)


def page(name: str = restore_name(ID), status: dict[str, Any] | None = None, **spec: Any) -> Any:
    """A HubRestore that was asked for at the page."""
    made = given_restore(name, status, **spec)
    made.item["metadata"]["labels"] = dict(PAGE)
    return made


def seen(
    jobs: Any = (), pods: Any = (), restores: Any = (), runs: Any = RUNS, left: tuple[int, int] = (9, 9), **more: Any
) -> Seen:
    found = facts(runs=runs, restores=tuple(restores), **more)
    return Seen(found, {one["metadata"]["name"]: one for one in jobs}, tuple(pods), *left)


def says(step: Any) -> tuple[bool, bool, str]:
    assert isinstance(step, Say)
    return step.done, step.ok, step.reason


# --- lists


def test_a_list_is_of_the_users_own_home() -> None:
    step = decide(question("list", ""), seen())
    assert isinstance(step, Say) and step.done and step.ok
    assert [one["snapshot"] for one in step.more["versions"]] == [ADAS]
    text = json.dumps(step.wire("run"))
    assert BELAS not in text and "bela" not in text


def test_a_snapshot_that_two_items_name_is_nobodys() -> None:
    runs = (saved(ada=ADAS), saved(bela=ADAS), saved(ada=SHARED))
    assert {user: [one.snapshot for one in mine] for user, mine in by_user(runs).items()} == {"ada": [SHARED]}
    runs = (
        saved(ada=ADAS),
        run("auto", {**done(), "items": [{"item": "keys", "phase": "Completed", "snapshot": ADAS}]}),
    )
    assert by_user(runs) == {}, "nor one that holds the hub's keys"


def test_restores_are_told_in_the_users_own_words() -> None:
    hidden = "waits for its turn at the repository: HubBackup secret of other-namespace/other-hub"
    mine = page("a", {"phase": "Pending", "message": hidden})
    theirs = page("b", {"phase": "Completed", "place": "restored-x"}, user="bela")
    failed = page("c", {"phase": "Failed", "message": "Full: the home has 5 bytes left on /dev/mapper/x"})
    step = decide(question("list", ""), seen(restores=(mine, theirs, failed)))
    assert isinstance(step, Say)
    told = step.more["restores"]
    assert len(told) == 2 and {one["over"] for one in told} == {True, False}
    assert "other" not in json.dumps(told) and "mapper" not in json.dumps(told) and "no room" in json.dumps(told)


# --- what cannot be asked

NOT_THEIRS = [
    question("browse", BELAS),
    question("restore", BELAS),
    question("restore", SHARED),
    question("restore", BELAS, user="carl"),
    question("restore", ADAS, user="home/ada"),
    question("restore", ADAS, user="ad"),
]


@pytest.mark.parametrize("one", NOT_THEIRS)
def test_what_is_no_version_of_ones_own_is_not_found_and_costs_no_job(one: Question) -> None:
    assert says(decide(one, seen())) == (True, False, "NotFound")


@pytest.mark.parametrize("what", ["browse", "restore"])
def test_without_a_version_nothing_is_done(what: str) -> None:
    assert says(decide(question(what, ""), seen())) == (True, False, "BadRequest")


NOT_READY: list[dict[str, Any]] = [
    {"refused": ("SecretMissing", "Secret s3 does not exist")},
    {"key": "Lost"},
    {"key": "Absent"},
    {"spec": None, "place": None},
]


@pytest.mark.parametrize("more", NOT_READY)
def test_backups_that_cannot_be_read_are_said_without_names_of_secrets(more: dict[str, Any]) -> None:
    step = decide(question("browse"), seen(**more))
    assert says(step) == (True, False, "NotReady") and isinstance(step, Say) and "Secret" not in step.message


# --- looks


def test_a_folder_is_looked_into_by_a_job_and_told() -> None:
    one = question("browse", path="notebooks")
    assert decide(one, seen()) == StartLook(one)
    assert says(decide(one, seen([job(LOOK)], [pod(LOOK, phase="Running")]))) == (False, True, "Waiting")
    entries = [{"name": "x.ipynb", "kind": "File", "sizeBytes": 5}, {"name": "..", "kind": "Folder"}, {"name": "a/b"}]
    told = {
        "ok": True,
        "entries": entries,
        "more": 3,
        "snapshots": [{"id": ADAS, "item": "home/ada", "time": "2026-03-10T02:31:00Z"}],
    }
    step = decide(one, seen([job(LOOK, ("Complete", ""))], [pod(LOOK, told)]))
    assert says(step) == (True, True, "") and isinstance(step, Say) and step.job == LOOK
    assert [entry["name"] for entry in step.more["entries"]] == ["x.ipynb"] and step.more["more"] == 5


WRONG = [
    ({"ok": False, "reason": "NotFound", "message": "there is no notebooks"}, "NotFound"),
    ({"ok": False, "reason": "Unreachable", "message": "dial tcp 10.0.0.1"}, "Unreachable"),
    ("no answer", "BadAnswer"),
    ("x" * 5000, "BadAnswer"),
]


@pytest.mark.parametrize(("said", "reason"), WRONG)
def test_a_look_that_fails_is_said_in_words(said: Any, reason: str) -> None:
    failed = job(LOOK, ("Failed", "BackoffLimitExceeded"))
    step = decide(question("browse"), seen([failed], [pod(LOOK, said, "Failed")]))
    assert says(step) == (True, False, reason) and isinstance(step, Say) and step.job == LOOK
    assert step.message == words_of(f"{reason}:") and "10.0.0.1" not in step.message


def test_looks_wait_for_each_other_and_have_a_pace() -> None:
    others = [job(look_name("demo", f"{n + 1:x}" * 32)) for n in range(LOOKS)]
    assert says(decide(question("browse"), seen(others))) == (False, True, "Waiting")
    assert says(decide(question("browse"), seen(left=(0, 9)))) == (False, True, "Waiting")


def test_looks_that_nobody_waits_for_go() -> None:
    jobs = [LOOK, look_name("demo", OTHER)]
    assert left_over(jobs, "demo", [question("browse")]) == (look_name("demo", OTHER),)
    assert left_over(jobs, "demo", []) == tuple(sorted(jobs))


@pytest.mark.parametrize("hub", ["demo", "h" * 63])
def test_a_looks_job_has_keys_of_the_repository_and_nobodys_home(hub: str) -> None:
    made = order(facts(runs=RUNS), question("browse", path="notebooks"))
    config_map, body = objects(NAMES, made, Settings(image="pdshub:1"))
    spec = body["spec"]["template"]["spec"]
    claims = [v["persistentVolumeClaim"]["claimName"] for v in spec["volumes"] if "persistentVolumeClaim" in v]
    assert claims == ["vault"], "the repository's own"
    asked = json.loads(config_map["data"]["request.json"])
    assert (asked["action"], asked["item"], asked["snapshot"], asked["path"]) == (
        "browse",
        "home/ada",
        ADAS,
        "notebooks",
    )
    assert "to" not in asked and not asked["inPlace"] and asked["deadlineSeconds"] <= 120
    for item in (config_map, body):
        assert item["metadata"]["labels"]["component"] == "backup-look", "the loop of backups does not sweep it"
    assert body["spec"]["template"]["metadata"]["labels"]["component"] == "backup", "the network policy of backups"
    assert "hostname" not in spec and len(look_name(hub, ID)) <= 63


# --- restores


def test_a_restore_is_asked_for_beside_what_is_there_in_the_name_of_who_was_signed_in() -> None:
    one = question()
    assert decide(one, seen()) == Bring(one)
    body = restore(NAMES, "uid-demo", one)
    assert body["spec"] == {
        "hub": "demo",
        "user": "ada",
        "path": "notebooks/x.ipynb",
        "snapshot": ADAS,
        "inPlace": False,
        "warnSeconds": 60,
    }
    assert body["metadata"]["ownerReferences"][0]["uid"] == "uid-demo" and body["metadata"]["namespace"] == "ns"
    day = restore(NAMES, "uid-demo", question(snapshot="", as_of="2026-03-09T23:59:59Z"))
    assert day["spec"]["asOf"] == "2026-03-09T23:59:59Z" and "snapshot" not in day["spec"]


GOES = [
    ({"phase": "Pending"}, (False, True, "Waiting"), "turn"),
    ({"phase": "Running", "job": "x-restore"}, (False, True, "Waiting"), "brought back"),
    (
        {"phase": "Completed", "place": "restored-2026-03-10", "files": 3},
        (True, True, "Completed"),
        "restored-2026-03-10",
    ),
    ({"phase": "PartiallyCompleted", "place": "r", "files": 3}, (True, True, "Completed"), "could not"),
    ({"phase": "Failed", "message": "Full: /dev/x is full"}, (True, False, "Failed"), "no room"),
    ({"phase": "Failed", "message": "Unreachable: dial tcp"}, (True, False, "Failed"), "administrators"),
]


@pytest.mark.parametrize(("status", "answer", "words"), GOES)
def test_how_far_a_restore_is(status: dict[str, Any], answer: tuple[bool, bool, str], words: str) -> None:
    step = decide(question(), seen(restores=[page(status=status)]))
    assert says(step) == answer and isinstance(step, Say) and words in step.message
    assert "dial" not in step.message and "/dev" not in step.message


def test_an_answer_comes_even_when_backups_broke_meanwhile() -> None:
    made = seen(restores=[page(status={"phase": "Completed", "place": "r"})], refused=("SecretMissing", "x"))
    assert says(decide(question(), made)) == (True, True, "Completed")


def test_a_restore_of_that_name_that_is_not_the_pages_tells_nothing() -> None:
    """A hub that was taken over chooses its questions' ids: no HubRestore of somebody else is told by it."""
    for other in (given_restore(restore_name(ID)), page(user="bela", status={"phase": "Completed", "place": "secret"})):
        step = decide(question(), seen(restores=[other]))
        assert says(step) == (True, False, "BadRequest") and isinstance(step, Say) and "secret" not in step.message


def test_one_restore_of_a_home_at_a_time() -> None:
    assert says(decide(question(), seen(restores=[given_restore("by-an-admin")]))) == (True, False, "Busy")
    ended = given_restore("by-an-admin", {"phase": "Completed"})
    assert isinstance(decide(question(), seen(restores=[ended])), Bring)


def test_restores_of_all_people_have_a_bound() -> None:
    others = [page(f"earlier-{n}", user=f"u{n}") for n in range(RESTORES)]
    assert says(decide(question(), seen(restores=others))) == (False, True, "Waiting")
    assert says(decide(question(), seen(left=(9, 0)))) == (False, True, "Waiting")


def test_old_restores_of_the_page_go_and_those_of_administrators_stay() -> None:
    ended = [page(f"earlier-{n}", {"phase": "Completed"}) for n in range(deciding.HISTORY + 2)]
    others = [given_restore("by-an-admin", {"phase": "Completed"}), page("goes-on", {"phase": "Running"})]
    assert beyond([*others, *ended]) == ("earlier-0", "earlier-1")


def test_a_hub_without_backups_has_lists_that_are_empty() -> None:
    step = decide(question("list", ""), seen(runs=(), spec=None, place=None))
    assert isinstance(step, Say) and step.more == {"versions": [], "restores": []}
    assert backup().repository.claim is not None
