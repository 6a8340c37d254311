"""reconcile() of a hub whose values, releases and objects somebody turns against others."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pdshub.helm import HelmError
from pdshub.kube import DEPLOYMENT, SECRET, SERVICE, KubeError, Object, Resource
from pdshub.reconcile.hub import drift
from pdshub.reconcile.hub.seal import ANNOTATION
from pdshub.render.chart import ChartRef
from tests.unit.reconcile.fakes import FakeKube, made_by_chart, release_secret
from tests.unit.reconcile.hubs import SPEC, Bench

CHART = ChartRef("Repository", "jupyterhub", None, "4.4.0", "x")
MARK = {"custom": {"pdshub": {"hub": "demo"}}}
EVIL = "10.0.0.1\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil, namespace: pdshub-system}\n"
NAME = "sh.helm.release.v1.demo.v{}"


def installed(**spec: Any) -> Bench:
    bench = Bench({**SPEC, **spec})
    bench.run()
    assert bench.condition("Ready")["status"] == "True", bench.condition("Ready")
    return bench


def secret(bench: Bench, revision: int = 1) -> Object:
    return bench.kube.objects[("secrets", "ns", NAME.format(revision))]


def stalled(bench: Bench) -> str:
    """The reason of Stalled after one more look, and that this look wrote nothing but the status, and ran nothing."""
    bench.run()
    runs, writes = list(bench.helm.runs), len(bench.kube.writes)
    bench.run()
    assert (bench.helm.runs, len(bench.kube.writes)) == (runs, writes), "it costs nothing while nothing changes"
    return str(bench.condition("Stalled")["reason"]) if bench.condition("Stalled")["status"] == "True" else ""


# --- what Helm would apply


def injecting(values: Any) -> str:
    return (
        f"---\nip: {values.get('proxy', {}).get('service', {}).get('loadBalancerIP', '')}\n"
        if EVIL in str(values.get("proxy", {}).get("service", {}).get("loadBalancerIP", ""))
        else ""
    )


def test_a_value_that_becomes_an_object_is_named_and_nothing_is_applied() -> None:
    bench = Bench({**SPEC, "values": {"proxy": {"service": {"loadBalancerIP": EVIL}}, "hub": {"x": 1}}})
    bench.helm.more = injecting
    assert stalled(bench) == "ValuesRefused"
    said = bench.condition("Stalled")["message"]
    assert "spec.values.proxy.service.loadBalancerIP" in said and "\n" not in said
    assert bench.helm.runs == [] and bench.helm.previews == 1 and bench.helm.renders == []
    bench.apply(SPEC)
    bench.run()
    assert bench.condition("Ready")["status"] == "True"


def test_a_value_whose_text_does_not_tell_is_found_by_leaving_values_out() -> None:
    def switched(values: Any) -> str:
        on = values.get("rbac", {}).get("cluster")
        return "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: x}\n" if on else ""

    bench = installed(values={"hub": {"a": 1, "b": [1, 2, 3]}})
    bench.helm.more = switched
    bench.apply({**SPEC, "values": {"hub": {"a": 1, "b": [1, 2, 3]}, "rbac": {"cluster": True}}})
    assert stalled(bench) == "ValuesRefused"
    said = bench.condition("Stalled")["message"]
    assert "spec.values.rbac.cluster" in said and "ClusterRole x" in said and len(bench.helm.renders) <= 20
    assert bench.helm.runs == ["upgrade"] and bench.condition("Ready")["status"] == "True", "what ran goes on"


NAMED: list[tuple[str, str, bool, str, str]] = [
    ("the API server refuses it first", "Forbidden", False, EVIL, "with it the chart makes"),
    ("it is somebody's", "NotOurs", False, EVIL, "with it the chart makes"),
    ("what it becomes is no YAML", "ValuesRefused", True, EVIL, "begins another object"),
]


@pytest.mark.parametrize(("reason", "broken", "value", "says"), [n[1:] for n in NAMED], ids=[n[0] for n in NAMED])
def test_the_value_is_named_where_helm_refuses_it_itself(reason: str, broken: bool, value: str, says: str) -> None:
    bench = Bench({**SPEC, "values": {"proxy": {"service": {"loadBalancerIP": value}}}})
    bench.helm.more = injecting
    bench.helm.preview_error = HelmError(reason, "helm's words", permanent=True)
    bench.helm.render_error = HelmError("ValuesRefused", "no YAML", permanent=True) if broken else None
    assert stalled(bench) == "ValuesRefused" and bench.helm.runs == []
    said = bench.condition("Stalled")["message"]
    assert "spec.values.proxy.service.loadBalancerIP" in said and says in said


@pytest.mark.parametrize("reason", ["Forbidden", "ChartNotFound", "OutOfMemory"])
def test_what_helm_refuses_for_another_reason_stays_its_own(reason: str) -> None:
    bench = Bench({**SPEC, "values": {"hub": {"x": "two\nlines"}}})
    bench.helm.preview_error = HelmError(reason, "helm's words", permanent=True)
    assert stalled(bench) == reason and "helm's words" in bench.condition("Stalled")["message"]


def test_a_hook_that_is_not_the_charts_own_is_refused() -> None:
    bench = Bench()
    manifest = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: hook-image-awaiter}\n"
    bench.helm.hooks = [{"path": "jupyterhub/templates/x.yaml", "manifest": manifest, "events": ["pre-install"]}]
    assert stalled(bench) == "ValuesRefused" and bench.helm.runs == []
    assert "hook" in bench.condition("Stalled")["message"]


# --- releases


def forged(bench: Bench, revision: int = 7, **more: Any) -> None:
    bench.helm._store("demo", "ns", revision, more.pop("status", "deployed"), CHART, more.pop("values", MARK), **more)


HOOK = {"path": "x", "manifest": "kind: Job", "events": ["pre-delete"]}


def plain(bench: Bench) -> None:
    forged(bench)


def with_a_hook(bench: Bench) -> None:
    forged(bench, hooks=[HOOK])


def with_a_manifest(bench: Bench) -> None:
    forged(bench, manifest="apiVersion: v1\nkind: Secret\nmetadata: {name: demo-keys}\n")


def with_other_values(bench: Bench) -> None:
    forged(bench, values={**MARK, "hub": {"image": {"name": "evil"}}})


def pending(bench: Bench) -> None:
    forged(bench, status="pending-upgrade")


def of_nobody(bench: Bench) -> None:
    forged(bench, values={})


def with_a_stolen_seal(bench: Bench) -> None:
    forged(bench)
    secret(bench, 7)["metadata"]["annotations"] = copy.deepcopy(secret(bench, 1)["metadata"]["annotations"])


def of_another_namespace(bench: Bench) -> None:
    """A release of another hub, with its seal."""
    other = release_secret("demo", "theirs", {"version": 7, "info": {"status": "deployed"}, "config": MARK})
    forged(bench)
    secret(bench, 7)["data"] = other["data"]
    secret(bench, 7)["metadata"]["annotations"] = {ANNOTATION: "0" * 64}


def replaced(bench: Bench) -> None:
    """The content of the sealed one, exchanged."""
    kept = secret(bench)["metadata"]
    forged(bench, 1, hooks=[HOOK])
    bench.kube.put(SECRET, {**secret(bench), "metadata": {**kept, "annotations": kept["annotations"]}})


def an_older_one(bench: Bench) -> None:
    """Said to be deployed: Helm would go on from it after a failure."""
    forged(bench, 0)


FORGERIES = [
    plain,
    with_a_hook,
    with_a_manifest,
    with_other_values,
    pending,
    of_nobody,
    with_a_stolen_seal,
    of_another_namespace,
    replaced,
    an_older_one,
]
parametrized = pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)


@parametrized
@pytest.mark.parametrize("change", [{}, {"users": {"allowed": ["bela"]}}], ids=["same spec", "changed spec"])
def test_a_forged_release_is_reported_and_never_executed(forge: Any, change: dict[str, Any]) -> None:
    bench = installed()
    forge(bench)
    bench.helm.runs.clear()
    bench.apply({**SPEC, **change})
    assert stalled(bench) in ("ReleaseForged", "ReleaseUnreadable"), bench.condition("Stalled")
    said = bench.condition("Stalled")["message"]
    assert "sh.helm.release.v1.demo.v" in said and "kubectl delete secret" in said
    assert bench.helm.runs == [] and bench.condition("Ready")["status"] == "True", "what runs goes on"


@parametrized
@pytest.mark.parametrize("restarted", [False, True])
def test_a_forged_release_neither_holds_up_a_deletion_nor_is_executed_by_it(forge: Any, restarted: bool) -> None:
    bench = installed()
    forge(bench)
    bench.run()
    if restarted:
        bench.context.hubs.clear()
    bench.delete()
    uninstall, seen = bench.helm.uninstall, []

    async def watched(release: str, namespace: str) -> None:
        seen.append(set(bench.names("secrets")))
        await uninstall(release, namespace)

    bench.helm.uninstall = watched  # type: ignore[method-assign]
    assert bench.run() is None
    assert bench.names("pdshubs") == bench.names("deployments") == bench.names("services") == set()
    assert {n for n in bench.names("secrets") if n.startswith("sh.helm")} == set()
    assert {"demo-keys", "demo-sign-in"} <= bench.names("secrets") and "hub-db-dir" in bench.names(
        "persistentvolumeclaims"
    )
    for present in seen:
        assert {n for n in present if n.startswith("sh.helm")} == {NAME.format(1)}, (
            "only the sealed one is left to Helm"
        )
    assert not (forge is replaced and seen)


def test_once_the_forged_record_is_gone_the_hub_goes_on() -> None:
    bench = installed()
    forged(bench)
    assert stalled(bench) == "ReleaseForged"
    bench.kube.objects.pop(("secrets", "ns", NAME.format(7)))
    assert stalled(bench) == "" and bench.helm.runs == ["upgrade"]
    replaced(bench)
    assert stalled(bench) == "ReleaseForged"
    bench.kube.objects.pop(("secrets", "ns", NAME.format(1)))
    assert stalled(bench) == "" and bench.helm.runs == ["upgrade"] * 2, "installed over what runs"


def test_an_older_record_that_would_take_all_memory_is_found_before_helm_runs() -> None:
    bench = installed()
    bench.apply({**SPEC, "culling": {"idleSeconds": 7201}})
    bench.run()
    secret(bench, 1)["data"] = {"release": "!!"}
    bench.kube.put(SECRET, secret(bench, 1))
    bench.helm.runs.clear()
    bench.apply({**SPEC, "culling": {"idleSeconds": 7202}})
    assert stalled(bench) == "ReleaseUnreadable" and bench.helm.runs == [] and bench.helm.previews == 2
    bench.delete()
    assert bench.run() is None and bench.helm.runs == ["uninstall"]


def test_an_older_record_that_says_it_is_the_newest_is_found_before_helm_runs() -> None:
    bench = installed()
    bench.apply({**SPEC, "culling": {"idleSeconds": 7203}})
    bench.run()
    document = {"version": 99, "info": {"status": "superseded"}, "config": MARK}
    lying = release_secret("demo", "ns", document)
    lying["metadata"] = {**secret(bench, 1)["metadata"]}
    bench.kube.put(SECRET, lying)
    bench.helm.runs.clear()
    bench.apply({**SPEC, "culling": {"idleSeconds": 7204}})
    assert stalled(bench) == "ReleaseUnreadable" and bench.helm.runs == []


# --- installations from before, crashes, and what fails


def unsealed(bench: Bench, **status: Any) -> None:
    """As an operator without seals left it."""
    del secret(bench)["metadata"]["annotations"]
    bench.kube.put(SECRET, secret(bench))
    hub = bench.kube.objects[("pdshubs", "ns", "demo")]
    hub["status"] = {**hub["status"], "sealedBy": "", **status}
    bench.context.hubs.clear()
    bench.helm.runs.clear()


def test_a_release_from_before_there_were_seals_is_gone_over_once() -> None:
    bench = installed()
    unsealed(bench)
    assert stalled(bench) == "" and bench.helm.runs == ["upgrade"]
    assert ANNOTATION in secret(bench, 2)["metadata"]["annotations"]
    assert ANNOTATION not in (secret(bench, 1)["metadata"].get("annotations") or {})


def test_a_release_from_before_there_were_seals_is_looked_at_first() -> None:
    bench = installed()
    with_a_hook(bench)
    bench.kube.objects[("secrets", "ns", NAME.format(1))]["data"] = secret(bench, 7)["data"]
    bench.kube.objects.pop(("secrets", "ns", NAME.format(7)))
    document = {"version": 1, "info": {"status": "deployed"}, "config": MARK, "hooks": [HOOK]}
    bench.kube.put(SECRET, {**release_secret("demo", "ns", document)})
    hub = bench.kube.objects[("pdshubs", "ns", "demo")]
    hub["status"] = {**hub["status"], "sealedBy": ""}
    bench.context.hubs.clear()
    bench.helm.runs.clear()
    assert stalled(bench) == "ReleaseForged" and bench.helm.runs == []
    bench.delete()
    assert bench.run() is None and bench.helm.runs == [], "helm never reads it"


def test_a_release_from_before_there_were_seals_can_be_removed() -> None:
    bench = installed()
    unsealed(bench)
    bench.delete()
    assert bench.run() is None and bench.helm.runs == ["uninstall"]


def test_an_operator_that_ends_between_helm_and_the_seal_goes_over_it() -> None:
    bench = installed()
    bench.helm.dies = True
    bench.apply({**SPEC, "culling": {"idleSeconds": 7205}})
    with pytest.raises(RuntimeError):
        bench.run()
    hub = bench.kube.objects[("pdshubs", "ns", "demo")]
    assert hub["status"]["releasing"] == 2, "written before helm runs"
    bench.helm.dies = False
    bench.helm._store("demo", "ns", 2, "deployed", CHART, MARK)
    bench.context.hubs.clear()
    bench.helm.runs.clear()
    assert stalled(bench) == "" and bench.helm.runs == ["upgrade"]
    assert bench.kube.objects[("pdshubs", "ns", "demo")]["status"]["releasing"] == 0


class NoSeals(FakeKube):
    """Refuses to let a release Secret be annotated."""

    refuses = True

    async def patch(self, resource: Resource, name: str, *args: Any, **more: Any) -> Any:
        if self.refuses and resource is SECRET and name.startswith("sh.helm"):
            raise KubeError(403, f"{name}: denied")
        return await super().patch(resource, name, *args, **more)


def test_a_seal_that_is_refused_is_put_on_later_without_helm() -> None:
    bench = Bench(kube=NoSeals())
    for _ in range(3):
        bench.run()
    assert bench.helm.runs == ["upgrade"] and bench.condition("Reconciling")["reason"] == "Blocked"
    NoSeals.refuses = False
    try:
        bench.run()
    finally:
        NoSeals.refuses = True
    assert ANNOTATION in secret(bench)["metadata"]["annotations"] and bench.helm.runs == ["upgrade"]
    assert bench.condition("Ready")["status"] == "True"


def test_what_somebody_puts_in_its_place_at_once_is_not_sealed() -> None:
    bench = Bench()
    install = bench.helm.install_or_upgrade

    async def overtaken(*args: Any) -> Any:
        done = await install(*args)
        forged(bench, 1, hooks=[HOOK])
        return done

    bench.helm.install_or_upgrade = overtaken  # type: ignore[method-assign]
    bench.run()
    assert ANNOTATION not in (secret(bench)["metadata"].get("annotations") or {})
    assert stalled(bench) == "ReleaseForged"


# --- drift


def taken(bench: Bench, resource: Resource, name: str) -> None:
    bench.kube.objects.pop((resource.plural, "ns", name))


def scaled(bench: Bench) -> None:
    item = bench.kube.objects[("deployments", "ns", "hub")]
    bench.kube.put(DEPLOYMENT, {**item, "spec": {"replicas": 0}})


DRIFTS: list[tuple[str, Any, tuple[str, str]]] = [
    ("Deployment hub is missing", lambda b: taken(b, DEPLOYMENT, "hub"), ("deployments", "hub")),
    ("Service proxy-public is missing", lambda b: taken(b, SERVICE, "proxy-public"), ("services", "proxy-public")),
    ("Deployment hub: spec.replicas differs", scaled, ("deployments", "hub")),
]


@pytest.mark.parametrize(("says", "drifts", "where"), DRIFTS, ids=[d[0] for d in DRIFTS])
def test_what_somebody_changed_is_put_back_without_helm(says: str, drifts: Any, where: tuple[str, str]) -> None:
    bench = installed()
    assert bench.condition("Drifted")["status"] == "False" and bench.condition("Drifted")["reason"] == "AsInstalled"
    drifts(bench)
    bench.kube.writes.clear()
    bench.run()
    item = bench.kube.objects[(where[0], "ns", where[1])]
    assert item["metadata"]["annotations"]["meta.helm.sh/release-name"] == "demo"
    assert item["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "Helm"
    assert f"apply {where[0]}/{where[1]}" in bench.kube.writes and bench.helm.runs == ["upgrade"]
    assert bench.condition("Drifted")["status"] == "False" and "Repair" in bench.kube.events()
    messages = [item["message"] for (plural, _, _), item in bench.kube.objects.items() if plural == "events"]
    assert any(says in message for message in messages)


def test_what_somebody_changed_is_only_reported_where_the_spec_says_so() -> None:
    bench = installed(drift="Report")
    scaled(bench)
    assert stalled(bench) == "" and bench.condition("Drifted")["status"] == "True"
    assert "Report" in bench.condition("Drifted")["message"]
    assert bench.kube.objects[("deployments", "ns", "hub")]["spec"]["replicas"] == 0
    bench.apply(SPEC)
    bench.run()
    assert bench.kube.objects[("deployments", "ns", "hub")]["spec"]["replicas"] == 1


@pytest.mark.parametrize("spec", [{"suspend": True}], ids=["suspended"])
def test_what_is_left_as_it_is(spec: dict[str, Any]) -> None:
    bench = installed()
    bench.apply({**SPEC, **spec})
    scaled(bench)
    bench.run()
    assert bench.kube.objects[("deployments", "ns", "hub")]["spec"]["replicas"] == 0


def test_who_writes_the_same_again_and_again_is_not_fought_without_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = installed()
    for _ in range(5):
        scaled(bench)
        bench.run()
    assert bench.kube.writes.count("apply deployments/hub") == 1
    assert bench.condition("Drifted")["status"] == "True"
    monkeypatch.setattr(drift, "PAUSE", 0.0)
    bench.run()
    assert bench.kube.writes.count("apply deployments/hub") == 2


class Rewriting(FakeKube):
    """Keeps a Deployment with another number of pods than it is told, as a webhook may."""

    async def apply(self, resource: Resource, body: Object, manager: str) -> Object:
        if resource is DEPLOYMENT:
            body = {**body, "spec": {**body["spec"], "replicas": 2}}
        return await super().apply(resource, body, manager)


def test_what_the_api_server_makes_of_a_manifest_is_accepted() -> None:
    bench = Bench(kube=Rewriting())
    bench.run()
    scaled(bench)
    for _ in range(3):
        bench.run()
    assert bench.kube.writes.count("apply deployments/hub") == 1
    assert bench.condition("Drifted")["status"] == "False"


def test_an_object_that_is_another_releases_by_now_stays_as_it_is() -> None:
    bench = installed()
    meta = made_by_chart("other", "ns", "hub", "hub")
    bench.kube.put(DEPLOYMENT, {"metadata": meta, "spec": {"replicas": 0}})
    bench.run()
    assert bench.kube.objects[("deployments", "ns", "hub")]["spec"]["replicas"] == 0
    assert "another Helm release" in bench.condition("Reconciling")["message"]


def test_a_forged_manifest_is_no_measure() -> None:
    bench = installed()
    forged(bench, 7, manifest="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: evil}\n")
    bench.run()
    assert bench.names("configmaps") == {"demo-notice"} and not bench.condition("Drifted")
