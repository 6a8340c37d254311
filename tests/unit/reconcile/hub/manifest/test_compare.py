"""What counts as drift, and what is only how the API server writes a manifest."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from pdshub.reconcile.hub.manifest.compare import differences

WANT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "hub", "labels": {"app": "jupyterhub"}},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "jupyterhub"}},
        "strategy": {"type": "Recreate", "rollingUpdate": None},
        "template": {
            "metadata": {"labels": {"app": "jupyterhub"}, "annotations": {"checksum": "1"}},
            "spec": {
                "hostNetwork": False,
                "automountServiceAccountToken": False,
                "nodeSelector": {},
                "tolerations": [{"key": "a", "effect": "NoSchedule"}],
                "securityContext": {"runAsUser": 0, "fsGroup": 1000},
                "volumes": [{"name": "config", "configMap": {"name": "hub"}}, {"name": "tmp", "emptyDir": {}}],
                "containers": [
                    {
                        "name": "hub",
                        "image": "hub:1",
                        "args": ["jupyterhub", "--debug"],
                        "env": [{"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""}],
                        "ports": [{"name": "http", "containerPort": 8081, "hostPort": 0}],
                        "resources": {"requests": {"cpu": 0.5, "memory": "1024Mi"}, "limits": {}},
                        "readinessProbe": {"httpGet": {"path": "/", "port": "http"}, "initialDelaySeconds": 0},
                        "volumeMounts": [{"name": "config", "mountPath": "/c", "readOnly": False}],
                    }
                ],
            },
        },
    },
}


def live() -> dict[str, Any]:
    """The same as the API server keeps it."""
    have = copy.deepcopy(WANT)
    have["metadata"] |= {
        "namespace": "ns",
        "uid": "u",
        "resourceVersion": "7",
        "generation": 3,
        "labels": {"app": "jupyterhub", "app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"deployment.kubernetes.io/revision": "1", "meta.helm.sh/release-name": "demo"},
    }
    have["status"] = {"replicas": 1}
    spec = have["spec"]
    spec |= {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10, "strategy": {"type": "Recreate"}}
    pod = spec["template"]["spec"]
    for key in ("hostNetwork", "nodeSelector"):
        del pod[key]
    pod |= {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always", "schedulerName": "default-scheduler"}
    pod["volumes"][0]["configMap"]["defaultMode"] = 420
    box = pod["containers"][0]
    box |= {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"}
    box["env"][1] = {"name": "EMPTY"}
    box["ports"] = [{"name": "http", "containerPort": 8081, "protocol": "TCP"}]
    box["resources"] = {"requests": {"cpu": "500m", "memory": "1Gi"}}
    box["readinessProbe"] = {"httpGet": {"path": "/", "port": "http", "scheme": "HTTP"}, "periodSeconds": 10}
    box["volumeMounts"] = [{"name": "config", "mountPath": "/c"}]
    return have


def at(item: Any, *path: Any) -> Any:
    for key in path:
        item = item[key]
    return item


POD = ("spec", "template", "spec")
BOX = (*POD, "containers", 0)
SAME: list[tuple[str, tuple[Any, ...], Any, Any]] = [
    ("nothing", ("metadata",), "resourceVersion", "8"),
    ("a restart", ("spec", "template", "metadata", "annotations"), "kubectl.kubernetes.io/restartedAt", "now"),
    ("an annotation more", ("metadata", "annotations"), "pdshub.dev/notice", "x"),
    ("a label more", ("metadata", "labels"), "team", "a"),
    ("a quantity in other words", (*BOX, "resources", "requests"), "memory", "1048576Ki"),
    ("a default", ("spec",), "minReadySeconds", 5),
]
DIFFERS: list[tuple[str, tuple[Any, ...], Any, Any, str]] = [
    ("no pods", ("spec",), "replicas", 0, "spec.replicas"),
    ("another image", BOX, "image", "evil:1", "spec.template.spec.containers[hub].image"),
    ("another argument", (*BOX, "args"), 1, "--evil", "spec.template.spec.containers[hub].args[1]"),
    ("an argument more", BOX, "args", ["jupyterhub", "--debug", "x"], "containers[hub].args"),
    ("another value", (*BOX, "env", 0), "value", "2", "env[A].value"),
    ("no variables", BOX, "env", [], "env[A]"),
    ("less memory", (*BOX, "resources", "requests"), "memory", "1M", "resources.requests.memory"),
    ("a quantity that is none", (*BOX, "resources", "requests"), "cpu", "x", "resources.requests.cpu"),
    ("a label gone", ("metadata",), "labels", {}, "metadata.labels.app"),
    ("another checksum", ("spec", "template", "metadata", "annotations"), "checksum", "2", "annotations.checksum"),
    ("the token back", POD, "automountServiceAccountToken", True, "automountServiceAccountToken"),
    ("the token's field gone", POD, "automountServiceAccountToken", None, "automountServiceAccountToken"),
    ("the host's network", POD, "hostNetwork", True, "hostNetwork"),
    ("another user", (*POD, "securityContext"), "runAsUser", None, "securityContext.runAsUser"),
    ("a toleration more", POD, "tolerations", [{"key": "a", "effect": "NoSchedule"}, {"operator": "Exists"}], "tole"),
    ("a mount gone", BOX, "volumeMounts", None, "volumeMounts"),
    ("another map", (*POD, "volumes", 0, "configMap"), "name", "evil", "volumes[config].configMap.name"),
    ("no container", POD, "containers", [{"name": "x"}], "containers[hub]"),
    ("another strategy", ("spec", "strategy"), "type", "RollingUpdate", "spec.strategy.type"),
    ("a spec that is text", (), "spec", "x", "spec"),
]


def test_what_the_api_server_makes_of_a_manifest_is_no_drift() -> None:
    assert differences(WANT, live()) == ()


@pytest.mark.parametrize(("path", "key", "value"), [s[1:] for s in SAME], ids=[s[0] for s in SAME])
def test_no_drift(path: tuple[Any, ...], key: str, value: Any) -> None:
    have = live()
    at(have, *path)[key] = value
    assert differences(WANT, have) == ()


@pytest.mark.parametrize(("path", "key", "value", "named"), [d[1:] for d in DIFFERS], ids=[d[0] for d in DIFFERS])
def test_drift(path: tuple[Any, ...], key: str, value: Any, named: str) -> None:
    have = live()
    at(have, *path)[key] = value
    found, *_ = differences(WANT, have)
    assert named in found


POLICY: dict[str, Any] = {
    "kind": "NetworkPolicy",
    "metadata": {"name": "hub"},
    "spec": {
        "podSelector": {"matchLabels": {"a": "b"}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"port": "http"}], "from": [{"podSelector": {"matchLabels": {"x": "y"}}}]}],
        "egress": None,
    },
}
LIVE_POLICY: dict[str, Any] = {
    **POLICY,
    "spec": {
        **POLICY["spec"],
        "ingress": [{**POLICY["spec"]["ingress"][0], "ports": [{"port": "http", "protocol": "TCP"}]}],
    },
}
del LIVE_POLICY["spec"]["egress"]
PEER = POLICY["spec"]["ingress"][0]["from"][0]
ELSEWHERE = {"ports": [{"port": "http"}], "from": [{**PEER, "namespaceSelector": {"matchLabels": {"q": "r"}}}]}
OPENED: list[tuple[str, dict[str, Any]]] = [
    ("a rule more", {"ingress": [*LIVE_POLICY["spec"]["ingress"], {}]}),
    ("a rule where there was none", {"egress": [{}]}),
    ("from everywhere", {"ingress": [{"ports": [{"port": "http", "protocol": "TCP"}]}]}),
    ("an end of ports", {"ingress": [{**POLICY["spec"]["ingress"][0], "ports": [{"port": "http", "endPort": 99}]}]}),
    ("udp", {"ingress": [{**POLICY["spec"]["ingress"][0], "ports": [{"port": "http", "protocol": "UDP"}]}]}),
    ("another namespace", {"ingress": [ELSEWHERE]}),
    ("fewer types", {"policyTypes": ["Ingress"]}),
    ("other pods", {"podSelector": {"matchLabels": {"a": "b", "c": "d"}}}),
]


def test_a_policy_as_it_is_kept_is_no_drift() -> None:
    assert differences(POLICY, LIVE_POLICY) == ()
    without = {**POLICY, "spec": {k: v for k, v in POLICY["spec"].items() if k != "policyTypes"}}
    assert differences(without, LIVE_POLICY) == (), "the API server fills in policyTypes"


@pytest.mark.parametrize("spec", [o[1] for o in OPENED], ids=[o[0] for o in OPENED])
def test_a_policy_that_lets_more_through_is_drift(spec: dict[str, Any]) -> None:
    assert differences(POLICY, {**LIVE_POLICY, "spec": {**LIVE_POLICY["spec"], **spec}})


VERBS: dict[str, Any] = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
ROLE: dict[str, Any] = {"kind": "Role", "metadata": {"name": "hub"}, "rules": [VERBS]}
ACCOUNT = {"kind": "ServiceAccount", "name": "hub", "namespace": "ns"}
BINDING: dict[str, Any] = {
    "kind": "RoleBinding",
    "metadata": {"name": "hub"},
    "subjects": [ACCOUNT],
    "roleRef": {"kind": "Role", "name": "hub", "apiGroup": "x"},
}
PORT: dict[str, Any] = {"port": 80, "targetPort": "http"}


def service(port: dict[str, Any], selects: str = "b", **more: Any) -> dict[str, Any]:
    return {"kind": "Service", "metadata": {"name": "p"}, "spec": {"ports": [port], "selector": {"a": selects}, **more}}


SERVICE, CONFIG = service(PORT), {"kind": "ConfigMap", "metadata": {"name": "hub"}, "data": {"a": "1"}}
KEPT = service({**PORT, "protocol": "TCP", "nodePort": 30080}, clusterIP="10.1.1.1", type="ClusterIP")
OTHERS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("role", ROLE, ROLE, ""),
    ("a verb more", ROLE, {"rules": [{**VERBS, "verbs": ["get", "create"]}]}, "rules[0].verbs"),
    ("a rule more", ROLE, {"rules": [VERBS, {"verbs": ["*"]}]}, "rules"),
    ("no rules", ROLE, {}, "rules"),
    ("binding", BINDING, BINDING, ""),
    ("a subject more", BINDING, {**BINDING, "subjects": [ACCOUNT, {"kind": "User"}]}, "subjects"),
    ("service", SERVICE, KEPT, ""),
    ("another port", SERVICE, service({**PORT, "targetPort": 8888}), "targetPort"),
    ("another selector", SERVICE, service(PORT, "c"), "spec.selector.a"),
    ("config", CONFIG, CONFIG, ""),
    ("another text", CONFIG, {"data": {"a": "2"}}, "data.a"),
    ("no data", CONFIG, {}, "data"),
    ("a key more", CONFIG, {"data": {"a": "1", "b": "2"}}, ""),
]


@pytest.mark.parametrize(("want", "have", "named"), [o[1:] for o in OTHERS], ids=[o[0] for o in OTHERS])
def test_other_kinds(want: dict[str, Any], have: dict[str, Any], named: str) -> None:
    found = differences(want, {"metadata": {"name": "x"}, **have})
    assert bool(found) is bool(named) and all(named in each for each in found[:1])
