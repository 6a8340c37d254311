"""Recoveries from end to end, on an API server and a Helm in memory: what comes back, in which order, and kills."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pdshub.kube import CLAIM, CONFIG_MAP, HUB_BACKUP, JOB, NETWORK_POLICY, PDSHUB, POD, SECRET
from pdshub.render.keys import COOKIE_KEY, CRYPT_KEY, TOKEN_KEY
from pdshub.wellknown import HOME_OF, RECOVER_AGAIN, RECOVERED, RECOVERING
from tests.unit.reconcile.hub.backup.estate import Answer, Killed
from tests.unit.reconcile.hub.recovery.site import HOMES, Site, digest

ORDER = ["plan", "database", "keys", "home/ada", "home/bela@example.org"]


def run(body: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(body())  # type: ignore[arg-type]


def done(site: Site) -> list[str]:
    return [job.get("item") or job["action"] for job in site.jobs]


def test_a_hub_from_nothing_but_its_repository() -> None:
    async def main() -> None:
        site = Site()
        for _ in range(3):
            await site.look()
        assert not site.installed() and site.secret() == {}, "nothing new is made before what was saved is back"
        assert site.condition("Released")["reason"] == "Recovering"
        said = await site.back()
        assert done(site)[:5] == ORDER
        assert (said["items"], said["done"], said["asOf"]) == (4, 4, "2026-02-28T02:31:00Z"), said
        assert {row["item"]: row["snapshot"] for row in said["snapshots"]} == {
            item: digest(item) for item in ("database", "keys", "objects")
        }
        keys = site.secret()
        assert (keys[COOKIE_KEY], keys[CRYPT_KEY]) == ("c00c1e", "c4497") and len(keys[TOKEN_KEY]) == 64
        assert site.installed() and site.marked() == [] and site.left_of_jobs() == []
        assert site.condition("Recovered")["status"] == "True" and site.condition("Ready")["status"] == "True"
        for user, name in HOMES.items():
            claim = site.claim(name)
            assert claim and claim["metadata"]["annotations"][HOME_OF] == user
            assert claim["spec"]["resources"]["requests"]["storage"] == "10Gi"
        assert {"RecoveryStarted", "RecoveryCompleted"} <= set(site.kube.events())
        note = site.kube.objects[SECRET.plural, "ns", "demo-keys"]["metadata"]["annotations"][RECOVERED]
        assert note == "Completed" and site.told, "who waits for it is told"
        writes = list(site.kube.writes)
        site.jobs.clear()
        for _ in range(4):
            await site.look()
        assert [w for w in site.kube.writes[len(writes) :] if "recovery" in w] == [] and site.jobs == []

    run(main)


def test_claims_are_there_and_marked_before_the_hub_is() -> None:
    async def main() -> None:
        site = Site()
        site.busy = {"recover"}
        await site.until(lambda: bool(site.marked()))
        assert sorted(site.marked()) == ["claim-ada", "claim-bela-40example-2eorg", "hub-db-dir"]
        assert not site.installed() and site.secret() == {}
        database = site.claim("hub-db-dir")
        assert database and database["metadata"]["annotations"]["meta.helm.sh/release-name"] == "demo"
        site.busy = {f"demo-back-i{n}-1" for n in (3, 4)}
        await site.until(site.installed)
        assert sorted(site.marked()) == ["claim-ada", "claim-bela-40example-2eorg"] and site.phase() == "Homes"
        assert site.told_by_status()["waiting"] == sorted(HOMES)
        site.busy = {"demo-back-i4-1"}
        await site.until(lambda: site.marked() == ["claim-bela-40example-2eorg"])
        assert site.phase() == "Homes", "the one is back, the other waits"

    run(main)


def test_nothing_is_saved_before_all_of_it_is_back() -> None:
    async def main() -> None:
        site = Site()
        site.now += 86400  # a tick has been
        site.busy = {"recover"}
        site.ask("by-hand")
        for _ in range(20):
            await site.look()
            site.kubernetes()
            site.now += 2
        assert not any(job["action"] in ("init", "backup") for job in site.jobs)
        assert site.condition("BackedUp")["reason"] == "Recovering"
        site.busy = set()
        await site.back()
        await site.until(lambda: site.ended("by-hand"))
        assert site.status("by-hand")["phase"] == "Completed"
        assert [key for key in site.kube.objects if key[0] == HUB_BACKUP.plural]

    run(main)


def test_jobs_have_walls_and_names_of_their_own() -> None:
    async def main() -> None:
        site = Site({"repository": {"s3": {"bucket": "abc", "secretRef": "s3"}}, "hub": "else/other"})
        site.put(SECRET, "s3", data={})
        site.busy = {"plan"}
        await site.until(lambda: any(key[0] == JOB.plural for key in site.kube.objects))
        (job,) = [item for key, item in site.kube.objects.items() if key[0] == JOB.plural]
        assert job["metadata"]["labels"]["component"] == "recovery"
        assert job["spec"]["template"]["metadata"]["labels"]["component"] == "recovery"
        policy = site.kube.objects[NETWORK_POLICY.plural, "ns", "demo-network-recovery"]
        assert policy["spec"]["podSelector"]["matchLabels"] == {"component": "recovery"}
        assert policy["spec"]["egress"][0]["ports"] == [{"port": 443, "protocol": "TCP"}]
        await site.look()
        site.kubernetes()
        (asked,) = site.jobs
        assert asked["hub"] == "else/other" and asked["location"].endswith("/abc/else/other")

    run(main)


def test_the_names_of_keys_are_those_of_the_hub_that_was_saved() -> None:
    async def main() -> None:
        site = Site({"repository": {"claim": {"name": "vault"}}, "hub": "else/other"})
        site.keys = {f"other-keys/{COOKIE_KEY}": "aa", f"other-keys/{CRYPT_KEY}": "bb", "other-sign-in/password": "pw"}
        await site.back()
        assert site.secret()[COOKIE_KEY] == "aa" and site.secret("demo-sign-in") == {"password": "pw"}

    run(main)


def test_no_key_is_in_what_anybody_may_read() -> None:
    async def main() -> None:
        site = Site()
        site.busy = {"recover"}
        await site.until(lambda: "database" in done(site))
        site.busy = {f"demo-back-i{n}-1" for n in (3, 4)}
        seen = ""
        while not site.secret():
            await site.look()
            site.kubernetes()
            seen += json.dumps([item for key, item in site.kube.objects.items() if key[0] != SECRET.plural])
        assert "sealed" in seen and "c00c1e" not in seen and "c4497" not in seen

    run(main)


@pytest.mark.parametrize("kills", range(0, 60))
def test_killed_at_any_write_it_goes_on(kills: int) -> None:
    async def main() -> None:
        site = Site()
        site.dies_at = kills
        for _ in range(160):
            try:
                await site.look()
            except Killed:
                site.dies_at = -1
                site.restart()
            site.kubernetes()
            site.collect()
            site.now += 2
            if site.phase() == "Completed":
                break
        site.dies_at = -1
        for _ in range(3):
            await site.look()
            site.collect()
        assert site.phase() == "Completed", (kills, site.told_by_status())
        assert site.secret()[COOKIE_KEY] == "c00c1e" and site.marked() == [] and site.left_of_jobs() == []
        assert list(dict.fromkeys(j for j in done(site) if j in ORDER)) == ORDER
        note = site.kube.objects[SECRET.plural, "ns", "demo-keys"]["metadata"]["annotations"][RECOVERED]
        assert note == "Completed"

    run(main)


def test_killed_all_the_time_it_still_ends() -> None:
    async def main() -> None:
        site = Site()
        for _ in range(400):
            site.dies_at = 12
            try:
                await site.look()
            except Killed:
                site.restart()
            site.dies_at = -1
            site.kubernetes()
            site.collect()
            site.now += 2
            if site.phase() == "Completed":
                break
        assert site.phase() == "Completed" and site.secret()[COOKIE_KEY] == "c00c1e"

    run(main)


# --- what is there already


@pytest.mark.parametrize("there", ["keys", "database", "release"])
def test_never_over_a_hub_that_is_there(there: str) -> None:
    async def main() -> None:
        site = Site()
        if there == "keys":
            site.put(SECRET, "demo-keys", data={"x": "eA=="})
        elif there == "database":
            site.put(CLAIM, "hub-db-dir", spec={})
        else:
            site.put(SECRET, "sh.helm.release.v1.demo.v1", meta={"labels": {"owner": "helm", "name": "demo"}}, data={})
        for _ in range(6):
            await site.look()
            site.kubernetes()
        assert site.jobs == []
        if there != "release":  # of a release that cannot be read the hub's own loop speaks
            assert site.phase() == "Refused" and site.condition("Recovered")["reason"] == "DataPresent"
            assert not site.installed() and "nothing is ever brought back over it" in site.told_by_status()["message"]

    run(main)


def test_a_home_that_is_there_stays_and_anothers_is_not_touched() -> None:
    async def main() -> None:
        site = Site()
        site.a_home("claim-ada", "ada")
        site.a_home("claim-bela-40example-2eorg", "mallory", hub="another")
        said = await site.back()
        assert not any(job.get("item", "").startswith("home/") for job in site.jobs if job.get("item"))
        assert said["phase"] == "PartiallyCompleted" and said["failed"][0]["item"] == "home/bela@example.org"
        assert "is another's" in said["failed"][0]["message"]

    run(main)


def test_a_pdshub_made_anew_over_a_hub_that_came_back_goes_on() -> None:
    async def main() -> None:
        site = Site()
        await site.back()
        fresh = Site()  # the manifest once more
        body = fresh.kube.objects[PDSHUB.plural, "ns", "demo"]
        del site.kube.objects[PDSHUB.plural, "ns", "demo"]
        del site.kube.objects[CONFIG_MAP.plural, "ns", "demo-recovery"]
        for key in [k for k in site.kube.objects if k[2].startswith("sh.helm.release")]:
            del site.kube.objects[key]
        site.put(PDSHUB, "demo", spec=body["spec"], meta={"generation": 1})
        site.restart()
        site.jobs.clear()
        await site.until(site.installed)
        assert site.phase() == "Completed" and site.secret()[COOKIE_KEY] == "c00c1e"
        assert not any(job["action"] in ("plan", "recover", "keys") for job in site.jobs)

    run(main)


def test_a_pdshub_that_is_made_anew_in_mid_recovery_goes_on_with_it() -> None:
    async def main() -> None:
        site = Site()
        site.busy = {f"demo-back-i{n}-1" for n in (3, 4)}
        await site.until(site.installed)
        spec = site.kube.objects[PDSHUB.plural, "ns", "demo"]["spec"]
        del site.kube.objects[PDSHUB.plural, "ns", "demo"]
        site.collect()
        for key in [k for k in site.kube.objects if k[2].startswith("sh.helm.release") or k[0] in (JOB.plural,)]:
            del site.kube.objects[key]
        site.collect()
        site.busy = set()
        site.put(PDSHUB, "demo", spec=spec, meta={"generation": 1})
        site.restart()
        said = await site.back()
        assert said["phase"] == "Completed" and site.marked() == [] and site.secret()[COOKIE_KEY] == "c00c1e"

    run(main)


# --- what goes wrong


TROUBLES: list[tuple[str, str, str]] = [
    ("plan", "Unreachable", "Unreachable"),
    ("plan", "WrongKey", "WrongKey"),
    ("plan", "NotFound", "NotFound"),
    ("database", "Damaged", "Damaged"),
    ("keys", "NotFound", "NotFound"),
]


@pytest.mark.parametrize(("what", "reason", "said"), TROUBLES)
def test_what_hinders_is_said_and_tried_again(what: str, reason: str, said: str) -> None:
    async def main() -> None:
        site = Site()

        def hinders(request: dict[str, Any]) -> Answer:
            if what in (request["action"], request.get("item")):
                return {"ok": False, "reason": reason, "message": "the words of it"}
            return site.recovers(request)

        site.answers = hinders
        await site.until(lambda: site.condition("Recovered").get("reason") == said)
        assert "the words of it" in site.condition("Recovered")["message"] and not site.installed()
        assert site.left_of_jobs() == []
        site.answers = site.recovers
        await site.back()
        assert site.secret()[COOKIE_KEY] == "c00c1e"

    run(main)


def test_a_home_that_is_damaged_holds_up_nobody_else_and_is_tried_again_when_asked() -> None:
    async def main() -> None:
        site = Site()

        def damaged(request: dict[str, Any]) -> Answer:
            if request.get("item") == "home/ada":
                return {"ok": False, "reason": "Damaged", "message": "a pack is gone"}
            return site.recovers(request)

        site.answers = damaged
        said = await site.back()
        assert said["phase"] == "PartiallyCompleted" and said["failed"] == [
            {"item": "home/ada", "message": "Damaged: a pack is gone"}
        ]
        assert site.marked() == ["claim-ada"], "ada does not begin with an empty home"
        assert site.condition("Recovered")["reason"] == "ItemsNotBack" and site.condition("Ready")["status"] == "True"
        site.ask("after")
        await site.until(lambda: site.ended("after"))
        rows = {item["item"]: item for item in site.status("after")["items"]}
        assert rows["home/ada"]["phase"] == "Failed" and "still to come" in rows["home/ada"]["message"]
        site.answers = site.recovers
        hub = site.kube.objects[PDSHUB.plural, "ns", "demo"]
        hub["metadata"].setdefault("annotations", {})[RECOVER_AGAIN] = "now"
        await site.until(lambda: site.phase() == "Completed")
        assert site.marked() == []

    run(main)


def test_who_takes_the_mark_away_has_the_home_as_it_is() -> None:
    async def main() -> None:
        site = Site()
        site.answers = lambda request: (
            None if request.get("item") == "home/ada" else site.recovers(request)
        )  # killed, again and again
        await site.until(lambda: site.marked() == ["claim-ada"] and site.installed())
        claim = site.claim("claim-ada")
        assert claim
        del claim["metadata"]["annotations"][RECOVERING]
        said = await site.back()
        assert said["phase"] == "Completed"

    run(main)


def test_what_is_interrupted_is_begun_anew() -> None:
    async def main() -> None:
        site = Site()
        times = [0]

        def killed(request: dict[str, Any]) -> Answer:
            if request["action"] == "plan":
                return site.recovers(request)
            times[0] += 1
            return None if times[0] % 2 else site.recovers(request)

        site.answers = killed
        said = await site.back()
        assert said["phase"] == "Completed" and site.secret()[COOKIE_KEY] == "c00c1e"

    run(main)


def test_nothing_goes_into_a_home_that_a_server_has() -> None:
    async def main() -> None:
        site = Site()
        site.busy = {f"demo-back-i{n}-1" for n in (3, 4)}
        site.put(
            POD, "jupyter-ada", meta={"labels": {"component": "singleuser-server"}},
            spec={"nodeName": "n1", "volumes": [{"persistentVolumeClaim": {"claimName": "claim-ada"}}]},
            status={"phase": "Running"},
        )  # fmt: skip
        await site.until(site.installed)
        for _ in range(5):
            await site.look()
            site.kubernetes()
        assert not any(job.get("item") == "home/ada" for job in site.jobs)
        site.busy = set()
        del site.kube.objects[POD.plural, "ns", "jupyter-ada"]
        await site.back()
        assert any(job.get("item") == "home/ada" for job in site.jobs)

    run(main)


def test_what_was_never_saved_is_said_and_begins_empty() -> None:
    async def main() -> None:
        site = Site()
        site.unsaved = {"keys", "home/ada"}
        said = await site.back()
        assert said["missing"] == ["keys", "home/ada"] and said["phase"] == "Completed"
        claim = site.claim("claim-ada")
        assert claim and RECOVERING not in claim["metadata"]["annotations"], "the database may know it by name"
        assert len(site.secret()[COOKIE_KEY]) == 64, "new keys: nobody is signed in"
        assert "the backup does not have keys, home/ada" in said["message"]

    run(main)


def test_many_homes_a_few_at_a_time() -> None:
    async def main() -> None:
        site = Site()
        site.plan |= {f"home/u{n:02}": f"claim-u{n:02}" for n in range(45)}
        most = 0
        for _ in range(200):
            await site.look()
            most = max(most, sum(1 for key in site.kube.objects if key[0] == JOB.plural))
            site.kubernetes()
            site.now += 2
            if site.phase() == "Completed":
                break
        said = site.told_by_status()
        assert said["done"] == 49 and most == 3 and done(site).count("plan") == 3

    run(main)


@pytest.mark.parametrize("claim", ["hub-db-dir", "vault", "claim-ada"])
def test_a_list_of_homes_takes_no_claim_that_is_somebody_elses(claim: str) -> None:
    """The list comes from the repository: whoever wrote it there wrote anything."""

    async def main() -> None:
        site = Site()
        site.plan["home/mallory"] = claim
        await site.back()
        made = [job for job in site.jobs if job.get("item") == "home/mallory"]
        found = site.record()
        assert found and found.row("home/mallory").claim == "claim-mallory" and made
        assert (site.claim("hub-db-dir") or {})["metadata"]["annotations"].get(HOME_OF) is None

    run(main)


def test_without_the_key_it_says_where_it_has_to_come_from() -> None:
    async def main() -> None:
        site = Site()
        del site.kube.objects[SECRET.plural, "ns", "demo-backup-key"]
        for _ in range(5):
            await site.look()
            site.kubernetes()
        assert site.condition("Recovered")["reason"] == "KeyMissing" and site.jobs == []
        assert (SECRET.plural, "ns", "demo-backup-key") not in site.kube.objects, "a new one would open nothing"

    run(main)
