"""Drills from end to end, on an API server in memory: what comes back, where keys are, kills at every step."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pdshub import rfc3339
from pdshub.kube import CLAIM, CONFIG_MAP, DEPLOYMENT, JOB, NETWORK_POLICY, PDSHUB, POD, SECRET, KubeError
from pdshub.reconcile.hub.backup.context import BackupContext
from pdshub.reconcile.hub.drill import reconcile as drills
from pdshub.reconcile.hub.drill import record
from pdshub.reconcile.hub.drill.context import DrillContext
from pdshub.reconcile.hub.drill.loop import NOBODY, DrillLoop
from pdshub.reconcile.hub.drill.record import Drills
from tests.unit.reconcile.hub.backup.estate import Answer, Estate, Killed
from tests.unit.reconcile.hub.backup.given import NAMES
from tests.unit.reconcile.hub.drill.given import S3, SITE

MONDAY = rfc3339.seconds("2026-03-02T04:00:00Z")
BOOT = {"action": "boot"}


class Site(Estate):
    """A hub with two homes, saved once, and a namespace for drills."""

    def __init__(self) -> None:
        self.where = SITE
        self.beside_keys: list[str] = []
        super().__init__()
        self.answers = self.says
        self.hub(repository=S3["repository"], drill={"schedule": "0 4 * * 1", "sample": 1})
        self.put(SECRET, "s3-keys", data={"access-key-id": "YQ==", "secret-access-key": "Yg==", "other": "Yw=="})
        pod = {"containers": [{"name": "hub", "image": "hub:7"}]}
        self.put(DEPLOYMENT, "hub", spec={"template": {"spec": pod}})

    def restart(self) -> None:
        super().restart()
        made = self.context.hubs
        self.drills = DrillContext(made, BackupContext(made, clock=lambda: self.now), self.where)

    def says(self, request: dict[str, Any]) -> Answer:
        if request["action"] == "drill":
            row = {"item": request["item"], "phase": "Completed", "seconds": 1.0}
            return {"ok": True, "item": row, "files": 3}
        if request == BOOT:
            self.beside_keys += self.there(SECRET.plural)
            return {"ok": True, "message": "a hub started from it", "files": 2}
        return self.saves(request)

    def there(self, *plurals: str) -> list[str]:
        """What lies in the drills' namespace."""
        return [name for plural, namespace, name in self.kube.objects if namespace == SITE and plural in plurals]

    def kubernetes(self) -> None:
        """A Job that boots a hub is asked nothing by a ConfigMap."""
        jobs = [name for plural, namespace, name in self.kube.objects if (plural, namespace) == (JOB.plural, SITE)]
        pretended = [name for name in jobs if (CONFIG_MAP.plural, SITE, name) not in self.kube.objects]
        for name in pretended:
            self.kube.put(
                CONFIG_MAP, {"metadata": {"name": name, "namespace": SITE}, "data": {"request.json": json.dumps(BOOT)}}
            )
        super().kubernetes()
        for name in pretended:
            del self.kube.objects[CONFIG_MAP.plural, SITE, name]

    def record(self) -> Drills:
        return record.read(self.kube.objects.get((CONFIG_MAP.plural, "ns", record.name(NAMES))))

    async def practise(self) -> float | None:
        return await drills.reconcile(self.drills, "ns", "demo")

    async def drilled(self, turns: int = 200) -> Drills:
        """A drill to its end."""
        number = self.record().number
        for _ in range(turns):
            await self.practise()
            self.kubernetes()
            self.collect()
            self.now += 2
            found = self.record()
            if found.number > number and not found.running:
                await self.practise()
                return found
        raise AssertionError(self.record())

    async def saved(self) -> None:
        """One backup, and the Monday after it."""
        self.ask("first")
        await self.finish("first")
        await self.practise()
        self.jobs.clear()
        self.now = MONDAY

    async def in_the_middle(self, looks: int = 3) -> None:
        """One backup, and so many looks later a drill whose Job goes on."""
        await self.saved()
        self.busy = {"drill"}
        for _ in range(looks):
            await self.practise()
            self.kubernetes()


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


def actions(site: Site) -> list[str]:
    return [f"{job['action']} {job.get('item') or job.get('readSubset') or ''}".strip() for job in site.jobs]


WHOLE = ["drill database", "drill keys", "drill objects", "drill home/ada", "restore database", "boot", "check 1/10"]


def test_a_drill_from_its_tick_to_its_verdict() -> None:
    async def main() -> None:
        site = Site()
        await site.saved()
        assert site.condition("RestoreVerified")["reason"] == "NoneYet"
        ended = await site.drilled()
        assert actions(site) == WHOLE
        assert ended.last is not None and ended.last.ok and ended.last.recovery_seconds > 0
        assert ended.last.age_seconds > 86400, "since the backup of the day before"
        found = site.condition("RestoreVerified")
        assert (found["status"], found["reason"]) == ("True", "Verified") and "a hub started from it" in found[
            "message"
        ]
        assert (
            site.there(SECRET.plural, JOB.plural, POD.plural, CLAIM.plural, CONFIG_MAP.plural, NETWORK_POLICY.plural)
            == []
        )
        assert site.beside_keys == [], "no key of a repository is where a hub is booted"
        assert "RestoreVerified" in site.kube.events()
        writes = list(site.kube.writes)
        for _ in range(3):
            await site.practise()
        assert site.kube.writes == writes, "a settled hub costs no write"

    run(main)


def test_keys_are_copied_and_no_more_of_their_secrets() -> None:
    async def main() -> None:
        site = Site()
        await site.in_the_middle(5)
        (name,) = site.there(SECRET.plural)
        data = site.kube.objects[SECRET.plural, SITE, name]["data"]
        assert (
            set(data) == {"key", "access-key-id", "secret-access-key"}
            and base64.b64decode(data["access-key-id"]) == b"a"
        )
        assert name.endswith("-backup-key")

    run(main)


def test_the_next_drill_takes_the_next_home_and_the_next_part() -> None:
    async def main() -> None:
        site = Site()
        await site.saved()
        await site.drilled()
        site.jobs.clear()
        site.now += 7 * 86400
        await site.drilled()
        assert "drill home/bela" in actions(site) and "check 2/10" in actions(site)
        assert "drill home/ada" not in actions(site)

    run(main)


@pytest.mark.parametrize("kills", range(0, 60, 3))
def test_an_operator_that_is_killed_at_any_write_goes_on(kills: int) -> None:
    async def main() -> None:
        site = Site()
        await site.saved()
        site.dies_at = kills
        for _ in range(200):
            try:
                await site.practise()
            except Killed:
                site.dies_at = -1
                site.restart()
            site.kubernetes()
            site.collect()
            site.now += 2
            if site.record().number and not site.record().running:
                break
        site.dies_at = -1
        for _ in range(3):
            await site.practise()
        ended = site.record()
        assert ended.number == 1 and ended.last is not None and ended.last.ok, ended
        assert site.there(SECRET.plural, JOB.plural, CLAIM.plural, CONFIG_MAP.plural, NETWORK_POLICY.plural) == []

    run(main)


def test_a_hub_that_is_deleted_in_the_middle_leaves_no_key() -> None:
    async def main() -> None:
        site = Site()
        await site.in_the_middle()
        assert site.there(SECRET.plural, JOB.plural)
        del site.kube.objects[PDSHUB.plural, "ns", "demo"]
        assert await site.practise() is None
        assert site.there(SECRET.plural, JOB.plural, CONFIG_MAP.plural) == []

    run(main)


def test_what_was_left_while_the_operator_was_away_is_swept() -> None:
    async def main() -> None:
        site = Site()
        await site.in_the_middle()
        del site.kube.objects[PDSHUB.plural, "ns", "demo"]
        site.restart()
        loop = DrillLoop(site.context.hubs, drills.reconcile, SITE)
        await loop._look(NOBODY)
        for _ in range(200):
            if loop.queue.idle and not site.there(SECRET.plural, JOB.plural):
                break
            await asyncio.sleep(0.01)
        await loop.close(5)
        assert site.there(SECRET.plural, JOB.plural, CONFIG_MAP.plural) == []

    run(main)


def test_without_a_namespace_there_are_no_drills_and_it_is_said() -> None:
    async def main() -> None:
        site = Site()
        site.where = ""
        site.restart()
        await site.saved()
        await site.practise()
        assert site.record() == Drills() and site.condition("RestoreVerified")["reason"] == "NotDrilled"

    run(main)


def test_a_namespace_that_somebody_took_away_ends_a_drill_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        site = Site()
        await site.saved()
        await site.practise()
        items = site.kube.items

        async def refused(resource: Any, namespace: Any = None, **more: Any) -> Any:
            if namespace == SITE:
                raise KubeError(403, "forbidden")
            assert namespace != "" or resource.plural not in (SECRET.plural, JOB.plural, CLAIM.plural), "all namespaces"
            return await items(resource, namespace, **more)

        monkeypatch.setattr(site.kube, "items", refused)
        for _ in range(3):
            await site.practise()
        assert not site.record().running and site.condition("RestoreVerified")["status"] == "False"
        assert (SECRET.plural, "ns", "demo-backup-key") in site.kube.objects

    run(main)


def test_damage_makes_the_condition_false_until_it_is_gone() -> None:
    async def main() -> None:
        site = Site()
        await site.saved()
        good = site.says

        def damaged(request: dict[str, Any]) -> Answer:
            if request.get("item") == "home/ada" and request["action"] == "drill":
                return {"ok": False, "reason": "Damaged", "message": "home/ada has not the digest that was recorded"}
            return good(request)

        site.answers = damaged
        for _ in range(2):
            await site.drilled()
            assert site.condition("RestoreVerified")["reason"] == "Damaged"
            assert "DrillFailed" in site.kube.events()
            site.now += 7 * 86400
        site.answers = good
        await site.drilled()
        assert site.condition("RestoreVerified")["status"] == "True"

    run(main)
