"""charts/pdshub: what a cluster gets when it installs PDSHub, and no more than that."""

from __future__ import annotations

import pytest

from pdshub import installation, kube, pki, ports
from pdshub.object_cache import Scope
from pdshub.reconcile.common import node_reports, watched
from pdshub.reconcile.hub import api_server
from pdshub.wellknown import DRIVER, SERVER_PRIORITY
from tests.unit.chart import FULL, SYSTEM, VALUES, Document, pods, rendered

Rules = dict[tuple[str, str], str]

READ = "get list watch"
WRITE = f"{READ} create update patch delete"
OPERATOR: Rules = {
    ("pdshub.dev", "pdshubs"): f"{READ} patch",
    ("pdshub.dev", "archiveviews"): f"{READ} create patch delete",
    **{
        ("pdshub.dev", f"{kind}/{part}"): "get patch update"
        for kind in ("pdshubs", "archiveviews")
        for part in ("status", "finalizers")
    },
    # Secrets: Helm's releases, the hubs' own, the certificates of reports
    **{
        ("", kind): WRITE for kind in ("secrets", "configmaps", "services", "serviceaccounts", "persistentvolumeclaims")
    },
    **{("apps", kind): WRITE for kind in ("deployments", "daemonsets", "statefulsets")},
    ("batch", "jobs"): WRITE,
    **{("networking.k8s.io", kind): WRITE for kind in ("networkpolicies", "ingresses")},
    ("policy", "poddisruptionbudgets"): WRITE,
    **{("rbac.authorization.k8s.io", kind): WRITE for kind in ("roles", "rolebindings")},
    ("", "pods"): f"{READ} create patch delete",
    **{("", kind): f"{READ} create patch delete" for kind in ("resourcequotas", "limitranges")},
    ("", "events"): f"{READ} create patch",
    ("", "persistentvolumes"): f"{READ} create patch delete",
    ("", "namespaces"): READ,
    ("", "nodes"): READ,
    ("storage.k8s.io", "storageclasses"): READ,
}
RIGHTS: dict[str, Rules] = {"pdshub-operator": OPERATOR, "pdshub-node": {("pdshub.dev", "archiveviews"): READ}}
"""What each service account may do, in the whole cluster, by API group and resource."""


# --- rights


def rights(rules: list[Document]) -> Rules:
    found: Rules = {}
    for rule in rules:
        assert set(rule) == {"apiGroups", "resources", "verbs"}, f"unexpected: {rule}"
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                assert (group, resource) not in found, f"{resource}: said twice"
                found[group, resource] = " ".join(rule["verbs"])
    return found


@pytest.mark.parametrize("account", RIGHTS)
def test_least_rights(account: str) -> None:
    assert rights(rendered()["ClusterRole", account]["rules"]) == RIGHTS[account]


def test_rights_are_bound_to_the_two_accounts_and_there_are_no_others() -> None:
    objects = rendered()
    assert {name for kind, name in objects if kind == "ClusterRole"} == set(RIGHTS)
    assert {name for kind, name in objects if kind in ("Role", "RoleBinding")} == {"pdshub-operator-api-server"}
    bound = {
        (d["roleRef"]["name"], subject["kind"], subject["name"], subject["namespace"])
        for (kind, _), d in objects.items()
        if kind == "ClusterRoleBinding"
        for subject in d["subjects"]
    }
    assert bound == {(name, "ServiceAccount", name, SYSTEM) for name in RIGHTS}
    assert {name: spec.get("serviceAccountName") for name, spec in pods().items()} == {
        "pdshub-operator": "pdshub-operator",
        "pdshub-node": "pdshub-node",
        "pdshub-nfs-helper": None,
    }
    assert pods()["pdshub-nfs-helper"]["automountServiceAccountToken"] is False


def test_nobody_has_a_wildcard_or_may_give_away_more_than_it_has() -> None:
    for (kind, name), document in rendered().items():
        for rule in document["rules"] if kind == "ClusterRole" else ():
            said = [word for words in rule.values() for word in words]
            assert not {"*", "escalate", "bind", "impersonate"} & set(said), name


def test_the_node_plugin_writes_nothing_and_reads_no_secret() -> None:
    found = rights(rendered()["ClusterRole", "pdshub-node"]["rules"])
    assert {verb for verbs in found.values() for verb in verbs.split()} <= {"get", "list", "watch"}
    assert not [resource for _, resource in found if resource == "secrets"]
    secrets = [v["secret"] for v in pods()["pdshub-node"]["volumes"] if "secret" in v]
    assert secrets == [{"secretName": pki.NODE, "optional": True}]
    for other in ("pdshub-operator", "pdshub-nfs-helper"):
        assert not [v for v in pods()[other]["volumes"] if "secret" in v]


def test_the_operator_may_hand_on_what_the_installation_adds() -> None:
    extra = {"apiGroups": ["scheduling.k8s.io"], "resources": ["priorityclasses"], "verbs": ["get"]}
    found = rights(rendered({"operator": {"extraRules": [extra]}})["ClusterRole", "pdshub-operator"]["rules"])
    assert found == {**OPERATOR, ("scheduling.k8s.io", "priorityclasses"): "get"}


def test_the_operator_reads_where_the_api_server_is_and_no_other_endpoint() -> None:
    objects = rendered()
    role = objects["Role", "pdshub-operator-api-server"]
    assert role["metadata"]["namespace"] == "default"
    group, resource = api_server.SLICE.api.rpartition("/")[0], api_server.SLICE.plural
    assert role["rules"] == [
        {"apiGroups": [group], "resources": [resource], "resourceNames": ["kubernetes"], "verbs": ["get"]}
    ]
    (subject,) = objects["RoleBinding", "pdshub-operator-api-server"]["subjects"]
    assert (subject["name"], subject["namespace"]) == ("pdshub-operator", SYSTEM)


@pytest.mark.parametrize("resource", [r for r in vars(kube).values() if isinstance(r, kube.Resource)])
def test_the_operator_may_read_every_kind_that_it_knows(resource: kube.Resource) -> None:
    group = resource.api.rpartition("/")[0]
    assert "get list" in OPERATOR[group, resource.plural]


# --- pods

PROBES = {
    "pdshub-operator": {"startupProbe", "livenessProbe", "readinessProbe"},
    "pdshub-node": {"startupProbe", "livenessProbe", "readinessProbe"},
    "pdshub-nfs-helper": {"readinessProbe"},  # a restart would take the mounts of all readers along
}
PRIVILEGED = {"pdshub-node", "pdshub-nfs-helper"}
"""The node plugin, in its two parts."""


@VALUES
def test_only_the_node_plugin_is_privileged(values: Document) -> None:
    for name, spec in pods(values).items():
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            assert container["securityContext"].get("privileged", False) is (name in PRIVILEGED)
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            assert spec.get(field, False) is (name in PRIVILEGED and field == "hostNetwork")
        assert any("hostPath" in v for v in spec["volumes"]) is (name in PRIVILEGED)


def test_the_operator_meets_the_restricted_standard() -> None:
    spec = pods()["pdshub-operator"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}


@VALUES
def test_probes_and_resources(values: Document) -> None:
    assert set(pods(values)) == set(PROBES)
    for name, spec in pods(values).items():
        for container in spec["containers"]:
            assert {key for key in container if key.endswith("Probe")} == PROBES[name]
            wanted = container["resources"]
            assert set(wanted["requests"]) == {"cpu", "memory"} and "memory" in wanted["limits"]


@VALUES
def test_every_mount_has_its_volume(values: Document) -> None:
    for spec in pods(values).values():
        names = [v["name"] for v in spec["volumes"]]
        for container in spec["containers"]:
            assert sorted(m["name"] for m in container["volumeMounts"]) == sorted(names)
            paths = [m["mountPath"] for m in container["volumeMounts"]]
            assert len(set(paths)) == len(paths)


def test_the_programs_find_each_other() -> None:
    objects = rendered()
    assert ("CSIDriver", DRIVER) in objects
    template = objects["DaemonSet", "pdshub-node"]["spec"]["template"]
    assert set(node_reports.SELECTOR.split(",")) <= {f"{k}={v}" for k, v in template["metadata"]["labels"].items()}
    assert ports.NODE_REPORT in {p["hostPort"] for p in template["spec"]["containers"][0]["ports"]}
    for kind, name in (("Deployment", "pdshub-operator"), ("DaemonSet", "pdshub-node")):
        mounts = objects[kind, name]["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
        assert str(installation.DEFAULT_PATH.parent) in {m["mountPath"] for m in mounts}


def test_servers_yield_to_hubs_and_push_nobody_off_a_node() -> None:
    found = rendered()["PriorityClass", SERVER_PRIORITY]
    assert found["value"] < 0 and not found["globalDefault"] and found["preemptionPolicy"] == "Never"


def test_the_helper_can_be_left_out() -> None:
    assert set(pods({"nodePlugin": {"nfsHelper": {"enabled": False}}})) == {"pdshub-operator", "pdshub-node"}


@pytest.mark.parametrize("name", ["pdshub-node", "pdshub-nfs-helper"])
def test_nothing_is_mounted_inside_what_is_shared_with_the_host(name: str) -> None:
    """It would be mounted on the host too, once more at each start of the container, and twice as often each time."""
    (container,) = pods(FULL)[name]["containers"]
    mounts = container["volumeMounts"]
    shared = [m["mountPath"].rstrip("/") for m in mounts if m.get("mountPropagation") == "Bidirectional"]
    assert shared
    inside = [m["mountPath"] for m in mounts for top in shared if m["mountPath"].startswith(f"{top}/")]
    assert inside == []


@pytest.mark.parametrize(
    "scope",
    [
        *watched.CLUSTER,
        watched.HUBS,
        watched.VIEWS,
        watched.CLAIMS,
        *watched.of_hub("ns"),
        *watched.of_installation("s"),
    ],
)
def test_the_operator_may_watch_what_it_keeps_a_copy_of(scope: Scope) -> None:
    group = scope.resource.api.rpartition("/")[0]
    assert "watch" in OPERATOR[group, scope.resource.plural].split()
