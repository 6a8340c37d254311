"""reconcile() from end to end, over an API server and a Helm in memory."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from typing import Any, cast

import pytest

from pdshub.helm import Helm, HelmError
from pdshub.installation import Installation
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    NAMESPACE,
    PDSHUB,
    POD,
    SECRET,
    SERVICE,
    STORAGE_CLASS,
    VOLUME,
    Kube,
    KubeError,
    Resource,
)
from pdshub.reconcile.common.context import BundledChart
from pdshub.reconcile.hub import reconcile
from pdshub.reconcile.hub.act import protect
from pdshub.reconcile.hub.context import HubContext
from pdshub.reconcile.hub.release import decode
from pdshub.render.chart import ChartRef
from tests.unit.reconcile.fakes import FakeHelm, FakeKube, owned

SPEC: dict[str, Any] = {
    "signIn": {"development": {}},
    "users": {"allowed": ["ada"]},
    "archive": {
        "inline": {
            "sources": [{"name": "main", "nfs": {"server": "10.0.0.1", "export": "/pds"}}],
            "tree": [{"path": "pds4", "layers": [{"source": "main"}]}],
        }
    },
}


class Bench:
    """A hub on the fakes, and the moves of the world around it."""

    def __init__(self, spec: dict[str, Any] | None = None, name: str = "demo", kube: FakeKube | None = None) -> None:
        self.kube = kube or FakeKube()
        self.helm = FakeHelm(self.kube)
        settings = {"archive": {"allowedServers": ["10.0.0.0/8"]}}
        self.context = HubContext(
            cast(Kube, self.kube),
            cast(Helm, self.helm),
            Installation.model_validate(settings),
            BundledChart("/charts/airgap", "0.1.0", "abc"),
            "pdshub-system",
            cast(Any, None),
        )
        labels = {"pdshub.dev/environment": "development"}
        self.kube.put(NAMESPACE, {"metadata": {"name": "ns", "labels": labels}})
        self.kube.put(STORAGE_CLASS, {"metadata": {"name": "standard"}, "provisioner": "rancher.io/local-path"})
        self.generation = 0
        self.apply(spec or SPEC, name)

    def apply(self, spec: dict[str, Any], name: str = "demo", created: str = "2026-01-01T00:00:00Z") -> None:
        self.generation += 1
        old = self.kube.objects.get(("pdshubs", "ns", name), {"metadata": {}})
        meta = {
            **old["metadata"],
            "name": name,
            "namespace": "ns",
            "generation": self.generation,
            "creationTimestamp": created,
        }
        self.kube.put(PDSHUB, {**old, "metadata": meta, "spec": spec})

    def delete(self, name: str = "demo") -> None:
        self.kube.objects[("pdshubs", "ns", name)]["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"

    def run(self, name: str = "demo") -> float | None:
        return asyncio.run(reconcile.reconcile(self.context, "ns", name))

    def condition(self, kind: str, name: str = "demo") -> dict[str, Any]:
        status = self.kube.objects[("pdshubs", "ns", name)]["status"]
        return next((c for c in status["conditions"] if c["type"] == kind), {})

    def names(self, plural: str) -> set[str]:
        return {key[2] for key in self.kube.objects if key[0] == plural}


def test_one_look_installs_everything_and_the_next_does_nothing() -> None:
    bench = Bench()
    assert bench.run() == reconcile.UNSETTLED  # no node has reported yet
    assert bench.condition("Ready")["status"] == "True"
    assert bench.names("secrets") >= {"demo-keys", "demo-sign-in"}
    assert bench.names("persistentvolumes") == {"pdshub-ns-demo-archive", "pv-db"}
    assert bench.names("archiveviews") == {"ns-demo"}
    database = bench.kube.objects[("persistentvolumes", "", "pv-db")]
    assert database["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    bench.kube.writes.clear()
    bench.helm.runs.clear()
    for _ in range(3):
        bench.run()
    assert bench.kube.writes == [] and bench.helm.runs == []


def test_an_operator_that_starts_anew_changes_nothing() -> None:
    bench = Bench()
    bench.run()
    bench.kube.writes.clear()
    bench.context.hubs.clear()
    bench.run()
    assert bench.kube.writes == [] and bench.helm.runs == ["upgrade"]


def test_a_change_that_does_not_concern_the_release_runs_no_helm() -> None:
    bench = Bench()
    bench.run()
    bench.apply({**SPEC, "deletionPolicy": {"homes": "Retain"}})
    bench.run()
    assert bench.helm.runs == ["upgrade"]
    assert bench.kube.objects[("pdshubs", "ns", "demo")]["status"]["observedGeneration"] == 2


def test_a_changed_limit_is_one_more_revision() -> None:
    bench = Bench()
    bench.run()
    bench.apply({**SPEC, "server": {"resources": {"memory": {"limit": "1Gi"}}}})
    bench.run()
    assert bench.kube.objects[("pdshubs", "ns", "demo")]["status"]["revision"] == 2


def test_a_permanent_failure_is_tried_once_and_the_next_spec_anew() -> None:
    bench = Bench()
    bench.run()
    bench.helm.error = HelmError("ValuesRefused", "correct spec.values", permanent=True)
    bench.apply({**SPEC, "values": {"hub": {"nosuchkey": 1}}})
    for _ in range(3):
        bench.run()
    assert bench.helm.runs == ["upgrade", "upgrade"]
    assert bench.condition("Stalled")["status"] == bench.condition("Ready")["status"] == "True"
    bench.context.hubs.clear()  # nor does a restart of the operator try it again
    bench.run()
    assert bench.helm.runs == ["upgrade", "upgrade"]
    bench.helm.error = None
    bench.apply({**SPEC, "values": {"hub": {"concurrentSpawnLimit": 1}}})
    bench.run()
    assert bench.condition("Released")["status"] == "True"
    assert bench.kube.events().count("ValuesRefused") == 1


def test_a_passing_failure_is_tried_again_and_then_given_up() -> None:
    bench = Bench()
    bench.helm.error = HelmError("HelmFailed", "the network", permanent=False)
    for _ in range(10):
        bench.run()
        bench.context.memory("ns", "demo").retry_at = 0.0
    assert len(bench.helm.runs) == 5
    assert bench.condition("Stalled")["status"] == "True"


def test_a_killed_run_of_helm_is_mended_and_never_uninstalled() -> None:
    bench = Bench()
    bench.run()
    bench.helm.dies = True
    bench.apply({**SPEC, "users": {"allowed": ["ada", "bela"]}})
    with pytest.raises(RuntimeError):
        bench.run()
    bench.helm.dies = False
    bench.context.hubs.clear()
    bench.run()
    assert bench.helm.runs == ["upgrade"] * 3
    assert bench.condition("Released")["message"].startswith("revision 3")


def test_deletion_keeps_data_and_takes_the_rest() -> None:
    bench = Bench()
    bench.run()
    mine = {"pdshub.dev/hub": "demo"}
    server = {"name": "jupyter-ada", "namespace": "ns", "labels": {**mine, "component": "singleuser-server"}}
    home = {"name": "claim-ada", "namespace": "ns", "labels": {**mine, "component": "singleuser-storage"}}
    bench.kube.put(POD, {"metadata": server})
    bench.kube.put(CLAIM, {"metadata": home, "spec": {"volumeName": "pv-ada"}})
    bench.kube.put(VOLUME, {"metadata": {"name": "pv-ada"}, "spec": {"persistentVolumeReclaimPolicy": "Retain"}})
    bench.delete()
    assert bench.run() is None
    assert bench.names("pdshubs") == bench.names("pods") == bench.names("archiveviews") == set()
    assert bench.names("persistentvolumeclaims") == {"hub-db-dir", "claim-ada"}
    assert bench.names("persistentvolumes") == {"pv-db", "pv-ada"}
    assert bench.names("secrets") == {"demo-keys", "demo-sign-in"}
    before = bench.kube.objects[("secrets", "ns", "demo-keys")]["data"]
    bench.apply(SPEC)
    bench.run()
    assert bench.kube.objects[("secrets", "ns", "demo-keys")]["data"] == before


def test_deletion_of_data_where_the_policy_asks_for_it() -> None:
    bench = Bench({**SPEC, "deletionPolicy": {"homes": "Delete", "database": "Delete"}})
    bench.run()
    labels = {"pdshub.dev/hub": "other", "component": "singleuser-storage"}
    bench.kube.put(CLAIM, {"metadata": {"name": "claim-x", "namespace": "ns", "labels": labels}, "spec": {}})
    bench.delete()
    bench.run()
    assert bench.names("persistentvolumeclaims") == {"claim-x"}
    assert bench.names("secrets") == set()
    database = bench.kube.objects[("persistentvolumes", "", "pv-db")]
    assert database["spec"]["persistentVolumeReclaimPolicy"] == "Delete"


def test_a_second_hub_waits_and_its_deletion_harms_nothing() -> None:
    bench = Bench()
    bench.run()
    bench.apply(SPEC, "second", "2026-01-02T00:00:00Z")
    bench.run("second")
    assert bench.condition("Stalled", "second")["reason"] == "AnotherHub"
    before = {key for key in bench.kube.objects if key[0] not in ("pdshubs", "events")}
    del bench.kube.objects[("pdshubs", "ns", "second")]
    assert bench.run("second") is None
    assert {key for key in bench.kube.objects if key[0] not in ("pdshubs", "events")} == before
    assert bench.helm.runs == ["upgrade"]


def test_development_sign_in_elsewhere_installs_nothing() -> None:
    bench = Bench()
    bench.kube.put(NAMESPACE, {"metadata": {"name": "ns", "labels": {}}})
    bench.run()
    assert bench.condition("SignInReady")["status"] == "False"
    assert bench.helm.runs == [] and bench.names("secrets") == set()


def test_suspended_nothing_but_the_status_is_written() -> None:
    bench = Bench()
    bench.run()
    bench.apply({**SPEC, "suspend": True, "values": {"debug": {"enabled": True}}})
    bench.kube.writes.clear()
    bench.run()
    bench.run()
    assert bench.helm.runs == ["upgrade"]
    assert set(bench.kube.writes) == {"patch status pdshubs/demo"}
    assert bench.condition("Suspended")["status"] == "True"


def test_the_views_health_is_mirrored_and_shown_on_the_hubs_pages() -> None:
    bench = Bench()
    bench.run()
    view = bench.kube.objects[("archiveviews", "", "ns-demo")]
    said = {"type": "Ready", "status": "False", "reason": "SourceUnreachable", "message": "source main is away"}
    bench.kube.put(ARCHIVE_VIEW, {**view, "status": {"observedGeneration": 1, "conditions": [said]}})
    pod = {"name": "hub-1", "namespace": "ns", "labels": {"component": "hub"}}
    bench.kube.put(POD, {"metadata": pod})
    bench.run()
    assert bench.condition("ArchiveReady")["message"] == "source main is away"
    assert bench.condition("Ready")["status"] == "True"
    notice = bench.kube.objects[("configmaps", "ns", "demo-notice")]
    assert "source main is away" in notice["data"]["notice.json"]
    assert "pdshub.dev/notice" in bench.kube.objects[("pods", "ns", "hub-1")]["metadata"]["annotations"]


def test_a_pin_of_the_hubs_own_view_stays() -> None:
    bench = Bench()
    bench.run()
    view = bench.kube.objects[("archiveviews", "", "ns-demo")]
    view["spec"] |= {"pin": "a" * 12, "approved": "b" * 12}
    bench.kube.writes.clear()
    bench.run()
    assert bench.kube.writes == []
    inline = {**SPEC["archive"]["inline"], "release": "approve"}
    bench.apply({**SPEC, "archive": {"inline": inline}})
    bench.run()
    spec = bench.kube.objects[("archiveviews", "", "ns-demo")]["spec"]
    assert (spec["release"], spec["pin"], spec["approved"]) == ("approve", "a" * 12, "b" * 12)


def test_a_new_generation_reaches_servers_without_a_revision() -> None:
    bench = Bench()
    bench.run()
    view = bench.kube.objects[("archiveviews", "", "ns-demo")]
    pod = {"name": "hub-1", "namespace": "ns", "labels": {"component": "hub"}}
    bench.kube.put(POD, {"metadata": pod})
    told = set()
    for name in ("sha256:" + "a" * 64, "sha256:" + "b" * 64):
        bench.kube.put(ARCHIVE_VIEW, {**view, "status": {"generation": {"name": name}}})
        bench.run()
        notice = bench.kube.objects[("configmaps", "ns", "demo-notice")]
        assert json.loads(notice["data"]["notice.json"]) == {"message": "", "generation": name}
        told.add(bench.kube.objects[("pods", "ns", "hub-1")]["metadata"]["annotations"]["pdshub.dev/notice"])
    assert len(told) == 2 and bench.helm.runs == ["upgrade"]
    bench.kube.put(ARCHIVE_VIEW, {**view, "status": {"generation": {"name": "../../etc"}}})
    bench.run()
    notice = bench.kube.objects[("configmaps", "ns", "demo-notice")]
    assert json.loads(notice["data"]["notice.json"]) == {"message": ""}


def test_a_missing_secret_stops_before_the_running_hub_is_touched() -> None:
    bench = Bench()
    bench.run()
    google = {"google": {"clientId": "x", "clientSecretRef": {"name": "oauth", "key": "k"}}}
    bench.apply({**SPEC, "signIn": google})
    bench.run()
    assert bench.condition("SignInReady")["reason"] == "SecretMissing"
    assert bench.helm.runs == ["upgrade"] and bench.condition("Ready")["status"] == "True"
    bench.kube.put(SECRET, {"metadata": {"name": "oauth", "namespace": "ns"}, "stringData": {"k": "v"}})
    bench.run()
    assert bench.helm.runs == ["upgrade", "upgrade"]


def test_an_airgap_chart_of_another_version_is_refused_and_harms_nothing() -> None:
    bench = Bench({**SPEC, "chart": {"source": "Airgap", "version": "0.1.0"}})
    bench.run()
    bench.apply({**SPEC, "chart": {"source": "Airgap", "version": "99.0.0"}})
    bench.run()
    assert bench.helm.runs == ["upgrade"] and bench.condition("Ready")["status"] == "True"
    for kind in ("Released", "Stalled"):
        assert all(word in bench.condition(kind)["message"] for word in ("99.0.0", "spec.chart.version"))


def test_a_spec_that_only_the_operator_refuses_names_the_field() -> None:
    bench = Bench({**SPEC, "server": {"resources": {"memory": {"limit": "1Gi", "guarantee": "2Gi"}}}})
    bench.run()
    assert "spec.server.resources.memory" in bench.condition("Stalled")["message"]


def test_a_template_in_values_is_refused_and_never_reaches_helm() -> None:
    bench = Bench({**SPEC, "values": {"hub": {"args": ["{{ (lookup `v1` `Secret` `kube-system` `x`).data }}"]}}})
    bench.run()
    assert bench.condition("Stalled")["reason"] == "ValuesRefused"
    assert "spec.values.hub.args" in bench.condition("Ready")["message"]
    assert bench.helm.runs == []


@pytest.mark.parametrize(
    ("kind", "name", "labels"),
    [
        (ARCHIVE_VIEW, "ns-demo", {}),
        (ARCHIVE_VIEW, "ns-demo", {"pdshub.dev/namespace": "other", "pdshub.dev/hub": "hub"}),
        (VOLUME, "pdshub-ns-demo-archive", {"pdshub.dev/namespace": "other", "pdshub.dev/hub": "hub"}),
        (CLAIM, "demo-archive", {}),
        (CLAIM, "demo-archive", {"pdshub.dev/namespace": "ns", "pdshub.dev/hub": "second", "pdshub.dev/view": "x"}),
    ],
    ids=["a data manager's view", "another hub's view", "another hub's volume", "a claim", "another hub's claim"],
)
@pytest.mark.parametrize("installed", [False, True])
def test_what_somebody_else_has_under_that_name_is_left_alone(
    kind: Resource, name: str, labels: dict[str, str], installed: bool
) -> None:
    bench = Bench()
    if installed:
        bench.run()
    where = "ns" if kind.namespaced else ""
    meta = {"name": name, "labels": labels, **({"namespace": where} if where else {})}
    theirs = {"metadata": meta, "spec": {"sources": "theirs"}, "kind": kind.kind}
    bench.kube.put(kind, theirs)
    bench.helm.runs.clear()
    bench.kube.writes.clear()
    bench.run()
    assert len(bench.kube.writes) <= 10, "no hot loop"
    said = bench.condition("Stalled")
    assert (said["status"], said["reason"]) == ("True", "NameTaken")
    assert name in said["message"] and "another name" in said["message"]
    assert bench.kube.objects[(kind.plural, where, name)]["spec"] == {"sources": "theirs"}
    assert bench.helm.runs == []
    assert bench.condition("Ready")["status"] == ("True" if installed else "False"), "what ran before goes on"


def junk(document: Any) -> str:
    """Something packed as Helm packs a release."""
    return base64.b64encode(base64.b64encode(gzip.compress(json.dumps(document).encode()))).decode()


BOMB = base64.b64encode(base64.b64encode(gzip.compress(b" " * (1 << 28)))).decode()
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
    bodies: list[dict[str, Any]] = []
    patch = bench.kube.patch

    async def finished_before(resource: Resource, name: str, body: dict[str, Any], *args: Any, **more: Any) -> Any:
        if resource is SECRET and not bodies:
            bench.helm._store("demo", "ns", 2, "deployed", chart, values)
        bodies.extend([body] if resource is SECRET else [])
        return await patch(resource, name, body, *args, **more)

    bench.kube.patch = finished_before  # type: ignore[method-assign]
    bench.run()
    assert len(bodies) == 1 and bodies[0]["metadata"]["resourceVersion"]
    assert decode(bench.kube.objects[("secrets", "ns", "sh.helm.release.v1.demo.v2")]).status == "deployed"


def restored(bench: Bench, claim: str, volume: dict[str, Any], labels: dict[str, str] | None) -> None:
    """A claim made by hand for a retained volume, as administrator.md says."""
    meta = {"name": claim, "namespace": "ns", **({"labels": labels} if labels is not None else {})}
    made = bench.kube.put(
        CLAIM, {"metadata": meta, "spec": {"volumeName": "pv-old"}, "status": {"phase": "Bound"}, "kind": "x"}
    )
    ref = {"namespace": "ns", "name": claim, "uid": made["metadata"]["uid"]}
    spec = {"persistentVolumeReclaimPolicy": "Retain", "claimRef": ref}
    bench.kube.put(VOLUME, {"metadata": {"name": "pv-old", **volume}, "spec": spec})


MARKED = {"labels": {"pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}}
PAGE = {"app": "jupyterhub", "component": "hub", "pdshub.dev/hub": "demo"}
RESTORED: list[tuple[str, dict[str, Any], dict[str, str] | None, bool]] = [
    ("labelled as the page says", {}, PAGE, True),
    ("labelled as a home", {}, {**PAGE, "component": "singleuser-storage"}, True),
    ("no label, but the volume is marked", MARKED, None, True),
    ("no mark at all", {}, None, False),
    ("another hub's label", MARKED, {**PAGE, "pdshub.dev/hub": "other"}, False),
    ("another namespace's label", MARKED, {**PAGE, "pdshub.dev/namespace": "other"}, False),
    ("the volume of another hub", {"labels": {**MARKED["labels"], "pdshub.dev/hub": "other"}}, PAGE, False),
    ("the volume of another namespace", {"labels": {**MARKED["labels"], "pdshub.dev/namespace": "x"}}, PAGE, False),
]


@pytest.mark.parametrize(("volume", "labels", "adopted"), [r[1:] for r in RESTORED], ids=[r[0] for r in RESTORED])
@pytest.mark.parametrize("refused_before", [False, True], ids=["at once", "after helm refused it"])
def test_a_database_that_is_brought_back_is_adopted(
    volume: dict[str, Any], labels: dict[str, str] | None, adopted: bool, refused_before: bool
) -> None:
    bench = Bench({**SPEC, "deletionPolicy": {"homes": "Delete"}})
    if refused_before:
        bench.helm.error = HelmError("NotOurs", "refused", permanent=True)
        bench.run()
        bench.helm.error = None
        bench.context.hubs.clear()
    restored(bench, "hub-db-dir", volume, labels)
    before = bench.kube.objects[("persistentvolumeclaims", "ns", "hub-db-dir")]["metadata"]["uid"]
    bench.run()
    claim = bench.kube.objects[("persistentvolumeclaims", "ns", "hub-db-dir")]
    assert claim["metadata"]["uid"] == before and claim["spec"]["volumeName"] == "pv-old"
    if adopted:
        assert bench.condition("Ready")["status"] == "True" and bench.helm.runs[-1:] == ["upgrade"]
    else:
        said = bench.condition("Stalled")
        assert (said["status"], said["reason"]) == ("True", "NotOurs")
        assert "hub-db-dir" in said["message"]
        words = said["message"].lower()
        assert not any(advice in words for advice in ("remove", "delete", "uninstall")), "it is the data"
        assert "managed-by" not in str(claim["metadata"])
    bench.delete()
    assert bench.run() is None
    assert "hub-db-dir" in bench.names("persistentvolumeclaims"), "a database is no home, whatever its labels"


def test_the_volume_of_a_database_carries_the_hubs_marks() -> None:
    bench = Bench()
    bench.run()
    labels = bench.kube.objects[("persistentvolumes", "", "pv-db")]["metadata"]["labels"]
    assert labels == {"pdshub.dev/hub": "demo", "pdshub.dev/namespace": "ns"}


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
        if resource is not SECRET:
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


def test_event_reasons_of_acts_are_those_that_the_manual_names() -> None:
    bench = Bench()
    bench.run()
    chart, values = ChartRef("Repository", "jupyterhub", None, "4.4.0", "x"), {"custom": {"pdshub": {"hub": "demo"}}}
    bench.helm._store("demo", "ns", 2, "pending-upgrade", chart, values)
    bench.run()
    assert {"Install", "Upgrade", "Unlock"} <= set(bench.kube.events())
