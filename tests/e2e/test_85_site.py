"""ansible/playbooks/site.yml from two bare machines to somebody who is signed in through Apache; then a lockdown.

Two containers of Debian, with nothing of Kubernetes or Apache in them (site_machine.py), beside the cluster of hack/up.
Programs of Kubernetes, its images and PDSHub's are those that hack/ built; Debian's packages come from its mirror. A
second run changes nothing. What can't run in a container (firewall, disks, time) is left out here, and tried
elsewhere: tests/unit/ansible, tests/lab.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import site_machine
from tests.e2e.cluster import Cluster, eventually
from tests.e2e.conftest import ROOT, demo
from tests.e2e.hubclient import Person, SignInRefused
from tests.e2e.site_machine import Machine
from tests.unit.ansible.harness import playbook_program
from tests.unit.front_door.authority import Authority

# a second control plane, two gigabytes of images: it wants the machine for itself
pytestmark = [pytest.mark.alone, pytest.mark.long]
COLLECTION = ROOT / "ansible"
SPACE, HUB, USER = "hub", "demo", "ada"
HOST, SITE = "hub.site.example.org", "www.site.example.org"
IMAGES = ("operator", "hub", "proxy", "user", "door")
INCIDENT = "e2e-stolen-account"


@dataclass
class Site:
    """Two machines, the folder that the controller keeps, and how long the runs took."""

    hub: Machine
    proxy: Machine
    folder: Path
    environment: dict[str, str]
    seconds: dict[str, float] = field(default_factory=dict)

    def play(self, book: str, *words: str, what: str = "") -> dict[str, dict[str, int]]:
        """Runs a playbook of the collection; machine -> numbers of its recap. Fails where something failed."""
        log = self.folder / f"{what or book}.log"
        began = time.monotonic()
        with log.open("wb") as out:
            done = subprocess.run(
                [playbook_program(), "-i", str(self.folder / "inventory.yml"), f"playbooks/{book}.yml", *words],
                stdout=out, stderr=subprocess.STDOUT, cwd=COLLECTION, env=self.environment, stdin=subprocess.DEVNULL,
                timeout=5400, check=False,
            )  # fmt: skip
        self.seconds[what or book] = round(time.monotonic() - began, 1)
        text = log.read_text(errors="replace")
        assert done.returncode == 0, text[-12000:]
        found = {}
        for line in text.rpartition("PLAY RECAP")[2].splitlines():
            if numbers := re.findall(r"(\w+)=(\d+)", line):
                found[line.split()[0]] = {name: int(count) for name, count in numbers}
        return found

    def json(self, *words: str) -> Any:
        """What the hub machine's kubectl says."""
        return json.loads(self.hub.run("kubectl", *words, "-o", "json"))


def inventory(cluster: Cluster, hub: Machine, proxy: Machine, folder: Path) -> dict[str, Any]:
    """The inventory of an administrator who has these two machines."""
    from devcluster import app_images, golang
    from devcluster.settings import Paths

    paths = Paths.from_environment()
    facts = cluster.facts
    refs = {name: facts[f"IMAGE_{name.upper()}"] for name in IMAGES}
    connection = "containers.podman.podman" if facts["ENGINE"] == "podman" else "community.docker.docker"
    manifest = demo(cluster)
    manifest["metadata"] = {"name": HUB}
    manifest["spec"] |= {
        "hostname": HOST,
        "tls": {"offload": {"trusted": [f"{proxy.address}/32"]}},
        "service": {"type": "NodePort", "nodePort": 30080},
        "users": {"allowed": [USER, "bela"], "admins": ["root-admin"]},
    }
    (folder / "hub.yaml").write_text(yaml.safe_dump(manifest))
    certificates = {
        name: {"chain": f"{folder}/tls/{name}/fullchain.pem", "key": f"{folder}/tls/{name}/privkey.pem"}
        for name in (HOST, SITE)
    }
    kubelet = {
        "cgroupRoot": "/kubelet", "failSwapOn": False, "failCgroupV1": False, "localStorageCapacityIsolation": True,
        # the machine's disk is shared with everything else on this one
        "imageGCHighThresholdPercent": 100,
        "evictionHard": {"nodefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.available": "0%"},
    }  # fmt: skip
    of_hub = {
        "kubernetes_source": "directory",
        "kubernetes_node_directory": str(golang.program(paths, "kubernetes", "kubeadm").parent),
        "kubernetes_node_etcd_tools": str(golang.program(paths, "etcdutl").parent),
        "kubernetes_node_image_archives": ["/control-plane/images.tar"],
        "kubernetes_node_images_on_node": True,
        "kubernetes_node_name": hub.name,
        "kubernetes_node_address": hub.address,
        "kubernetes_node_restrict_oom": True,
        "kubernetes_node_ignored_preflight": ["all"],
        "kubernetes_node_kubelet": kubelet,
        # a number of the whole machine's kernel
        "kubernetes_node_proxy": {"conntrack": {"maxPerCore": 0}},
        "pdshub_images": refs,
        "pdshub_image_archives": [f"/pdshub-images/{app_images.archive_name(n, ref)}" for n, ref in refs.items()],
        "pdshub_images_on_node": True,
        "pdshub_values": {
            "defaults": {"chart": {"source": "Airgap"}},
            "archive": {"allowed": [{"server": facts["NAS_IP"], "exports": ["/pds-main", "/pds-mission"]}]},
            "homes": {"overcommit": 4},
        },
        "pdshub_hub_manifest": f"{folder}/hub.yaml",
        "pdshub_hub_namespace": SPACE,
        "pdshub_hub_labels": {"pdshub.dev/environment": "development"},
        "pdshub_wait_seconds": 1500,
        "monitoring_server": True,
        "monitoring_kubernetes": True,
        "monitoring_targets": [{"job": "nodes", "targets": ["127.0.0.1:9100"]}],
        "site_hubs": [f"{SPACE}/{HUB}"],
        "site_proxy": ["--certificates=files", "--users=5", f"--site={SITE}=/srv/www"],
        "site_plugin": f"{folder}/kubectl-pdshub",
    }
    of_proxy = {
        "proxy_httpd_door": f"{folder}/door",
        "proxy_httpd_folders": ["/srv/www"],
        "proxy_httpd_certificate_files": certificates,
        "backup_target_repositories": [{"name": "sbn", "password": "a quote' and \" and $x ; more"}],
        "backup_target_certificate": certificates[HOST]["chain"],
        "backup_target_key": certificates[HOST]["key"],
    }
    common = {
        "ansible_connection": connection,
        "ansible_python_interpreter": "/usr/bin/python3",
        "site_skip": ["base", "zones", "storage_lvm", "nfs_client"],
    }
    return {
        "all": {
            "vars": common,
            "children": {
                "hub": {"hosts": {hub.name: of_hub}},
                "proxy": {"hosts": {proxy.name: of_proxy}},
                "backup": {"hosts": {proxy.name: {}}},
                "monitoring": {"hosts": {hub.name: {}}},
            },
        }
    }


@pytest.fixture(scope="module")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two bare machines; they go with the module."""
    if not cluster.airgap:
        pytest.skip("images of the control plane were not built here: PDSHUB_IMAGES=build ./hack/up")
    if not playbook_program():
        pytest.skip("no ansible-playbook: ./hack/test brings one")
    from devcluster import engine as engines
    from devcluster import node_image
    from devcluster.settings import Paths

    paths = Paths.from_environment()
    engine = engines.Engine(
        cluster.facts["ENGINE"], {"CONTAINERS_CONF": c} if (c := cluster.facts.get("CONTAINERS_CONF")) else {}
    )
    folder = tmp_path_factory.mktemp("site")
    control_plane = node_image.control_plane(paths).ensure(paths)[0]
    authority = Authority()
    for name in (HOST, SITE):
        authority.write(folder / "tls" / name, name)
    (folder / "ca.pem").write_text(authority.pem())
    plugin = folder / "kubectl-pdshub"
    plugin.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT}/operator exec {sys.executable} -m pdshub.cli.main "$@"\n')
    plugin.chmod(0o755)
    names = (f"{paths.cluster_name}-site-hub", f"{paths.cluster_name}-site-proxy")
    try:
        mounts = (f"{paths.images}:/pdshub-images:ro", f"{control_plane}:/control-plane:ro")
        hub = site_machine.start(paths, engine, names[0], *mounts)
        proxy = site_machine.start(paths, engine, names[1])
        for one in (hub, proxy):
            for missing in ("kubelet", "containerd", "apache2"):
                assert not engine.ok("exec", one.name, "sh", "-c", f"command -v {missing}"), "the machines are bare"
        (folder / "inventory.yml").write_text(yaml.safe_dump(inventory(cluster, hub, proxy, folder)))
        environment = {
            **cluster.environ,
            "ANSIBLE_CONFIG": str(COLLECTION / "ansible.cfg"),
            "ANSIBLE_HOME": str(folder / "ansible"),
            "ANSIBLE_LOCAL_TEMP": str(folder / "ansible/tmp"),
            "ANSIBLE_NOCOLOR": "1",
            # it runs in no locale that is not UTF-8's
            "LC_ALL": "C.UTF-8",
            # a container is no place for a socket of ssh
            "ANSIBLE_PIPELINING": "False",
        }
        yield Site(hub, proxy, folder, environment)
    finally:
        for name in names:
            site_machine.remove(engine, name)


@pytest.fixture(scope="module")
def made(site: Site) -> Site:
    """The site, by one run of the playbook."""
    site.play("site", what="first")
    return site


@pytest.fixture
def named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process the site's names lead to its proxy machine, and its authority is believed."""
    there = socket.getaddrinfo

    def found(host: Any, *words: Any, **more: Any) -> Any:
        return there(site.proxy.address if host in (HOST, SITE) else host, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "WEBSOCKET_CLIENT_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(site.folder / "ca.pem"))
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def password(site: Site) -> str:
    found = site.json("get", "secret", f"{HUB}-sign-in", "-n", SPACE)
    return base64.b64decode(found["data"]["password"]).decode()


def test_somebody_is_signed_in_through_apache_and_reads_the_archive(made: Site, named: None) -> None:
    began = time.monotonic()
    person = Person(f"https://{HOST}", USER, password(made)).sign_in()
    person.start(600)
    made.seconds["bare machines to a running server"] = round(made.seconds["first"] + time.monotonic() - began, 1)
    kernel = person.kernel()
    kernel.run("open('kept', 'w').write('from before the second run')").ok()
    # the archive has a condition of its own, and may come after the hub
    eventually(
        lambda: kernel.run("import os; print(len(os.listdir('/archive/demo/pds4')))").ok(),
        lambda text: int(text) > 0, within=300, every=5, what="a notebook lists the archive",
    )  # fmt: skip
    # who is asking is known behind Apache
    log = made.hub.run("kubectl", "logs", "-n", SPACE, "deploy/hub", "--tail=2000")
    asked = set(re.findall(rf"\({USER}@([^)\s]+)\)", log))
    assert asked and not {made.proxy.address, made.hub.address} & asked, asked
    print(json.dumps(made.seconds))


def test_another_site_is_on_the_same_address(made: Site, named: None) -> None:
    import requests

    made.proxy.run("sh", "-c", "echo 'the node has pages of its own' >/srv/www/index.html")
    assert "pages of its own" in requests.get(f"https://{SITE}/", timeout=60).text


def test_a_second_run_changes_nothing(made: Site, named: None) -> None:
    recap = made.play("site", what="second")
    assert {name: numbers["changed"] for name, numbers in recap.items()} == dict.fromkeys(
        (made.hub.name, made.proxy.name), 0
    )
    assert {numbers["failed"] for numbers in recap.values()} == {0}
    person = Person(f"https://{HOST}", USER, password(made)).sign_in()
    assert person.model()["servers"][""]["ready"], "who works goes on working"
    print(json.dumps(made.seconds))


def test_check_mode_finds_nothing_to_change(made: Site) -> None:
    recap = made.play("site", "--check", what="check")
    assert {numbers["changed"] for numbers in recap.values()} == {0}


def test_the_machine_has_a_snapshot_of_etcd_and_prometheus_finds_what_it_reads(made: Site) -> None:
    status = json.loads(made.hub.run("pdshub-machine", "status", "-o", "json"))
    assert status
    ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:9090/api/v1/targets').read().decode())"
    wanted = {"prometheus", "nodes", "pdshub-operator", "pdshub-node", "pdshub-homes"}
    eventually(
        lambda: json.loads(made.hub.run("python3", "-c", ask))["data"]["activeTargets"],
        lambda found: wanted <= {one["labels"]["job"] for one in found if one["health"] == "up"},
        within=240, every=5, what=f"Prometheus reads {wanted}",
    )  # fmt: skip


def test_a_lockdown_ends_everybody_s_access_and_keeps_evidence(made: Site, named: None) -> None:
    person = Person(f"https://{HOST}", USER, password(made)).sign_in()
    person.start(600)
    words = ("-e", f"incident_name={INCIDENT}")
    made.play("incident-lockdown", *words)
    servers = made.hub.run("kubectl", "get", "pods", "-A", "-l", "component=singleuser-server", "-o", "name")
    assert servers.strip() == ""
    spec = made.json("get", "pdshub", HUB, "-n", SPACE)["spec"]
    assert {USER, "bela", "root-admin"} <= set(spec["users"]["suspended"])
    evidence = f"/var/lib/pdshub-incident/{INCIDENT}"
    made.hub.run("sh", "-c", f"cd {evidence} && sha256sum --check --quiet SHA256SUMS")
    assert "singleuser" in made.hub.run("cat", f"{evidence}/commands/pods"), (
        "what ran is written down before it is ended"
    )
    assert made.proxy.run("ls", f"{evidence}/apache2").strip()
    # Apache answers with its own page: nothing reaches the hub
    import requests

    assert requests.get(f"https://{HOST}/hub/login", timeout=120).status_code in (502, 503, 504)

    before = made.hub.run("cat", f"{evidence}/SHA256SUMS")
    made.play("incident-lockdown", *words, what="lockdown again")
    assert made.hub.run("cat", f"{evidence}/SHA256SUMS") == before, "a second run keeps what the first wrote down"


def test_a_release_lets_people_in_as_before(made: Site, named: None) -> None:
    if (
        made.json("get", "pdshub", HUB, "-n", SPACE)["metadata"].get("annotations", {}).get("pdshub.dev/incident")
        != INCIDENT
    ):
        made.play("incident-lockdown", "-e", f"incident_name={INCIDENT}")
    given = json.dumps({"incident_name": INCIDENT, "incident_keep_out": ["bela"]})
    made.play("incident-release", "-e", given)
    spec = made.json("get", "pdshub", HUB, "-n", SPACE)["spec"]
    assert spec["users"]["suspended"] == ["bela"] and USER in spec["users"]["allowed"]
    made.hub.run("kubectl", "wait", f"pdshub/{HUB}", "-n", SPACE, "--for=condition=UsersEnforced", "--timeout=180s")
    person = eventually(
        lambda: Person(f"https://{HOST}", USER, password(made)).sign_in(),
        within=240,
        every=5,
        what="ada signs in again",
    )
    with pytest.raises(SignInRefused):
        Person(f"https://{HOST}", "bela", password(made)).sign_in()
    person.start(600)
    assert person.kernel().run("print(open('kept').read())").ok() == "from before the second run"
