"""The chart pdshub as Helm renders it: the programs find in it what they read, and no part may do more than it must."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pdshub import pki
from pdshub.api.view import ArchiveViewSpec
from pdshub.installation import Installation
from pdshub.render import surveyor
from pdshub.tls_names import SURVEYOR_SECRET
from tests.unit import chart
from tests.unit.chart import ROOT, Document

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


def granted(kind: str, group: str, resource: str) -> set[str]:
    """Verbs of a ClusterRole of the chart."""
    return {
        verb
        for rule in rendered()["ClusterRole", kind]["rules"]
        if group in rule["apiGroups"] and resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize(
    ("group", "resource", "verbs"),
    [
        ("apps", "deployments", {"get", "create", "patch", "delete"}),
        ("", "services", {"get", "create", "patch", "delete"}),
        ("", "persistentvolumeclaims", {"get", "create", "patch", "delete"}),
        ("", "persistentvolumes", {"get", "create", "patch", "delete"}),
        ("", "secrets", {"get", "create", "patch"}),
        ("", "pods", {"list"}),
        ("storage.k8s.io", "storageclasses", {"list"}),
        ("pdshub.dev", "archiveviews", {"get", "list", "watch", "patch"}),
        ("pdshub.dev", "archiveviews/status", {"patch"}),
    ],
)
def test_the_operator_may_make_surveyors(group: str, resource: str, verbs: set[str]) -> None:
    assert verbs <= granted("pdshub-operator", group, resource)


def test_nodes_read_views_and_nothing_else() -> None:
    (rule,) = rendered()["ClusterRole", "pdshub-node"]["rules"]
    assert rule["resources"] == ["archiveviews"] and set(rule["verbs"]) == {"get", "list", "watch"}


def test_nodes_know_where_surveyors_may_be() -> None:
    (container, *_) = rendered()["DaemonSet", "pdshub-node"]["spec"]["template"]["spec"]["containers"]
    environment = {item["name"]: item for item in container["env"]}
    assert environment["POD_NAMESPACE"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.namespace"


def test_each_program_mounts_its_own_certificate() -> None:
    volumes = rendered()["DaemonSet", "pdshub-node"]["spec"]["template"]["spec"]["volumes"]
    node = {v["secret"]["secretName"] for v in volumes if "secret" in v}
    made = surveyor.deployment(NAMES, installation().surveyor, "u1")["spec"]["template"]["spec"]["volumes"]
    assert node == {pki.NODE}
    assert {v["secret"]["secretName"] for v in made if "secret" in v} == {pki.SURVEYOR} == {SURVEYOR_SECRET}


@pytest.mark.parametrize("values", [{"surveyor": {"replicas": 2}}, {"surveyor": {"networkPolicy": "yes"}}])
def test_values_that_mean_nothing_are_refused(values: Document) -> None:
    with pytest.raises(AssertionError, match="surveyor"):
        rendered(**values)


@pytest.mark.parametrize("path", sorted((ROOT / "manifests/samples").glob("*.yaml")), ids=lambda p: p.name)
def test_samples_are_what_the_api_takes(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        if document and document["kind"] == "ArchiveView":
            assert ArchiveViewSpec.model_validate(document["spec"])
