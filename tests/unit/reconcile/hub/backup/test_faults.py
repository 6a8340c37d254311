"""What goes wrong around a run or a restore: each ends by itself, says what was, and the next is well."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.kube import CONFIG_MAP, HUB_BACKUP, JOB, PDSHUB, SECRET, KubeError
from pdshub.render.names import BACKUP_LABELS, HUB_LABEL
from tests.unit.reconcile.hub.backup.estate import Answer, Estate, Killed

DAY = 86400.0


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


# --- the operator is killed


async def limping(estate: Estate, name: str, writes: int, looks: int = 300) -> dict[str, Any]:
    """Operators that each live for so many writes, until something has ended."""
    for _ in range(looks):
        estate.dies_at = writes
        try:
            await estate.look()
        except Killed:
            estate.restart()
        estate.dies_at = -1
        estate.kubernetes()
        estate.collect()
        estate.now += 2
        if estate.ended(name):
            break
    await settled(estate)
    return estate.status(name)


async def settled(estate: Estate) -> None:
    """What is left is taken away by the looks that follow."""
    for _ in range(3):
        await estate.look()
        estate.collect()


@pytest.mark.parametrize("writes", [2, 3, 4, 5, 6, 7])
def test_operators_that_die_all_the_time_fail_no_run(writes: int) -> None:
    """Two writes are what no step has more of than can be done again."""

    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        estate.ask("one")
        ended = await limping(estate, "one", writes)
        assert (ended["phase"], ended["snapshots"]) == ("Completed", 4), ended
        assert estate.left() == []
        wanted = ["init", "home/ada", "database", "keys", "objects", "forget"]
        assert list(dict.fromkeys(estate.actions())) == wanted
        assert all("-r" not in request["run"] for request in estate.jobs)

    run(main)


@pytest.mark.parametrize("writes", [2, 3, 4, 5])
def test_operators_that_die_all_the_time_fail_no_restore(writes: int) -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        estate.ask_back(path="x.ipynb")
        ended = await limping(estate, "back", writes)
        assert (ended["phase"], ended["place"]) == ("Completed", "restored-2026-03-01"), ended
        assert estate.left() == [] and len(estate.jobs) == 1

    run(main)


def test_killed_before_any_write_of_a_restore() -> None:
    async def main() -> None:
        for kills in range(12):
            estate = Estate()
            estate.hub(users=("ada",))
            await estate.look()
            estate.ask_back()
            estate.dies_at = kills
            try:
                await estate.finish("back")
            except Killed:
                estate.restart()
            estate.dies_at = -1
            assert (await estate.finish("back"))["phase"] == "Completed", kills
            await settled(estate)
            assert estate.left() == [] and len(estate.jobs) == 1, kills

    run(main)


def test_a_job_that_is_taken_away_again_and_again_ends() -> None:
    """By a person, or a program that deletes what it does not know: not for ever."""

    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        estate.ask("one")
        estate.busy = {"backup"}
        for _ in range(60):
            await estate.look()
            estate.kubernetes()
            for key in [k for k in estate.kube.objects if k[0] == JOB.plural and "-i0" in k[2]]:
                del estate.kube.objects[key]
            estate.busy = set() if "JobGone" in str(estate.status("one")) else {"backup"}
            estate.collect()
            estate.now += 2
            if estate.ended("one"):
                break
        ended = estate.status("one")
        assert ended["items"][0]["message"].startswith("JobGone") and ended["snapshots"] == 3
        assert estate.actions().count("home/ada") == 3

    run(main)


# --- what a killed operator left, and what others made


def test_a_request_that_a_killed_operator_left_is_replaced() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        estate.busy = {"one-init"}
        estate.ask("one")
        await estate.until(lambda: bool(estate.jobs))
        estate.kube.objects.pop((JOB.plural, "ns", "one-init"))
        estate.kube.objects[CONFIG_MAP.plural, "ns", "one-init"]["data"]["request.json"] = "{}"
        estate.restart()
        estate.busy, estate.jobs = set(), []
        assert (await estate.finish("one"))["phase"] == "Completed"
        assert estate.jobs[0]["action"] == "init"

    run(main)


@pytest.mark.parametrize("kind", [CONFIG_MAP, JOB], ids=["ConfigMap", "Job"])
def test_what_has_the_name_of_a_job_and_is_anothers_stays(kind: Any) -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        mine = estate.put(kind, "one-init", data={"mine": "x"}, spec={"template": {"metadata": {}, "spec": {}}})
        estate.ask("one")
        for _ in range(8):
            await estate.look()
            estate.now += 2
        ended = estate.status("one")
        assert ended["phase"] == "Failed" and "is another's" in ended["message"]
        assert estate.kube.objects[kind.plural, "ns", "one-init"] == mine
        assert {k[2] for k in estate.kube.objects if k[0] in (CONFIG_MAP.plural, JOB.plural)} == {"one-init"}

    run(main)


@pytest.mark.parametrize("phase", ["Running", "Nonsense"])
def test_a_status_that_names_a_job_of_another_has_it_not_taken_away(phase: str) -> None:
    """Who may write a status may not thereby delete: the operator is no deputy."""

    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        await estate.look()
        for kind in (CONFIG_MAP, JOB):
            estate.put(kind, "payroll-i0", spec={"template": {"metadata": {}, "spec": {}}}, status={"conditions": [{}]})
        estate.ask("one")
        forged = {"phase": phase, "job": "payroll-i0", "items": [{"item": "home/ada", "phase": "Running"}]}
        estate.kube.objects[HUB_BACKUP.plural, "ns", "one"]["status"] = forged
        for _ in range(20):
            await estate.look()
            estate.now += 2
        assert {k[2] for k in estate.kube.objects if k[0] == JOB.plural} >= {"payroll-i0"}
        assert (CONFIG_MAP.plural, "ns", "payroll-i0") in estate.kube.objects

    run(main)


def test_a_job_that_says_it_is_a_backups_has_no_other_object_deleted() -> None:
    """Who may make a Job with any labels may not thereby delete a ConfigMap that has its name."""

    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        estate.put(CONFIG_MAP, "payroll", data={"mine": "x"})
        labels = {**BACKUP_LABELS, HUB_LABEL: "demo"}
        estate.put(JOB, "payroll", meta={"labels": labels}, spec={"template": {"metadata": {}, "spec": {}}})
        estate.kube.objects[JOB.plural, "ns", "payroll"]["status"] = {"conditions": [{}]}
        for _ in range(20):
            await estate.look()
            estate.now += 2
        assert (CONFIG_MAP.plural, "ns", "payroll") in estate.kube.objects
        assert (JOB.plural, "ns", "payroll") not in estate.kube.objects, "it is nobody's"

    run(main)


# --- a quota, a repository that is away


@pytest.mark.parametrize("stuck", ["init", "home/ada"])
def test_a_quota_that_lets_no_pod_be_ends_the_run_soon(stuck: str) -> None:
    """Not after ten minutes for each of all homes: what cannot begin is asked once more, and the run says it."""

    async def main() -> None:
        estate = Estate()
        users = tuple(f"user{n}" for n in range(50))
        estate.hub(users=("ada", *users))
        estate.stuck = {stuck}
        estate.ask("one")
        began = estate.now
        await estate.until(lambda: bool(estate.jobs))
        if stuck != "init":
            await estate.until(lambda: "home/ada" in estate.actions())
            estate.stuck = {"init", "backup"}
        await estate.until(lambda: estate.ended("one"), looks=1500)
        ended = estate.status("one")
        assert ended["phase"] == "Failed" and ended["message"].startswith("NotStarted"), ended["message"]
        assert estate.now - began < 1500 and estate.left() == []
        estate.stuck = set()
        estate.ask("two")
        await estate.until(lambda: estate.ended("two"), looks=500)
        assert estate.status("two")["phase"] == "Completed"

    run(main)


def test_a_repository_that_goes_away_ends_the_run_and_not_home_by_home() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=tuple(f"user{n}" for n in range(50)))
        away = [False]

        def answers(request: dict[str, Any]) -> Answer:
            away[0] = away[0] or request.get("item") == "home/user3"
            if away[0]:
                return {"ok": False, "reason": "Unreachable", "message": "connection refused"}
            return estate.saves(request)

        estate.answers = answers
        estate.ask("one")
        await estate.until(lambda: estate.ended("one"), looks=500)
        ended = estate.status("one")
        assert ended["phase"] == "PartiallyCompleted" and ended["message"].startswith("Unreachable")
        assert len(estate.jobs) < 40 and ended["snapshots"] > 0
        await estate.look()
        assert estate.condition("BackedUp")["reason"] == "ItemsNotSaved"

    run(main)


def test_a_repository_that_was_away_for_a_minute_costs_nothing() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        times = [0]

        def answers(request: dict[str, Any]) -> Answer:
            times[0] += 1
            if times[0] in (1, 3, 4):
                return {"ok": False, "reason": "Unreachable", "message": "connection refused"}
            return estate.saves(request)

        estate.answers = answers
        estate.ask("one")
        assert (await estate.finish("one"))["phase"] == "Completed"

    run(main)


def test_an_api_server_that_fails_for_a_moment_costs_no_attempt() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        create, failures = estate.kube.create, [0]

        async def shaky(resource: Any, body: Any) -> bool:
            if resource is JOB and failures[0] < 40:
                failures[0] += 1
                raise KubeError(503, "etcd leader changed")
            return await create(resource, body)

        estate.kube.create = shaky  # type: ignore[method-assign]
        estate.ask("one")
        ended = await estate.finish("one")
        assert ended["phase"] == "Completed" and failures[0] == 40

    run(main)


# --- clocks, and a hub that goes


@pytest.mark.parametrize("days", [365.0, -365.0, 0.1, -0.1])
def test_a_clock_that_jumps_while_a_run_goes_on(days: float) -> None:
    """The operator's clock: what runs goes on, what is due is made once, and nothing is forgotten for it."""

    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        estate.busy = {"backup"}
        estate.ask("one")
        await estate.until(lambda: "home/ada" in estate.actions())
        right = estate.now
        estate.now += days * DAY
        for _ in range(5):
            await estate.look()
            estate.kubernetes()
            estate.now += 2
        estate.now = right + 10
        estate.busy = set()
        assert (await estate.finish("one"))["phase"] == "Completed"
        for _ in range(40):
            await estate.look()
            estate.kubernetes()
            estate.collect()
            estate.now += 2
        made = [k[2] for k in estate.kube.objects if k[0] == HUB_BACKUP.plural]
        assert len(made) <= 2 and all(estate.ended(name) for name in made), made

    run(main)


def test_a_hub_that_is_deleted_while_its_backup_runs() -> None:
    """Nothing of it stays, nobody waits for it, and what was saved is told."""

    async def main() -> None:
        estate = Estate()
        estate.hub()
        estate.busy = {"one-i1"}
        estate.ask("one")
        await estate.until(lambda: estate.status("one").get("job") == "one-i1")
        estate.ask_back()
        estate.kube.objects[PDSHUB.plural, "ns", "demo"]["metadata"]["deletionTimestamp"] = rfc3339.text(estate.now)
        assert await estate.look() is None
        estate.collect()
        ended = estate.status("one")
        assert (ended["phase"], ended["snapshots"]) == ("PartiallyCompleted", 1) and "NoHub" in ended["message"]
        assert estate.status("back")["phase"] == "Failed" and estate.left() == []
        assert await estate.look() is None

    run(main)


# --- two hubs, one repository


def shared(**more: Any) -> dict[str, Any]:
    where = {"server": "nas.example.org", "path": "/backups/all"}
    return {"repository": {"nfs": where}, "schedule": "0 0 1 1 *", **more}


@pytest.mark.parametrize("same", [True, False], ids=["the same key", "another key"])
def test_a_hub_that_names_anothers_repository_holds_it_up_with_the_same_key_alone(same: bool) -> None:
    async def main() -> None:
        estate = Estate()
        for namespace in ("a", "b"):
            estate.hub(namespace, ("x",), **shared())
            estate.put(SECRET, "demo-backup-key", namespace, data={"key": "QQ==" if same else f"Q{namespace}=="})
        estate.stuck = {"init"}
        estate.ask("one", "b")
        await estate.until(lambda: bool(estate.status("one", "b").get("job")), "b")
        estate.stuck = set()
        estate.ask("one", "a")
        if same:
            for _ in range(5):
                await estate.look("a")
            assert not estate.status("one", "a").get("job")
            assert "HubBackup one of b/demo" in estate.status("one", "a")["message"]
            return
        estate.busy = {"init"}
        await estate.look("a")
        assert estate.status("one", "a")["job"] == "one-init"

    run(main)


def test_a_hub_with_runs_without_end_takes_every_second_turn_and_no_more() -> None:
    """Somebody with the same key asks for one run after another: each has done nothing yet when its turn comes."""

    async def main() -> None:
        estate = Estate()
        for namespace, users in (("a", tuple("abcdef")), ("b", ())):
            estate.hub(namespace, users, **shared())
            estate.put(SECRET, "demo-backup-key", namespace, data={"key": "QQ=="})
        for number in range(40):
            estate.ask(f"many{number:02}", "b")
        await estate.look("b")
        estate.ask("one", "a")
        await estate.until(lambda: estate.ended("one", "a"), "a", "b")
        assert estate.status("one", "a")["phase"] == "Completed"
        hubs = [request["hub"] for request in estate.jobs]
        assert hubs.count("b/demo") <= hubs.count("a/demo") + 2

    run(main)
