"""The admission policies of charts/pdshub: whose requests each one sees, and that it is bound where it should be."""

from __future__ import annotations

import re
import subprocess
from typing import Any

import pytest
import yaml

from pdshub.installation import NEVER
from pdshub.render.names import NAMESPACE_LABEL, REPOSITORY_LABEL
from pdshub.wellknown import BACKUP_KEY_SUFFIX, DRIVER, HELM_ACCOUNT, HUB_ROLE
from tests.unit.chart import FULL, POLICIES, SYSTEM, VALUES, Document, rendered, run

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
OPERATOR = f'request.userInfo.username == "system:serviceaccount:{SYSTEM}:pdshub-operator"'
SEEN = {
    "pdshub-rolebindings": ("rolebindings", "CREATE UPDATE"),
    "pdshub-releases": ("secrets", "CREATE UPDATE"),
    "pdshub-account": ("serviceaccounts serviceaccounts/token", "CREATE"),
    "pdshub-account-pods": ("pods", "CREATE"),
    "pdshub-backup-keys": ("pods pods/ephemeralcontainers", "CREATE UPDATE"),
    "pdshub-backup-jobs": ("jobs", "CREATE"),
    "pdshub-services": ("services", "CREATE UPDATE"),
    "pdshub-volumes": ("persistentvolumes", "CREATE UPDATE DELETE"),
}
"""Resources and operations: never a status, never finalizers; DELETE of the operator's own volumes alone."""
BY_THE_OPERATOR = {"pdshub-rolebindings", "pdshub-volumes"}
IN_HUB_NAMESPACES = {"pdshub-releases", "pdshub-services", "pdshub-backup-keys", "pdshub-backup-jobs"}


def policies(values: Document | None = None) -> dict[str, Document]:
    return {name: d["spec"] for (kind, name), d in rendered(values).items() if kind == POLICY}


def bindings(values: Document | None = None) -> dict[str, Document]:
    return {name: d["spec"] for (kind, name), d in rendered(values).items() if kind == BINDING}


def expressions(spec: Document) -> str:
    parts = [*spec["matchConditions"], *spec.get("variables", []), *spec["validations"]]
    return "\n".join(part["expression"] for part in parts)


@VALUES
def test_what_each_policy_sees(values: Document) -> None:
    found = {}
    for name, spec in policies(values).items():
        (rule,) = spec["matchConstraints"]["resourceRules"]
        assert set(spec["matchConstraints"]) == {"resourceRules"}
        found[name] = (" ".join(rule["resources"]), " ".join(rule["operations"]))
    assert found == SEEN


@VALUES
def test_nobody_else_is_held_up(values: Document) -> None:
    """What fails is refused, so each looks at a few requests only."""
    for name, spec in policies(values).items():
        assert spec["failurePolicy"] == "Fail"
        assert len(spec["matchConditions"]) == 1
        (condition,) = spec["matchConditions"]
        assert (condition["expression"] == OPERATOR) is (name in BY_THE_OPERATOR)


@VALUES
def test_every_refusal_says_what_to_do(values: Document) -> None:
    for spec in policies(values).values():
        for validation in spec["validations"]:
            assert len(validation["message"]) > 30 and "\n" not in validation["message"].strip()


@VALUES
def test_policies_are_bound_and_deny(values: Document) -> None:
    found = bindings(values)
    assert {spec["policyName"] for spec in found.values()} == set(SEEN)
    for spec in found.values():
        assert spec["validationActions"] == ["Deny"]
        assert ("matchResources" in spec) is (spec["policyName"] in IN_HUB_NAMESPACES)


def selects(selector: Document, name: str, labels: dict[str, str]) -> bool:
    """Whether a namespaceSelector selects a namespace. Source: Kubernetes, Labels and Selectors."""
    have = {**labels, "kubernetes.io/metadata.name": name}
    if any(have.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    for term in selector.get("matchExpressions", []):
        if (have.get(term["key"]) in term["values"]) is (term["operator"] == "NotIn"):
            return False
    return True


ALLOWED = {"pdshub.dev/hubs": "allowed"}


@pytest.mark.parametrize(
    ("hubs", "name", "labels", "hit"),
    [
        ({}, "hub", ALLOWED, True),
        ({}, "hub", {}, False),
        ({}, "hub", {"pdshub.dev/hubs": "no"}, False),
        ({}, SYSTEM, ALLOWED, False),
        ({}, "kube-system", ALLOWED, False),
        ({"namespaces": ["planets"]}, "planets", {}, True),
        ({"namespaces": ["planets"]}, "hub", ALLOWED, True),
        ({"namespaces": ["kube-system"]}, "kube-system", ALLOWED, False),
        ({"namespaces": ["planets"]}, "hub", {}, False),
        ({"namespaceSelector": {"matchLabels": {"pdshub.dev/hubs": None, "team": "x"}}}, "hub", {"team": "x"}, True),
        ({"namespaceSelector": {"matchLabels": {"pdshub.dev/hubs": None, "team": "x"}}}, "hub", ALLOWED, False),
        ({"namespaceSelector": {"matchLabels": {"pdshub.dev/hubs": None}}}, "any", {}, True),
        ({"namespaceSelector": {"matchLabels": {"pdshub.dev/hubs": None}}}, "kube-system", {}, False),
    ],
)
def test_where_the_policies_for_hub_namespaces_hold(
    hubs: Document, name: str, labels: dict[str, str], hit: bool
) -> None:
    for policy in IN_HUB_NAMESPACES:
        chosen = [b for b in bindings({"hubs": hubs}).values() if b["policyName"] == policy]
        hits = [selects(b["matchResources"]["namespaceSelector"], name, labels) for b in chosen]
        assert any(hits) is hit


@VALUES
def test_the_operator_and_the_policies_agree_on_the_namespaces(values: Document) -> None:
    settings = yaml.safe_load(rendered(values)["ConfigMap", "pdshub-installation"]["data"]["installation.yaml"])["hubs"]
    allowed = expressions(policies(values)["pdshub-rolebindings"])
    for name in (*NEVER, SYSTEM, *settings["namespaces"]):
        assert f'"{name}"' in allowed
    for key, value in settings["namespaceSelector"]["matchLabels"].items():
        assert f'namespaceObject.metadata.labels["{key}"] == "{value}"' in allowed


def test_names_are_those_of_the_source() -> None:
    found = policies()
    assert f'"{DRIVER}"' in expressions(found["pdshub-volumes"])
    assert f'"{NAMESPACE_LABEL}"' in expressions(found["pdshub-volumes"])
    assert f'"{HUB_ROLE}"' in expressions(found["pdshub-rolebindings"])
    for name in SEEN.keys() - {"pdshub-services", "pdshub-backup-keys"}:
        assert HELM_ACCOUNT in expressions(found[name]), name
    for name in ("pdshub-backup-keys", "pdshub-backup-jobs"):
        assert f'"{BACKUP_KEY_SUFFIX}"' in expressions(found[name]), name
    assert f'"{REPOSITORY_LABEL}"' in expressions(found["pdshub-volumes"])


@pytest.mark.parametrize(
    ("policy", "spec"),
    [("pdshub-backup-keys", "object.spec"), ("pdshub-backup-jobs", "object.spec.template.spec")],
)
def test_every_way_of_a_pod_to_a_secret_is_looked_at(policy: str, spec: str) -> None:
    """Source: Kubernetes API, PodSpec: volumes, projected volumes, env and envFrom of three kinds of containers."""
    (validation,) = policies()[policy]["validations"]
    text = validation["expression"]
    assert text.startswith(f"!{spec}.?volumes.orValue([]).exists(v, v.?secret.?secretName.")
    assert "v.?projected.?sources.orValue([]).exists(s, s.?secret.?name." in text
    for containers in ("containers", "initContainers", "ephemeralContainers"):
        begin = f"!{spec}.?{containers}.orValue([]).exists(c, c.?env.orValue([]).exists(e, "
        (found,) = [part for part in text.split(" && ") if part.startswith(begin)]
        assert "e.?valueFrom.?secretKeyRef.?name." in found and "c.?envFrom.orValue([])" in found


def test_pods_with_the_key_are_made_by_the_controller_of_jobs_alone() -> None:
    (condition,) = policies()["pdshub-backup-keys"]["matchConditions"]
    assert condition["expression"].startswith(
        '!(request.userInfo.username in ["system:serviceaccount:kube-system:job-controller", '
        '"system:kube-controller-manager"]) && '
    )
    assert 'request.?subResource.orValue("") == "ephemeralcontainers"' in condition["expression"], (
        "not each change of a pod"
    )


@pytest.mark.parametrize(
    ("allowed", "share"),
    [
        ([], "variables.repository && (false)"),
        (
            [{"server": "NAS.example.org", "paths": ["/b", "/c/d"]}],
            'variables.repository && ((variables.volume.spec.nfs.server == "nas.example.org" && '
            '(variables.volume.spec.nfs.path == "/b" || variables.volume.spec.nfs.path.startsWith("/b/"))) || '
            '(variables.volume.spec.nfs.server == "nas.example.org" && (variables.volume.spec.nfs.path == "/c/d" || '
            'variables.volume.spec.nfs.path.startsWith("/c/d/"))))',
        ),
    ],
)
def test_shares_for_backups_are_those_that_the_installation_allows(allowed: list[Document], share: str) -> None:
    found = policies({"backup": {"allowed": allowed}})["pdshub-volumes"]["variables"]
    assert {v["name"]: v["expression"] for v in found}["share"] == share


@pytest.mark.parametrize("path", ["b", "/", "/b/", "/b/../c", '/b" || true || "', "/b c", "//b"])
def test_shares_that_the_schema_refuses(path: str) -> None:
    values = {"backup": {"allowed": [{"server": "nas.example.org", "paths": [path]}]}}
    assert run("template", "pdshub", values=values).returncode != 0


@pytest.mark.parametrize(("allowed", "refuses"), [(False, True), (True, False)])
def test_load_balancers(allowed: bool, refuses: bool) -> None:
    spec = policies({"hubs": {"allowLoadBalancers": allowed}})["pdshub-services"]
    assert any("loadBalancerIP" in v["expression"] for v in spec["validations"]) is refuses
    assert any("externalIPs" in v["expression"] for v in spec["validations"]), "never allowed"


@pytest.mark.parametrize("name", SEEN)
@VALUES
def test_expressions_are_whole(values: Document, name: str) -> None:
    """Brackets and quotes close, and nothing of a template is left."""
    for text in expressions(policies(values)[name]).splitlines():
        bare = re.sub(r'"[^"]*"', '""', text)
        assert all(bare.count(a) == bare.count(b) for a, b in ("()", "[]", "{}")), text
        assert bare.count('"') % 2 == 0 and "{{" not in text and "<no value>" not in text


def test_a_cluster_without_such_policies_gets_none() -> None:
    done = run("template", "pdshub")
    assert done.returncode == 0 and POLICY in done.stdout
    command = [arg for arg in done.args if arg not in ("--api-versions", POLICIES)]
    bare: Any = subprocess.run(command, input='{"image": "x:1"}', capture_output=True, text=True, check=True)
    assert POLICY not in bare.stdout


@pytest.mark.parametrize(
    "hubs",
    [
        {"namespaces": ["Not A Name"]},
        {"namespaceSelector": {"matchLabels": {"a": 'x" || true || "'}}},
        {"namespaceSelector": {"matchExpressions": []}},
        {"more": 1},
    ],
)
def test_what_the_schema_refuses(hubs: Document) -> None:
    assert run("template", "pdshub", values={"hubs": hubs}).returncode != 0


def test_everything_set_renders() -> None:
    assert "pdshub-services-listed" in bindings(FULL)
