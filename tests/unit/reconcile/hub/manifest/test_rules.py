"""Which objects Helm may apply for a hub."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pdshub.reconcile.hub.manifest.kinds import KINDS, ONCE_APPLIED
from pdshub.reconcile.hub.manifest.rules import Hook, judge, judge_rendered
from pdshub.render.names import Names

NAMES = Names("ns", "demo")


def obj(kind: str, name: str = "hub", api: str = "v1", meta: Any = None, **more: Any) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **(meta or {})}, **more}


RBAC = "rbac.authorization.k8s.io/v1"
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "hub"}


def binding(role: Any = None, subjects: Any = None) -> dict[str, Any]:
    own = [{"kind": "ServiceAccount", "name": "hub", "namespace": "ns"}]
    return obj("RoleBinding", api=RBAC, roleRef=role or ROLE, subjects=own if subjects is None else subjects)


def workload(**pod: Any) -> dict[str, Any]:
    return obj("Deployment", api="apps/v1", spec={"template": {"spec": pod}})


POLICY = obj("NetworkPolicy", api="networking.k8s.io/v1")
MAY: list[dict[str, Any]] = [
    obj("ConfigMap"),
    obj("ConfigMap", meta={"namespace": "ns"}),
    obj("Secret", type="Opaque"),
    obj("Secret"),
    obj("Service", spec={"type": "LoadBalancer", "loadBalancerIP": "10.0.0.1"}),
    obj("ServiceAccount"),
    obj("PersistentVolumeClaim", "hub-db-dir"),
    obj("PersistentVolumeClaim", "demo-hub-db-dir"),
    obj("Deployment", api="apps/v1"),
    obj("DaemonSet", "continuous-image-puller", "apps/v1"),
    obj("StatefulSet", "user-placeholder", "apps/v1"),
    obj("Ingress", api="networking.k8s.io/v1"),
    obj("PodDisruptionBudget", api="policy/v1"),
    obj("Role", api=RBAC),
    binding(),
    workload(serviceAccountName="hub"),
    obj("ConfigMap", meta={"annotations": {"meta.helm.sh/release-name": "demo"}}),
]
MAY_NOT: list[tuple[str, dict[str, Any], str]] = [
    ("of the whole cluster", obj("ClusterRole", api=RBAC), "kind"),
    ("binding of the whole cluster", obj("ClusterRoleBinding", api=RBAC), "kind"),
    ("a namespace", obj("Namespace"), "kind"),
    ("a pod", obj("Pod"), "kind"),
    ("a hub", obj("PDSHub", api="pdshub.dev/v1alpha1"), "kind"),
    ("a webhook", obj("MutatingWebhookConfiguration", api="admissionregistration.k8s.io/v1"), "kind"),
    ("a network policy", POLICY, "kind"),
    ("a quota", obj("ResourceQuota"), "kind"),
    ("bounds of containers", obj("LimitRange"), "kind"),
    ("a priority class", obj("PriorityClass", api="scheduling.k8s.io/v1"), "kind"),
    ("a definition", obj("CustomResourceDefinition", api="apiextensions.k8s.io/v1"), "kind"),
    ("endpoints", obj("EndpointSlice", api="discovery.k8s.io/v1"), "kind"),
    ("a list", obj("List", items=[obj("ClusterRole", api=RBAC)]), "kind"),
    ("a list of its kind", obj("ConfigMapList", items=[]), "kind"),
    ("another version", obj("Deployment", api="extensions/v1beta1"), "kind"),
    ("no version", {"kind": "ConfigMap", "metadata": {"name": "x"}}, "kind"),
    ("another namespace", obj("ConfigMap", meta={"namespace": "pdshub-system"}), "pdshub-system"),
    ("a namespace that is empty", obj("ConfigMap", meta={"namespace": ""}), "namespace"),
    ("no name", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}, "name"),
    ("a name that Kubernetes makes", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x"}}, ""),
    ("owners", obj("ConfigMap", meta={"ownerReferences": [{"kind": "Pod"}]}), "ownerReferences"),
    ("finalizers", obj("ConfigMap", meta={"finalizers": ["x/y"]}), "finalizers"),
    ("labels that are none", obj("ConfigMap", meta={"labels": ["x"]}), "labels"),
    ("another release", obj("ConfigMap", meta={"annotations": {"meta.helm.sh/release-name": "x"}}), "another Helm"),
    ("of another", obj("ConfigMap", meta={"annotations": {"meta.helm.sh/release-namespace": "x"}}), "another Helm"),
    ("a role of the cluster", binding({**ROLE, "kind": "ClusterRole", "name": "admin"}), "Role of its namespace"),
    ("no role", binding({"x": 1}), "Role of its namespace"),
    ("PDSHub's role", binding({**ROLE, "name": "pdshub-hub"}), "PDSHub itself"),
    ("for everybody", binding(subjects=[{"kind": "Group", "name": "system:authenticated"}]), "account"),
    ("for a user", binding(subjects=[{"kind": "User", "name": "eve"}]), "account"),
    ("for another's", binding(subjects=[{"kind": "ServiceAccount", "name": "x", "namespace": "y"}]), "not the hub's"),
    ("for Helm", binding(subjects=[{"kind": "ServiceAccount", "name": "pdshub-helm"}]), "not the hub's"),
    ("for odd ones", binding(subjects={"kind": "ServiceAccount"}), "account"),
    ("external addresses", obj("Service", spec={"externalIPs": ["10.0.0.9"]}), "externalIPs"),
    ("an external name", obj("Service", spec={"type": "ExternalName", "externalName": "x"}), "elsewhere"),
    ("a service without spec", obj("Service"), "no spec"),
    ("a release", obj("Secret", "sh.helm.release.v1.demo.v9"), "Secret of this type"),
    ("of a release's type", obj("Secret", type="helm.sh/release.v1"), "Secret of this type"),
    ("an account's token", obj("Secret", type="kubernetes.io/service-account-token"), "Secret of this type"),
    ("the hub's keys", obj("Secret", "demo-keys"), "PDSHub itself"),
    ("the password", obj("Secret", "demo-sign-in"), "PDSHub itself"),
    ("the notice", obj("ConfigMap", "demo-notice"), "PDSHub itself"),
    ("the binding of Helm", obj("RoleBinding", "pdshub-hub", RBAC, roleRef=ROLE), "PDSHub itself"),
    ("the account of Helm", obj("ServiceAccount", "pdshub-helm"), "PDSHub itself"),
    ("a home", obj("PersistentVolumeClaim", "claim-ada"), "only claim"),
    ("the archive", obj("PersistentVolumeClaim", "demo-archive"), "only claim"),
    ("pods as Helm", workload(serviceAccountName="pdshub-helm"), "account of PDSHub"),
    ("pods as Helm, by the old name", workload(serviceAccount="pdshub-helm"), "account of PDSHub"),
    ("a hook in the manifest", obj("ConfigMap", meta={"annotations": {"helm.sh/hook": "pre-delete"}}), "hook"),
]


@pytest.mark.parametrize("body", MAY, ids=lambda body: f"{body['kind']} {body['metadata']['name']}")
def test_what_a_hub_chart_makes(body: dict[str, Any]) -> None:
    text = yaml.safe_dump(body)
    assert judge(text, (), NAMES, {}) is None and judge_rendered(text, NAMES, {}) is None


@pytest.mark.parametrize(("body", "why"), [m[1:] for m in MAY_NOT], ids=[m[0] for m in MAY_NOT])
def test_what_no_hub_chart_makes(body: dict[str, Any], why: str) -> None:
    text = f"---\n{yaml.safe_dump(MAY[0])}---\n# Source: jupyterhub/templates/x.yaml\n{yaml.safe_dump(body)}"
    for found in (judge(text, (), NAMES, {}), judge_rendered(text, NAMES, {})):
        assert found is not None and why in found.why and "x.yaml" in found.words


def test_charts_had_policies_of_their_own_before_the_operator_did() -> None:
    """A release from then is gone on from: its policies go by Helm's hand, as the new chart has none."""
    assert judge(yaml.safe_dump(POLICY), (), NAMES, {}, ONCE_APPLIED) is None
    assert set(ONCE_APPLIED) - set(KINDS) == {"networking.k8s.io/v1 NetworkPolicy"} and set(KINDS) < set(ONCE_APPLIED)


ON: dict[str, Any] = {"prePuller": {"hook": {"enabled": True}}}
PATH = "jupyterhub/templates/image-puller/job.yaml"
PULL = "jupyterhub/templates/image-pull-secret.yaml"
SECRET = obj("Secret", "image-pull-secret", type="kubernetes.io/dockerconfigjson")
EVENTS = ("pre-install", "pre-upgrade")
JOB = obj("Job", "hook-image-awaiter", "batch/v1")
HOOKS: list[tuple[str, str, dict[str, Any], tuple[str, ...], dict[str, Any], str]] = [
    ("the chart's own", PATH, JOB, EVENTS, ON, ""),
    ("with a prefix", PATH, obj("DaemonSet", "x-hook-image-puller", "apps/v1"), EVENTS[:1], ON, ""),
    ("the pull secret", PULL, SECRET, EVENTS, {"imagePullSecret": {"create": True}}, ""),
    ("a pull secret that nobody asked for", PULL, SECRET, EVENTS, ON, "imagePullSecret.create"),
    ("a pull secret of the hub", PULL, obj("Secret", "demo-keys"), EVENTS, ON, "PDSHub itself"),
    ("switched off", PATH, JOB, EVENTS, {"prePuller": {"hook": {"enabled": False}}}, "prePuller.hook.enabled"),
    ("not said", PATH, JOB, EVENTS, {}, "prePuller.hook.enabled"),
    ("odd values", PATH, JOB, EVENTS, {"prePuller": [1]}, "prePuller.hook.enabled"),
    ("of another file", "jupyterhub/templates/hub/deployment.yaml", JOB, EVENTS, ON, "not the chart's own"),
    ("at a deletion", PATH, JOB, ("pre-delete",), ON, "not the chart's own"),
    ("at a deletion, too", PATH, JOB, (*EVENTS, "post-delete"), ON, "not the chart's own"),
    ("as a test", PATH, JOB, ("test",), ON, "not the chart's own"),
    ("of another name", PATH, obj("Job", "evil", "batch/v1"), EVENTS, ON, "not the chart's own"),
    ("of another kind", PATH, obj("Secret", "hook-image-awaiter"), EVENTS, ON, "not the chart's own"),
    ("elsewhere", PATH, {**JOB, "metadata": {**JOB["metadata"], "namespace": "x"}}, EVENTS, ON, "namespace x"),
]


@pytest.mark.parametrize(("path", "body", "events", "values", "why"), [h[1:] for h in HOOKS], ids=[h[0] for h in HOOKS])
def test_hooks(path: str, body: dict[str, Any], events: tuple[str, ...], values: dict[str, Any], why: str) -> None:
    found = judge("", [Hook(path, yaml.safe_dump(body), events)], NAMES, values)
    meta = {**body["metadata"], "annotations": {"helm.sh/hook": ",".join(events)}}
    rendered = judge_rendered(f"# Source: {path}\n{yaml.safe_dump({**body, 'metadata': meta})}", NAMES, values)
    for each in (found, rendered):
        assert (each is None) == (not why) and (each is None or why in each.why)


def test_text_that_cannot_be_read_is_refused() -> None:
    found = judge("a: [", (), NAMES, {})
    assert found is not None and "what the chart makes" in found.words
    assert judge("", [Hook("p", "a: [", ())], NAMES, {}) is not None and judge_rendered("a: [", NAMES, {}) is not None
