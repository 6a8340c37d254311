"""The audit log in charts/pdshub: who writes it, who reads it, and that nothing else comes near."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub.audit_log.trail import FOLDER_ENV, RETAIN, RETAIN_ENV, from_environment
from pdshub.wellknown import AUDIT_FOLDER, AUDIT_POD
from tests.unit.chart import VALUES, Document, pods, rendered, run

OFF: Document = {"operator": {"audit": {"enabled": False}}}


def mounts(spec: Document) -> dict[str, bool]:
    """Where a pod has the volume, and whether it is read-only there."""
    volumes = {v["name"] for v in spec.get("volumes", []) if v.get("persistentVolumeClaim")}
    return {
        m["mountPath"]: m.get("readOnly", False)
        for container in spec["containers"]
        for m in container.get("volumeMounts", [])
        if m["name"] in volumes
    }


@VALUES
def test_the_operator_writes_it_and_one_pod_reads_it(values: Document) -> None:
    found = {name: mounts(spec) for name, spec in pods(values).items() if mounts(spec)}
    assert found == {"pdshub-operator": {AUDIT_FOLDER: False}, "pdshub-audit": {AUDIT_FOLDER: True}}
    claim = rendered(values)["PersistentVolumeClaim", "pdshub-audit"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    reader = rendered(values)["StatefulSet", "pdshub-audit"]
    assert reader["spec"]["replicas"] == 1 and f"{reader['metadata']['name']}-0" == AUDIT_POD


def test_the_reader_has_nothing_but_the_log() -> None:
    spec = pods()["pdshub-audit"]
    (container,) = spec["containers"]
    assert spec["automountServiceAccountToken"] is False and "serviceAccountName" not in spec
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not container.get("env") and not container.get("ports")
    policy = rendered()["NetworkPolicy", "pdshub-audit"]["spec"]
    labels = rendered()["StatefulSet", "pdshub-audit"]["spec"]["template"]["metadata"]["labels"]
    assert policy["podSelector"]["matchLabels"].items() <= labels.items()
    assert (policy["policyTypes"], policy["ingress"], policy["egress"]) == (["Ingress", "Egress"], [], [])


def test_both_are_on_one_node() -> None:
    """A volume of one node: the reader goes to the operator, which comes back to the reader where it can."""
    labels = {name: rendered()[kind, name]["spec"]["template"]["metadata"]["labels"]
              for kind, name in (("Deployment", "pdshub-operator"), ("StatefulSet", "pdshub-audit"))}  # fmt: skip
    (must,) = pods()["pdshub-audit"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert must["labelSelector"]["matchLabels"].items() <= labels["pdshub-operator"].items()
    (near,) = pods()["pdshub-operator"]["affinity"]["podAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert near["podAffinityTerm"]["labelSelector"]["matchLabels"].items() <= labels["pdshub-audit"].items()


def env(values: Document | None = None) -> dict[str, str]:
    (container,) = pods(values)["pdshub-operator"]["containers"]
    return {e["name"]: e.get("value", "") for e in container["env"]}


def test_the_operator_is_told_where_and_how_much() -> None:
    assert (env()[FOLDER_ENV], env()[RETAIN_ENV]) == (AUDIT_FOLDER, RETAIN)
    assert from_environment(env()) is not None
    changed = {"operator": {"audit": {"storage": "5Gi", "retainBytes": "4Gi", "storageClassName": "slow"}}}
    assert env(changed)[RETAIN_ENV] == "4Gi"
    claim = rendered(changed)["PersistentVolumeClaim", "pdshub-audit"]["spec"]
    assert (claim["storageClassName"], claim["resources"]) == ("slow", {"requests": {"storage": "5Gi"}})


def test_it_can_be_switched_off() -> None:
    assert from_environment(env(OFF)) is None
    assert not [key for key in rendered(OFF) if key[1] in ("pdshub-audit", "pdshub-auditor")]
    assert "affinity" not in pods(OFF)["pdshub-operator"]


@pytest.mark.parametrize("audit", [{"storage": ""}, {"retainBytes": "all"}, {"enabled": "yes"}, {"size": "1Gi"}])
def test_values_that_are_none_are_refused(audit: dict[str, Any]) -> None:
    assert run("template", "pdshub", values={"operator": {"audit": audit}}).returncode != 0
