"""Objects of a surveyor: names that Kubernetes takes, a pod that may do nothing, volumes that bind each other."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pdshub.api.view import ArchiveViewSpec
from pdshub.installation import Surveyor
from pdshub.render import surveyor
from pdshub.render.surveyor import RENDERED, SurveyorNames

NAMES = SurveyorNames("pdshub-surveyors", "sbn")
SETTINGS = Surveyor(image="registry/pdshub:1")
SPEC: dict[str, Any] = {
    "sources": [{"name": "main", "nfs": {"server": "nas", "export": "/pds"}}],
    "tree": [{"path": "pds4", "layers": [{"source": "main"}]}],
}


@pytest.mark.parametrize(
    ("view", "name"),
    [
        ("sbn", "survey-sbn"),
        ("a" * 56, f"survey-{'a' * 56}"),
        ("a" * 57, None),
        ("a" * 253, None),
        ("sbn.example", None),
        ("a" * 100 + "." + "b" * 100, None),
    ],
)
def test_names_are_dns_labels(view: str, name: str | None) -> None:
    names = SurveyorNames("ns", view)
    assert name is None or names.name == name
    for made in (names.name, names.sources):
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", made)
    assert all(re.fullmatch(r"[a-z0-9A-Z]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?", text) for text in names.labels.values())


@pytest.mark.parametrize(("one", "other"), [("a.b", "a-b"), ("a" * 60, "a" * 61), ("a" * 56 + ".b", "a" * 56 + "-b")])
def test_two_views_never_share_a_name(one: str, other: str) -> None:
    assert SurveyorNames("ns", one).name != SurveyorNames("ns", other).name


def pod(settings: Surveyor = SETTINGS) -> dict[str, Any]:
    found: dict[str, Any] = surveyor.deployment(NAMES, settings, "u1")["spec"]["template"]["spec"]
    return found


def test_the_pod_is_restricted() -> None:
    """Kubernetes, "Pod Security Standards", Restricted; and no token, no writable root."""
    found = pod()
    (container,) = found["containers"]
    assert found["automountServiceAccountToken"] is False
    assert found["securityContext"]["runAsNonRoot"] is True and found["securityContext"]["runAsUser"] > 0
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert not {"hostPath", "hostNetwork", "hostPID"} & found.keys()
    kinds = {key for volume in found["volumes"] for key in volume} - {"name"}
    assert kinds == {"persistentVolumeClaim", "secret", "emptyDir"}


def test_it_reads_the_sources_and_writes_its_store_only() -> None:
    (container,) = pod()["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["sources"]["readOnly"] and mounts["sources"]["mountPropagation"] == "HostToContainer"
    assert sorted(name for name, mount in mounts.items() if not mount.get("readOnly")) == ["store", "tmp"]
    places = {mount["mountPath"] for mount in container["volumeMounts"]}
    said = {arg.partition("=")[2] for arg in container["args"] if arg.startswith(("--sources", "--store", "--tls"))}
    assert said <= places


def test_volume_and_claim_bind_each_other() -> None:
    volume, claim = surveyor.sources_volume(NAMES, "u1"), surveyor.sources_claim(NAMES, "u1")
    assert volume["spec"]["claimRef"]["name"] == claim["metadata"]["name"]
    assert volume["spec"]["claimRef"]["namespace"] == claim["metadata"]["namespace"]
    assert claim["spec"]["volumeName"] == volume["metadata"]["name"]
    assert volume["spec"]["csi"]["volumeAttributes"] == {"view": "sbn", "content": "sources"}
    assert "namespace" not in volume["metadata"]
    used = {v["persistentVolumeClaim"]["claimName"] for v in pod()["volumes"] if "persistentVolumeClaim" in v}
    assert used == {claim["metadata"]["name"], NAMES.name}


def test_service_and_deployment_choose_the_same_pod() -> None:
    service, deployment = surveyor.service(NAMES, "u1"), surveyor.deployment(NAMES, SETTINGS, "u1")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= labels.items()
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    # the node plugins are found by this label, and a surveyor is none
    assert labels["app.kubernetes.io/component"] == "surveyor"


@pytest.mark.parametrize(
    ("survey", "says"),
    [
        ({}, {"resources": {"requests": {"storage": "10Gi"}}}),
        ({"storage": "1Ti"}, {"resources": {"requests": {"storage": "1Ti"}}}),
        ({"storageClassName": "fast"}, {"storageClassName": "fast"}),
    ],
)
def test_the_store_is_what_the_spec_says(survey: dict[str, Any], says: dict[str, Any]) -> None:
    spec = ArchiveViewSpec.model_validate({**SPEC, "survey": survey})
    made = surveyor.store(NAMES, spec)
    assert made["spec"].items() >= says.items()
    assert ("storageClassName" in made["spec"]) is ("storageClassName" in survey)
    # with an owner Kubernetes would take it along, whatever the view's annotation says
    assert "ownerReferences" not in made["metadata"]


@pytest.mark.parametrize(
    "settings",
    [
        {"image": "registry/pdshub:2"},
        {"tolerations": [{"operator": "Exists"}]},
        {"node_selector": {"disk": "ssd"}},
        {"resources": {"limits": {"memory": "1Gi"}}},
        {"image_pull_secrets": [{"name": "pull"}]},
    ],
)
def test_other_settings_are_another_rendering(settings: dict[str, Any]) -> None:
    def stamp(chosen: Surveyor) -> str:
        return str(surveyor.deployment(NAMES, chosen, "u1")["metadata"]["annotations"][RENDERED])

    assert stamp(SETTINGS) == stamp(SETTINGS)
    assert stamp(SETTINGS) != stamp(SETTINGS.model_copy(update=settings))
