"""The chart pdshub as Helm renders it: the programs find in it what they read, and no part may do more than it must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub import pki
from pdshub.api.view import ArchiveViewSpec
from pdshub.installation import Installation
from pdshub.object_cache import Scope
from pdshub.reconcile.common import watched
from pdshub.reconcile.hub.seal import KEY_SECRET
from pdshub.render import surveyor
from pdshub.wellknown import PROBED
from tests.unit import chart
from tests.unit.chart import FULL, ROOT, SYSTEM, Document

NAMES = surveyor.SurveyorNames("pdshub-surveyors", "sbn")


def rendered(**values: Any) -> dict[tuple[str, str], Document]:
    return chart.rendered(values)


def installation(**values: Any) -> Installation:
    data = rendered(**values)["ConfigMap", "pdshub-installation"]["data"]
    return Installation.model_validate(yaml.safe_load(data["installation.yaml"]))


@pytest.mark.parametrize(
    ("values", "field", "expected"),
    [
        ({"image": "registry/pdshub:9"}, "image", "registry/pdshub:9"),
        ({"imagePullPolicy": "Never"}, "image_pull_policy", "Never"),
        ({"imagePullSecrets": [{"name": "pull"}]}, "image_pull_secrets", [{"name": "pull"}]),
        ({"surveyor": {"nodeSelector": {"disk": "ssd"}}}, "node_selector", {"disk": "ssd"}),
        ({"surveyor": {"tolerations": [{"operator": "Exists"}]}}, "tolerations", [{"operator": "Exists"}]),
        ({}, "max_storage", "100Gi"),
        ({"surveyor": {"maxStorage": "2Ti"}}, "max_storage", "2Ti"),
        ({"surveyor": {"resources": {"limits": {"memory": "8Gi"}}}}, "resources", None),
    ],
)
def test_surveyors_are_as_the_values_say(values: Document, field: str, expected: Any) -> None:
    found = getattr(installation(**values).surveyor, field)
    assert found["limits"]["memory"] == "8Gi" if expected is None else found == expected


def test_the_policy_chooses_surveyors_and_no_other_pod() -> None:
    policy = rendered()["NetworkPolicy", "pdshub-surveyor"]["spec"]
    chosen = policy["podSelector"]["matchLabels"].items()
    made = surveyor.deployment(NAMES, installation().surveyor, "u1")["spec"]["template"]
    assert chosen <= made["metadata"]["labels"].items()
    for kind, name in (("Deployment", "pdshub-operator"), ("DaemonSet", "pdshub-node")):
        assert not chosen <= rendered()[kind, name]["spec"]["template"]["metadata"]["labels"].items()
    ports = {rule["port"] for rule in policy["ingress"][0]["ports"]}
    assert ports == {port["containerPort"] for port in made["spec"]["containers"][0]["ports"]}
    assert policy["egress"] == [] and "Egress" in policy["policyTypes"]
    assert ("NetworkPolicy", "pdshub-surveyor") not in rendered(surveyor={"networkPolicy": False})


# --- the namespace of surveyors, and what the operator may do in it


@pytest.mark.parametrize(("values", "name"), [({}, "pdshub-surveyors"), ({"namespace": "looking"}, "looking")])
def test_surveyors_live_in_a_restricted_namespace(values: Document, name: str) -> None:
    objects = rendered(surveyor=values)
    made = objects["Namespace", name]["metadata"]
    for mode in ("enforce", "audit", "warn"):
        assert made["labels"][f"pod-security.kubernetes.io/{mode}"] == "restricted"
    assert made["annotations"] == {"helm.sh/resource-policy": "keep"}, "stores of surveyors lie in it"
    assert installation(surveyor=values).surveyor.namespace == name
    for kind in ("NetworkPolicy", "Role", "RoleBinding"):
        assert name in {o["metadata"]["namespace"] for (found, _), o in objects.items() if found == kind}
    without = rendered(surveyor={**values, "createNamespace": False})
    assert ("Namespace", name) not in without and "NetworkPolicy" in {kind for kind, _ in without}


def test_the_default_namespace_is_the_one_of_the_program() -> None:
    assert installation().surveyor.namespace == Installation().surveyor.namespace


KEEP = {"get", "list", "watch", "create", "patch", "delete"}
ROLES: dict[str, list[tuple[str, set[str], set[str], set[str]]]] = {
    "pdshub-surveyors": [
        ("", {"persistentvolumeclaims", "services", "secrets"}, set(), KEEP),
        ("apps", {"deployments"}, set(), KEEP),
        ("", {"pods"}, set(), {"list"}),
    ],
    SYSTEM: [
        ("", {"secrets"}, {pki.CA, pki.NODE, pki.OPERATOR, KEY_SECRET}, {"get", "create", "patch"}),
        ("", {"pods"}, set(), {"list", "watch"}),
        ("", {"configmaps"}, {PROBED}, {"get", "list", "watch"}),
    ],
}
"""By namespace: API group, resources, names (all where there is none), verbs."""


@pytest.mark.parametrize("namespace", ROLES)
def test_roles_of_the_operator(namespace: str) -> None:
    objects = rendered()
    roles = [
        o
        for (kind, name), o in objects.items()
        # that of auditors is bound to nobody (test_chart.py)
        if kind == "Role" and o["metadata"]["namespace"] == namespace and name != "pdshub-auditor"
    ]
    found = [
        (group, {*rule["resources"]}, {*rule.get("resourceNames", [])}, {*rule["verbs"]})
        for role in roles
        for rule in role["rules"]
        for group in rule["apiGroups"]
    ]
    assert len(found) == len(ROLES[namespace]) and all(rule in ROLES[namespace] for rule in found)
    for role in roles:
        name = role["metadata"]["name"]
        binding = objects["RoleBinding", name]
        assert binding["metadata"]["namespace"] == namespace and binding["roleRef"]["name"] == name
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "pdshub-operator", "namespace": SYSTEM}]


@pytest.mark.parametrize(
    ("scope", "namespace"),
    [
        *((scope, "pdshub-surveyors") for scope in (watched.claims_of_surveyors("s"), *watched.of_surveyors("s"))),
        *((scope, SYSTEM) for scope in watched.of_installation("s")),
    ],
)
def test_the_operator_may_watch_what_it_keeps_a_copy_of(scope: Scope, namespace: str) -> None:
    group = scope.resource.api.rpartition("/")[0]
    assert any(
        api == group
        and scope.resource.plural in resources
        and scope.fields == "".join(f"metadata.name={name}" for name in names)
        and {"list", "watch"} <= verbs
        for api, resources, names, verbs in ROLES[namespace]
    )


BECOME_PODS = {
    ("", "pods"),
    ("", "replicationcontrollers"),
    *(("apps", kind) for kind in ("deployments", "daemonsets", "statefulsets", "replicasets")),
    ("batch", "jobs"),
    ("batch", "cronjobs"),
}
CHANGES = {"create", "update", "patch", "*"}


def makes_pods(values: Document, *kinds: str) -> list[str]:
    """Rules by which the operator could make, or change, what becomes a pod in the installation's namespace."""
    objects = rendered(**values)
    bindings = [
        document
        for (kind, _), document in objects.items()
        if kind in kinds
        and document["metadata"].get("namespace", SYSTEM) == SYSTEM
        and {"kind": "ServiceAccount", "name": "pdshub-operator", "namespace": SYSTEM} in document["subjects"]
    ]
    assert bindings
    return [
        f"{binding['roleRef']['name']}: {rule}"
        for binding in bindings
        for rule in objects[binding["roleRef"]["kind"], binding["roleRef"]["name"]]["rules"]
        if CHANGES & {*rule["verbs"]}
        and {(g, r.partition("/")[0]) for g in rule["apiGroups"] for r in rule["resources"]}
        & {*BECOME_PODS, ("*", "*")}
    ]


@pytest.mark.parametrize("values", [{}, FULL], ids=["defaults", "everything set"])
def test_no_role_of_the_operator_makes_a_pod_beside_the_privileged_ones(values: Document) -> None:
    assert makes_pods(values, "RoleBinding") == []


def test_no_cluster_role_of_the_operator_does() -> None:
    assert makes_pods({}, "ClusterRoleBinding") == []


@pytest.mark.parametrize(
    ("group", "resource", "verbs"),
    [
        ("", "persistentvolumes", {"get", "create", "patch", "delete"}),
        ("storage.k8s.io", "storageclasses", {"list"}),
        ("pdshub.dev", "archiveviews", {"get", "list", "watch", "patch"}),
        ("pdshub.dev", "archiveviews/status", {"patch"}),
    ],
)
def test_the_operator_may_make_what_lies_in_no_namespace(group: str, resource: str, verbs: set[str]) -> None:
    rules = rendered()["ClusterRole", "pdshub-operator"]["rules"]
    granted = [rule["verbs"] for rule in rules if group in rule["apiGroups"] and resource in rule["resources"]]
    assert verbs <= {verb for words in granted for verb in words}


def test_nodes_read_views_and_nothing_else() -> None:
    (rule,) = rendered()["ClusterRole", "pdshub-node"]["rules"]
    assert rule["resources"] == ["archiveviews"] and set(rule["verbs"]) == {"get", "list", "watch"}


def test_nodes_know_where_surveyors_may_be() -> None:
    (container, *_) = rendered()["DaemonSet", "pdshub-node"]["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item for item in container["env"]}
    assert environment["SURVEYOR_NAMESPACE"]["value"] == installation().surveyor.namespace


def test_each_program_mounts_its_own_certificate() -> None:
    volumes = rendered()["DaemonSet", "pdshub-node"]["spec"]["template"]["spec"]["volumes"]
    node = {v["secret"]["secretName"] for v in volumes if "secret" in v}
    made = surveyor.deployment(NAMES, installation().surveyor, "u1")["spec"]["template"]["spec"]["volumes"]
    assert node == {pki.NODE}
    assert {v["secret"]["secretName"] for v in made if "secret" in v} == {NAMES.certificate}
    other = surveyor.SurveyorNames(NAMES.namespace, "other")
    assert other.certificate != NAMES.certificate == surveyor.certificate(NAMES, "u1")["metadata"]["name"]


@pytest.mark.parametrize(
    "values",
    [
        {"surveyor": {"replicas": 2}},
        {"surveyor": {"networkPolicy": "yes"}},
        {"surveyor": {"namespace": "No Name"}},
        {"surveyor": {"namespace": "a" * 64}},
        {"surveyor": {"namespace": SYSTEM}},  # it lets privileged pods in
    ],
)
def test_values_that_mean_nothing_are_refused(values: Document) -> None:
    with pytest.raises(AssertionError, match="surveyor"):
        rendered(**values)


@pytest.mark.parametrize("path", sorted((ROOT / "manifests/samples").glob("*.yaml")), ids=lambda p: p.name)
def test_samples_are_what_the_api_takes(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        if document and document["kind"] == "ArchiveView":
            assert ArchiveViewSpec.model_validate(document["spec"])
