"""What roles write onto machines, as the programs read it that it is for: kubeadm, systemd, nft, promtool."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.programs import built, system
from tests.unit.ansible.site_playing import COLLECTION, ROOT, Variables, play, rendered

QUOTES = "a'b\"c: {x} # \\ ünï $(id) `id` ; %s ' \n- d"
"""Free text as it may stand where text may be free."""
NODE: Variables = {
    "kubernetes_source": "directory",
    "kubernetes_node_name": "hub1",
    "kubernetes_node_address": "192.0.2.20",
    "kubernetes_node_ignored_preflight": ["all"],
    "kubernetes_node_kubelet": {"failCgroupV1": False, "clusterDomain": "cluster.local", "maxPods": 200},
    "kubernetes_node_proxy": {"conntrack": {"maxPerCore": 0}},
}
TEMPLATES = {
    "documents.yaml.j2": "kubeadm.yaml",
    "containerd.toml.j2": "config.toml",
    "conflist.json.j2": "10-pdshub.conflist",
    "kubelet.service.j2": "kubelet.service",
    "kube-router.yaml.j2": "kube-router.yaml",
    "sysctl.conf.j2": "sysctl.conf",
    "modules.conf.j2": "modules.conf",
    "kubernetes.sources.j2": "kubernetes.sources",
}


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of kubernetes_node, and where they are."""
    folder = tmp_path_factory.mktemp("node")
    return {**rendered(folder, "kubernetes_node", TEMPLATES, NODE), "at": str(folder / "out")}


def analyzed(unit: Path) -> str:
    """What systemd says against a unit; its programs are not on this machine, and that it may say."""
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not there")
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, check=False)
    mine = [line for line in (done.stdout + done.stderr).splitlines() if unit.name in line]
    return "\n".join(line for line in mine if "is not executable" not in line and "Failed to create" not in line)


def test_kubeadm_takes_what_it_is_given(node: dict[str, str]) -> None:
    kubeadm = built("kubernetes", "kubeadm")
    file = f"{node['at']}/kubeadm.yaml"
    done = subprocess.run(
        [str(kubeadm), "config", "validate", "--config", file], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "ok" in done.stdout, done.stdout + done.stderr
    assert "deprecated" not in done.stderr and "unknown field" not in done.stderr, done.stderr
    documents = {one["kind"]: one for one in yaml.safe_load_all(node["documents.yaml.j2"]) if one}
    assert documents["KubeletConfiguration"]["podPidsLimit"] == 2048
    assert documents["KubeletConfiguration"]["failCgroupV1"] is False
    assert documents["KubeProxyConfiguration"]["conntrack"] == {"maxPerCore": 0}
    assert documents["InitConfiguration"]["nodeRegistration"]["taints"] == []


def test_free_text_in_settings_of_the_kubelet_stays_text(tmp_path: Path) -> None:
    given = {**NODE, "kubernetes_node_kubelet": {"clusterDomain": QUOTES, QUOTES: [QUOTES]}}
    text = rendered(tmp_path, "kubernetes_node", {"documents.yaml.j2": "x"}, given)["documents.yaml.j2"]
    found = {one["kind"]: one for one in yaml.safe_load_all(text) if one}
    assert found["KubeletConfiguration"]["clusterDomain"] == QUOTES
    assert found["KubeletConfiguration"][QUOTES] == [QUOTES] and len(found) == 4


def test_containerd_and_pods_network_are_what_they_should_be(node: dict[str, str]) -> None:
    cri = tomllib.loads(node["containerd.toml.j2"])["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "registry.k8s.io/pause:3.10.1" and cri["restrict_oom_score_adj"] is False
    assert cri["containerd"]["runtimes"]["runc"]["options"]["SystemdCgroup"] is True
    mine, hacks = json.loads(node["conflist.json.j2"]), json.loads((ROOT / "hack/kind/10-pdshub.conflist").read_text())
    assert mine == hacks, "the network of pods is that of the cluster of the tests"
    assert "net.ipv4.ip_forward = 1" in node["sysctl.conf.j2"] and "erofs" in node["modules.conf.j2"].split()


def test_network_policies_are_enforced_as_in_the_cluster_of_the_tests(node: dict[str, str]) -> None:
    mine = {one["kind"]: one for one in yaml.safe_load_all(node["kube-router.yaml.j2"]) if one}
    hacks = {one["kind"]: one for one in yaml.safe_load_all((ROOT / "hack/kind/kube-router.yaml").read_text()) if one}
    assert mine["ClusterRole"]["rules"] == hacks["ClusterRole"]["rules"]
    containers = [found["DaemonSet"]["spec"]["template"]["spec"]["containers"][0] for found in (mine, hacks)]
    assert containers[0]["args"] == containers[1]["args"] and containers[0]["image"] == containers[1]["image"]


def test_versions_are_those_of_the_cluster_of_the_tests() -> None:
    from devcluster import settings

    defaults = yaml.safe_load((COLLECTION / "roles/kubernetes_node/defaults/main.yml").read_text())
    assert defaults["kubernetes_node_version"] == settings.KUBERNETES
    assert defaults["kubernetes_node_pause_image"].endswith(f":{settings.PAUSE_IMAGE_TAG}")


def test_the_repository_of_packages_is_that_of_the_minor_version(tmp_path: Path) -> None:
    given = {**NODE, "kubernetes_source": "packages", "kubernetes_node_version": "1.35.2"}
    text = rendered(tmp_path, "kubernetes_node", {"kubernetes.sources.j2": "x"}, given)["kubernetes.sources.j2"]
    assert "URIs: https://pkgs.k8s.io/core:/stable:/v1.35/deb/\n" in text and "Suites: /\n" in text


def test_units_are_what_systemd_takes(tmp_path: Path, node: dict[str, str]) -> None:
    backup = {"backup_target_from": ["192.0.2.0/24", "2001:db8::/32"], "backup_target_address": "192.0.2.36"}
    rendered(
        tmp_path / "b", "backup_target", {"pdshub-backup-target.service.j2": "pdshub-backup-target.service"}, backup
    )
    lockdown = {"incident_name": "2026-11-27-x", "incident_pod_range": "10.244.0.0/24"}
    rendered(tmp_path / "i", "incident", {"pdshub-lockdown.service.j2": "pdshub-lockdown.service"}, lockdown)
    names = {f"pdshub-targets.{kind}.j2": f"pdshub-targets.{kind}" for kind in ("service", "timer")}
    rendered(tmp_path / "m", "monitoring", names)
    for unit in (
        tmp_path / "m/out/pdshub-targets.service",
        tmp_path / "m/out/pdshub-targets.timer",
        Path(node["at"]) / "kubelet.service",
        tmp_path / "b/out/pdshub-backup-target.service",
        tmp_path / "i/out/pdshub-lockdown.service",
    ):
        assert analyzed(unit) == ""


def test_the_backups_server_has_no_rights_and_only_ever_adds(tmp_path: Path) -> None:
    name = "pdshub-backup-target.service.j2"
    text = rendered(tmp_path, "backup_target", {name: "x"})[name]
    for words in (
        "--append-only",
        "--private-repos",
        "CapabilityBoundingSet=\n",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
    ):
        assert words in text
    assert "User=pdshub-backup\n" in text and "root" not in text and "IPAddressDeny" not in text


def test_the_lockdown_s_rules_are_rules(tmp_path: Path) -> None:
    name = "lockdown.nft.j2"
    given = {"incident_name": "x", "incident_pod_range": "10.244.0.0/24"}
    text = rendered(tmp_path, "incident", {name: "x"}, given)[name]
    nft = system("nft")
    if not nft or os.geteuid() != 0:
        pytest.skip("needs root and Debian's package nftables")
    # in a network of its own, twice: the second time replaces the first
    command = [
        "unshare",
        "--net",
        "sh",
        "-ec",
        f"{nft} -f {tmp_path}/out/x; {nft} -f {tmp_path}/out/x; {nft} list ruleset",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Operation not supported" in done.stderr:
        pytest.skip("this kernel has no nftables")
    assert done.returncode == 0, done.stderr + text
    assert done.stdout.count("table inet pdshub_lockdown") == 1 and "30000-32767" in done.stdout


MONITORING: Variables = {
    "monitoring_kubernetes": True,
    "monitoring_targets": [{"job": "nodes", "targets": ["hub1:9100", "proxy1:9100"]}],
    "monitoring_federated": ["hub1:9090"],
    "monitoring_mail": {"to": "root@example.org", "from": "prometheus@example.org"},
}


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prometheus' settings as the role's vars make them."""
    folder = tmp_path_factory.mktemp("prometheus")
    files = [str(COLLECTION / f"roles/monitoring/{kind}/main.yml") for kind in ("defaults", "vars")]
    texts = {"prometheus.yml": "monitoring_config", "alertmanager.yml": "monitoring_alertmanager_config"}
    texts["targets.json"] = "monitoring_targets_settings"
    tasks = [
        {
            "name": f"Write {file}",
            "ansible.builtin.copy": {
                "content": "{{ "
                + name
                + (" | to_json }}" if "json" in file else " | to_nice_yaml(sort_keys=false, width=4096) }}"),
                "dest": str(folder / file),
                "mode": "0644",
            },
        }
        for file, name in texts.items()
    ]
    plays = [
        {
            "hosts": "node", "gather_facts": False, "vars_files": files, "tasks": tasks,
            "vars": {"role_path": str(COLLECTION / "roles/monitoring")},
        }
    ]  # fmt: skip
    done = play(
        folder, plays, {**MONITORING, "monitoring_token": str(folder / "token"), "monitoring_ca": str(folder / "ca")}
    )
    assert done.code == 0, done.text
    for name in ("token", "ca"):
        (folder / name).write_text("x")
    return folder


def test_prometheus_finds_each_kind_of_pod_at_its_port(prometheus: Path) -> None:
    config = yaml.safe_load((prometheus / "prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in config["scrape_configs"]}
    ports = {"operator": 8080, "node": 9807, "homes": 9812, "surveyor": 9811}
    assert set(jobs) == {"prometheus", "nodes", "federated", *(f"pdshub-{one}" for one in ports)}
    manual = (ROOT / "docs/metrics.md").read_text()
    looked_for = json.loads((prometheus / "targets.json").read_text())
    for one, port in ports.items():
        assert str(port) in manual
        files = jobs[f"pdshub-{one}"]["file_sd_configs"][0]["files"]
        assert files == [f"{looked_for['folder']}/{one}.json"]
        namespace = "pdshub-surveyors" if one == "surveyor" else "pdshub-system"
        assert looked_for["components"][one] == {"namespace": namespace, "port": port}
    assert jobs["federated"]["honor_labels"] is True and jobs["federated"]["static_configs"][0]["targets"] == [
        "hub1:9090"
    ]
    assert config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] == ["127.0.0.1:9093"]
    mail = yaml.safe_load((prometheus / "alertmanager.yml").read_text())
    assert mail["receivers"][0]["email_configs"][0]["to"] == "root@example.org"


def promtool_says(program: str, *words: str) -> None:
    done = subprocess.run([program, "check", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_takes_settings_and_rules(prometheus: Path) -> None:
    promtool = system("promtool") or str(built("promtool"))
    rules = [ROOT / "deploy/machine/alerts.yaml", COLLECTION / "roles/monitoring/files/pdshub.yaml"]
    promtool_says(promtool, "rules", *map(str, rules))
    # without Kubernetes' discovery, as Debian's: settings that need it would be refused here
    promtool_says(promtool, "config", str(prometheus / "prometheus.yml"))


@pytest.mark.parametrize(
    ("manual", "page"),
    [
        ("", "docs/archive/surveyor.md#what-it-keeps"),
        ("https://pdshub.example.org/manual", "https://pdshub.example.org/manual/archive/surveyor/#what-it-keeps"),
        ("https://pdshub.example.org/manual/", "https://pdshub.example.org/manual/archive/surveyor/#what-it-keeps"),
    ],
)
def test_alerts_lead_to_the_manual(tmp_path: Path, manual: str, page: str) -> None:
    files = [str(COLLECTION / f"roles/monitoring/{kind}/main.yml") for kind in ("defaults", "vars")]
    text, out = COLLECTION / "roles/monitoring/files/pdshub.yaml", tmp_path / "rules.yaml"
    task = {
        "name": "Write rules",
        "ansible.builtin.copy": {"content": "{{ monitoring_rules_text }}", "dest": str(out), "mode": "0644"},
    }
    given = {"role_path": str(COLLECTION / "roles/monitoring"), "monitoring_rules_file": str(text)}
    plays = [{"hosts": "node", "gather_facts": False, "vars_files": files, "vars": given, "tasks": [task]}]
    done = play(tmp_path, plays, {"monitoring_manual": manual})
    assert done.code == 0, done.text
    before, after = ([rule for group in yaml.safe_load(one.read_text())["groups"] for rule in group["rules"]]
                     for one in (text, out))  # fmt: skip
    assert (out.read_text() == text.read_text()) is (not manual), "without a manual it is the same file"
    assert page in [rule["annotations"].pop("runbook_url") for rule in after]
    assert [rule["annotations"].pop("runbook_url") for rule in before] and before == after, "and nothing else differs"
    promtool_says(system("promtool") or str(built("promtool")), "rules", str(out))


NAMES = ("pdshub_all_values", "pdshub_secret_objects", "pdshub_registry_secret", "pdshub_surveyors")


def test_values_and_secrets_of_pdshub_are_what_was_said(tmp_path: Path) -> None:
    files = [str(COLLECTION / f"roles/pdshub/{kind}/main.yml") for kind in ("defaults", "vars")]
    pull = tmp_path / "config.json"
    pull.write_text('{"auths": {}}')
    given = {
        "pdshub_images": {"operator": "r/o:1", "hub": "r/h:1"},
        "pdshub_values": {
            "archive": {"allowed": [{"server": "nas", "exports": ["/a"]}]},
            "defaults": {"chart": {"source": "Airgap"}},
        },
        "pdshub_hub_secrets": [{"name": "google-oauth", "data": {"client-secret": QUOTES}}],
        "pdshub_pull_secret": str(pull),
    }
    task = {
        "name": "Write",
        "ansible.builtin.copy": {
            "content": "{{ [" + ", ".join(NAMES) + "] | to_json }}",
            "dest": str(tmp_path / "out.json"),
            "mode": "0600",
        },
    }
    plays = [
        {
            "hosts": "node", "gather_facts": False, "vars_files": files, "tasks": [task],
            "vars": {"role_path": str(COLLECTION / "roles/pdshub")},
        }
    ]  # fmt: skip
    done = play(tmp_path, plays, given)
    assert done.code == 0, done.text
    assert "ünï" not in done.text and "id" not in done.text.split()
    values, secrets, registry, surveyors = json.loads((tmp_path / "out.json").read_text())
    assert values["image"] == "r/o:1" and values["defaults"]["images"] == {
        "hub": "r/h:1",
        "proxy": "",
        "user": "",
        "door": "",
    }
    assert values["defaults"]["chart"] == {"source": "Airgap"} and values["homes"]["storageClass"] == {"default": True}
    assert values["imagePullSecrets"] == [{"name": "registry"}] and surveyors == "pdshub-surveyors"
    import base64

    assert base64.b64decode(secrets[0]["data"]["client-secret"]).decode() == QUOTES
    assert json.loads(base64.b64decode(registry["data"][".dockerconfigjson"])) == {"auths": {}}


def test_the_chart_takes_those_values() -> None:
    from tests.unit.chart import rendered as chart

    homes = {"enabled": True, "storageClass": {"default": True}}
    found = chart({"image": "r/o:1", "homes": homes, "imagePullSecrets": [{"name": "registry"}]})
    classes = [one["metadata"] for (kind, _), one in found.items() if kind == "StorageClass"]
    default = "storageclass.kubernetes.io/is-default-class"
    assert [one["name"] for one in classes if (one.get("annotations") or {}).get(default) == "true"] == ["pdshub-homes"]
