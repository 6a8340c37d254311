"""charts/pdshub: the driver of homes, which is off unless somebody asks for it."""

from __future__ import annotations

from typing import Any

import pytest

from pdshub import ports
from pdshub.homes import claims, main
from pdshub.render import homes
from pdshub.wellknown import HOMES_CHECKPOINTS, HOMES_DRIVER, HOMES_NODE, UID
from tests.unit.chart import SYSTEM, Document, pods, rendered, run
from tests.unit.test_chart import rights

ON: Document = {"homes": {"enabled": True}}
THIN: Document = {
    "homes": {
        "enabled": True,
        "backend": "lvm-thin",
        "lvm": {"volumeGroup": "vg0", "pool": "homes"},
        "nodes": ["n1", "n2"],
        "storageClass": {"name": "own", "default": True, "reclaimPolicy": "Delete"},
        "metricsPort": 0,
    },
    "nodePlugin": {"kubeletDir": "/var/lib/k0s/kubelet/"},
}
ALL = pytest.mark.parametrize("values", [ON, THIN], ids=["file", "lvm-thin"])


def test_nothing_of_it_is_there_by_default() -> None:
    assert not [name for name in rendered() if "homes" in name[1]]
    added = rendered(ON).keys() - rendered().keys()
    assert added == {
        *((kind, "pdshub-homes") for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet")),
        ("StorageClass", "pdshub-homes"),
        ("StorageClass", HOMES_CHECKPOINTS),
        ("CSIDriver", HOMES_DRIVER),
        *((kind, "pdshub-homes") for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")),
    }


@ALL
def test_lint(values: Document) -> None:
    done = run("lint", "--strict", values=values)
    assert done.returncode == 0, done.stdout + done.stderr


def test_least_rights() -> None:
    objects = rendered(ON)
    assert rights(objects["ClusterRole", "pdshub-homes"]["rules"]) == {
        ("", "persistentvolumeclaims"): "get list watch",
        ("", "persistentvolumeclaims/status"): "patch",
        ("", "persistentvolumes"): "get list watch create patch delete",
        ("storage.k8s.io", "storageclasses"): "get",
        ("", "events"): "create",
    }
    binding = objects["ClusterRoleBinding", "pdshub-homes"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "pdshub-homes", "namespace": SYSTEM}]


@ALL
def test_its_class_is_judged_to_hold_homes_to_their_size(values: Document) -> None:
    found = rendered(values)["StorageClass", "own" if values is THIN else "pdshub-homes"]
    assert found["volumeBindingMode"] == "WaitForFirstConsumer" and found["allowVolumeExpansion"] is True
    assert found["provisioner"] == HOMES_DRIVER and "parameters" not in found and "mountOptions" not in found
    judged = homes.enforcement(found["metadata"]["name"], "1Gi", [found], None)
    assert judged.enforced is True
    if values is THIN:
        assert homes.find(None, [found]) is found and found["reclaimPolicy"] == "Delete"
        (term,) = found["allowedTopologies"]
        assert term["matchLabelExpressions"] == [{"key": HOMES_NODE, "values": ["n1", "n2"]}]
    else:
        assert homes.find(None, [found]) is None and found["reclaimPolicy"] == "Retain"


@ALL
def test_checkpoints_have_a_class_of_their_own_that_keeps_nothing(values: Document) -> None:
    """A claim of it is bound before its pod has a node, which is then the home's; what it shows goes with it."""
    found = rendered(values)["StorageClass", HOMES_CHECKPOINTS]
    assert found["provisioner"] == HOMES_DRIVER and found["parameters"] == claims.PARAMETERS
    assert (found["volumeBindingMode"], found["reclaimPolicy"]) == ("Immediate", "Delete")
    assert "annotations" not in found["metadata"] and found["allowVolumeExpansion"] is False
    assert claims.why_not_of(found, HOMES_CHECKPOINTS, claims.PARAMETERS) == ""
    assert claims.why_not_of(found, HOMES_CHECKPOINTS), "no home is made of it"


def test_volumes_of_others_are_none_of_its_business() -> None:
    spec = rendered(ON)["ValidatingAdmissionPolicy", "pdshub-homes"]["spec"]
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert rule["resources"] == ["persistentvolumes"] and rule["operations"] == ["CREATE", "UPDATE", "DELETE"]
    (condition,), (validation,) = spec["matchConditions"], spec["validations"]
    assert condition["expression"] == f'request.userInfo.username == "system:serviceaccount:{SYSTEM}:pdshub-homes"'
    assert HOMES_DRIVER in validation["expression"] and spec["failurePolicy"] == "Fail"
    bound = rendered(ON)["ValidatingAdmissionPolicyBinding", "pdshub-homes"]["spec"]
    assert bound == {"policyName": "pdshub-homes", "validationActions": ["Deny"]}


def test_the_driver_is_what_the_cluster_is_told() -> None:
    spec = rendered(ON)["CSIDriver", HOMES_DRIVER]["spec"]
    assert spec["attachRequired"] is False and spec["fsGroupPolicy"] == "File" and spec["podInfoOnMount"] is False
    assert spec["volumeLifecycleModes"] == ["Persistent"] and spec["storageCapacity"] is False


@ALL
def test_only_the_driver_has_rights_on_the_node(values: Document) -> None:
    spec = pods(values)["pdshub-homes"]
    driver, *others = spec["containers"]
    assert driver["securityContext"] == {"privileged": True, "runAsUser": 0} and "ports" not in driver
    assert spec["automountServiceAccountToken"] is False and spec["serviceAccountName"] == "pdshub-homes"
    assert not any(spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC"))
    assert len(others) == (0 if values is THIN else 1)
    for metrics in others:
        own = metrics["securityContext"]
        assert own["runAsUser"] == UID and own["capabilities"] == {"drop": ["ALL"]} and own["readOnlyRootFilesystem"]
        assert metrics["volumeMounts"] == [{"name": "run", "mountPath": "/run/pdshub", "readOnly": True}]
        assert f"--port={ports.HOMES_METRICS}" in metrics["args"]
        assert metrics["ports"] == [{"name": "metrics", "containerPort": ports.HOMES_METRICS}]
    for container in spec["containers"]:
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}
        assert {m["name"] for m in container["volumeMounts"]} <= {v["name"] for v in spec["volumes"]}
    kubelet = "/var/lib/k0s/kubelet" if values is THIN else "/var/lib/kubelet"
    mounts = {m["name"]: m for m in driver["volumeMounts"]}
    assert mounts["kubelet"] == {"name": "kubelet", "mountPath": kubelet, "mountPropagation": "Bidirectional"}
    assert ("lvm-locks" in mounts) is (values is THIN)


@ALL
def test_the_program_reads_what_the_chart_says(values: Document, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = pods(values)["pdshub-homes"]["containers"][0]
    for variable in driver["env"]:
        monkeypatch.setenv(variable["name"], variable.get("value", "n1"))
    assert driver["command"] == ["tini", "--", "pdshub-homes"]
    options = main.parser().parse_args(driver["args"])
    assert options.node_name == "n1" and str(options.folder) == "/var/lib/pdshub/homes"
    assert (options.overcommit, options.drop_above, options.refuse_above) == (1.0, 0.9, 0.95)
    assert (options.checkpoint_hour, options.checkpoint_keep, options.copy_most) == (2, 7, "1Gi")
    assert (options.backend, options.vg, options.pool) == (
        ("lvm-thin", "vg0", "homes") if values is THIN else ("file", "", "")
    )
    assert main.homes_of(options)


def test_homes_may_be_on_certain_nodes() -> None:
    affinity = pods(THIN)["pdshub-homes"]["affinity"]["nodeAffinity"]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [t["matchFields"][0]["values"] for t in terms] == [["n1"], ["n2"]]
    assert "affinity" not in pods(ON)["pdshub-homes"]


def changed(**values: Any) -> Document:
    return {"homes": {"enabled": True, **values}}


@pytest.mark.parametrize(
    ("values", "where"),
    [
        (changed(backend="zfs"), "/homes/backend"),
        (changed(folder="homes"), "/homes/folder"),
        (changed(folder="/"), "/homes/folder"),
        (changed(folder="/var/../etc"), "/homes/folder"),
        (changed(backend="lvm-thin"), "needs homes.lvm.volumeGroup"),
        (changed(backend="lvm-thin", lvm={"volumeGroup": "-y", "pool": "p"}), "/homes/lvm/volumeGroup"),
        (changed(backend="lvm-thin", lvm={"volumeGroup": "vg", "pool": "a/b"}), "/homes/lvm/pool"),
        (changed(overcommit=0), "/homes/overcommit"),
        (changed(dropAbove=1), "/homes/dropAbove"),
        (changed(checkpoints={"hour": 24}), "/homes/checkpoints/hour"),
        (changed(checkpoints={"copyMostBytes": "much"}), "/homes/checkpoints/copyMostBytes"),
        (changed(storageClass={"reclaimPolicy": "Recycle"}), "/homes/storageClass/reclaimPolicy"),
        (changed(nosuch=1), "nosuch"),
    ],
)
def test_what_is_refused(values: Document, where: str) -> None:
    done = run("template", "pdshub", values=values)
    assert done.returncode and where in done.stderr
