"""The loop of a hub's people, on an API server and a hub in memory."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import Any, cast

import pytest

from pdshub import hub_api, tenant
from pdshub.hub_api import HubError
from pdshub.installation import Installation
from pdshub.kube import CLAIM, CONFIG_MAP, EVENT, NAMESPACE, PDSHUB, POD, ROLE_BINDING, SECRET, Kube, KubeError, Object
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub import reconcile as hubs
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.people import reconcile as people
from pdshub.reconcile.hub.people.context import PeopleContext
from pdshub.reconcile.hub.people.document import read
from pdshub.render.keys import TOKEN_KEY
from tests.unit.reconcile.fakes import FakeKube
from tests.unit.reconcile.hub.people.fake_hub import FakeHub, Person, busy
from tests.unit.waiting import eventually

STEPS = ["servers", "tokens", "groups", "shares", "stopping", "record", "done"]
"""Of a removal of somebody who has everything."""
FROM = {"from": [{"configMap": {"name": "staff", "key": "list"}}]}


class House:
    """A namespace with a hub that runs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, users: dict[str, Any], **persons: Person) -> None:
        self.kube, self.hub = FakeKube(), FakeHub(**persons)
        monkeypatch.setattr(hub_api, "connect", self.hub.connect)
        self.kube.put(NAMESPACE, {"metadata": {"name": "ns"}})
        self.kube.put(ROLE_BINDING, tenant.binding("ns"))
        token = base64.b64encode(b"a token").decode()
        self.kube.put(SECRET, {"metadata": {"name": "demo-keys", "namespace": "ns"}, "data": {TOKEN_KEY: token}})
        self.kube.put(POD, {"metadata": {"name": "hub-1", "namespace": "ns", "labels": {"component": "hub"}}})
        self.users(users)
        self.restart()

    def restart(self) -> None:
        """The operator begins anew, without memory."""
        made = HubContext(
            cast(Kube, self.kube), cast(Any, None), Installation(), BundledChart("", "", ""), "system", cast(Any, None)
        )
        self.context = PeopleContext(made)

    def users(self, users: dict[str, Any], **more: Any) -> None:
        meta = {"name": "demo", "namespace": "ns", "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"}
        old = self.kube.objects.get(("pdshubs", "ns", "demo"), {"metadata": {}})
        written = {"manager": "kubectl-edit", "time": "2026-03-01T00:00:00Z", "fieldsV1": {"f:spec": {"f:users": {}}}}
        meta |= {"managedFields": [written], **more}
        body = {**old, "metadata": {**old["metadata"], **meta}, "spec": {"signIn": {"development": {}}, "users": users}}
        self.kube.put(PDSHUB, body)

    def source(self, text: str | None) -> None:
        if text is None:
            self.kube.objects.pop(("configmaps", "ns", "staff"), None)
        else:
            self.kube.put(CONFIG_MAP, {"metadata": {"name": "staff", "namespace": "ns"}, "data": {"list": text}})

    async def look(self, *, heard: bool = True) -> float | None:
        """A look, after which the hub has heard of the list, and another."""
        first = await people.reconcile(self.context, "ns", "demo")
        if not heard or first is None:
            return first
        document = self.document
        self.hub.digest = document.digest if document else ""
        return await people.reconcile(self.context, "ns", "demo")

    async def settle(self) -> None:
        """Until everybody who is off the list is out."""
        await self.look()
        for _ in range(50):
            if self.condition("UsersEnforced")["status"] == "True":
                return
            removals = self.context.memory(("ns", "demo")).removals
            while removals.under_way:
                await asyncio.wait(set(removals._tasks.values()))
            await self.look()
        raise AssertionError(self.condition("UsersEnforced"))

    @property
    def document(self) -> Any:
        return read(self.kube.objects.get(("configmaps", "ns", "demo-people")))

    @property
    def allowed(self) -> set[str]:
        return set(self.document.people.allowed) if self.document else set()

    def condition(self, kind: str) -> dict[str, Any]:
        found = self.kube.objects[("pdshubs", "ns", "demo")]["status"]["conditions"]
        return next(c for c in found if c["type"] == kind)

    def audited(self) -> list[dict[str, Any]]:
        """What goes into the audit log."""
        return list(self.context.hubs.audit._queue)

    def events(self, reason: str) -> list[str]:
        found = [i for (plural, _, _), i in self.kube.objects.items() if plural == EVENT.plural]
        return [item["message"] for item in found if item["reason"] == reason]


def test_a_list_is_written_told_and_in_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        house = House(monkeypatch, {"allowed": ["Ada"], "admins": ["root"]}, ada=Person(), root=Person(admin=True))
        assert await house.look(heard=False) == people.WORKING
        assert house.condition("UsersEnforced")["reason"] == "Spreading" and house.allowed == {"ada", "root"}
        pod = house.kube.objects[("pods", "ns", "hub-1")]
        assert pod["metadata"]["annotations"]["pdshub.dev/people"] == house.document.digest
        assert await house.look() == people.SETTLED
        assert house.condition("UsersEnforced")["status"] == house.condition("UsersKnown")["status"] == "True"
        assert house.kube.objects[("pdshubs", "ns", "demo")]["status"]["users"] == 2
        (said,) = house.events("UsersChanged")
        assert "2 came" in said and "kubectl-edit (PDSHub demo)" in said and "audit log" in said
        writes = list(house.kube.writes)
        assert await house.look() == people.SETTLED and house.kube.writes == writes, "a settled list costs no write"

    asyncio.run(main())


def test_who_goes_off_the_list_is_taken_out_and_others_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        users = {"allowed": ["ada", "bela", "cleo", "dora"], "suspended": []}
        house = House(monkeypatch, users, ada=busy(), bela=busy(), cleo=busy(), dora=busy(), eve=busy())
        await house.settle()
        assert set(house.hub.people) == {"ada", "bela", "cleo", "dora"}, "who was never listed goes, too"
        house.users({"allowed": ["bela", "cleo", "dora"], "suspended": ["cleo"]})
        assert await house.look() == people.WORKING
        said = house.condition("UsersEnforced")
        assert said["reason"] == "Removing" and "ada" in said["message"] and "cleo" in said["message"]
        await house.settle()
        assert set(house.hub.people) == {"bela", "dora"} and house.document.people.suspended == {"cleo"}
        assert len(house.events("UserRemoved")) == 3 and "2 tokens; the home stays" in house.events("UserRemoved")[0]
        told = house.audited()
        assert {entry["user"] for entry in told} == {"ada", "cleo", "eve"} and {entry["hub"] for entry in told} == {
            "ns/demo"
        }
        for user in ("ada", "cleo", "eve"):
            mine = [entry for entry in told if entry["user"] == user]
            assert [entry["step"] for entry in mine] == STEPS, "each step once"
            assert (mine[-1]["servers"], mine[-1]["tokens"]) == (2, 2)
        assert len(house.hub.people["bela"].servers) == 2 and "stop bela " not in house.hub.calls
        house.users({"allowed": ["bela", "cleo", "dora"]})
        await house.settle()
        assert "cleo" in house.allowed

    asyncio.run(main())


BAD: list[tuple[str | None, str]] = [
    (None, "SourceMissing"),
    ("b\u00e9la\n", "NameRefused"),
    ("ada\n", "ShrunkTooMuch"),
    ("", "ShrunkTooMuch"),
]


@pytest.mark.parametrize(("text", "reason"), BAD)
def test_a_bad_source_lets_nobody_in_and_cuts_nobody_off(
    monkeypatch: pytest.MonkeyPatch, text: str | None, reason: str
) -> None:
    async def main() -> None:
        five = ["ada", "bela", "cleo", "dora", "eve"]
        house = House(monkeypatch, FROM, **{name: busy() for name in five})
        house.source("\n".join(five))
        await house.settle()
        house.source(text)
        house.users({**FROM, "allowed": ["mallory"]})
        await house.look()
        said = house.condition("UsersKnown")
        assert (said["status"], said["reason"]) == ("False", reason)
        assert house.allowed == set(five) == set(house.hub.people) and "mallory" not in house.allowed
        assert house.condition("UsersEnforced")["status"] == "True" and house.events(reason) == [said["message"]]
        house.source("\n".join(five))
        house.users(FROM)
        await house.settle()
        assert house.condition("UsersKnown")["status"] == "True" and house.allowed == set(five)

    asyncio.run(main())


def test_a_loss_that_a_human_approves_is_carried_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        house = House(monkeypatch, FROM, **{name: busy() for name in ("ada", "bela", "cleo")})
        house.source("ada\nbela\ncleo\n")
        await house.settle()
        house.source("ada\n")
        await house.look()
        said = house.condition("UsersKnown")["message"]
        digest = said.partition("approve-users=")[2].split(")")[0]
        house.users(FROM, annotations={"pdshub.dev/approve-users": "0123456789ab"})
        await house.look()
        assert house.allowed == {"ada", "bela", "cleo"}
        house.users(FROM, annotations={"pdshub.dev/approve-users": digest})
        await house.settle()
        assert house.allowed == {"ada"} == set(house.hub.people)

    asyncio.run(main())


def test_a_source_that_may_not_be_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        house = House(monkeypatch, FROM)
        house.source("ada\n")
        get = house.kube.get

        async def refusing(resource: Any, name: str, namespace: str | None = None) -> Object | None:
            if name == "staff":
                raise KubeError(403, "forbidden")
            return await get(resource, name, namespace)

        monkeypatch.setattr(house.kube, "get", refusing)
        await house.look()
        assert house.condition("UsersKnown")["reason"] == "SourceUnreadable" and house.document is None
        assert house.condition("UsersEnforced")["reason"] == "NoList"
        monkeypatch.setattr(house.kube, "get", get)
        await house.settle()
        assert house.allowed == {"ada"}

    asyncio.run(main())


def test_an_operator_that_was_killed_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the midst of a removal, and between the record and the pod that it left."""

    async def main() -> None:
        house = House(monkeypatch, {"allowed": ["ada", "bela"]}, ada=busy(), bela=busy())
        await house.settle()
        house.hub.slow = {"ada"}
        house.users({"allowed": ["bela"]})
        await house.look()
        await eventually("it is under way", lambda: "stop ada " in house.hub.calls)
        await house.context.close()
        assert "ada" in house.hub.people
        house.restart()
        house.hub.slow = set()
        await house.settle()
        assert set(house.hub.people) == {"bela"}
        pod = {"name": "jupyter-ada", "namespace": "ns", "labels": {"component": "singleuser-server"}}
        house.kube.put(POD, {"metadata": {**pod, "annotations": {"hub.jupyter.org/username": "ada"}}})
        belas = {**pod, "name": "jupyter-bela", "annotations": {"hub.jupyter.org/username": "bela"}}
        house.kube.put(POD, {"metadata": belas})
        house.restart()
        await house.look(heard=False)
        assert ("pods", "ns", "jupyter-ada") not in house.kube.objects
        assert house.condition("UsersEnforced")["reason"] == "Removing"
        await house.settle()
        assert ("pods", "ns", "jupyter-bela") in house.kube.objects

    asyncio.run(main())


def test_a_hub_that_is_away_delays_a_removal(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        house = House(monkeypatch, {"allowed": ["bela"]}, ada=busy(), bela=busy())
        house.hub.away = HubError("the hub does not answer")
        assert await house.look() == people.AWAY
        assert house.condition("UsersEnforced")["reason"] == "HubUnreachable" and house.allowed == {"bela"}
        house.hub.away = None
        await house.settle()
        assert set(house.hub.people) == {"bela"}
        house.hub.digest, house.hub.trouble = "", "it is no JSON"
        assert await people.reconcile(house.context, "ns", "demo") == people.AWAY
        assert "it is no JSON" in house.condition("UsersEnforced")["message"]

    asyncio.run(main())


def test_a_list_that_somebody_changes_or_deletes_is_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        house = House(monkeypatch, {"allowed": ["ada"]})
        await house.settle()
        held = house.kube.objects[("configmaps", "ns", "demo-people")]
        house.kube.put(CONFIG_MAP, {**held, "data": {"people.json": "{}"}})
        await house.settle()
        assert house.allowed == {"ada"}
        del house.kube.objects[("configmaps", "ns", "demo-people")]
        await house.settle()
        assert house.allowed == {"ada"}
        other = {"metadata": {"name": "demo-people", "namespace": "ns"}, "data": {"list": "x"}}
        house.kube.put(CONFIG_MAP, other)
        await house.look(heard=False)
        assert house.condition("UsersKnown")["reason"] == "NameTaken", "somebody else's is not overwritten"

    asyncio.run(main())


@pytest.mark.parametrize("how", ["deleted", "another hub", "not granted"])
def test_nothing_is_done_where_the_hub_is_not_the_namespaces(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    async def main() -> None:
        house = House(monkeypatch, {"allowed": ["ada"]}, eve=busy())
        if how == "deleted":
            house.users({"allowed": ["ada"]}, deletionTimestamp="2026-01-02T00:00:00Z")
        elif how == "another hub":
            meta = {"name": "older", "namespace": "ns", "creationTimestamp": "2025-01-01T00:00:00Z"}
            house.kube.put(PDSHUB, {"metadata": meta, "spec": {}})
        else:
            del house.kube.objects[("rolebindings", "ns", "pdshub-hub")]
        await people.reconcile(house.context, "ns", "demo")
        assert house.kube.writes == [] and house.hub.connected == 0

    asyncio.run(main())


def test_homes_are_recorded_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        house = House(monkeypatch, {"allowed": ["ada", "bela"], "suspended": ["cleo"]}, ada=busy(admin=False))
        labels = {"component": "singleuser-storage", "pdshub.dev/hub": "demo"}
        for name in ("ada", "zoe"):
            meta = {"name": f"claim-{name}", "namespace": "ns", "labels": labels}
            meta["annotations"] = {"hub.jupyter.org/username": name}
            spec = {"storageClassName": "fast", "volumeName": "pv", "resources": {"requests": {"storage": "10Gi"}}}
            house.kube.put(CLAIM, {"metadata": meta, "spec": spec, "status": {"phase": "Bound"}})
        await house.settle()
        claim = house.kube.objects[("persistentvolumeclaims", "ns", "claim-ada")]
        assert claim["metadata"]["annotations"]["pdshub.dev/home-of"] == "ada"
        assert house.condition("HomesKnown")["status"] == "True"
        packed = house.kube.objects[("configmaps", "ns", "demo-census")]["binaryData"]["census.json.gz"]
        census = json.loads(gzip.decompress(base64.b64decode(packed)))
        users = {user["name"]: user for user in census["users"]}
        assert {name: (u["listed"], u["suspended"], u["server"], u["home"]) for name, u in users.items()} == {
            "ada": (True, False, "running", "claim-ada"),
            "bela": (True, False, "stopped", None),
            "cleo": (True, True, "stopped", None),
        }
        found = {home["claim"]: (home["user"], home["orphan"], home["size"]) for home in census["homes"]}
        assert found == {"claim-ada": ("ada", False, "10Gi"), "claim-zoe": ("zoe", True, "10Gi")}
        assert users["ada"]["lastActivity"] == "2026-01-01T00:00:00Z" and users["bela"]["lastActivity"] is None

    asyncio.run(main())


def test_both_loops_write_the_status_and_neither_takes_the_others_part(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        house = House(monkeypatch, {"allowed": ["ada"]})
        before = (await house.kube.get(PDSHUB, "demo", "ns")) or {}
        await house.settle()
        seen = hubs.basics(before)
        await hubs.publish(house.context.hubs, before, hubs.unobserved(seen, "x", "2026-01-01T00:00:00Z"))
        for _ in range(2):
            kinds = [c["type"] for c in house.kube.objects[("pdshubs", "ns", "demo")]["status"]["conditions"]]
            assert kinds == ["Ready", "Reconciling", "UsersKnown", "UsersEnforced", "HomesKnown"]
            assert house.kube.objects[("pdshubs", "ns", "demo")]["status"]["users"] == 1
            writes = list(house.kube.writes)
            await house.look()
            assert house.kube.writes == writes

    asyncio.run(main())


def test_who_comes_by_a_group_is_the_hubs_to_say(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        house = House(
            monkeypatch, {"allowed": ["ada"], "suspended": ["gone"]}, member=busy(), other=busy(), gone=busy()
        )
        house.hub.admitted = {"member", "gone"}
        await house.settle()
        assert set(house.hub.people) == {"member"}, "suspended wins over groups"

    asyncio.run(main())
