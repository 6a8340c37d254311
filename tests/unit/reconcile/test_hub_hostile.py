"""reconcile() of a hub beside those who write what they should not, or refuse what it needs."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import Any, cast

import pytest

from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    PDSHUB,
    POD,
    SECRET,
    SERVICE,
    VOLUME,
    Kube,
    KubeError,
    Resource,
)
from pdshub.reconcile.hub import reconcile
from pdshub.reconcile.hub.act import protect
from pdshub.reconcile.hub.release import decode
from pdshub.render.chart import ChartRef
from tests.unit.reconcile.fakes import FakeKube, owned
from tests.unit.reconcile.hubs import SPEC, Bench


def junk(document: Any) -> str:
    """Something packed as Helm packs a release."""
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(document).encode()))).decode()


BOMB = base64.b64encode(base64.b64encode(gzip.compress(b" " * (1 << 25)))).decode()
PARTS = base64.b64encode(base64.b64encode(gzip.compress(b'{"a":[' + b"{}," * (1 << 20) + b"{}]}"))).decode()
NUMBERS = base64.b64encode(base64.b64encode(b'{"a":[' + b"1," * (1 << 20) + b"1]}")).decode()
UNREADABLE: list[tuple[str, dict[str, Any]]] = [
    ("no data", {}),
    ("no base64", {"release": "!!"}),
    ("no text", {"release": 7}),
    ("no gzip", {"release": base64.b64encode(base64.b64encode(b"\x1f\x8bnonsense")).decode()}),
    ("gzip cut short", {"release": base64.b64encode(base64.b64encode(gzip.compress(b"{}" * 99)[:-9])).decode()}),
    ("no json", {"release": base64.b64encode(base64.b64encode(gzip.compress(b"{"))).decode()}),
    ("no object", {"release": junk([1])}),
    ("a chart that is a list", {"release": junk({"chart": [1], "version": 2})}),
    ("a revision that is a list", {"release": junk({"version": [2]})}),
    ("a revision without end", {"release": junk({"version": float("inf")})}),
    ("values that are text", {"release": junk({"version": 2, "config": "x"})}),
    ("nested without end", {"release": base64.b64encode(base64.b64encode(b"[" * 200000)).decode()}),
    ("a bomb", {"release": BOMB}),
    ("a bomb of small parts", {"release": PARTS}),
    ("a bomb of numbers", {"release": NUMBERS}),
]
"""What somebody who may write Secrets of the namespace can put where Helm keeps a release."""


def plant(bench: Bench, data: dict[str, Any], revision: int = 7) -> str:
    """Put a Secret where Helm would keep the newest revision."""
    name = f"sh.helm.release.v1.demo.v{revision}"
    labels = {"owner": "helm", "name": "demo", "version": str(revision), "status": "deployed"}
    bench.kube.put(SECRET, {"metadata": {"name": name, "namespace": "ns", "labels": labels}, "data": data})
    return name


@pytest.mark.parametrize("data", [u[1] for u in UNREADABLE], ids=[u[0] for u in UNREADABLE])
def test_an_unreadable_release_is_a_condition_and_no_exception(data: dict[str, Any]) -> None:
    bench = Bench()
    bench.run()
    name = plant(bench, data)
    bench.helm.runs.clear()
    bench.run()
    for kind in ("Stalled", "Released"):
        said = bench.condition(kind)
        assert said["reason"] == "ReleaseUnreadable" and name in said["message"] and "namespace ns" in said["message"]
    assert (bench.condition("Stalled")["status"], bench.condition("Released")["status"]) == ("True", "False")
    assert bench.condition("Ready")["status"] == "True", "what runs goes on"
    assert bench.helm.runs == []
    bench.kube.writes.clear()
    bench.run()
    assert bench.kube.writes == []


@pytest.mark.parametrize("alone", [False, True], ids=["an older revision is whole", "no revision is whole"])
@pytest.mark.parametrize("data", [u[1] for u in UNREADABLE], ids=[u[0] for u in UNREADABLE])
def test_an_unreadable_release_does_not_hold_up_deletion(data: dict[str, Any], alone: bool) -> None:
    bench = Bench()
    bench.run()
    for named in ({"name": "theirs"}, {"name": "kept", **owned("demo", "ns")}, {"name": "other", **owned("x", "ns")}):
        meta = {"namespace": "ns", **named}
        if named["name"] == "kept":
            meta["annotations"] = {**meta["annotations"], "helm.sh/resource-policy": "keep"}
        bench.kube.put(SERVICE, {"metadata": meta})
    if alone:
        bench.kube.objects.pop(("secrets", "ns", "sh.helm.release.v1.demo.v1"))
    plant(bench, data)
    bench.run()
    bench.context.hubs.clear()
    bench.delete()
    assert bench.run() is None
    assert bench.names("pdshubs") == bench.names("deployments") == set()
    assert bench.names("services") == {"theirs", "kept", "other"}
    assert bench.names("secrets") == {"demo-keys", "demo-sign-in"}
    assert bench.names("persistentvolumeclaims") == {"hub-db-dir"}, "data stays"


def test_a_junk_release_of_a_hub_that_was_never_installed_takes_nothing_along() -> None:
    bench = Bench({**SPEC, "signIn": {"google": {"clientId": "x", "clientSecretRef": {"name": "s", "key": "k"}}}})
    bench.run()
    bench.kube.put(SERVICE, {"metadata": {"name": "theirs", "namespace": "ns", **owned("demo", "ns")}})
    plant(bench, {"release": "!!"})
    bench.run()
    bench.delete()
    assert bench.run() is None
    assert bench.names("services") == {"theirs"} and bench.helm.runs == []


@pytest.mark.parametrize(
    "custom",
    [None, "x", {"pdshub": None}, {"pdshub": "x"}, {"pdshub": {"hub": "other"}}, {"pdshub": {"hub": None}}],
    ids=str,
)
def test_values_do_not_override_the_mark_of_ownership(custom: Any) -> None:
    bench = Bench({**SPEC, "values": {"custom": custom}})
    for _ in range(2):
        bench.run()
    assert bench.condition("Ready")["status"] == "True" and bench.condition("Stalled")["status"] == "False"
    assert bench.helm.runs == ["upgrade"]
    bench.delete()
    assert bench.run() is None
    assert bench.helm.runs == ["upgrade", "uninstall"]


def test_conditions_of_others_stay_in_the_status() -> None:
    bench = Bench()
    bench.run()
    hub = bench.kube.objects[("pdshubs", "ns", "demo")]
    theirs = {"type": "BackedUp", "status": "True", "reason": "Nightly", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    hub["status"]["conditions"].append(theirs)
    bench.apply({**SPEC, "archive": None, "suspend": True})
    bench.run()
    assert bench.condition("BackedUp")["reason"] == "Nightly"
    assert bench.condition("Suspended") and not bench.condition("ArchiveReady")
    bench.apply({**SPEC, "archive": None})
    bench.run()
    assert bench.condition("BackedUp")["lastTransitionTime"] == "2026-01-01T00:00:00Z"
    assert not bench.condition("Suspended"), "a condition of the operator's own that applies no longer goes"


def test_a_revision_that_somebody_finishes_meanwhile_is_not_unlocked() -> None:
    bench = Bench()
    bench.run()
    chart, values = ChartRef("Repository", "jupyterhub", None, "4.4.0", "x"), {"custom": {"pdshub": {"hub": "demo"}}}
    bench.helm._store("demo", "ns", 2, "pending-upgrade", chart, values)
    bench.kube.objects[("pdshubs", "ns", "demo")]["status"]["releasing"] = 2
    bodies: list[dict[str, Any]] = []
    patch = bench.kube.patch

    async def finished_before(resource: Resource, name: str, body: dict[str, Any], *args: Any, **more: Any) -> Any:
        if resource is SECRET and not bodies:
            bench.helm._store("demo", "ns", 2, "deployed", chart, values)
        bodies.extend([body] if resource is SECRET else [])
        return await patch(resource, name, body, *args, **more)

    bench.kube.patch = finished_before  # type: ignore[method-assign]
    bench.run()
    assert bodies[0]["metadata"]["resourceVersion"] and not any("data" in body for body in bodies[1:])
    after = decode(bench.kube.objects[("secrets", "ns", "sh.helm.release.v1.demo.v2")]).status
    assert after == "superseded", "helm went on from it: it was never marked as failed"


def test_a_claim_that_names_the_volume_of_another_changes_nothing_of_it() -> None:
    bench = Bench({**SPEC, "deletionPolicy": {"homes": "Delete"}})
    bench.run()
    ref = {"namespace": "victim", "name": "claim-ada", "uid": "u"}
    for name, policy in (("pv-kept", "Retain"), ("pv-scratch", "Delete")):
        spec = {"persistentVolumeReclaimPolicy": policy, "claimRef": ref}
        bench.kube.put(VOLUME, {"metadata": {"name": name}, "spec": spec})
        labels = {"pdshub.dev/hub": "demo", "component": "singleuser-storage"}
        meta = {"name": f"claim-{name}", "namespace": "ns", "labels": labels}
        bench.kube.put(CLAIM, {"metadata": meta, "spec": {"volumeName": name}})
    asyncio.run(protect.retain_all(cast(Kube, bench.kube), list(asyncio.run(bench.kube.items(CLAIM, "ns")))))
    bench.delete()
    assert bench.run() is None
    for name, policy in (("pv-kept", "Retain"), ("pv-scratch", "Delete")):
        volume = bench.kube.objects[("persistentvolumes", "", name)]
        assert volume["spec"]["persistentVolumeReclaimPolicy"] == policy


class Refusing(FakeKube):
    """Refuses what a test says, as an admission webhook or a missing right would."""

    def __init__(self) -> None:
        super().__init__()
        self.refused: set[str] = set()
        self.status = 403

    async def patch(self, resource: Resource, name: str, *args: Any, **more: Any) -> Any:
        if name in self.refused:
            raise KubeError(self.status, f"{name}: denied")
        return await super().patch(resource, name, *args, **more)

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Any:
        if f"get {resource.plural}/{name}" in self.refused:
            raise KubeError(self.status, f"{name}: denied")
        return await super().get(resource, name, namespace)


def homes(kube: FakeKube) -> list[dict[str, Any]]:
    """Three claims of homes, whose volumes would go with them."""
    found = []
    for user in ("ada", "bela", "cleo"):
        meta = {"name": f"claim-{user}", "namespace": "ns"}
        found.append(kube.put(CLAIM, {"metadata": meta, "spec": {"volumeName": f"pv-{user}"}}))
        kube.put(VOLUME, {"metadata": {"name": f"pv-{user}"}, "spec": {"persistentVolumeReclaimPolicy": "Delete"}})
    return found


@pytest.mark.parametrize("status", [403, 0], ids=["refused", "no answer"])
def test_a_claim_whose_policy_cannot_be_set_starves_no_other(status: int) -> None:
    kube = Refusing()
    kube.refused, kube.status = {"pv-ada"}, status
    errors = asyncio.run(protect.retain_all(cast(Kube, kube), homes(kube)))
    assert len(errors) == 1 and "claim-ada" in errors[0] and "denied" in errors[0]
    policies = {
        k[2]: v["spec"]["persistentVolumeReclaimPolicy"] for k, v in kube.objects.items() if k[0] == VOLUME.plural
    }
    assert policies == {"pv-ada": "Delete", "pv-bela": "Retain", "pv-cleo": "Retain"}


def test_a_home_whose_deletion_is_refused_holds_up_no_other() -> None:
    bench = Bench({**SPEC, "deletionPolicy": {"homes": "Delete"}}, kube=Refusing())
    bench.run()
    for claim in homes(bench.kube):
        claim["metadata"]["labels"] = {"pdshub.dev/hub": "demo", "component": "singleuser-storage"}
    cast(Refusing, bench.kube).refused = {"pv-ada"}
    bench.delete()
    assert bench.run() == reconcile.UNSETTLED
    assert {n for n in bench.names("persistentvolumeclaims") if n.startswith("claim-")} == {"claim-ada"}
    assert bench.names("archiveviews") == set()
    cast(Refusing, bench.kube).refused = set()
    assert bench.run() is None


def test_what_cannot_be_observed_is_a_condition() -> None:
    bench = Bench(kube=Refusing())
    bench.run()
    cast(Refusing, bench.kube).refused = {"get persistentvolumeclaims/hub-db-dir"}
    assert bench.run() == reconcile.UNSETTLED
    for kind in ("Ready", "Reconciling"):
        said = bench.condition(kind)
        assert said["reason"] == "ObservationFailed" and "hub-db-dir: denied" in said["message"]
    assert bench.condition("Ready")["status"] == "Unknown" and bench.condition("Released")["status"] == "True"
    bench.kube.writes.clear()
    bench.run()
    assert bench.kube.writes == []
    cast(Refusing, bench.kube).refused = set()
    bench.run()
    assert bench.condition("Ready")["status"] == "True"


def test_a_deletion_that_cannot_be_observed_says_so_and_goes_on_later() -> None:
    bench = Bench(kube=Refusing())
    bench.run()
    bench.delete()
    cast(Refusing, bench.kube).refused = {"get configmaps/demo-notice"}
    assert bench.run() == reconcile.UNSETTLED
    assert bench.condition("Ready")["reason"] == "ObservationFailed" and bench.helm.runs == ["upgrade"]
    cast(Refusing, bench.kube).refused = set()
    assert bench.run() is None


def test_an_api_server_that_does_not_answer_is_the_callers() -> None:
    bench = Bench(kube=Refusing())
    kube = cast(Refusing, bench.kube)
    kube.refused, kube.status = {"get persistentvolumeclaims/hub-db-dir"}, 0
    with pytest.raises(KubeError):
        bench.run()


@pytest.mark.parametrize(
    "odd",
    [
        {"status": {"conditions": [7]}},
        {"status": {"conditions": "x"}},
        {"status": {"observedGeneration": "x", "conditions": [{"type": "Ready"}]}},
    ],
    ids=["a number", "text", "half a condition"],
)
def test_an_odd_view_is_a_condition_and_no_exception(odd: dict[str, Any]) -> None:
    bench = Bench()
    bench.run()
    view = bench.kube.objects[("archiveviews", "", "ns-demo")]
    bench.kube.put(ARCHIVE_VIEW, {**view, **odd})
    bench.run()
    assert bench.condition("Ready")["reason"] in ("ObservationFailed", "Serving")


class Forgetful(FakeKube):
    """Says that it made what it never makes, and that what is there already is not."""

    async def create(self, resource: Resource, body: dict[str, Any]) -> bool:
        if resource is not SECRET or body["metadata"]["namespace"] != "ns":
            return await super().create(resource, body)
        self.writes.append(f"create secrets/{body['metadata']['name']}")
        return False


def test_the_same_step_twice_without_progress_stalls() -> None:
    bench = Bench(kube=Forgetful())
    bench.run()
    assert len(bench.kube.writes) <= 20 and bench.kube.writes.count("create secrets/demo-keys") == 1
    said = bench.condition("Stalled")
    assert (said["status"], said["reason"]) == ("True", "NoProgress")
    assert "Secret demo-keys" in said["message"] and "namespace ns" in said["message"]
    bench.kube.writes.clear()
    assert bench.run() == reconcile.UNSETTLED
    assert len(bench.kube.writes) <= 10


class Contended(FakeKube):
    """Somebody else is always quicker."""

    async def patch(self, resource: Resource, name: str, body: dict[str, Any], *args: Any, **more: Any) -> Any:
        if resource is PDSHUB and "finalizers" in body.get("metadata", {}):
            self.writes.append("patch finalizers")
            raise KubeError(409, "conflict")
        return await super().patch(resource, name, body, *args, **more)


def test_a_conflict_is_tried_again_a_few_times() -> None:
    bench = Bench(kube=Contended())
    assert bench.run() == reconcile.UNSETTLED
    assert bench.kube.writes.count("patch finalizers") == 4
    assert bench.condition("Ready")["reason"] == "Blocked"


class Sticky(FakeKube):
    """Says that it deleted what stays, as an object does that a webhook restores."""

    async def delete(self, resource: Resource, name: str, *args: Any, **more: Any) -> bool:
        if resource is not ARCHIVE_VIEW:
            return await super().delete(resource, name, *args, **more)
        self.writes.append(f"delete archiveviews/{name}")
        return True


def test_a_deletion_that_changes_nothing_stalls_with_the_objects_name() -> None:
    bench = Bench(kube=Sticky())
    bench.run()
    bench.delete()
    assert bench.run() == reconcile.UNSETTLED
    assert bench.kube.writes.count("delete archiveviews/ns-demo") == 1
    assert bench.condition("Stalled")["reason"] == "NoProgress"
    assert "view ns-demo" in bench.condition("Stalled")["message"]


def test_every_pod_of_a_hub_is_told_though_the_words_are_the_same() -> None:
    bench = Bench()
    bench.run()
    view = bench.kube.objects[("archiveviews", "", "ns-demo")]
    bench.kube.put(ARCHIVE_VIEW, {**view, "status": {"generation": {"name": "sha256:" + "a" * 64}}})
    for name in ("hub-1", "hub-2"):
        bench.kube.put(POD, {"metadata": {"name": name, "namespace": "ns", "labels": {"component": "hub"}}})
    bench.run()
    assert bench.condition("Stalled")["status"] == "False"
    for name in ("hub-1", "hub-2"):
        assert "pdshub.dev/notice" in bench.kube.objects[("pods", "ns", name)]["metadata"]["annotations"]


def test_event_reasons_of_acts_are_those_that_the_manual_names() -> None:
    bench = Bench()
    bench.run()
    chart, values = ChartRef("Repository", "jupyterhub", None, "4.4.0", "x"), {"custom": {"pdshub": {"hub": "demo"}}}
    bench.helm._store("demo", "ns", 2, "pending-upgrade", chart, values)
    bench.kube.objects[("pdshubs", "ns", "demo")]["status"]["releasing"] = 2
    bench.run()
    assert {"Install", "Upgrade", "Unlock"} <= set(bench.kube.events())
