"""Runs that save homes from VolumeSnapshots, from end to end. What stands in for the snapshot controller and for the
provisioner is a few lines: nothing of this has run with real ones."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pdshub.installation import Installation
from pdshub.kube import CLAIM, CONFIG_MAP, HUB_BACKUP, JOB, PDSHUB, STORAGE_CLASS, KubeError, Object, Resource
from pdshub.reconcile.hub.backup.snapshot_objects import VOLUME_SNAPSHOT
from pdshub.render.names import BACKUP_LABELS, HUB_LABEL
from tests.unit.reconcile.hub.backup.ebs import EBS, READY, ebs_home, taken
from tests.unit.reconcile.hub.backup.estate import INSTALLATION, Estate


class Cloud(Estate):
    """A hub whose homes are on EBS, with what stands in for the snapshot controller and the provisioner."""

    def __init__(self, *, ready: bool = True, classes: tuple[str, ...] = ("gp3",)) -> None:
        self.settings = Installation.model_validate(
            {**INSTALLATION.wire(), "backup": {**INSTALLATION.backup.wire(), "snapshotClasses": [EBS.wire()]}}
        )
        super().__init__()
        self.ready, self.looks = ready, 0
        self.sources: list[str] = []
        self.refused: dict[tuple[str, str], int] = {}
        """HTTP status by verb and resource."""
        self.before: Callable[[], None] = lambda: None
        """What somebody does just before a VolumeSnapshot is made."""
        for name in classes:
            policy = "Retain" if name.endswith("retain") else "Delete"
            self.put(STORAGE_CLASS, name, None, provisioner=EBS.driver, reclaimPolicy=policy)
        create, items = self.kube.create, self.kube.items

        async def creates(resource: Resource, body: Object) -> bool:
            self._refuse("create", resource)
            if resource is VOLUME_SNAPSHOT:
                self.before()
            # as the API server does, and no other field of it is anybody's
            stamped = {**body, "metadata": {"creationTimestamp": self.stamp(), **body["metadata"]}}
            return await create(resource, stamped)

        async def lists(resource: Resource, namespace: str | None = None, **more: Any) -> list[Object]:
            self._refuse("list", resource)
            return await items(resource, namespace, **more)

        self.kube.create, self.kube.items = creates, lists  # type: ignore[assignment,method-assign]

    def _refuse(self, verb: str, resource: Resource) -> None:
        if status := self.refused.get((verb, resource.plural)):
            raise KubeError(status, f"{verb} {resource.plural}: no")

    def restart(self) -> None:
        super().restart()
        self.context.hubs.installation = self.settings

    def home(self, user: str, namespace: str = "ns", storage_class: str = "gp3") -> None:
        super().home(user, namespace)
        found = self.kube.objects[CLAIM.plural, namespace, f"claim-{user}"]
        body = ebs_home(f"claim-{user}", storage_class)
        found["metadata"]["annotations"] |= body["metadata"]["annotations"]
        found |= {"spec": body["spec"], "status": body["status"]}

    def kubernetes(self) -> None:
        held = {}
        for key, found in list(self.kube.objects.items()):
            if key[0] == VOLUME_SNAPSHOT.plural and self.ready and not found.get("foreign"):
                found["status"] = READY
            if key[0] == JOB.plural and (source := self._source(key[2])) and not self._bind(source):
                held[key] = self.kube.objects.pop(key)
        super().kubernetes()
        self.kube.objects |= held

    def _source(self, name: str) -> str:
        """The claim that a Job mounts, if that is not a home."""
        volumes = self.kube.objects[JOB.plural, "ns", name]["spec"]["template"]["spec"]["volumes"]
        claims = [(v.get("persistentVolumeClaim") or {}).get("claimName", "") for v in volumes if v["name"] == "data"]
        return next((claim for claim in claims if claim == name), "")

    def _bind(self, name: str) -> bool:
        found = self.kube.objects.get((CLAIM.plural, "ns", name))
        if found is None:
            return False
        source = self.kube.objects[VOLUME_SNAPSHOT.plural, "ns", found["spec"]["dataSource"]["name"]]
        assert source["status"]["readyToUse"] is True, "no claim before its snapshot is ready"
        if found.get("status") is None:
            self.sources.append(source["spec"]["source"]["persistentVolumeClaimName"])
        found["status"] = {"phase": "Bound"}
        return True

    def claims(self) -> list[str]:
        return sorted(name for plural, _, name in self.kube.objects if plural == CLAIM.plural)

    def snapshots(self) -> list[str]:
        return sorted(name for plural, _, name in self.kube.objects if plural == VOLUME_SNAPSHOT.plural)


ALWAYS = ["claim-ada", "hub-db-dir", "vault"]


def told(estate: Cloud, name: str = "one") -> tuple[str, str]:
    first = estate.status(name)["items"][0]
    return first["how"], first.get("message", "")


def test_a_run_saves_a_home_from_its_snapshot_and_leaves_nothing_behind() -> None:
    async def main() -> None:
        estate = Cloud()
        estate.hub(users=("ada",))
        estate.ask("one")
        ended = await estate.finish("one")
        assert (ended["phase"], told(estate)) == ("Completed", ("Snapshot", ""))
        assert estate.sources == ["claim-ada"] and estate.actions().count("home/ada") == 1
        assert (estate.claims(), estate.snapshots(), estate.left()) == (ALWAYS, [], [])
        taken_away = [write for write in estate.kube.writes if write.startswith("delete") and "one-i0" in write]
        assert taken_away.index("delete persistentvolumeclaims/one-i0") < taken_away.index(
            "delete volumesnapshots/one-i0"
        ), "by the snapshot both are found again"

    asyncio.run(main())


def hangs(estate: Cloud) -> None:
    estate.ready = False


def kept(estate: Cloud) -> None:
    estate.put(STORAGE_CLASS, "gp3", None, provisioner=EBS.driver, reclaimPolicy="Retain")


def refused(verb: str, resource: Resource, status: int) -> Callable[[Cloud], None]:
    def change(estate: Cloud) -> None:
        estate.refused[verb, resource.plural] = status

    return change


def squatted(owner: Resource = HUB_BACKUP, **change: Any) -> Callable[[Cloud], None]:
    """Somebody puts a VolumeSnapshot of its name there in the moment before it is made, with every mark of ours."""

    def put(estate: Cloud) -> None:
        name = "one" if owner is HUB_BACKUP else "demo"
        uid = estate.kube.objects[owner.plural, "ns", name]["metadata"]["uid"]
        body = taken(READY, estate.stamp(), owner=uid, **change)
        estate.put(VOLUME_SNAPSHOT, "one-i0", meta=body["metadata"], foreign=True, spec=body["spec"], status=READY)

    def change_it(estate: Cloud) -> None:
        estate.before = lambda: put(estate)

    return change_it


IN_VAIN: list[tuple[str, Callable[[Cloud], None], str, bool]] = [
    ("a controller that is away", hangs, "not ready within 600 s", False),
    ("a class that keeps volumes", kept, "reclaimPolicy Delete", False),
    ("a cluster without the kind", refused("create", VOLUME_SNAPSHOT, 404), "refused, or is gone", False),
    ("nor can it be listed", refused("list", VOLUME_SNAPSHOT, 404), "gone", False),
    ("no right, or a quota", refused("create", VOLUME_SNAPSHOT, 403), "refused, or is gone", False),
    ("a snapshot of somebody's", squatted(PDSHUB), "refused, or is gone", False),
    ("one of bela's home", squatted(of="claim-bela"), "refused, or is gone", False),
    ("one of a content", squatted(source={"volumeSnapshotContentName": "of-them"}), "refused, or is gone", True),
]


@pytest.mark.parametrize(("change", "why", "stays"), [c[1:] for c in IN_VAIN], ids=[c[0] for c in IN_VAIN])
def test_a_home_without_a_snapshot_is_saved_as_it_is_and_the_run_says_so(
    change: Callable[[Cloud], None], why: str, stays: bool
) -> None:
    async def main() -> None:
        estate = Cloud()
        estate.hub(users=("ada",))
        change(estate)
        estate.ask("one")
        began = estate.now
        await estate.until(lambda: estate.ended("one"), looks=600)
        ended = estate.status("one")
        how, said = told(estate)
        assert (ended["phase"], how) == ("Completed", "Stopped") and why in said, ended
        assert estate.now - began < EBS.wait_seconds + 120
        assert estate.sources == [] and estate.claims() == ALWAYS and estate.left() == []
        if not stays:
            assert estate.snapshots() == []

    asyncio.run(main())


def test_somebody_s_snapshot_without_our_marks_is_nobody_s_to_delete() -> None:
    async def main() -> None:
        estate = Cloud()
        estate.hub(users=("ada",))
        spec = {"source": {"persistentVolumeClaimName": "claim-ada"}}
        estate.put(VOLUME_SNAPSHOT, "one-i0", spec=spec, status=READY, foreign=True)
        estate.put(VOLUME_SNAPSHOT, "demo-people", spec=spec, meta={"labels": {**BACKUP_LABELS, HUB_LABEL: "demo"}})
        estate.put(CONFIG_MAP, "demo-people", data={})
        estate.ask("one")
        assert (await estate.finish("one"))["phase"] == "Completed"
        assert told(estate)[0] == "Stopped" and estate.snapshots() == ["demo-people", "one-i0"]
        assert estate.left() == ["demo-people"], "a label on a snapshot takes no ConfigMap of its name away"

    asyncio.run(main())


def test_who_takes_snapshots_away_holds_up_nobody() -> None:
    async def main() -> None:
        estate = Cloud(ready=False)
        estate.hub(users=("ada",))
        estate.ask("one")
        for _ in range(60):
            await estate.look()
            estate.kube.objects.pop((VOLUME_SNAPSHOT.plural, "ns", "one-i0"), None)
            estate.kubernetes()
            estate.now += 5
        assert estate.ended("one") and told(estate)[0] == "Stopped"
        assert estate.kube.writes.count("create volumesnapshots/one-i0") == 1

    asyncio.run(main())


def test_what_a_killed_run_left_goes_with_the_next_start() -> None:
    """The operator ends while a snapshot waits; the HubBackup is given up meanwhile. No Job is there to be found."""

    async def main() -> None:
        estate = Cloud(ready=False)
        estate.hub(users=("ada",))
        estate.ask("one")
        await estate.until(lambda: bool(estate.snapshots()))
        assert not [key for key in estate.kube.objects if key[0] == JOB.plural], "nobody waits in a pod"
        estate.restart()
        run_ = estate.kube.objects[HUB_BACKUP.plural, "ns", "one"]
        run_["status"] = {"phase": "Failed", "started": estate.stamp()}
        for _ in range(3):
            await estate.look()
        assert (estate.snapshots(), estate.claims(), estate.left()) == ([], ALWAYS, [])
        writes = len(estate.kube.writes)
        listed: list[str] = []
        items = estate.kube.items

        async def counted(resource: Resource, namespace: str | None = None, **more: Any) -> list[Object]:
            listed.append(resource.plural)
            return await items(resource, namespace, **more)

        estate.kube.items = counted  # type: ignore[method-assign]
        await estate.look()
        assert VOLUME_SNAPSHOT.plural not in listed and len(estate.kube.writes) == writes, "at rest nothing is asked"

    asyncio.run(main())


def test_killed_after_every_write_nothing_is_left_and_all_is_saved() -> None:
    async def main() -> None:
        for kills in range(1, 45):
            estate = Cloud()
            estate.hub(users=("ada",))
            estate.ask("one")
            await estate.survive("one", kills)
            for _ in range(3):
                await estate.look()
                estate.collect()
            ended = estate.status("one")
            assert (ended["phase"], ended["snapshots"], ended["job"]) == ("Completed", 4, ""), (kills, ended)
            assert told(estate)[0] == "Snapshot", kills
            assert (estate.claims(), estate.snapshots(), estate.left()) == (ALWAYS, [], []), kills

    asyncio.run(main())
