"""Drills where others are at work: who forges a record, a namespace that is full or gone, kills, backups beside."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.kube import CLAIM, CONFIG_MAP, JOB, NETWORK_POLICY, PDSHUB, SECRET, KubeError
from pdshub.reconcile.hub import reconcile as hubs
from pdshub.reconcile.hub.backup import at_work
from pdshub.reconcile.hub.drill import conditions, read, record
from pdshub.reconcile.hub.drill.progress import job_name
from pdshub.reconcile.hub.drill.reading import reads
from pdshub.reconcile.hub.drill.record import Drills
from pdshub.render.names import Names
from tests.unit.reconcile.hub.backup.given import NAMES
from tests.unit.reconcile.hub.drill.given import S3, SITE
from tests.unit.reconcile.hub.drill.test_loop import Site, run


def test_a_record_that_names_anothers_job_takes_it_not_away() -> None:
    """The record lies in the hub's namespace, and whoever rules that can write what they like into it."""

    async def main() -> None:
        site = Site()
        await site.saved()
        others = job_name(Names("other", "demo"), 0)
        for kind in (JOB, CONFIG_MAP):
            site.put(kind, others, SITE)
        await site.practise()
        forged = site.record().model_copy(update={"running": True, "job": others})
        site.kube.put(CONFIG_MAP, record.written(NAMES, "uid", forged))
        for _ in range(3):
            await site.practise()
        assert others in site.there(JOB.plural) and others in site.there(CONFIG_MAP.plural)
        assert not site.record().running

    run(main)


@pytest.mark.parametrize(("status", "ends"), [(403, True), (422, True), (429, False), (500, False), (503, False)])
def test_a_job_that_is_refused_ends_its_stage_and_a_moments_trouble_none(
    monkeypatch: pytest.MonkeyPatch, status: int, ends: bool
) -> None:
    async def main() -> None:
        site = Site()
        await site.saved()
        create, times = site.kube.create, [0]

        async def refused(resource: Any, body: Any) -> bool:
            if resource is JOB and times[0] == 0:
                times[0] += 1
                raise KubeError(status, "exceeded quota: pdshub-drill")
            return bool(await create(resource, body))

        monkeypatch.setattr(site.kube, "create", refused)
        if ends:
            await site.practise()
        else:
            with pytest.raises(KubeError):
                await site.practise()
        ended = await ended_by(site)
        assert ended.last is not None and ended.last.ok != ends
        assert ended.last.reason == ("Refused" if ends else "Verified") and ("quota" in ended.last.message) == ends

    async def ended_by(site: Site) -> Drills:
        while site.record().running:
            await site.practise()
            site.kubernetes()
            site.collect()
            site.now += 2
        return site.record()

    run(main)


@pytest.mark.parametrize("left", [CLAIM, NETWORK_POLICY, CONFIG_MAP])
def test_nothing_of_a_hub_that_is_gone_is_left_wherever_the_operator_was_killed(left: Any) -> None:
    """A database's copy is as much everybody's as the keys are."""

    async def main() -> None:
        site = Site()
        meta = {"labels": {**NAMES.labels, "component": "drill"}}
        site.put(left, "of-nobody", SITE, meta=meta)
        del site.kube.objects[PDSHUB.plural, "ns", "demo"]
        assert await read.strays(site.drills) == {("ns", "demo")}
        assert await site.practise() is None
        assert site.there(left.plural) == [] and await read.strays(site.drills) == set()

    run(main)


def test_a_hub_can_be_deleted_though_the_namespace_of_drills_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        site = Site()
        await site.saved()
        del site.kube.objects[PDSHUB.plural, "ns", "demo"]
        site.restart()
        items = site.kube.items

        async def refused(resource: Any, namespace: Any = None, **more: Any) -> Any:
            if namespace == SITE:
                raise KubeError(403, "forbidden")
            return await items(resource, namespace, **more)

        monkeypatch.setattr(site.kube, "items", refused)
        assert await site.practise() is None and await read.strays(site.drills) == set()

    run(main)


def test_snapshots_go_when_no_drill_reads_them() -> None:
    """A run waits for the drill's Job with its last step, and with no other."""

    async def main() -> None:
        site = Site()
        await site.in_the_middle()
        site.context.readers = (reads,)
        site.ask("second")
        for _ in range(40):
            await site.look()
            site.kubernetes()
            site.collect()
        assert site.actions()[-1] == "objects" and not site.ended("second")
        assert "a drill of ns/demo" in site.status("second")["message"]
        site.restart()  # an operator that begins anew knows it from the record, before it looked at the drill
        site.context.readers = (reads,)
        await site.look()
        assert not site.ended("second")
        site.busy.clear()
        site.kubernetes()
        await site.practise()
        assert (await site.finish("second"))["phase"] == "Completed"
        assert site.actions().count("forget") == 1

    run(main)


def test_no_drill_begins_beside_a_run_that_has_just_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a look at the repository and the drill's record there is no moment for anybody else."""

    async def main() -> None:
        site = Site()
        await site.saved()
        site.drills.backups.turn = site.context.turn
        site.busy = {"forget", "drill"}
        looked = at_work.run
        moments = 0

        async def late(*args: Any) -> bool:
            nonlocal moments
            found = await looked(*args)
            moments += 1
            if moments == 1:  # the drill has looked, and is about to begin
                site.ask("second")
                for _ in range(20):
                    await site.look()
                    site.kubernetes()
            return found

        monkeypatch.setattr(at_work, "run", late)
        for _ in range(4):
            await site.practise()
            site.kubernetes()
        assert site.actions()[-1] == "forget" and site.record().job == ""

    run(main)


def test_what_drills_say_is_not_overwritten_by_the_loop_of_the_hub() -> None:
    assert set(conditions.OWNED) <= set(hubs.OTHERS)


@pytest.mark.parametrize("stranger", [True, False])
def test_who_names_the_repository_and_has_not_its_key_holds_up_no_drill(stranger: bool) -> None:
    """Whoever may make a PDSHub may name any place, and leave a run there that never ends."""

    async def main() -> None:
        site = Site()
        place = {"s3": {**S3["repository"]["s3"], "prefix": "shared"}}
        site.kube.objects[PDSHUB.plural, "ns", "demo"]["spec"]["backup"]["repository"] = place
        await site.saved()
        site.hub("other", repository=place)
        key = dict(site.kube.objects[SECRET.plural, "ns", "demo-backup-key"]["data"])
        site.put(SECRET, "demo-backup-key", "other", data={"key": "eA=="} if stranger else key)
        site.ask("one", "other")
        for _ in range(3):
            await site.practise()
        assert site.record().running and bool(site.record().job) is stranger

    run(main)
