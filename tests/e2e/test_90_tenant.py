"""Who may write PDSHubs in one namespace stays in it: what Helm and the operator can do there, and cannot elsewhere.

Needs Kubernetes 1.30 or newer: the admission policies. Nothing may run beside it: all objects are compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from pdshub.wellknown import HELM_ACCOUNT, HUB_ROLE
from tests.e2e.cluster import Cluster, CommandFailed, eventually
from tests.e2e.conftest import RESTRICTED, SYSTEM, namespace, variant, wait_ready

pytestmark = pytest.mark.alone

WHERE, ELSEWHERE, LEAVING = "e2e-tenant", "e2e-elsewhere", "e2e-tenant-leaving"
WRITER = f"system:serviceaccount:{WHERE}:writer"
ACCOUNT = f"system:serviceaccount:{WHERE}:{HELM_ACCOUNT}"
OPERATOR = f"system:serviceaccount:{SYSTEM}:pdshub-operator"
PASSING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io", "componentstatuses"}
"""Kinds that change by themselves."""
UNSERVED = "the server is currently unable to handle the request"
"""What is said of an aggregated kind that nobody serves just now."""
ESCAPE = """10.0.0.1
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: escaped
  namespace: %s
data: {was: here}
"""


def outside(cluster: Cluster, where: str = WHERE) -> set[tuple[str, str, str, str]]:
    """Kind, namespace, name and uid of every object that is not in the tenant's namespace."""
    kinds = set(cluster.kubectl("api-resources", "--verbs=list", "-o", "name").split()) - PASSING
    found = set()
    for kind in sorted(kinds):
        try:
            items = json.loads(cluster.kubectl("get", kind, "-A", "-o", "json"))["items"]
        except CommandFailed as failed:
            if UNSERVED not in failed.err:
                raise
            continue
        for item in items:
            meta = item["metadata"]
            if meta.get("namespace") != where and meta["name"] != where:
                found.add((kind, meta.get("namespace", ""), meta["name"], meta.get("uid", "")))
    return found


def leaving(cluster: Cluster) -> list[str]:
    """Namespaces that earlier tests deleted and whose objects still go."""
    return [one["metadata"]["name"] for one in cluster.items("namespaces") if one["metadata"].get("deletionTimestamp")]


def named(kind: str, name: str, where: str = WHERE, api: str = "v1", **more: Any) -> dict[str, Any]:
    """An object."""
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": where}, **more}


def attempt(cluster: Cluster, document: dict[str, Any], user: str = "") -> str:
    """Create an object, without keeping it; what the API server says against it, empty when nothing."""
    who = [f"--as={user}"] if user else []
    try:
        cluster.kubectl("create", "--dry-run=server", "-f", "-", *who, stdin=json.dumps(document))
    except CommandFailed as failed:
        return failed.err
    return ""


def applied(cluster: Cluster, document: dict[str, Any], user: str) -> str:
    """The same by server-side apply, as the operator writes."""
    how = ("--server-side", "--force-conflicts", "--dry-run=server", f"--as={user}")
    try:
        cluster.kubectl("apply", *how, "-f", "-", stdin=json.dumps(document))
    except CommandFailed as failed:
        return failed.err
    return ""


def may(cluster: Cluster, user: str, *what: str) -> bool:
    """Whether RBAC lets somebody do something."""
    try:
        return cluster.kubectl("auth", "can-i", *what, f"--as={user}").strip() == "yes"
    except CommandFailed as failed:
        assert failed.out.strip().startswith("no"), failed
        return False


@pytest.fixture(scope="module")
def tenant(cluster: Cluster, sample: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A hub that runs, written by an account that may write PDSHubs in its namespace and nothing else."""
    namespace(cluster, WHERE)
    group, rbac = "rbac.authorization.k8s.io", "rbac.authorization.k8s.io/v1"
    rules = [{"apiGroups": ["pdshub.dev"], "resources": ["pdshubs"], "verbs": ["*"]}]
    subject = {"kind": "ServiceAccount", "name": "writer", "namespace": WHERE}
    role = {"apiGroup": group, "kind": "Role", "name": "writer"}
    cluster.apply(
        named("ServiceAccount", "writer"),
        named("Role", "writer", api=rbac, rules=rules),
        named("RoleBinding", "writer", api=rbac, roleRef=role, subjects=[subject]),
    )
    hub = variant(sample, "tenant", WHERE, archive=None)
    try:
        cluster.kubectl("apply", "-f", "-", f"--as={WRITER}", stdin=json.dumps(hub))
        wait_ready(cluster, "tenant", WHERE)
        yield hub
    finally:
        cluster.kubectl("delete", "namespace", WHERE, "--ignore-not-found", "--timeout=240s", timeout=250)


def test_a_value_that_breaks_out_of_its_template_writes_nothing_elsewhere(
    cluster: Cluster, tenant: dict[str, Any]
) -> None:
    eventually(lambda: leaving(cluster), lambda names: names == [], within=600, what="earlier namespaces are gone")
    before = outside(cluster)
    for place in (SYSTEM, "kube-system", "default"):
        values = {"proxy": {"service": {"loadBalancerIP": ESCAPE % place}}}
        hub = {**tenant, "spec": {**tenant["spec"], "values": values}}
        cluster.kubectl("apply", "-f", "-", f"--as={WRITER}", stdin=json.dumps(hub))
        generation = cluster.get("pdshub", "tenant", WHERE)["metadata"]["generation"]
        # a chart that quotes the value makes nothing of it; with one that does not the hub stalls
        eventually(
            lambda: cluster.condition("pdshub", "tenant", "Reconciling", WHERE),
            lambda c, g=generation: c.get("status") == "False" and c.get("observedGeneration") == g,  # type: ignore[misc]
            within=180,
            what="the hub settles or stalls",
        )
        assert "escaped" not in {c["metadata"]["name"] for c in cluster.items("configmaps", place)}
    assert sorted(outside(cluster) ^ before) == []
    cluster.kubectl("apply", "-f", "-", f"--as={WRITER}", stdin=json.dumps(tenant))
    wait_ready(cluster, "tenant", WHERE)


@pytest.mark.parametrize(
    "fields",
    [
        {"type": "helm.sh/release.v1"},
        {"name": "sh.helm.release.v1.tenant.v99"},
        {"labels": {"owner": "helm", "name": "tenant", "status": "deployed", "version": "99"}},
    ],
    ids=["type", "name", "labels"],
)
def test_nobody_forges_a_record_of_helm(cluster: Cluster, tenant: dict[str, Any], fields: dict[str, Any]) -> None:
    record = named("Secret", fields.get("name", "forged"), stringData={"release": "x"})
    record["metadata"]["labels"] = fields.get("labels", {})
    record["type"] = fields.get("type", "Opaque")
    said = attempt(cluster, record)  # not even an administrator
    assert "pdshub-releases" in said and f"--kube-as-user {ACCOUNT}" in " ".join(said.split())
    assert attempt(cluster, record, ACCOUNT) == ""
    assert attempt(cluster, named("Secret", "plain", stringData={"a": "b"})) == ""


def test_no_record_of_helm_is_changed_and_helm_by_hand_says_who_may(cluster: Cluster, tenant: dict[str, Any]) -> None:
    records = [s["metadata"]["name"] for s in cluster.items("secrets", WHERE, "owner=helm")]
    patch = ["patch", "secret", records[-1], "-n", WHERE, "--type=merge", "--dry-run=server", "-p"]
    with pytest.raises(CommandFailed) as caught:
        cluster.kubectl(*patch, '{"data": {"release": "eA=="}}')
    assert "pdshub-releases" in caught.value.err
    cluster.kubectl(*patch, '{"metadata": {"finalizers": ["example.org/x"]}}')  # what is no content is no matter


@pytest.mark.parametrize(
    ("spec", "word"),
    [
        ({"externalIPs": ["192.0.2.1"]}, "externalIPs"),
        ({"type": "LoadBalancer"}, "LoadBalancer"),
        ({"type": "LoadBalancer", "loadBalancerIP": "192.0.2.1"}, "LoadBalancer"),
        ({"type": "NodePort"}, ""),
        ({}, ""),
    ],
    ids=["an address", "a load balancer", "a load balancer at an address", "a node port", "a plain one"],
)
def test_services_draw_nobodys_traffic(cluster: Cluster, tenant: dict[str, Any], spec: Any, word: str) -> None:
    service = named("Service", "s", spec={"ports": [{"port": 80}], "selector": {"a": "b"}, **spec})
    for user in ("", ACCOUNT):
        said = attempt(cluster, service, user)
        assert ("pdshub-services" in said and word in said) if word else said == ""


def test_nobody_becomes_the_account(cluster: Cluster, tenant: dict[str, Any]) -> None:
    assert "only impersonated" in attempt(cluster, named("ServiceAccount", HELM_ACCOUNT))
    assert "only impersonated" in attempt(cluster, named("ServiceAccount", HELM_ACCOUNT, "default"))
    pod = {"serviceAccountName": HELM_ACCOUNT, "containers": [{"name": "a", "image": "a"}]}
    said = attempt(cluster, named("Pod", "p", spec=pod))
    assert "only impersonated" in said or "not found" in said  # the admission of accounts comes first
    assert HELM_ACCOUNT not in {a["metadata"]["name"] for a in cluster.items("serviceaccounts")}


@pytest.mark.parametrize(
    "what",
    [
        ("get", "secrets", "-n", WHERE),
        ("list", "secrets", "-A"),
        ("create", "pods", "-n", SYSTEM),
        ("create", "pods", "-n", WHERE),
        ("create", "deployments.apps", "-n", WHERE),
        ("create", "clusterrolebindings"),
        ("escalate", "clusterroles"),
        ("bind", "clusterroles/cluster-admin"),
        ("impersonate", "users"),
        ("impersonate", "groups"),
        ("impersonate", "serviceaccounts/default", "-n", "kube-system"),
        ("get", "secrets/pdshub-foreign", "-n", SYSTEM),
    ],
    ids=" ".join,
)
def test_the_operator_itself_may_not(cluster: Cluster, what: tuple[str, ...]) -> None:
    assert not may(cluster, OPERATOR, *what)


def test_the_operator_itself_is_refused_a_foreign_secret(cluster: Cluster, tenant: dict[str, Any]) -> None:
    (name, *_) = [s["metadata"]["name"] for s in cluster.items("secrets", WHERE)]
    with pytest.raises(CommandFailed, match="forbidden"):
        cluster.kubectl("get", "secret", name, "-n", WHERE, f"--as={OPERATOR}")
    cluster.kubectl("get", "secret", name, "-n", WHERE, f"--as={ACCOUNT}")
    with pytest.raises(CommandFailed, match="forbidden"):
        cluster.kubectl("get", "secret", "pdshub-ca", "-n", SYSTEM, f"--as={ACCOUNT}")


def test_the_operator_opens_namespaces_of_hubs_for_their_account_alone(
    cluster: Cluster, tenant: dict[str, Any]
) -> None:
    api, group = "rbac.authorization.k8s.io/v1", "rbac.authorization.k8s.io"

    def binding(where: str, role: str = HUB_ROLE, name: str = HUB_ROLE, account: str = HELM_ACCOUNT) -> dict[str, Any]:
        ref = {"apiGroup": group, "kind": "ClusterRole", "name": role}
        subject = {"kind": "ServiceAccount", "name": account, "namespace": where}
        return named("RoleBinding", name, where, api, roleRef=ref, subjects=[subject])

    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ELSEWHERE}})
    try:
        for where in (ELSEWHERE, "kube-system", "default", SYSTEM):
            said = applied(cluster, binding(where), OPERATOR)
            assert "pdshub-rolebindings" in said and "may not hold hubs" in said
            assert "forbidden" in attempt(cluster, binding(where), OPERATOR), "RBAC lets it create by name alone"
        assert applied(cluster, binding(WHERE), OPERATOR) == ""
        assert "pdshub-rolebindings" in applied(cluster, binding(WHERE, account="writer"), OPERATOR)
        for name, role in (("x", HUB_ROLE), ("x", "admin"), (HUB_ROLE, "admin")):
            assert applied(cluster, binding(WHERE, role, name), OPERATOR) != ""
    finally:
        cluster.kubectl("delete", "namespace", ELSEWHERE, "--wait=false")


def test_the_operator_changes_volumes_of_hubs_only(cluster: Cluster, tenant: dict[str, Any]) -> None:
    claim = cluster.get("pvc", "hub-db-dir", WHERE)
    ours, foreign = str(claim["spec"]["volumeName"]), "e2e-foreign"
    spec = {
        "capacity": {"storage": "1Mi"},
        "accessModes": ["ReadOnlyMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "none",
        "nfs": {"server": "192.0.2.1", "path": "/x"},
        "claimRef": {"namespace": "kube-system", "name": "nobody"},
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": foreign}, "spec": spec}
    assert "pdshub-volumes" in attempt(cluster, volume, OPERATOR), "it makes volumes of the archive only"
    cluster.apply(volume)

    def patched(name: str, body: dict[str, Any]) -> str:
        try:
            cluster.kubectl(
                "patch", "pv", name, "--type=merge", "--dry-run=server", f"--as={OPERATOR}", "-p", json.dumps(body)
            )
        except CommandFailed as failed:
            return failed.err
        return ""

    try:
        gone = {"spec": {"persistentVolumeReclaimPolicy": "Delete"}}
        assert "pdshub-volumes" in patched(foreign, gone)
        assert "pdshub-volumes" in patched(foreign, {"metadata": {"labels": {"pdshub.dev/namespace": "kube-system"}}})
        assert patched(ours, gone) == ""
        assert "pdshub-volumes" in patched(ours, {"spec": {"mountOptions": ["exec"]}})
        assert "pdshub-volumes" in patched(ours, {"spec": {"claimRef": {"name": "another"}}})
        with pytest.raises(CommandFailed, match="pdshub-volumes"):
            cluster.kubectl("delete", "pv", foreign, "--dry-run=server", f"--as={OPERATOR}")
    finally:
        cluster.kubectl("delete", "pv", foreign)


def test_a_hub_is_only_where_the_installation_allows_it(cluster: Cluster, sample: dict[str, Any]) -> None:
    labels = {"pdshub.dev/environment": "development", **RESTRICTED}
    meta = {"name": LEAVING, "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    try:
        cluster.apply(variant(sample, "leaving", LEAVING, archive=None))
        stalled = eventually(
            lambda: cluster.condition("pdshub", "leaving", "Stalled", LEAVING),
            lambda c: c.get("reason") == "NamespaceNotAllowed",
            what="the hub stalls",
        )
        words = stalled["message"].partition("by kubectl ")[2].partition(",")[0].split()
        assert words[:3] == ["label", "namespace", LEAVING]
        assert cluster.items("rolebindings", LEAVING) == []
        cluster.kubectl(*words)
        wait_ready(cluster, "leaving", LEAVING)
    finally:
        # in the worst order: the binding goes while the namespace is going, and the hub with it
        cluster.kubectl("delete", "namespace", LEAVING, "--wait=false")
        cluster.kubectl("delete", "rolebinding", HUB_ROLE, "-n", LEAVING, "--ignore-not-found")
    cluster.kubectl("wait", "--for=delete", f"namespace/{LEAVING}", "--timeout=240s", timeout=250)


def test_a_namespace_whose_binding_went_first_ends(cluster: Cluster, sample: dict[str, Any]) -> None:
    namespace(cluster, LEAVING)
    cluster.apply(variant(sample, "leaving", LEAVING))
    wait_ready(cluster, "leaving", LEAVING)
    cluster.kubectl("delete", "pdshub", "leaving", "-n", LEAVING, "--wait=false")
    cluster.kubectl("delete", "rolebinding", HUB_ROLE, "-n", LEAVING, "--ignore-not-found")
    cluster.kubectl("delete", "namespace", LEAVING, "--timeout=240s", timeout=250)
    assert f"{LEAVING}-leaving" not in {v["metadata"]["name"] for v in cluster.items("archiveviews")}
