"""The loop of backups from end to end, on an API server in memory: runs, restores, kills at every step, two hubs."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pdshub import hub_api, rfc3339
from pdshub.hub_api import HubError
from pdshub.kube import EVENT, HUB_BACKUP, PDSHUB, POD, SECRET, KubeError
from pdshub.render.keys import TOKEN_KEY
from tests.unit.reconcile.hub.backup.estate import Answer, Estate, Killed
from tests.unit.reconcile.hub.people.fake_hub import FakeHub, Person

ITEMS = ["home/ada", "home/bela", "database", "keys", "objects"]


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


def test_a_run_by_schedule_from_its_tick_to_its_end() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub()
        await estate.look()
        assert not [k for k in estate.kube.objects if k[0] == HUB_BACKUP.plural], "no tick has been"
        secret = estate.kube.objects[SECRET.plural, "ns", "demo-backup-key"]
        key = base64.b64decode(secret["data"]["key"]).decode()
        assert len(base64.b64decode(key)) == 32 and not secret["metadata"].get("ownerReferences"), "kept on deletion"
        estate.now = rfc3339.seconds("2026-03-01T02:30:00Z")
        ended = await estate.finish("demo-202603010230")
        assert (ended["phase"], ended["snapshots"]) == ("Completed", 5), ended
        assert estate.actions() == ["init", *ITEMS, "forget"]
        assert [item["how"] for item in ended["items"]] == ["Stopped", "Stopped", "SQLite", "", ""]
        assert estate.left() == [], "nothing stays of its Jobs"
        assert estate.condition("BackedUp")["status"] == estate.condition("KeyEscrowed")["status"] == "True"
        assert "BackupCompleted" in estate.kube.events()
        writes = list(estate.kube.writes)
        for _ in range(5):
            await estate.look()
        assert estate.kube.writes == writes, "a settled hub costs no write"
        made = estate.kube.objects[HUB_BACKUP.plural, "ns", "demo-202603010230"]["metadata"]
        assert made["ownerReferences"][0]["kind"] == "PDSHub"

    run(main)


def test_a_failed_item_does_not_stop_the_others_and_the_next_run_is_well() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub()

        def full(request: dict[str, Any]) -> Answer:
            if request.get("item") == "home/ada":
                return {"ok": False, "reason": "Full", "message": "no space left"}
            return estate.saves(request)

        estate.answers = full
        estate.ask("one")
        ended = await estate.finish("one")
        assert (ended["phase"], ended["snapshots"]) == ("PartiallyCompleted", 4)
        assert ended["items"][0]["message"] == "Full: no space left"
        await estate.look()
        said = estate.condition("BackedUp")
        assert (said["status"], said["reason"]) == ("False", "ItemsNotSaved") and "home/ada" in said["message"]
        assert estate.context.failures["ns", "demo"] == 1
        estate.answers = estate.saves
        estate.ask("two")
        assert (await estate.finish("two"))["phase"] == "Completed"
        await estate.look()
        assert estate.condition("BackedUp")["status"] == "True"

    run(main)


def test_killed_after_every_write_a_run_ends_all_the_same() -> None:
    """The operator is killed before its first write, before its second, and so on; a new one goes on from there."""

    async def main() -> None:
        for kills in range(1, 40):
            estate = Estate()
            estate.hub(users=("ada",))
            estate.ask("one")
            await estate.survive("one", kills)
            for _ in range(3):
                await estate.look()
            ended = estate.status("one")
            assert (ended["phase"], ended["snapshots"], ended["job"]) == ("Completed", 4, ""), (kills, ended)
            assert estate.left() == [], kills
            wanted = ["init", "home/ada", "database", "keys", "objects", "forget"]
            assert list(dict.fromkeys(estate.actions())) == wanted and len(estate.jobs) <= len(wanted) + 1, kills

    run(main)


def test_killed_all_the_time_a_run_still_ends() -> None:
    """With each operator there is progress: three writes, and it dies."""

    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        estate.ask("one")
        for _ in range(300):
            estate.dies_at = 3
            try:
                await estate.look()
            except Killed:
                estate.restart()
            estate.dies_at = -1
            estate.kubernetes()
            estate.collect()
            estate.now += 2
            if estate.ended("one"):
                break
        assert estate.status("one")["phase"] in ("Completed", "PartiallyCompleted"), estate.status("one")

    run(main)


@pytest.mark.parametrize("nothing_said", [1, 2, 3])
def test_what_is_interrupted_is_begun_anew_but_not_for_ever(nothing_said: int) -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        times = [0]

        def killed(request: dict[str, Any]) -> Answer:
            if request.get("item") == "home/ada":
                times[0] += 1
                if times[0] <= nothing_said:
                    return None
            return estate.saves(request)

        estate.answers = killed
        estate.ask("one")
        ended = await estate.finish("one")
        assert ended["phase"] == ("Completed" if nothing_said < 3 else "PartiallyCompleted")
        assert estate.actions().count("home/ada") == min(3, nothing_said + 1)
        assert ended["snapshots"] == (4 if nothing_said < 3 else 3) and estate.left() == []

    run(main)


def test_a_job_that_somebody_takes_away_is_made_again() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        estate.busy = {"one-i0"}
        estate.ask("one")
        await estate.until(lambda: estate.status("one").get("job") == "one-i0" and bool(estate.jobs))
        estate.kube.objects.pop(("jobs", "ns", "one-i0"))
        ended = await estate.finish("one")
        assert ended["phase"] == "Completed" and estate.left() == []

    run(main)


def test_a_job_that_is_refused_says_why() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",))
        create = estate.kube.create

        async def refuses(resource: Any, body: Any) -> bool:
            if resource.plural == "jobs":
                raise KubeError(403, "exceeded quota: pods")
            return await create(resource, body)

        estate.kube.create = refuses  # type: ignore[method-assign]
        estate.ask("one")
        ended = await estate.finish("one")
        assert ended["phase"] == "Failed" and "Refused: no Job is made: exceeded quota" in ended["message"]

    run(main)


def shared(name: str) -> dict[str, Any]:
    where = {"server": "nas.example.org", "path": "/backups/all"}
    return {"repository": {"nfs": where}, "schedule": "0 0 1 1 *", "history": 30}


def with_one_key(estate: Estate, namespace: str, users: tuple[str, ...]) -> None:
    """A hub at the repository of all, and with its key."""
    estate.hub(namespace, users, **shared(namespace))
    estate.put(SECRET, "demo-backup-key", namespace, data={"key": base64.b64encode(b"of all").decode()})
    estate.ask("one", namespace)


def test_two_hubs_with_one_repository_take_turns() -> None:
    async def main() -> None:
        estate = Estate()
        for namespace, users in (("a", tuple("abcdefgh")), ("b", ("x",))):
            with_one_key(estate, namespace, users)
        most = 0

        def watched() -> bool:
            nonlocal most
            running = [s["job"] for n in "ab" if (s := estate.status("one", n)).get("job")]
            most = max(most, len(running))
            return estate.ended("one", "a") and estate.ended("one", "b")

        await estate.until(watched, "a", "b")
        assert most == 1, "never two Jobs at a time"
        assert all(estate.status("one", n)["phase"] == "Completed" for n in "ab")
        hubs = [request["hub"] for request in estate.jobs]
        last = max(n for n, hub in enumerate(hubs) if hub == "b/demo")
        assert last < len(hubs) - 4, "the small one was through long before the large one"

    run(main)


def test_a_hub_that_is_gone_holds_up_nobody() -> None:
    async def main() -> None:
        estate = Estate()
        for namespace in ("a", "b"):
            with_one_key(estate, namespace, ("x",))
        estate.busy = {"init"}
        await estate.until(lambda: bool(estate.status("one", "a").get("job")), "a")
        await estate.look("b")
        assert not estate.status("one", "b").get("job")
        assert "HubBackup one of a/demo" in estate.status("one", "b")["message"]
        estate.kube.objects[PDSHUB.plural, "a", "demo"]["metadata"]["deletionTimestamp"] = "2026-03-01T00:00:00Z"
        assert await estate.look("a") is None
        assert (
            estate.status("one", "a")["phase"] == "Failed"
            and "is being deleted" in estate.status("one", "a")["message"]
        )
        estate.busy = set()
        assert (await estate.finish("one", "b"))["phase"] == "Completed"
        assert ("secrets", "a", "demo-backup-key") in estate.kube.objects, "the key outlives its hub"

    run(main)


def test_a_run_of_no_hub_waits_a_little_and_ends() -> None:
    async def main() -> None:
        estate = Estate()
        estate.ask("one")
        assert await estate.look() == pytest.approx(5.0) and estate.status("one") == {}
        estate.now += 120
        assert await estate.look() is None
        assert "there is no PDSHub demo" in estate.status("one")["message"]

    run(main)


def test_the_key_is_made_once_and_never_in_the_place_of_one_that_is_lost() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub()
        await estate.look()
        key = estate.kube.objects[SECRET.plural, "ns", "demo-backup-key"]["data"]["key"]
        estate.ask("one")
        await estate.finish("one")
        estate.restart()
        await estate.look()
        assert estate.kube.objects[SECRET.plural, "ns", "demo-backup-key"]["data"]["key"] == key
        kept = estate.kube.objects.pop((SECRET.plural, "ns", "demo-backup-key"))
        estate.ask("two")
        ended = await estate.finish("two")
        assert ended["phase"] == "Failed" and "KeyMissing" in ended["message"]
        await estate.look()
        assert estate.condition("BackedUp")["reason"] == "KeyMissing"
        assert (SECRET.plural, "ns", "demo-backup-key") not in estate.kube.objects
        estate.kube.put(SECRET, kept)
        estate.ask("three")
        assert (await estate.finish("three"))["phase"] == "Completed"

    run(main)


REFUSED = [
    ("http outside of development", {"repository": {"rest": {"url": "http://b.example.org/x"}}}, "PlainHttp"),
    (
        "a share that is not allowed",
        {"repository": {"nfs": {"server": "nas.example.org", "path": "/pds"}}},
        "NotAllowed",
    ),
    (
        "a share above what is allowed",
        {"repository": {"nfs": {"server": "nas.example.org", "path": "/"}}},
        "NotAllowed",
    ),
    ("another server", {"repository": {"nfs": {"server": "evil.example.org", "path": "/backups"}}}, "NotAllowed"),
    ("the metadata service", {"repository": {"rest": {"url": "https://169.254.169.254/x"}}}, "AddressClosed"),
    ("a claim that is not there", {"repository": {"claim": {"name": "none"}}}, "ClaimMissing"),
    ("a user's home", {"repository": {"claim": {"name": "claim-ada"}}}, "NotARepository"),
    ("the database", {"repository": {"claim": {"name": "hub-db-dir"}}}, "NotARepository"),
    ("no schedule", {"schedule": "61 * * * *"}, "InvalidSchedule"),
    ("a key that users' pods may hold", {"key": {"secretRef": {"name": "mine", "key": "k"}}}, "KeyNotGuarded"),
    ("a key that is not there", {"key": {"secretRef": {"name": "my-backup-key", "key": "k"}}}, "KeyMissing"),
    (
        "no keys of the repository",
        {"repository": {"s3": {"bucket": "bucket", "secretRef": "s3"}}},
        "SecretMissing",
    ),
]


@pytest.mark.parametrize(("spec", "reason"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED])
def test_what_is_refused_makes_no_job(spec: dict[str, Any], reason: str) -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(**spec)
        estate.kube.objects["namespaces", "", "ns"]["metadata"]["labels"].pop("pdshub.dev/environment")
        estate.ask("one")
        ended = await estate.finish("one")
        assert ended["phase"] == "Failed" and ended["message"].startswith(f"{reason}: "), ended
        await estate.look()
        assert estate.condition("BackedUp")["reason"] == reason and estate.jobs == []

    run(main)


def test_an_nfs_share_becomes_a_volume_and_a_claim_of_their_own() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=("ada",), **shared("ns"))
        await estate.look()
        volumes = {k: v for k, v in estate.kube.objects.items() if k[0] == "persistentvolumes"}
        ((_, _, name), volume) = next(iter(volumes.items()))
        assert volume["spec"]["nfs"] == {"server": "nas.example.org", "path": "/backups/all"}
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
        claims = [v for k, v in estate.kube.objects.items() if k[0] == "persistentvolumeclaims"]
        (bound,) = [c for c in claims if c["spec"].get("volumeName") == name]
        assert volume["spec"]["claimRef"]["name"] == bound["metadata"]["name"]
        estate.ask("one")
        assert (await estate.finish("one"))["phase"] == "Completed"

    run(main)


# --- restores


def test_a_file_comes_back_beside_while_a_backup_runs() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub()
        estate.busy = {"one-i0"}
        estate.ask("one")
        await estate.until(lambda: estate.status("one").get("job") == "one-i0")
        estate.ask_back(path="x.ipynb")
        ended = await estate.finish("back")
        assert (ended["phase"], ended["place"], ended["files"]) == ("Completed", "restored-2026-03-01", 3)
        request = next(r for r in estate.jobs if r["action"] == "restore")
        assert (request["path"], request["snapshot"], request["inPlace"]) == ("x.ipynb", "latest", False)
        assert estate.status("one")["job"] == "one-i0", "the backup went on"
        estate.busy = set()
        assert (await estate.finish("one"))["phase"] == "Completed"

    run(main)


def server(estate: Estate) -> None:
    volume = {"name": "volume", "persistentVolumeClaim": {"claimName": "claim-ada"}}
    labels = {"component": "singleuser-server", "pdshub.dev/hub": "demo"}
    estate.put(POD, "jupyter-ada", meta={"labels": labels}, spec={"nodeName": "n1", "volumes": [volume]})


@pytest.mark.parametrize("ends", [True, False])
def test_a_restore_in_place_waits_until_the_server_has_ended(ends: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        hub = FakeHub(ada=Person(servers={"": "ready"}))
        hub.slow = {"ada"}
        monkeypatch.setattr(hub_api, "connect", hub.connect)
        estate = Estate()
        estate.hub()
        token = base64.b64encode(b"a token").decode()
        estate.put(SECRET, "demo-keys", data={TOKEN_KEY: token})
        server(estate)
        estate.ask_back(in_place=True, warn_seconds=0)
        for _ in range(20):
            await estate.look()
            estate.now += 2
        assert "stop ada " in hub.calls and estate.jobs == [] and not estate.ended("back")
        assert "is stopping" in estate.status("back")["message"]
        if ends:
            hub.slow, hub.people["ada"].servers = set(), {}
            estate.kube.objects.pop((POD.plural, "ns", "jupyter-ada"))
            assert (await estate.finish("back"))["phase"] == "Completed"
            assert estate.jobs[-1]["inPlace"] is True
            return
        estate.now += 300
        ended = await estate.finish("back")
        assert ended["phase"] == "Failed" and ended["message"].startswith("NotStopped") and estate.jobs == []

    run(main)


@pytest.mark.parametrize("runs", [True, False])
def test_a_hub_that_is_away_starts_no_servers(runs: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        hub = FakeHub()
        hub.away = HubError("the hub does not answer")
        monkeypatch.setattr(hub_api, "connect", hub.connect)
        estate = Estate()
        estate.hub()
        estate.put(SECRET, "demo-keys", data={TOKEN_KEY: base64.b64encode(b"t").decode()})
        if runs:
            server(estate)
        estate.ask_back(in_place=True)
        ended = await estate.finish("back")
        assert ended["phase"] == ("Failed" if runs else "Completed")

    run(main)


def test_events_are_about_the_run_and_about_the_hub() -> None:
    async def main() -> None:
        estate = Estate()
        estate.hub(users=())
        estate.ask("one")
        await estate.finish("one")
        about = {
            item["involvedObject"]["kind"]
            for (plural, _, _), item in estate.kube.objects.items()
            if plural == EVENT.plural and item["reason"] == "BackupCompleted"
        }
        assert about == {"HubBackup", "PDSHub"}

    run(main)
