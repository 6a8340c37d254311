"""What is written for a PDSHub: services, networks, configuration, units, and what it says it can't do."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pdshub.compose.text import ExportError
from tests.unit.compose.support import ACME, FULL, OFFLOAD, Exported, compose, exported, hub, machine, text, written

DEVELOPMENT = {"development": {}}
DNS = {"acme": {**ACME["acme"], "challenge": {"dns01": {"rfc2136": {
    "server": "ns.example.org", "keyName": "hub", "secretRef": {"name": "tsig", "key": "key"}}}}}}  # fmt: skip


def traits(found: Exported) -> dict[str, Any]:
    """What the configuration assigns; values that are no literals as the text of their code."""
    made: dict[str, Any] = {}
    for node in ast.parse(text(found, "jupyterhub_config.py")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            name = ast.unparse(node.targets[0]).removeprefix("c.")
            try:
                made[name] = ast.literal_eval(node.value)
            except ValueError:
                made[name] = ast.unparse(node.value)
    return made


@pytest.mark.parametrize(
    ("changes", "trait", "value"),
    [
        ({}, "DockerSpawner.image", "example.org/user:1"),
        ({}, "DockerSpawner.mem_limit", "4G"),
        ({}, "DockerSpawner.mem_guarantee", "256M"),
        ({}, "DockerSpawner.cpu_limit", 1.5),
        ({}, "DockerSpawner.start_timeout", 120),
        ({}, "JupyterHub.active_server_limit", 40),
        ({}, "JupyterHub.authenticator_class", "pdshub_hub.google.PDSHubGoogle"),
        ({}, "GoogleOAuthenticator.hosted_domain", ["example.org"]),
        ({}, "GoogleOAuthenticator.oauth_callback_url", "https://hub.example.org/hub/oauth_callback"),
        ({}, "GoogleOAuthenticator.client_secret", "open('/run/secrets/google-client-secret').read().strip()"),
        ({}, "DockerSpawner.environment", {"PDSHUB_ARCHIVE": "/archive/sbn"}),
        ({}, "DockerSpawner.disable_user_config", True),
        ({}, "Authenticator.allow_all", False),
        ({"tls": ACME}, "JupyterHub.public_url", "https://hub.example.org/"),
        ({"tls": ACME, "isolation": "Subdomain"}, "JupyterHub.subdomain_host", "https://hub.example.org"),
        ({"signIn": DEVELOPMENT}, "JupyterHub.authenticator_class", "pdshub_hub.development.PDSHubDevelopment"),
        ({"signIn": DEVELOPMENT}, "DummyAuthenticator.password", "open('/run/secrets/password').read().strip()"),
    ],
)  # fmt: skip
def test_a_field_becomes_a_trait(changes: dict[str, Any], trait: str, value: Any) -> None:
    assert traits(exported(**changes))[trait] == value


@pytest.mark.parametrize(
    ("changes", "trait"),
    [
        ({}, "JupyterHub.public_url"),  # plain HTTP
        ({"quota": None}, "JupyterHub.active_server_limit"),
        ({"archive": None}, "DockerSpawner.environment"),
        ({"culling": {"enabled": False}}, "JupyterHub.services"),
        ({"signIn": DEVELOPMENT}, "GoogleOAuthenticator.client_id"),
        ({}, "Authenticator.allowed_users"),  # the list is a file: pdshub_hub refuses names in traits
        ({}, "DockerSpawner.allowed_images"),
    ],
)
def test_what_is_not_said_is_not_set(changes: dict[str, Any], trait: str) -> None:
    assert trait not in traits(exported(**changes))


def test_culling_is_a_service_with_few_rights() -> None:
    found = traits(exported())
    assert found["JupyterHub.services"][0]["command"][4:] == ["--timeout=1800", "--cull-every=600", "--max-age=86400"]
    assert "admin:users" not in found["JupyterHub.load_roles"][0]["scopes"]


def test_profiles_are_images_to_choose_from() -> None:
    profiles = [
        {"name": "small", "displayName": "Small", "resources": {"memory": {"limit": "1Gi"}}},
        {"name": "big", "displayName": "Big (GPU)", "image": "example.org/gpu:1"},
    ]
    found = exported(server={**FULL["server"], "profiles": profiles, "defaultProfile": "big"})
    assert traits(found)["DockerSpawner.allowed_images"] == {
        "Small": "example.org/user:1",
        "Big (GPU)": "example.org/gpu:1",
    }
    assert traits(found)["DockerSpawner.image"] == "example.org/gpu:1"
    assert "small have those of the default profile" in found.text


@pytest.mark.parametrize(
    ("changes", "front", "ports", "trusted"),
    [
        ({}, "none", {"proxy": ["127.0.0.1:8000:8000"]}, ""),
        ({"tls": ACME}, "caddy", {"door": ["80:8080", "443:8443"]}, "10.199.0.0/24"),
        ({"tls": {"secret": {"name": "tls"}}}, "caddy", {"door": ["80:8080", "443:8443"]}, "10.199.0.0/24"),
        ({"tls": OFFLOAD}, "apache", {"proxy": ["127.0.0.1:8000:8000"]}, "10.199.1.1/32,10.199.128.1/32"),
    ],
)
def test_who_ends_tls(changes: dict[str, Any], front: str, ports: dict[str, Any], trusted: str) -> None:
    found = exported(**changes)
    services = compose(found)["services"]
    assert found.report["front"] == front
    assert {name: body["ports"] for name, body in services.items() if "ports" in body} == ports
    assert services["proxy"]["environment"] == {"PROXY_TRUSTED": trusted}
    assert ("caddy/caddy.json" in found.files) == (front == "caddy")
    assert any(name.startswith("apache/root/etc/apache2/") for name in found.files) == (front == "apache")


def test_with_nobody_before_it_the_proxy_believes_whom_the_spec_names() -> None:
    found = exported(tls=OFFLOAD, machine_={"front": "none", "publish": "192.0.2.5:8000"})
    assert compose(found)["services"]["proxy"]["environment"] == {"PROXY_TRUSTED": "192.0.2.7/32"}


def test_apaches_files_are_those_of_proxy_render() -> None:
    found = exported(tls=OFFLOAD, machine_={"publish": "127.0.0.1:8123"})
    site = text(found, "apache/root/etc/apache2/sites-available/pdshub-hub.example.org.conf")
    assert 'ProxyPass "/" "http://127.0.0.1:8123/" nocanon upgrade=websocket' in site
    page = text(found, "apache/root/var/www/pdshub-door/hub.example.org/back-soon.html")
    assert "Small Bodies Node" in page
    assert json.loads(text(found, "apache/manifest.json"))["sites"] == ["pdshub-hub.example.org"]


def test_caddys_configuration_names_the_proxy_and_no_secret() -> None:
    body = text(exported(tls=DNS, isolation="Subdomain"), "caddy/caddy.json")
    assert '"dial": "door-proxy:8000"' in body and "{env.PDSHUB_TSIG_KEY}" in body and "X-Pdshub-Door" not in body


@pytest.mark.parametrize(
    ("egress", "internal"),
    [({}, False), ({"egress": "internet"}, False), ({"egress": "none"}, True),
     ({"egress": "cidrs", "cidrs": ["198.51.100.0/24"]}, True)],
)  # fmt: skip
def test_servers_reach_the_internet_or_nothing(egress: dict[str, Any], internal: bool) -> None:
    networks = compose(exported(network=egress))["networks"]
    assert networks["servers"].get("internal", False) == internal
    assert not networks["core"].get("internal"), "the hub asks Google"


def test_secrets_are_files_and_stand_nowhere() -> None:
    found = exported(tls=DNS)
    assert compose(found)["secrets"].keys() == {"proxy-token", "crypt-key", "google-client-secret", "tsig-key"}
    assert found.report["secrets"] == {
        "proxy-token": "made by prepare", "crypt-key": "made by prepare",
        "google-client-secret": "yours to bring", "tsig-key": "yours to bring",
    }  # fmt: skip
    services = compose(found)["services"]
    assert services["door"]["secrets"] == ["tsig-key"] and "tsig-key" not in services["hub"]["secrets"]
    assert not any(
        "TOKEN" in key or "SECRET" in key for body in services.values() for key in body.get("environment", {})
    )


def test_services_have_no_capabilities() -> None:
    for body in compose(exported(tls=ACME))["services"].values():
        assert body["cap_drop"] == ["ALL"] and body["security_opt"] == ["no-new-privileges"]
        assert not body.get("privileged")


@pytest.mark.parametrize(("updates", "mode"), [("live", "ro,rslave"), ("nextServer", "ro")])
def test_a_new_generation_reaches_running_servers_or_the_next_ones(updates: str, mode: str) -> None:
    found = exported(archive={**FULL["archive"], "updates": updates})
    assert traits(found)["DockerSpawner.volumes"]["/srv/pdshub/sbn/mnt/archive"] == {"bind": "/archive", "mode": mode}


def test_a_view_of_its_own_comes_along() -> None:
    spec = FULL["archive"]["inline"]
    view = {"apiVersion": "pdshub.dev/v1alpha1", "kind": "ArchiveView", "metadata": {"name": "all"}, "spec": spec}
    found = exported(view, archive={"viewRef": "all", "mountPath": "/pds"})
    assert "name: all" in text(found, "archive/view.yaml")
    assert traits(found)["DockerSpawner.environment"] == {"PDSHUB_ARCHIVE": "/pds/sbn"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "spec.server.home: homes are volumes of Docker without a size: 20Gi"),
        ({}, "spec.tls: plain HTTP at 127.0.0.1:8000"),
        ({}, "whoever takes over the hub has this machine"),
        ({"isolation": None}, "spec.isolation: all servers share one address"),
        ({"backup": {"repository": {"s3": {"endpoint": "https://s3.example.org", "bucket": "backups",
                                            "secretRef": "keys"}}}}, "spec.backup: nothing is saved"),
        ({"quota": {"servers": 4, "memory": "64Gi"}}, "spec.quota.memory: 64Gi for all servers together"),
        ({"network": {"egress": "cidrs", "cidrs": ["198.51.100.0/24"]}}, "spec.network.cidrs: Docker has no list"),
        ({"values": {"hub": {"x": 1}}}, "spec.values.hub: values of a Helm chart"),
        ({"signIn": DEVELOPMENT}, "spec.signIn.development: one password for everybody"),
    ],
)  # fmt: skip
def test_what_it_cant_do_stands_in_the_head_and_in_the_report(changes: dict[str, Any], said: str) -> None:
    found = exported(**changes)
    for name in ("docker-compose.yml", "jupyterhub_config.py"):
        head = text(found, name).split("\n\n", 1)[0]
        assert said in " ".join(line.removeprefix("#").strip() for line in head.split("\n")).replace("  ", " ")
    assert said in text(found, "report.txt").replace("\n", " ")


def test_every_head_says_what_every_export_lacks() -> None:
    head = text(exported(archive=None), "docker-compose.yml").split("\nname:")[0]
    assert "WHAT THIS CAN'T DO" in head and "audit log" in head.replace("\n#", "")


@pytest.mark.parametrize(
    ("changes", "said", "words"),
    [
        ({"hostname": None}, {"front": "apache"}, "needs spec.hostname"),
        ({}, {"front": "caddy"}, "needs spec.tls.acme or spec.tls.secret"),
        ({}, {"network": "10.0.0.0/8"}, "--network"),
        ({}, {"network": "10.0.0.0/24"}, "--network"),
        ({}, {"publish": "8000"}, "--publish"),
        ({}, {"folder": "/srv/a b"}, "--folder"),
        ({"archive": {**FULL["archive"], "mountPath": "/archive:rw"}}, {}, "mountPath"),
    ],
)
def test_what_can_not_be_is_refused_with_the_way_out(changes: dict[str, Any], said: dict[str, Any], words: str) -> None:
    with pytest.raises(ExportError, match=words):
        exported(machine_=said, **changes)


def test_an_image_that_nobody_names_is_asked_for() -> None:
    from pdshub.compose.machine import Images

    with pytest.raises(ExportError, match="--user-image"):
        exported(machine_={"images": Images(hub="h:1", proxy="p:1")})


def test_the_same_hub_gives_the_same_bytes() -> None:
    assert exported().files == exported().files


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    folder = written(tmp_path, exported(machine_={"program": "/usr/bin/true"}))
    (tmp_path / "systemd/docker.service").write_text("[Service]\nExecStart=/usr/bin/true\n")
    unit = folder / "systemd/pdshub-sbn.service"
    unit.write_text(unit.read_text().replace("/usr/bin/docker", "/usr/bin/true"))
    units = [str(path) for path in sorted((folder / "systemd").iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    ours = [each for each in (done.stdout + done.stderr).splitlines() if "pdshub" in each]
    assert done.returncode == 0 and not ours, done.stderr


def test_only_a_catalog_is_surveyed() -> None:
    live = {"inline": {**FULL["archive"]["inline"], "form": "live"}}
    assert "systemd/pdshub-sbn-survey.timer" in exported().files
    assert "systemd/pdshub-sbn-survey.timer" not in exported(archive=live).files
    assert not any("archive" in name for name in exported(archive=None).files)


def test_networks_are_apart() -> None:
    found = machine(hub(), network="172.30.0.0/20")
    assert (found.front_range, found.core_range, found.servers_range) == (
        "172.30.0.0/24", "172.30.1.0/24", "172.30.8.0/21",
    )  # fmt: skip
