"""A recovery and the backups of another hub at one repository: who waits for whom, told by the API server alone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pdshub.api.backup_repository import Repository
from pdshub.kube import JOB, SECRET, KubeError
from pdshub.reconcile.hub.recovery.reading import coming_back, reads
from pdshub.render import backup_repository
from pdshub.render.names import Names
from tests.unit.reconcile.hub.backup.estate import Estate
from tests.unit.reconcile.hub.recovery.site import Site

SHARED: dict[str, Any] = {"s3": {"bucket": "abc", "prefix": "shared", "secretRef": "s3"}}


class Two(Site):
    """A hub that comes back in namespace ns, and one in namespace other that saves to the same place, with its key."""

    def __init__(self, key: str = "aw==") -> None:
        super().__init__({"repository": SHARED}, backup={"repository": SHARED, "schedule": "30 2 * * *"})
        self.hub("other", users=("cora",), repository=SHARED)
        for namespace in ("ns", "other"):
            self.put(SECRET, "s3", namespace, data={})
        self.put(SECRET, "demo-backup-key", "other", data={"key": key})
        self.ask("run", "other")

    def restart(self) -> None:
        super().restart()
        self.context.readers = (reads,)
        self.recovery.backups.turn = self.context.turn

    async def turns(self, number: int = 12, *, recovers: bool = True) -> None:
        for _ in range(number):
            await Estate.look(self, "other")
            if recovers:
                await self.look()
            self.kubernetes()
            self.collect()
            self.now += 2

    def at_work(self) -> set[str]:
        return {f"{namespace}/{name}" for plural, namespace, name in self.kube.objects if plural == JOB.plural}

    def actions_of(self, hub: str) -> list[str]:
        return [job.get("item") or job["action"] for job in self.jobs if job["hub"] == hub]


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


@pytest.mark.parametrize("restarted", [False, True])
def test_old_snapshots_go_when_no_recovery_reads_them(restarted: bool) -> None:
    """The run's other Jobs, the first look among them, run beside."""

    async def main() -> None:
        site = Two()
        site.busy = {"recover"}
        await site.turns(20)
        assert site.actions_of("other/demo")[0] == "init" and site.actions_of("other/demo")[-1] == "objects"
        if restarted:
            site.restart()  # which knows it from the record, before anybody looked at the recovery
        await site.turns(3, recovers=False)
        assert "forget" not in site.actions_of("other/demo") and not site.ended("run", "other")
        assert "the recovery of ns/demo" in site.status("run", "other")["message"]
        site.busy = set()
        await site.turns(30)
        assert site.phase() == "Completed" and site.status("run", "other")["phase"] == "Completed"
        assert site.actions_of("other/demo").count("forget") == 1

    run(main)


@pytest.mark.parametrize("stage", ["init", "forget"])
def test_a_recovery_waits_for_who_has_the_repository_alone(stage: str) -> None:
    async def main() -> None:
        site = Two()
        site.busy = {stage}
        await site.turns(12, recovers=False)
        assert site.at_work() == {f"other/run-{stage}"}
        await site.turns(4)
        assert site.at_work() == {f"other/run-{stage}"} and not site.actions_of("ns/demo")
        assert "HubBackup run of other/demo" in site.told_by_status()["message"]
        site.busy = set()
        await site.turns(30)
        assert site.phase() == "Completed" and "turn" not in site.told_by_status()["message"]

    run(main)


def test_a_recovery_does_not_wait_for_a_backup_of_hours() -> None:
    async def main() -> None:
        site = Two()
        site.busy = {"backup"}
        await site.turns(30)
        assert site.phase() == "Completed" and site.at_work() == {"other/run-i0"}

    run(main)


def test_who_has_another_key_holds_up_nobody() -> None:
    """Whoever may make a PDSHub may name any place, and a recovery whose Jobs never start."""

    async def main() -> None:
        site = Two(key="eA==")
        site.busy = {"plan"}
        await site.turns(20)
        assert site.status("run", "other")["phase"] == "Completed"
        site.busy = {"init"}
        site.ask("again", "other")
        await site.turns(4, recovers=False)
        assert "other/again-init" in site.at_work()
        site.busy = {"init", "recover"}
        await site.turns(12)
        assert {"plan", "database"} <= set(site.actions_of("ns/demo")), "nor is it held up"

    run(main)


def test_two_that_look_at_the_same_moment_do_not_both_begin() -> None:
    """The lock of turns is one for all: who has looked has said so before another looks."""

    async def main() -> None:
        site = Two()
        site.busy = {"init", "plan"}
        for _ in range(20):
            await asyncio.gather(Estate.look(site, "other"), site.look())
            site.kubernetes()
            site.now += 2
        assert site.jobs[0]["action"] == "plan" or site.at_work() == {"other/run-init"}

    run(main)


@pytest.mark.parametrize(("change", "reads_it"), [
    ({}, True),
    ({"suspend": True}, False),
    ({"deletionTimestamp": "x"}, False),
    ({"closed": True}, False),
    ({"prefix": "another"}, False),
    ({"bootstrap": {"recovery": {}}}, False),
])  # fmt: skip
def test_whose_recovery_reads_a_repository(change: dict[str, Any], reads_it: bool) -> None:
    where = {"s3": {**SHARED["s3"], **({"prefix": change["prefix"]} if "prefix" in change else {})}}
    meta = {"namespace": "ns", "name": "demo"}
    spec: dict[str, Any] = {"signIn": {"development": {}}, "bootstrap": {"recovery": {"repository": where}}}
    hub = {"metadata": meta, "spec": {**spec, **{k: v for k, v in change.items() if k in ("suspend", "bootstrap")}}}
    meta |= {k: v for k, v in change.items() if k == "deletionTimestamp"}
    opened = set() if change.get("closed") else {"ns"}
    place = backup_repository.place(Repository.model_validate(SHARED), Names("ns", "demo"))
    found = coming_back([hub], opened, place.identity)
    assert (set(found) == {("ns", "demo")}) is reads_it


@pytest.mark.parametrize(("status", "held"), [(403, False), (404, False), (500, None)])
def test_a_record_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, status: int, held: bool | None) -> None:
    """Where the operator has no right it goes on with nothing; an API server that is away is asked again."""

    async def main() -> None:
        site = Two()
        site.busy = {"recover", "forget"}
        await site.turns(20)
        get = site.kube.get

        async def refused(resource: Any, name: str, namespace: Any = None) -> Any:
            if name == Names("ns", "demo").recovery:
                raise KubeError(status, "no")
            return await get(resource, name, namespace)

        monkeypatch.setattr(site.kube, "get", refused)
        await site.turns(2, recovers=False)
        assert ("other/run-forget" in site.at_work()) is (held is False)

    run(main)
