"""reconcile() from end to end, over an API server and a Helm in memory."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdshub.helm import HelmError
from pdshub.kube import (
    ARCHIVE_VIEW,
    CLAIM,
    NAMESPACE,
    PDSHUB,
    POD,
    SECRET,
    VOLUME,
    Resource,
)
from pdshub.reconcile.hub import reconcile
from tests.unit.reconcile.hubs import SPEC, Bench


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
    bench.apply({**SPEC, "culling": {"idleSeconds": 7201}})
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
    bench.kube.put(NAMESPACE, {"metadata": {"name": "ns", "labels": {"pdshub.dev/hubs": "allowed"}}})
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


REFERS: dict[str, Any] = {**SPEC, "archive": {"viewRef": "sbn"}}
BARE: dict[str, Any] = {key: value for key, value in SPEC.items() if key != "archive"}
OWNED = ("archiveviews", "", "ns-demo")


@pytest.mark.parametrize("spec", [REFERS, BARE], ids=["refers", "none"])
def test_a_hub_that_is_no_longer_inline_loses_its_own_view(spec: dict[str, Any]) -> None:
    bench = Bench()
    bench.run()
    bench.apply(spec)
    bench.run()
    assert OWNED not in bench.kube.objects
    assert not {name for name in bench.names("persistentvolumeclaims") if name == "demo-archive"}
    bench.kube.writes.clear()
    bench.run()
    assert bench.kube.writes == []
    bench.apply(SPEC)
    bench.run()
    assert OWNED in bench.kube.objects, "and it is made again"


@pytest.mark.parametrize("kind", ["claim", "volume"])
def test_the_own_view_stays_while_a_server_still_shows_it(kind: str) -> None:
    """Kubernetes keeps a claim while a pod uses it: it tells who still reads the view."""
    bench = Bench()
    bench.run()
    key = ("persistentvolumeclaims", "ns", "demo-archive")
    if kind == "volume":
        key = ("persistentvolumes", "", "pdshub-ns-demo-archive")
    bench.kube.objects[key]["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    bench.apply(REFERS)
    bench.run()
    assert OWNED in bench.kube.objects
    del bench.kube.objects[key]
    bench.run()
    assert OWNED not in bench.kube.objects


def other(archive: dict[str, Any], namespace: str = "else") -> dict[str, Any]:
    return {"metadata": {"name": "other", "namespace": namespace}, "spec": {"archive": archive}}


KEPT: list[tuple[str, dict[str, Any], dict[str, str], dict[str, Any] | None, bool]] = [
    ("nobody", REFERS, {}, None, False),
    ("another hub shows it", REFERS, {}, other({"viewRef": "ns-demo"}), True),
    ("another hub shows something else", REFERS, {}, other({"viewRef": "sbn"}), False),
    ("the hub refers to it by name", {**SPEC, "archive": {"viewRef": "ns-demo"}}, {}, None, True),
    ("it is of another hub", REFERS, {"pdshub.dev/namespace": "ns-x"}, None, True),
    ("the hub is suspended", {**REFERS, "suspend": True}, {}, None, True),
]


@pytest.mark.parametrize(("spec", "labels", "second", "kept"), [c[1:] for c in KEPT], ids=[c[0] for c in KEPT])
def test_who_keeps_the_own_view(
    spec: dict[str, Any], labels: dict[str, str], second: dict[str, Any] | None, kept: bool
) -> None:
    bench = Bench()
    bench.run()
    bench.kube.objects[OWNED]["metadata"]["labels"] |= labels
    if second:
        bench.kube.put(PDSHUB, second)
    bench.apply(spec)
    bench.run()
    assert (OWNED in bench.kube.objects) is kept


def test_a_hub_that_is_resumed_runs_helm_once() -> None:
    """What was deleted by hand meanwhile is there again, as after any change of the release."""
    bench = Bench()
    bench.run()
    bench.apply({**SPEC, "suspend": True})
    bench.run()
    del bench.kube.objects[("deployments", "ns", "hub")]
    bench.run()
    assert bench.helm.runs == ["upgrade"]
    bench.apply(SPEC)
    for _ in range(3):
        bench.run()
    assert bench.helm.runs == ["upgrade", "upgrade"]
    assert bench.condition("Ready")["status"] == "True" and bench.condition("Suspended") == {}
    bench.apply({**SPEC, "culling": {"idleSeconds": 7200}})
    bench.run()
    assert bench.helm.runs == ["upgrade"] * 3


def test_a_resumed_hub_whose_upgrade_fails_is_tried_again() -> None:
    bench = Bench()
    bench.run()
    bench.apply({**SPEC, "suspend": True})
    bench.run()
    bench.helm.error = HelmError("HelmFailed", "timed out", permanent=False)
    bench.apply(SPEC)
    bench.run()
    bench.helm.error = None
    bench.context.memory("ns", "demo").retry_at = 0.0
    for _ in range(3):
        bench.run()
    assert bench.helm.runs == ["upgrade"] * 3, "tried again, and then no more"


def test_neither_suspension_nor_culling_concerns_the_own_view() -> None:
    bench = Bench()
    bench.run()
    view = json.dumps(bench.kube.objects[OWNED])
    for spec in ({**SPEC, "suspend": True}, SPEC, {**SPEC, "culling": {"idleSeconds": 7200}}):
        bench.apply(spec)
        bench.run()
    assert json.dumps(bench.kube.objects[OWNED]) == view, "no survey begins"


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
