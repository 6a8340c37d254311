"""charts/jupyterhub-airgap: values that PDSHub renders go in, a hub that meets the restricted standard comes out."""

from __future__ import annotations

import base64
import copy
import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pdshub.reconcile.common import watched
from pdshub.selector import Selector
from tests import helm_program

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "charts" / "jupyterhub-airgap"
CONFIG = CHART / "files" / "jupyterhub_config.py"
Z2JH = ROOT / "tests" / "data" / "z2jh-4.4.0-values.schema.yaml"
Document = dict[str, Any]


def image(name: str) -> Document:
    return {"image": {"name": f"localhost/pdshub/{name}", "tag": "1", "pullPolicy": "IfNotPresent"}}


def merged(below: Document, above: Document) -> Document:
    """Helm's merge, without its nulls."""
    result = copy.deepcopy(below)
    for k, v in above.items():
        result[k] = merged(result[k], v) if isinstance(v, dict) and isinstance(result.get(k), dict) else v
    return result


LEAST: Document = {
    "hub": {**image("hub"), "config": {"JupyterHub": {"authenticator_class": "dummy"}}},
    "proxy": {"chp": image("proxy"), "service": {"type": "ClusterIP"}},
    "singleuser": image("user"),
}
ARCHIVE: Document = {
    "singleuser": {
        "storage": {
            "extraVolumes": {
                "archive": {"name": "archive", "persistentVolumeClaim": {"claimName": "demo", "readOnly": True}}
            },
            "extraVolumeMounts": {
                "archive": {
                    "name": "archive",
                    "mountPath": "/archive",
                    "readOnly": True,
                    "mountPropagation": "HostToContainer",
                }
            },
        },
        "extraEnv": {"PDSHUB_ARCHIVE": "/archive/demo"},
    }
}
CASES: dict[str, Document] = {
    "least": {},
    "node port": {"proxy": {"service": {"type": "NodePort", "nodePorts": {"http": 30080}}}},
    "archive": ARCHIVE,
    "profiles and sizes": {
        "singleuser": {
            "cpu": {"limit": 2, "guarantee": 0.05},
            "memory": {"limit": "4G", "guarantee": None},
            "extraResource": {"limits": {"ephemeral-storage": "5Gi"}},
            "profileList": [{"slug": "s", "display_name": "Small", "kubespawner_override": {"mem_limit": "1G"}}],
        }
    },
    "keys kept elsewhere": {"hub": {"existingSecret": "demo-keys"}},
    "database kept": {"hub": {"db": {"pvc": {"annotations": {"helm.sh/resource-policy": "keep"}, "storage": "1Gi"}}}},
    "environment from a Secret": {
        "hub": {"extraEnv": {"PASSWORD": {"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}, "A": "b"}}
    },
    "extra volumes of the hub": {
        "hub": {
            "extraVolumes": [{"name": "notice", "configMap": {"name": "n", "optional": True}}],
            "extraVolumeMounts": [{"name": "notice", "mountPath": "/n", "readOnly": True}],
        }
    },
    "services and roles": {
        "hub": {
            "services": {"operator": {"apiToken": "secret"}},
            "loadRoles": {"operator": {"scopes": ["admin:users"], "services": ["operator"]}},
        }
    },
    "sub-path": {"hub": {"baseUrl": "/jupyter/"}},
    "files for users": {
        "singleuser": {"extraFiles": {"a.json": {"mountPath": "/etc/a.json", "data": {"b": 1}, "mode": 292}}}
    },
    "flags of the proxy": {"proxy": {"chp": {"extraCommandLineFlags": ["--host-routing", '--x={{ y }}: "z"']}}},
    "nothing culled": {"cull": {"enabled": False}},
    "no policies": {
        "hub": {"networkPolicy": {"enabled": False}},
        "proxy": {"chp": {"networkPolicy": {"enabled": False}}},
        "singleuser": {"networkPolicy": {"enabled": False}},
    },
    "switched off": {
        "scheduling": {
            "userScheduler": {"enabled": False},
            "userPlaceholder": {"enabled": False},
            "podPriority": {"enabled": False},
        },
        "prePuller": {"hook": {"enabled": False}, "continuous": {"enabled": False}},
        "singleuser": {"cloudMetadata": {"blockWithIptables": False}},
        "ingress": {"enabled": False},
        "debug": {"enabled": True},
    },
}


def helm() -> str:
    try:
        return helm_program.helm()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def run(values: Document, **more: Any) -> subprocess.CompletedProcess[str]:
    # a helm built from its module claims Kubernetes 1.20
    command = [helm(), "template", "demo", str(CHART), "--namespace", "ns", "--kube-version", "1.34.0", "-f", "-"]
    return subprocess.run(command, input=json.dumps(values), capture_output=True, text=True, **more)


@functools.cache
def _objects(values: str) -> str:
    return run(json.loads(values), check=True).stdout


def template(values: Document, fresh: bool = False) -> dict[tuple[str, str], Document]:
    """Objects by kind and name; ``fresh`` runs helm again."""
    text = run(values, check=True).stdout if fresh else _objects(json.dumps(values, sort_keys=True))
    found = [d for d in yaml.load_all(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if d]
    return {(d["kind"], d["metadata"]["name"]): d for d in found}


@functools.cache
def case(name: str) -> dict[tuple[str, str], Document]:
    return template(merged(LEAST, CASES[name]))


def problems(values: Document) -> list[str]:
    """What the real chart's schema has against a document; that a whole one has every section is not our matter."""
    found = jsonschema.Draft7Validator(yaml.safe_load(Z2JH.read_text())).iter_errors(values)
    return [e.message for e in found if e.validator != "required"]


@pytest.mark.parametrize("name", CASES)
def test_the_real_chart_takes_the_same_values(name: str) -> None:
    assert problems(merged(LEAST, CASES[name])) == []


@pytest.mark.parametrize("name", CASES)
def test_objects_have_the_names_of_the_real_chart(name: str) -> None:
    names = set(case(name))
    assert names >= {
        ("Deployment", "hub"),
        ("Deployment", "proxy"),
        ("Service", "hub"),
        ("Service", "proxy-public"),
        ("Service", "proxy-api"),
        ("PersistentVolumeClaim", "hub-db-dir"),
        ("Secret", "hub"),
        ("ConfigMap", "hub"),
        ("ServiceAccount", "hub"),
        ("Role", "hub"),
        ("RoleBinding", "hub"),
    }
    for kind, name_ in names:
        if kind == "Deployment":
            selector = case(name)[kind, name_]["spec"]["selector"]["matchLabels"]
            # equal to zero-to-jupyterhub's: either chart can take over the other's release
            assert selector == {"app": "jupyterhub", "release": "demo", "component": name_}


@pytest.mark.parametrize("name", CASES)
def test_the_operator_keeps_a_copy_of_what_it_reads_of_a_hub(name: str) -> None:
    """By the labels that zero-to-jupyterhub sets too; without them every look would ask for these objects."""
    read = (
        ("Deployment", "hub"),
        ("Deployment", "proxy"),
        ("Service", "proxy-public"),
        ("PersistentVolumeClaim", "hub-db-dir"),
    )
    for kind, part in read:
        labels = case(name)[kind, part]["metadata"]["labels"]
        kept = (watched.claims_of_hub("ns"), *watched.of_hub("ns"), *watched.parts_of_hub("ns"))
        scopes = [scope for scope in kept if scope.resource.kind == kind]
        assert any(Selector.parse(scope.labels).matches(labels) for scope in scopes), (kind, part)
    for part in ("hub", "proxy"):
        labels = case(name)["Deployment", part]["spec"]["template"]["metadata"]["labels"]
        assert Selector.parse("component in (hub,proxy)").matches(labels)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("deployment", ["hub", "proxy"])
def test_pods_meet_the_restricted_standard(name: str, deployment: str) -> None:
    pod = case(name)["Deployment", deployment]["spec"]["template"]["spec"]
    whole = pod.get("securityContext") or {}
    for container in pod["containers"]:
        own = container["securityContext"]
        both = {**whole, **own}
        assert both["runAsNonRoot"] is True and both["runAsUser"] > 0
        assert both["seccompProfile"] == {"type": "RuntimeDefault"}
        assert own["allowPrivilegeEscalation"] is False
        assert own["capabilities"] == {"drop": ["ALL"]}
    allowed = {"configMap", "secret", "persistentVolumeClaim", "emptyDir", "projected"}
    assert all(set(v) - {"name"} <= allowed for v in pod.get("volumes", []))


class Section(dict[str, Any]):
    """Traits of a class, set as attributes or items."""

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Config(dict[str, Section]):
    """As traitlets': sections appear when they are named."""

    def __missing__(self, name: str) -> Section:
        self[name] = Section()
        return self[name]

    def __getattr__(self, name: str) -> Section:
        return self[name]


def configured(folder: Path, values: Document, existing: dict[str, str] | None = None) -> Config:
    """What JupyterHub's configuration becomes inside a hub pod of these values."""
    pytest.importorskip("tornado")
    objects = template(merged(LEAST, values))
    for name, data in objects["Secret", "hub"]["data"].items():
        (folder / "secret").mkdir(exist_ok=True)
        (folder / "secret" / name).write_bytes(base64.b64decode(data))
    for name, text in (existing or {}).items():
        (folder / "existing-secret").mkdir(exist_ok=True)
        (folder / "existing-secret" / name).write_text(text)
    code = objects["ConfigMap", "hub"]["data"]["jupyterhub_config.py"]
    c = Config()
    scope = {"__file__": str(folder / "jupyterhub_config.py"), "get_config": lambda: c}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELM_RELEASE_NAME", "demo")
        patch.setenv("POD_NAMESPACE", "ns")
        patch.setattr("tornado.httpclient.AsyncHTTPClient.configure", lambda name: None)
        exec(compile(code, str(CONFIG), "exec"), scope)  # noqa: S102
    return c


@pytest.mark.parametrize("name", CASES)
def test_every_case_configures_a_hub(tmp_path: Path, name: str) -> None:
    c = configured(tmp_path, CASES[name])
    assert c.KubeSpawner.delete_pvc is False
    assert c.KubeSpawner.namespace == "ns"
    assert c.KubeSpawner.image == "localhost/pdshub/user:1"
    assert c.JupyterHub.cleanup_servers is False
    assert c.JupyterHub.authenticator_class == "dummy"
    assert c.KubeSpawner.container_security_context["capabilities"] == {"drop": ["ALL"]}
    assert c.KubeSpawner.common_labels["release"] == "demo"
    bytes.fromhex(c.JupyterHub.cookie_secret)
    assert len(c.CryptKeeper["keys"][0]) == 64


CONFIGURED: list[tuple[str, Document, str, str, Any]] = [
    ("archive", ARCHIVE, "KubeSpawner", "environment", {"PDSHUB_ARCHIVE": "/archive/demo"}),
    ("sizes", CASES["profiles and sizes"], "KubeSpawner", "mem_limit", "4G"),
    ("cpu", CASES["profiles and sizes"], "KubeSpawner", "cpu_guarantee", 0.05),
    ("profiles", CASES["profiles and sizes"], "KubeSpawner", "profile_list", None),
    ("sub-path", CASES["sub-path"], "JupyterHub", "base_url", "/jupyter/"),
    ("command", {}, "KubeSpawner", "cmd", "jupyterhub-singleuser"),
    ("class", {"singleuser": {"storage": {"dynamic": {"storageClass": "x"}}}}, "KubeSpawner", "storage_class", "x"),
    ("passed on", {"hub": {"config": {"KubeSpawner": {"delete_pvc": True}}}}, "KubeSpawner", "delete_pvc", True),
    ("code", {"hub": {"extraConfig": {"a": "c.A.b = 1", "b": "c.A.b += 1"}}}, "A", "b", 2),
    ("no culler", CASES["nothing culled"], "JupyterHub", "services", []),
]


@pytest.mark.parametrize(("title", "values", "section", "trait", "want"), CONFIGURED, ids=[c[0] for c in CONFIGURED])
def test_values_become_traits(
    tmp_path: Path, title: str, values: Document, section: str, trait: str, want: Any
) -> None:
    got = configured(tmp_path, values)[section][trait]
    assert got == want if want is not None else got


def test_a_guarantee_of_null_is_no_trait(tmp_path: Path) -> None:
    assert "mem_guarantee" not in configured(tmp_path, CASES["profiles and sizes"]).KubeSpawner


def test_volumes_are_home_archive_and_files(tmp_path: Path) -> None:
    c = configured(tmp_path, merged(ARCHIVE, CASES["files for users"]))
    mounts = {m["mountPath"]: m for m in c.KubeSpawner.volume_mounts.values()}
    assert set(mounts) == {"/home/jovyan", "/archive", "/etc/a.json"}
    assert mounts["/archive"]["mountPropagation"] == "HostToContainer"
    names = {v["name"] for v in c.KubeSpawner.volumes.values()}
    assert {m["name"] for m in mounts.values()} == names
    secret = template(merged(LEAST, CASES["files for users"]))["Secret", "singleuser"]["data"]["a.json"]
    assert json.loads(base64.b64decode(secret)) == {"b": 1}


def test_the_culler_asks_for_no_more_than_it_needs(tmp_path: Path) -> None:
    c = configured(tmp_path, {"cull": {"timeout": 60, "every": 5, "maxAge": 0}})
    (service,), (role,) = c.JupyterHub.services, c.JupyterHub.load_roles
    assert service["command"][:3] == ["python3", "-m", "jupyterhub_idle_culler"]
    assert {"--timeout=60", "--cull-every=5", "--url=http://localhost:8081/hub/api"} <= set(service["command"])
    assert not any("max-age" in part for part in service["command"])
    assert "admin:users" not in role["scopes"] and role["services"] == [service["name"]]


def test_an_existing_secret_wins(tmp_path: Path) -> None:
    existing = {
        "hub.config.JupyterHub.cookie_secret": "ab" * 32,
        "hub.config.CryptKeeper.keys": "cd" * 32,
        "hub.services.operator.apiToken": "theirs",
        "values.yaml": "hub: {config: {DummyAuthenticator: {password: hidden}}}",
    }
    c = configured(tmp_path, merged(CASES["services and roles"], {"hub": {"existingSecret": "k"}}), existing)
    assert c.JupyterHub.cookie_secret == "ab" * 32
    assert c.CryptKeeper["keys"] == ["cd" * 32]
    assert c.DummyAuthenticator.password == "hidden"
    assert {"name": "operator", "api_token": "theirs"} in c.JupyterHub.services
    assert {"name": "operator", "scopes": ["admin:users"], "services": ["operator"]} in c.JupyterHub.load_roles


def test_the_existing_secret_is_mounted_where_the_hub_looks() -> None:
    pod = case("keys kept elsewhere")["Deployment", "hub"]["spec"]["template"]["spec"]
    assert {"name": "existing-secret", "secret": {"secretName": "demo-keys"}} in pod["volumes"]
    mounts = {m["name"]: m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert mounts["existing-secret"] == "/usr/local/etc/jupyterhub/existing-secret/"


def test_the_database_claim_carries_its_annotations() -> None:
    claim = case("database kept")["PersistentVolumeClaim", "hub-db-dir"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_a_change_of_users_settings_restarts_the_hub_and_not_the_proxy() -> None:
    before, after = case("least"), case("profiles and sizes")
    pods = {n: [x["Deployment", n]["spec"]["template"] for x in (before, after)] for n in ("hub", "proxy")}
    assert pods["hub"][0] != pods["hub"][1]
    assert pods["proxy"][0] == pods["proxy"][1]


def test_flags_of_the_proxy_are_its_last_arguments_as_they_are() -> None:
    def command(name: str) -> list[str]:
        (container,) = case(name)["Deployment", "proxy"]["spec"]["template"]["spec"]["containers"]
        found: list[str] = container["command"]
        return found

    assert command("flags of the proxy") == [*command("least"), "--host-routing", '--x={{ y }}: "z"']


def test_generated_keys_do_not_restart_the_hub() -> None:
    first, second = template(LEAST, fresh=True), template(LEAST, fresh=True)
    token = "hub.config.ConfigurableHTTPProxy.auth_token"
    assert first["Secret", "hub"]["data"][token] != second["Secret", "hub"]["data"][token]
    assert first["Deployment", "hub"] == second["Deployment", "hub"]


def test_users_reach_the_internet_and_nothing_private() -> None:
    policy = case("least")["NetworkPolicy", "singleuser"]["spec"]
    assert policy["podSelector"]["matchLabels"]["component"] == "singleuser-server"
    (ingress,) = policy["ingress"]
    assert ingress["ports"] == [{"port": "notebook-port"}]
    assert ingress["from"] == [{"podSelector": {"matchLabels": {"hub.jupyter.org/network-access-singleuser": "true"}}}]
    blocks = [(to["ipBlock"], rule.get("ports")) for rule in policy["egress"] for to in rule["to"] if "ipBlock" in to]
    for block, ports in blocks:
        if not ports:
            assert block["cidr"] == "0.0.0.0/0"
            assert set(block["except"]) == {
                "10.0.0.0/8",
                "172.16.0.0/12",
                "192.168.0.0/16",
                "169.254.169.254/32",
            }
        else:
            assert {p["port"] for p in ports} == {53}
    assert not any(kind == "NetworkPolicy" for kind, _ in case("no policies"))


REFUSED: list[tuple[str, Document, str]] = [
    ("unknown key of the hub", {"hub": {"nosuchkey": 1}}, "nosuchkey"),
    ("unknown key at the top", {"nosuch": {}}, "nosuch"),
    ("user scheduler", {"scheduling": {"userScheduler": {"enabled": True}}}, "/scheduling/userScheduler/enabled"),
    ("image puller", {"prePuller": {"continuous": {"enabled": True}}}, "/prePuller/continuous/enabled"),
    ("iptables", {"singleuser": {"cloudMetadata": {"blockWithIptables": True}}}, "blockWithIptables"),
    ("database", {"hub": {"db": {"type": "postgres", "url": "x"}}}, "/hub/db"),
    ("lower case section", {"hub": {"config": {"authenticator": {}}}}, "^[A-Z]"),
    ("certificates", {"proxy": {"https": {"enabled": True}}}, "https"),
    ("no image", {"hub": {"image": {"name": ""}}}, "hub.image.name"),
]


@pytest.mark.parametrize(("title", "values", "said"), REFUSED, ids=[r[0] for r in REFUSED])
def test_what_the_chart_has_not_is_refused_by_name(title: str, values: Document, said: str) -> None:
    done = run(merged(LEAST, values))
    assert done.returncode != 0
    assert said in done.stderr


def test_defaults_are_understood_by_the_real_chart() -> None:
    assert problems(yaml.safe_load((CHART / "values.yaml").read_text())) == []
