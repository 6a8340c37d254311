"""charts/pdshub: what a cluster gets when it installs PDSHub, and no more than that."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from pdshub import installation, kube, pki, ports
from pdshub.api.base import parse_quantity
from pdshub.node.report import heartbeat
from pdshub.object_cache import Scope
from pdshub.reconcile.common import node_reports, watched
from pdshub.reconcile.hub import api_server, dependents, seal
from pdshub.wellknown import AUDIT_POD, DRIVER, HELM_ACCOUNT, HUB_ROLE, PROBED, SERVER_PRIORITY, UID
from tests.unit.chart import DRILLS, FULL, ROOT, SURVEYORS, SYSTEM, VALUES, Document, pods, rendered
from tests.unit.node.machine import eventually
from tests.unit.test_airgap_chart import CASES, case

Rules = dict[tuple[str, str], str]
"""Verbs by API group and resource; a rule for some names only has them behind the resource, in brackets."""

READ = "get list watch"
WRITE = f"{READ} create patch delete"
RBAC = "rbac.authorization.k8s.io"
OPERATOR: Rules = {
    ("pdshub.dev", "pdshubs"): f"{READ} patch",
    ("pdshub.dev", "archiveviews"): WRITE,
    ("pdshub.dev", "hubbackups"): f"{READ} create delete",
    ("pdshub.dev", "hubrestores"): f"{READ} create delete",
    **{("pdshub.dev", f"{kind}/status"): "patch" for kind in ("hubbackups", "hubrestores")},
    **{
        ("pdshub.dev", f"{kind}/{part}"): verb
        for kind in ("pdshubs", "archiveviews")
        for part, verb in (("status", "patch"), ("finalizers", "update"))
    },
    ("", "persistentvolumes"): WRITE,
    ("", "namespaces"): READ,
    ("", "nodes"): READ,
    ("storage.k8s.io", "storageclasses"): READ,
    (RBAC, "rolebindings[pdshub-hub]"): WRITE,
    (RBAC, "clusterroles[pdshub-hub]"): "bind",
    ("", "serviceaccounts[pdshub-helm]"): "impersonate",
}
"""In the whole cluster: nothing that lies in a namespace of hubs, but hubs."""
HUB: Rules = {
    ("", "secrets"): f"{READ} create update patch delete",
    **{("", kind): WRITE for kind in ["configmaps", "services", "serviceaccounts", "persistentvolumeclaims", "pods"]},
    ("", "events"): f"{READ} create",
    **{("apps", kind): WRITE for kind in ("deployments", "daemonsets", "statefulsets")},
    ("batch", "jobs"): WRITE,
    **{("networking.k8s.io", kind): WRITE for kind in ("networkpolicies", "ingresses")},
    ("gateway.networking.k8s.io", "httproutes"): "get create patch delete",
    ("policy", "poddisruptionbudgets"): WRITE,
    **{(RBAC, kind): WRITE for kind in ("roles", "rolebindings")},
    **{("", kind): WRITE for kind in ("resourcequotas", "limitranges")},
}
"""In a hub's namespace, as its account."""
INSTALLATION: Rules = {
    ("", f"secrets[{' '.join([pki.CA, pki.NODE, pki.OPERATOR, seal.KEY_SECRET])}]"): "get create patch",
    ("", "pods"): "list watch",
}
"""In the installation's own namespace."""
PROBE_RECORD: Rules = {("", f"configmaps[{PROBED}]"): READ}
"""There, too: what probes of the network have found."""
VIEW_EVENTS: Rules = {("", "events"): "create"}
"""In ``default``: events of what lies in no namespace."""
API_SERVER: Rules = {("discovery.k8s.io", "endpointslices[kubernetes]"): "get"}
"""There, too: where the API server is."""
IN_SURVEYORS: Rules = {
    **{("", kind): WRITE for kind in ("persistentvolumeclaims", "services", "secrets")},
    ("apps", "deployments"): WRITE,
    ("", "pods"): "list",
}
"""Where surveyors live."""
IN_DRILLS: Rules = {
    **{("", kind): "get list create patch delete" for kind in ("secrets", "configmaps", "persistentvolumeclaims")},
    ("batch", "jobs"): "get list create delete",
    ("networking.k8s.io", "networkpolicies"): "get list create patch delete",
    ("", "pods"): "list",
}
"""Where restores are practised, as the account of that namespace."""
AUDITOR: Rules = {("", f"pods[{AUDIT_POD}]"): "get", ("", f"pods/exec[{AUDIT_POD}]"): "create"}
"""In the installation's namespace, for whoever an administrator binds it to: nobody is."""
CLUSTER_ROLES = {
    "pdshub-operator": OPERATOR,
    "pdshub-hub": HUB,
    "pdshub-node": {("pdshub.dev", "archiveviews"): READ},
}
ROLES = {
    "pdshub-operator-installation": INSTALLATION,
    "pdshub-operator-probes": PROBE_RECORD,
    "pdshub-operator-api-server": API_SERVER,
    "pdshub-operator-surveyors": IN_SURVEYORS,
    "pdshub-operator-events": VIEW_EVENTS,
    "pdshub-auditor": AUDITOR,
    "pdshub-drill": IN_DRILLS,
}
ACCOUNTS = {"pdshub-operator", "pdshub-node"}


# --- rights


def rights(rules: list[Document]) -> Rules:
    found: Rules = {}
    for rule in rules:
        assert set(rule) - {"resourceNames"} == {"apiGroups", "resources", "verbs"}, f"unexpected: {rule}"
        names = f"[{' '.join(rule['resourceNames'])}]" if "resourceNames" in rule else ""
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                assert (group, resource + names) not in found, f"{resource}: said twice"
                found[group, resource + names] = " ".join(rule["verbs"])
    return found


@pytest.mark.parametrize(
    ("kind", "name", "wanted"),
    [
        *(("ClusterRole", name, wanted) for name, wanted in CLUSTER_ROLES.items()),
        *(("Role", name, wanted) for name, wanted in ROLES.items()),
    ],
)
def test_least_rights(kind: str, name: str, wanted: Rules) -> None:
    assert rights(rendered()[kind, name]["rules"]) == wanted


def test_rights_are_bound_to_the_two_accounts_and_there_are_no_others() -> None:
    objects = rendered()
    assert {name for kind, name in objects if kind == "ClusterRole"} == set(CLUSTER_ROLES)
    assert {name: d["metadata"]["namespace"] for (kind, name), d in objects.items() if kind == "Role"} == {
        "pdshub-operator-installation": SYSTEM,
        "pdshub-operator-probes": SYSTEM,
        "pdshub-operator-surveyors": SURVEYORS,
        "pdshub-operator-events": "default",
        "pdshub-operator-api-server": "default",
        "pdshub-auditor": SYSTEM,
        "pdshub-drill": DRILLS,
    }
    bound = {
        (kind, d["metadata"].get("namespace"), d["roleRef"]["kind"], d["roleRef"]["name"], s["name"], s["namespace"])
        for (kind, _), d in objects.items()
        if kind in ("ClusterRoleBinding", "RoleBinding")
        for s in d["subjects"]
    }
    assert bound == {
        *(("ClusterRoleBinding", None, "ClusterRole", name, name, SYSTEM) for name in ACCOUNTS),
        ("RoleBinding", SYSTEM, "Role", "pdshub-operator-installation", "pdshub-operator", SYSTEM),
        ("RoleBinding", SYSTEM, "Role", "pdshub-operator-probes", "pdshub-operator", SYSTEM),
        ("RoleBinding", SURVEYORS, "Role", "pdshub-operator-surveyors", "pdshub-operator", SYSTEM),
        ("RoleBinding", DRILLS, "Role", "pdshub-drill", HELM_ACCOUNT, DRILLS),
        ("RoleBinding", "default", "Role", "pdshub-operator-events", "pdshub-operator", SYSTEM),
        ("RoleBinding", "default", "Role", "pdshub-operator-api-server", "pdshub-operator", SYSTEM),
    }
    assert {name: spec.get("serviceAccountName") for name, spec in pods().items()} == {
        "pdshub-operator": "pdshub-operator",
        "pdshub-node": "pdshub-node",
        "pdshub-nfs-helper": None,
        "pdshub-audit": None,
    }
    for name in ("pdshub-nfs-helper", "pdshub-audit"):
        assert pods()[name]["automountServiceAccountToken"] is False


def test_the_account_of_hubs_is_never_made() -> None:
    assert {name for kind, name in rendered() if kind == "ServiceAccount"} == ACCOUNTS


def test_nobody_has_a_wildcard_or_may_give_away_more_than_the_hubs_role() -> None:
    for (kind, name), document in rendered(FULL).items():
        for rule in document["rules"] if kind in ("ClusterRole", "Role") else ():
            said = {word for words in rule.values() for word in words}
            assert not {"*", "escalate"} & said, name
            if {"bind", "impersonate"} & said:
                assert name == "pdshub-operator"
                assert rule["resourceNames"] in ([HUB_ROLE], [HELM_ACCOUNT]) and len(rule["verbs"]) == 1


def test_no_right_on_secrets_holds_in_the_whole_cluster() -> None:
    for found in (OPERATOR, CLUSTER_ROLES["pdshub-node"]):
        assert not [
            resource for _, resource in found if resource.partition("[")[0] in ("secrets", "pods", "configmaps")
        ]


def verbs(rules: Rules) -> int:
    """How many verbs on resources a list of rules grants."""
    return sum(len(said.split()) for said in rules.values())


def test_the_decision_counts_the_rights_as_they_are() -> None:
    text = (ROOT / "docs/decisions/0013-helm-as-the-tenant.md").read_text()
    for where, rules in (
        ("the whole cluster", OPERATOR),
        ("a hub's namespace", HUB),
        ("`pdshub-system`", {**INSTALLATION, **PROBE_RECORD}),
        ("`default`", {**VIEW_EVENTS, **API_SERVER}),
        ("`pdshub-surveyors`", IN_SURVEYORS),
        ("`pdshub-drill`", IN_DRILLS),
    ):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {where}")]
        assert row.endswith(f"| {verbs(rules)} verbs, {len(rules)} resources |"), row


def test_the_node_plugin_writes_nothing_and_reads_no_secret() -> None:
    found = rights(rendered()["ClusterRole", "pdshub-node"]["rules"])
    assert {verb for verbs in found.values() for verb in verbs.split()} <= {"get", "list", "watch"}
    assert not [resource for _, resource in found if resource == "secrets"]
    secrets = [v["secret"] for v in pods()["pdshub-node"]["volumes"] if "secret" in v]
    assert secrets == [{"secretName": pki.NODE, "optional": True, "defaultMode": 0o400}]
    for other in ("pdshub-operator", "pdshub-nfs-helper"):
        assert not [v for v in pods()[other]["volumes"] if "secret" in v]


KINDS = [r for r in vars(kube).values() if isinstance(r, kube.Resource)]


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


def may(resource: kube.Resource, namespace: str, verbs: str) -> bool:
    """Whether the rights in a namespace (those of the whole cluster, where that is empty) have these verbs."""
    group = resource.api.rpartition("/")[0]
    where = {"": OPERATOR, SYSTEM: INSTALLATION, SURVEYORS: IN_SURVEYORS}.get(namespace, HUB)
    names = f"{resource.plural}[{HUB_ROLE}]" if resource is kube.ROLE_BINDING and not namespace else resource.plural
    return set(verbs.split()) <= set(where.get((group, names), "").split())


@pytest.mark.parametrize("resource", KINDS)
def test_the_operator_may_read_every_kind_that_it_knows(resource: kube.Resource) -> None:
    assert may(resource, "", "get list") or may(resource, "ns", "get list")


@pytest.mark.parametrize("resource", dependents.RESOURCES.values())
def test_what_a_hub_leaves_can_be_found_and_removed(resource: kube.Resource) -> None:
    assert may(resource, "ns" if resource.namespaced else "", "get list delete")


@pytest.mark.parametrize("name", CASES)
def test_the_account_may_hand_on_what_the_hubs_role_has(name: str) -> None:
    """Nobody can make a Role with more than they hold."""
    for (kind, _), document in case(name).items():
        for rule in document["rules"] if kind == "Role" else ():
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    assert set(rule["verbs"]) <= set(HUB[group, resource].split())


@pytest.mark.parametrize("name", CASES)
def test_the_account_may_make_what_the_chart_has(name: str) -> None:
    kinds = {"NetworkPolicy": "networkpolicies", "Ingress": "ingresses"}
    made = {plural for _, plural in HUB}
    for kind, _ in case(name):
        assert kinds.get(kind, f"{kind.lower()}s") in made, kind


# --- pods

PROBES = {
    "pdshub-operator": {"startupProbe", "livenessProbe", "readinessProbe"},
    "pdshub-node": {"startupProbe", "livenessProbe", "readinessProbe"},
    "pdshub-audit": set(),  # it sleeps
    "pdshub-nfs-helper": {"readinessProbe"},  # a restart would take the mounts of all readers along
}
PRIVILEGED = {"pdshub-node", "pdshub-nfs-helper"}
"""The node plugin, in its two parts."""


@VALUES
def test_only_the_node_plugin_is_privileged(values: Document) -> None:
    for name, spec in pods(values).items():
        for container in [*spec["containers"], *spec.get("initContainers", [])]:
            own = name in PRIVILEGED and container["name"] != "metrics"
            assert container["securityContext"].get("privileged", False) is own
        for field in ("hostNetwork", "hostPID", "hostIPC"):
            assert spec.get(field, False) is (name in PRIVILEGED and field == "hostNetwork")
        assert any("hostPath" in v for v in spec["volumes"]) is (name in PRIVILEGED)


@VALUES
def test_metrics_of_a_node_are_served_without_rights(values: Document) -> None:
    """Whoever reaches the port talks to a process that can do nothing: no account, no host's files, a file to read."""
    spec = pods(values)["pdshub-node"]
    plugin, metrics = spec["containers"]
    assert {p["name"] for p in plugin["ports"]} == {"report"}, "mutual TLS"
    (port,) = metrics["ports"]
    assert (
        port["containerPort"] == port["hostPort"] == ports.NODE_METRICS
        and f"--port={ports.NODE_METRICS}" in metrics["args"]
    )
    own = metrics["securityContext"]
    assert own["runAsNonRoot"] is True and own["runAsUser"] == own["runAsGroup"] == UID
    assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True
    assert own["capabilities"] == {"drop": ["ALL"]} and own["seccompProfile"] == {"type": "RuntimeDefault"}
    assert metrics["volumeMounts"] == [{"name": "run", "mountPath": "/run/pdshub", "readOnly": True}]
    assert next(v for v in spec["volumes"] if v["name"] == "run").keys() == {"name", "emptyDir"}
    run = f"--run-dir={metrics['volumeMounts'][0]['mountPath']}"
    assert run in plugin["args"] and run in metrics["args"]
    assert spec["automountServiceAccountToken"] is False
    tokens = [m["name"] for m in plugin["volumeMounts"] if m["mountPath"].endswith("kubernetes.io/serviceaccount")]
    assert tokens == ["token"], "the plugin's own, which the other container has not"


def test_no_metrics_no_container() -> None:
    (plugin,) = pods({"nodePlugin": {"metricsPort": 0}})["pdshub-node"]["containers"]
    assert plugin["name"] == "node"


def test_the_kubelet_asks_the_plugin_without_a_socket() -> None:
    """The plugin's health is in a file that has to be young and to begin with the plugin's own word."""
    plugin = pods()["pdshub-node"]["containers"][0]
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        (shell, option, script) = plugin[kind]["exec"]["command"]
        assert (shell, option) == ("sh", "-c") and f"/run/pdshub/{heartbeat.FILE}" in script
    for text, seconds, healthy in (
        ("ok", 0, True),
        ("ok, but failing: v", 0, True),
        ("no turn", 0, False),
        ("ok", 99, False),
    ):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / heartbeat.FILE
            file.write_text(f"{text}\n")
            os.utime(file, (time.time() - seconds,) * 2)
            done = subprocess.run(["sh", "-c", script.replace("/run/pdshub", folder)], capture_output=True, text=True)
            assert (done.returncode == 0) is healthy and text in done.stdout, (text, seconds)


def test_the_helper_sleeps_until_it_is_asked(tmp_path: Path) -> None:
    """A shell until there is a request, the program while there is one, a shell again; and the end when told so."""
    (container,) = pods()["pdshub-nfs-helper"]["containers"]
    assert (
        container["command"][:5] == ["tini", "-g", "--", "sh", "-c"]
        and container["securityContext"]["readOnlyRootFilesystem"]
    )
    programs, requests = tmp_path / "bin", tmp_path / "plugins/archive.pdshub.dev/helper"
    programs.mkdir()
    program = programs / "pdshub-node"
    # the request goes first: the test writes the next one as soon as it reads that this one was served
    program.write_text(f'#!/bin/sh\nrm {requests}/*.json\necho "$@" >> {tmp_path}/ran\n')
    program.chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}", "KUBELET_DIR": str(tmp_path)}
    with subprocess.Popen(container["command"][3:], env=environment, start_new_session=True) as shell:
        try:
            eventually((requests / "alive").exists)
            assert not (tmp_path / "ran").exists()
            for count in (1, 2):
                (requests / "one.json").write_text("{}")
                eventually(lambda n=count: (tmp_path / "ran").read_text() == "nfs-helper\n" * n)  # type: ignore[misc]
            os.killpg(shell.pid, signal.SIGTERM)  # as tini -g does
            assert shell.wait(20) == 0
        finally:
            shell.kill()
    program.write_text("#!/bin/sh\nexit 3\n")
    (requests / "one.json").write_text("{}")
    done = subprocess.run(container["command"][3:], env=environment, timeout=20, check=False)
    assert done.returncode == 3, "a program that fails is the kubelet's to start again"


def test_keys_are_the_plugin_s_alone() -> None:
    """Files of a volume are root's. 0400 for who runs as root; a surveyor does not and reads them by its group."""
    volumes = {v["name"]: v for v in pods()["pdshub-node"]["volumes"]}
    assert volumes["tls"]["secret"]["defaultMode"] == volumes["token"]["projected"]["defaultMode"] == 0o400


@pytest.mark.parametrize(("said", "bytes_"), [("4Gi", 4 << 30), ("500M", 500 * 10**6), ("1000000", 10**6)])
def test_the_disk_that_generations_may_take(said: str, bytes_: int) -> None:
    plugin = pods({"nodePlugin": {"generations": {"maxBytes": said}}})["pdshub-node"]["containers"][0]
    (given,) = [a.partition("=")[2] for a in plugin["args"] if a.startswith("--generations-max-bytes=")]
    assert int(parse_quantity(given)) == bytes_


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
            probes = set() if container["name"] == "metrics" else PROBES[name]  # what it serves is only numbers
            assert {key for key in container if key.endswith("Probe")} == probes
            wanted = container["resources"]
            assert set(wanted["requests"]) == {"cpu", "memory"} and "memory" in wanted["limits"]


@VALUES
def test_every_mount_has_its_volume(values: Document) -> None:
    for spec in pods(values).values():
        names = [v["name"] for v in spec["volumes"]]
        mounted = {m["name"] for container in spec["containers"] for m in container["volumeMounts"]}
        assert sorted(mounted) == sorted(names)
        for container in spec["containers"]:
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
    left = {"pdshub-operator", "pdshub-node", "pdshub-audit"}
    assert set(pods({"nodePlugin": {"nfsHelper": {"enabled": False}}})) == left


@pytest.mark.parametrize("name", ["pdshub-node", "pdshub-nfs-helper"])
def test_nothing_is_mounted_inside_what_is_shared_with_the_host(name: str) -> None:
    """It would be mounted on the host too, once more at each start of the container, and twice as often each time."""
    container = pods(FULL)[name]["containers"][0]
    mounts = container["volumeMounts"]
    shared = [m["mountPath"].rstrip("/") for m in mounts if m.get("mountPropagation") == "Bidirectional"]
    assert shared
    inside = [m["mountPath"] for m in mounts for top in shared if m["mountPath"].startswith(f"{top}/")]
    assert inside == []


@pytest.mark.parametrize(
    "scope",
    [
        *watched.CLUSTER,
        watched.BINDINGS,
        watched.HUBS,
        watched.VIEWS,
        watched.claims_of_hub("ns"),
        *watched.of_hub("ns"),
    ],
)
def test_the_operator_may_watch_what_it_keeps_a_copy_of(scope: Scope) -> None:
    assert may(scope.resource, scope.namespace, "watch")
