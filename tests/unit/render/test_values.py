"""Values of a hub: always by the real chart's schema, and saying what the spec says."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Defaults, GoogleProvider
from pdshub.render import signin, signin_list
from pdshub.render.chart import ChartRef, choose
from pdshub.render.names import Names
from pdshub.render.values import rendered, template_trouble, values
from pdshub_hub import development, google, listed, people

SCHEMA = Path(__file__).parents[2] / "data" / "z2jh-4.4.0-values.schema.yaml"
NAMES = Names("ns", "demo")
DEVELOPMENT: dict[str, Any] = {"development": {}}
GOOGLE: dict[str, Any] = {
    "google": {
        "clientId": "id",
        "clientSecretRef": {"name": "oauth", "key": "secret"},
        "hostedDomains": ["example.org"],
    }
}
INLINE: dict[str, Any] = {
    "inline": {
        "sources": [{"name": "main", "nfs": {"server": "nas.example.org", "export": "/pds"}}],
        "tree": [{"path": "pds4", "layers": [{"source": "main"}]}],
    }
}
PROFILES: list[dict[str, Any]] = [
    {"name": "small", "displayName": "Small"},
    {
        "name": "large",
        "displayName": "Large",
        "description": "For mosaics",
        "image": "registry.example.org:5000/lab:2",
        "resources": {"memory": {"limit": "16Gi"}, "cpu": {"limit": 4}, "ephemeralStorage": {"limit": "20Gi"}},
    },
]
SPECS: dict[str, dict[str, Any]] = {
    "least": {"signIn": DEVELOPMENT},
    "google": {"signIn": GOOGLE, "hostname": "hub.example.org", "users": {"allowed": ["a@example.org"]}},
    "apart": {"signIn": GOOGLE, "hostname": "hub.example.org", "isolation": "Subdomain"},
    "archive": {"signIn": DEVELOPMENT, "archive": INLINE},
    "by reference": {"signIn": DEVELOPMENT, "archive": {"viewRef": "sbn", "mountPath": "/data/archive"}},
    "profiles": {"signIn": DEVELOPMENT, "server": {"profiles": PROFILES, "defaultProfile": "large"}},
    "no limits": {"signIn": DEVELOPMENT, "server": {"resources": {}}},
    "quota": {"signIn": DEVELOPMENT, "quota": {"servers": 20, "memory": "100Gi"}},
    "quota of storage": {"signIn": DEVELOPMENT, "quota": {"storage": "1Ti"}},
    "no scratch limit": {"signIn": DEVELOPMENT, "server": {"resources": {"ephemeralStorage": {}}}},
    "admins": {"signIn": DEVELOPMENT, "users": {"allowed": ["ada"], "admins": ["root", "bela"]}},
    "odd sizes": {
        "signIn": DEVELOPMENT,
        "server": {
            "resources": {
                "memory": {"limit": "1G", "guarantee": "100M"},
                "cpu": {"limit": "1500m", "guarantee": "1m"},
                "ephemeralStorage": {"limit": "5Gi", "guarantee": "1Gi"},
            }
        },
    },
    "limit only": {
        "signIn": DEVELOPMENT,
        "server": {
            "resources": {"cpu": {"limit": 4}, "memory": {"limit": "1Mi"}, "ephemeralStorage": {"limit": "4Gi"}}
        },
    },
    "services": {"signIn": DEVELOPMENT, "service": {"type": "NodePort", "nodePort": 30080}},
    "balanced": {"signIn": DEVELOPMENT, "service": {"type": "LoadBalancer"}},
    "no culling": {"signIn": DEVELOPMENT, "culling": {"enabled": False}},
    "own class": {"signIn": DEVELOPMENT, "server": {"home": {"size": "5Gi", "storageClassName": "ebs"}}},
    "values": {"signIn": DEVELOPMENT, "values": {"singleuser": {"extraEnv": {"A": "b"}}, "hub": {"nodeSelector": {}}}},
}
LOCAL = Defaults.model_validate(
    {
        "chart": {"source": "Airgap"},
        "images": {"hub": "localhost/hub:1", "proxy": "localhost/proxy:1", "user": "localhost/user:1"},
    }
)
INSTALLATIONS = {"public": Defaults(), "local": LOCAL}


def chart(spec: PDSHubSpec, defaults: Defaults) -> ChartRef:
    return choose(spec.chart, defaults.chart, "/charts/airgap", "0.1.0", "abc")


def render(spec: dict[str, Any], defaults: Defaults = LOCAL) -> dict[str, Any]:
    parsed = PDSHubSpec.model_validate(spec)
    return values(parsed, defaults, chart(parsed, defaults), NAMES, "ns-demo", "demo")


@functools.cache
def validator() -> jsonschema.Draft7Validator:
    return jsonschema.Draft7Validator(yaml.safe_load(SCHEMA.read_text()))


def without_nulls(tree: Any) -> Any:
    """As Helm sees values when it checks them: null has deleted the key."""
    if isinstance(tree, dict):
        return {k: without_nulls(v) for k, v in tree.items() if v is not None}
    return tree


def problems(document: Any) -> list[str]:
    """What the chart's schema says, but for keys that the chart's own defaults fill."""
    errors = validator().iter_errors(document)
    return [f"{'/'.join(map(str, e.absolute_path))}: {e.message}" for e in errors if e.validator != "required"]


@pytest.mark.parametrize("installation", INSTALLATIONS)
@pytest.mark.parametrize("name", SPECS)
def test_every_document_passes_the_real_charts_schema(name: str, installation: str) -> None:
    document = render(SPECS[name], INSTALLATIONS[installation])
    assert problems(document) == []
    assert problems(without_nulls(document)) == []


def dig(document: dict[str, Any], path: str) -> Any:
    node: Any = document
    for part in path.split("/"):
        node = node[int(part)] if isinstance(node, list) else node.get(part, {})
    return node


CASES: list[tuple[str, str, Any]] = [
    ("least", "hub/config/Authenticator/allow_all", False),
    ("least", "hub/config/Authenticator/allow_existing_users", False),
    ("least", "hub/config/Authenticator/allowed_users", {}),
    ("least", "hub/config/Authenticator/auth_refresh_age", 1),
    ("least", "hub/config/Authenticator/refresh_pre_spawn", True),
    ("least", "hub/config/JupyterHub/authenticator_class", "pdshub_hub.development.PDSHubDevelopment"),
    ("least", "hub/services", {"pdshub-operator": {}}),
    ("least", "hub/config/KubeSpawner/delete_pvc", False),
    ("least", "hub/existingSecret", "demo-keys"),
    ("least", "hub/db/pvc/annotations", {"helm.sh/resource-policy": "keep"}),
    (
        "least",
        "hub/extraEnv/PDSHUB_DEVELOPMENT_PASSWORD/valueFrom/secretKeyRef",
        {"name": "demo-sign-in", "key": "password"},
    ),
    ("least", "singleuser/memory", {"limit": "4G", "guarantee": "256M"}),
    ("least", "singleuser/cpu", {"limit": 2.0, "guarantee": 0.05}),
    ("least", "singleuser/cloudMetadata/blockWithIptables", False),
    ("google", "hub/config/JupyterHub/authenticator_class", "pdshub_hub.google.PDSHubGoogle"),
    (
        "google",
        "hub/config/GoogleOAuthenticator",
        {
            "client_id": "id",
            "hosted_domain": ["example.org"],
            "oauth_callback_url": "https://hub.example.org/hub/oauth_callback",
        },
    ),
    (
        "google",
        "hub/extraEnv/PDSHUB_GOOGLE_CLIENT_SECRET/valueFrom/secretKeyRef",
        {"name": "oauth", "key": "secret"},
    ),
    (
        "archive",
        "singleuser/storage/extraVolumes/archive/persistentVolumeClaim",
        {"claimName": "demo-archive", "readOnly": True},
    ),
    ("archive", "singleuser/storage/extraVolumeMounts/archive/mountPropagation", "HostToContainer"),
    ("least", "hub/containerSecurityContext/readOnlyRootFilesystem", True),
    ("least", "proxy/chp/containerSecurityContext/readOnlyRootFilesystem", True),
    (
        "least",
        "hub/extraVolumeMounts/1",
        {"name": "pdshub-people", "mountPath": "/usr/local/etc/pdshub/people", "readOnly": True},
    ),
    ("least", "hub/extraVolumes/1", {"name": "pdshub-people", "configMap": {"name": "demo-people", "optional": True}}),
    ("least", "hub/extraVolumeMounts/2", {"name": "pdshub-tmp", "mountPath": "/tmp"}),
    ("least", "hub/config/KubeSpawner/automount_service_account_token", False),
    ("least", "hub/config/KubeSpawner/priority_class_name", "pdshub-servers"),
    ("least", "hub/config/JupyterHub/token_expires_in_max_seconds", 7776000),
    ("least", "hub/loadRoles/admin", {}),
    ("least", "hub/loadRoles/pdshub-operator/services", ["pdshub-operator"]),
    ("least", "hub/activeServerLimit", {}),
    ("least", "hub/consecutiveFailureLimit", 0),
    ("least", "hub/config/KubeSpawner/poll_interval", 5),
    ("quota", "hub/activeServerLimit", 20),
    ("quota", "hub/consecutiveFailureLimit", 0),
    ("quota of storage", "hub/activeServerLimit", {}),
    ("quota of storage", "hub/consecutiveFailureLimit", 0),
    ("admins", "hub/loadRoles/admin", {}),
    ("admins", "hub/config/Authenticator/admin_users", {}),
    ("least", "singleuser/extraResource/limits", {"ephemeral-storage": "10Gi"}),
    ("no limits", "singleuser/extraResource/limits", {"ephemeral-storage": "10Gi"}),
    ("no scratch limit", "singleuser/extraResource/limits", {}),
    ("archive", "singleuser/extraEnv/PDSHUB_ARCHIVE", "/archive/demo"),
    ("by reference", "singleuser/storage/extraVolumeMounts/archive/mountPath", "/data/archive"),
    ("profiles", "singleuser/profileList/0/kubespawner_override/mem_limit", "4G"),
    ("profiles", "singleuser/profileList/1/default", True),
    ("profiles", "singleuser/profileList/1/kubespawner_override/mem_limit", "16G"),
    ("profiles", "singleuser/profileList/1/kubespawner_override/mem_guarantee", "256M"),
    (
        "profiles",
        "singleuser/profileList/1/kubespawner_override/extra_resource_limits",
        {"ephemeral-storage": "20Gi"},
    ),
    ("no limits", "singleuser/memory", {"limit": None, "guarantee": None}),
    ("odd sizes", "singleuser/memory", {"limit": "976562.5K", "guarantee": "97656.25K"}),
    (
        "odd sizes",
        "singleuser/extraResource",
        {"limits": {"ephemeral-storage": "5Gi"}, "guarantees": {"ephemeral-storage": "1Gi"}},
    ),
    ("limit only", "singleuser/cpu", {"limit": 4.0, "guarantee": 0.01}),
    ("limit only", "singleuser/memory", {"limit": "1M", "guarantee": "1M"}),
    (
        "limit only",
        "singleuser/extraResource",
        {"limits": {"ephemeral-storage": "4Gi"}, "guarantees": {"ephemeral-storage": "0"}},
    ),
    ("services", "proxy/service", {"type": "NodePort", "nodePorts": {"http": 30080}}),
    ("no culling", "cull/enabled", False),
    ("own class", "singleuser/storage/dynamic/storageClass", "ebs"),
    ("values", "singleuser/extraEnv/A", "b"),
]


@pytest.mark.parametrize(("name", "path", "expected"), CASES, ids=[f"{c[0]}: {c[1]}" for c in CASES])
def test_the_spec_arrives(name: str, path: str, expected: Any) -> None:
    assert dig(render(SPECS[name]), path) == expected


@pytest.mark.parametrize(
    ("image", "installation", "ahead"),
    [
        (None, "public", True),
        ("quay.io/x/y:1", "public", True),
        ("localhost/x:1", "public", False),
        (None, "local", False),
    ],
)
def test_user_images_are_pulled_ahead_where_a_registry_has_them(
    image: str | None, installation: str, ahead: bool
) -> None:
    spec = {"signIn": DEVELOPMENT, "server": {"image": image} if image else {}}
    assert render(spec, INSTALLATIONS[installation])["prePuller"]["continuous"]["enabled"] is ahead


def test_no_secret_is_in_values() -> None:
    assert "client_secret" not in render(SPECS["google"])["hub"]["config"]["GoogleOAuthenticator"]
    assert "DummyAuthenticator" not in render(SPECS["least"])["hub"]["config"]


RESTRICTED = {
    "runAsNonRoot": True,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.mark.parametrize("installation", INSTALLATIONS)
@pytest.mark.parametrize("name", SPECS)
def test_every_container_is_told_what_the_restricted_standard_asks(name: str, installation: str) -> None:
    document = render(SPECS[name], INSTALLATIONS[installation])
    where = ["hub/containerSecurityContext", "proxy/chp/containerSecurityContext"]
    if installation == "public":
        where += ["prePuller/containerSecurityContext", "prePuller/pause/containerSecurityContext"]
    for path in where:
        assert RESTRICTED.items() <= dig(document, path).items()
    spawner = document["hub"]["config"]["KubeSpawner"]["container_security_context"]
    assert RESTRICTED.items() <= spawner.items()
    assert document["singleuser"]["cloudMetadata"]["blockWithIptables"] is False, "its container has NET_ADMIN"


def test_a_changed_list_changes_no_value() -> None:
    """Else it would be a revision of the release, and a restart of the hub."""

    def made(**users: list[str]) -> dict[str, Any]:
        spec = PDSHubSpec.model_validate({"signIn": DEVELOPMENT, "users": users})
        return values(spec, LOCAL, chart(spec, LOCAL), NAMES)

    assert made() == made(allowed=["ada"]) == made(allowed=["bela"], admins=["root"])


def test_what_is_rendered_for_the_hub_is_what_its_package_says() -> None:
    assert Path(signin.PEOPLE_DIRECTORY) == people.PATH.parent
    assert (
        tuple(f"{one.__module__}.{one.__name__}" for one in (google.PDSHubGoogle, development.PDSHubDevelopment))
        == signin.OURS
    )
    assert signin.REFRESH_SECONDS == listed.REFRESH_SECONDS
    assert signin_list.LONGEST_REFRESH == listed.LONGEST_REFRESH


def test_the_provider_of_the_installation() -> None:
    spec = PDSHubSpec.model_validate(SPECS["google"])
    where = {"authorizeUrl": "https://id/a", "tokenUrl": "https://id/t", "userdataUrl": "https://id/u"}
    provider = GoogleProvider.model_validate(where)
    found = rendered(spec, LOCAL, chart(spec, LOCAL), NAMES, provider=provider)["hub"]["config"]["GoogleOAuthenticator"]
    urls = {key: found[key] for key in ("authorize_url", "token_url", "userdata_url")}
    assert urls == {"authorize_url": "https://id/a", "token_url": "https://id/t", "userdata_url": "https://id/u"}


@pytest.mark.parametrize("name", SPECS)
def test_extra_config_is_python(name: str) -> None:
    for key, code in render(SPECS[name])["hub"]["extraConfig"].items():
        compile(code, key, "exec")


def test_overrides_do_not_change_what_was_rendered() -> None:
    spec = PDSHubSpec.model_validate({"signIn": DEVELOPMENT, "values": {"hub": {"config": None}}})
    before = rendered(spec, LOCAL, chart(spec, LOCAL), NAMES)
    assert values(spec, LOCAL, chart(spec, LOCAL), NAMES)["hub"]["config"] is None
    assert rendered(spec, LOCAL, chart(spec, LOCAL), NAMES) == before


@pytest.mark.parametrize(
    ("asked", "allowed", "taken"),
    [
        (None, [], True),
        ("https://hub.jupyter.org/helm-chart", [], True),
        ("https://charts.example.org/", [], False),
        ("https://charts.example.org/", ["https://charts.example.org"], True),
        ("https://charts.example.org/evil", ["https://charts.example.org"], False),
        ("https://charts.example.org.evil.org/", ["https://charts.example.org"], False),
    ],
)
def test_charts_come_from_repositories_that_the_installation_allows(
    asked: str | None, allowed: list[str], taken: bool
) -> None:
    defaults = Defaults.model_validate({"chart": {"allowedRepositories": allowed}})
    spec = PDSHubSpec.model_validate({"signIn": DEVELOPMENT, "chart": {"repository": asked} if asked else {}})
    found = chart(spec, defaults)
    assert (not found.trouble) is taken
    if not taken:
        assert found.reason == "ChartNotAllowed"
        assert asked and asked in found.trouble and "defaults.chart.allowedRepositories" in found.trouble


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, ""),
        ({"hub": {"extraConfig": {"10-x": "x = {{}}; y = f'{{x}}'"}, "args": ["--debug"], "command": None}}, ""),
        ({"hub": {"args": ["--x={{ lookup }}"]}}, "spec.values.hub.args"),
        ({"hub": {"command": ["sh", {"a": "{{- x }}"}]}}, "spec.values.hub.command"),
        ({"proxy": {"chp": {"extraCommandLineFlags": "{{x"}}}, "spec.values.proxy.chp.extraCommandLineFlags"),
    ],
)
def test_no_value_is_run_as_a_template_with_the_operators_rights(given: dict[str, Any], field: str) -> None:
    said = template_trouble(render({"signIn": DEVELOPMENT, "values": given}))
    assert (field in said and "leave out '{{'" in said) if field else not said


@pytest.mark.parametrize(
    ("custom", "kept"),
    [
        (None, {}),
        ("x", {}),
        ({}, {}),
        ({"pdshub": None}, {}),
        ({"pdshub": "x"}, {}),
        ({"pdshub": {"hub": "other", "chart": "x"}}, {}),
        ({"theirs": {"a": 1}}, {"theirs": {"a": 1}}),
    ],
    ids=str,
)
def test_the_mark_of_ownership_comes_last(custom: Any, kept: dict[str, Any]) -> None:
    spec = PDSHubSpec.model_validate({"signIn": DEVELOPMENT, "values": {"custom": custom}})
    chart = ChartRef("Repository", "jupyterhub", "https://x.example.org", "4.4.0", "x@4.4.0")
    made = values(spec, Defaults(), chart, NAMES)["custom"]
    assert made == {**kept, "pdshub": {"hub": "demo", "chart": "x@4.4.0"}}
