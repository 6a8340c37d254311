"""The objects of a hub's door: their configuration, what they may do, and where secrets are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from pdshub.api.hub import PDSHubSpec
from pdshub.installation import Installation
from pdshub.render import door, door_config, network, routes, trust, values
from pdshub.render.chart import ChartRef
from pdshub.render.network import ApiServer
from pdshub.render.public_names import covers, public_names
from tests.unit.door.specs import DEFAULTS, HOST, NAMES, TLS, UID, spec
from tests.unit.netpol import Pod, reaches

DATA = Path(__file__).resolve().parents[2] / "data"
DOORS = [way for way in TLS if way.startswith(("acme", "secret"))]
SCHEMAS = {kind: json.loads((DATA / f"{kind.lower()}-v1.schema.json").read_text()) for kind in ("Ingress", "HTTPRoute")}


def with_subdomains(way: str) -> PDSHubSpec:
    return spec(way).model_copy(update={"isolation": "Subdomain"})


def chart(source: Any) -> ChartRef:
    return ChartRef(source, "jupyterhub", None, "4.4.0", "x")


def made(way: str) -> dict[str, Any]:
    return {body["kind"]: body for body in door.objects(spec(way), NAMES, UID, DEFAULTS)}


def container(way: str) -> dict[str, Any]:
    found: dict[str, Any] = made(way)["Deployment"]["spec"]["template"]["spec"]["containers"][0]
    return found


# --- names


@pytest.mark.parametrize(
    ("names", "wanted", "good"),
    [
        (["hub.example.org"], "hub.example.org", True),
        (["HUB.example.org"], "hub.example.org", True),
        (["*.example.org"], "hub.example.org", True),
        (["*.example.org"], "ada.hub.example.org", False),
        (["*.example.org"], "example.org", False),
        (["*.hub.example.org"], "*.hub.example.org", True),
        (["hub.example.org"], "*.hub.example.org", False),
        ([], "hub.example.org", False),
    ],
)
def test_a_wildcard_is_for_one_label(names: list[str], wanted: str, good: bool) -> None:
    assert covers(names, wanted) is good


def test_names_below_the_hubs_are_asked_for_where_users_have_them() -> None:
    assert public_names(spec("acme dns")) == (HOST,)
    assert public_names(with_subdomains("acme dns")) == (HOST, f"*.{HOST}")
    config = door_config.config(with_subdomains("acme dns"))
    assert config["apps"]["tls"]["certificates"]["automate"] == [HOST, f"*.{HOST}"]
    assert "includeSubDomains" in json.dumps(config) and "includeSubDomains" not in door_config.text(
        door_config.config(spec("acme dns"))
    )


# --- the configuration


@pytest.mark.parametrize("way", DOORS)
def test_the_same_spec_gives_the_same_bytes_without_any_secret(way: str) -> None:
    text = made(way)["ConfigMap"]["data"][door_config.CONFIG_FILE]
    assert text == made(way)["ConfigMap"]["data"][door_config.CONFIG_FILE]
    config = json.loads(text)
    assert config["admin"] == {"disabled": True, "config": {"persist": False}}
    assert "{env.PDSHUB_DOOR_TOKEN}" in text
    assert ("{env.PDSHUB_TSIG_KEY}" in text) == (way == "acme dns")


@pytest.mark.parametrize("way", DOORS)
def test_clients_cannot_say_who_they_are(way: str) -> None:
    servers = door_config.config(spec(way))["apps"]["http"]["servers"]
    proxy = servers["https"]["routes"][0]["handle"][0]
    request = proxy["headers"]["request"]
    assert {"Forwarded", "X-Real-Ip", "X-Scheme"} <= set(request["delete"])
    assert request["set"]["X-Forwarded-Port"] == ["443"]
    assert "trusted_proxies" not in json.dumps(servers), "Caddy itself sets X-Forwarded-For, -Proto and -Host"
    assert proxy["stream_close_delay"], "a websocket outlives a change of the configuration"
    for server in servers.values():
        assert server["automatic_https"] == {"disable": True} and server["read_header_timeout"]


CHALLENGES: list[tuple[str, dict[str, Any]]] = [
    ("acme", {"http": {"alternate_port": 8080}, "tls-alpn": {"disabled": True}}),
    (
        "acme dns",
        {
            "http": {"disabled": True},
            "tls-alpn": {"disabled": True},
            "dns": {
                "provider": {
                    "name": "rfc2136",
                    "server": "ns.example.org:53",
                    "zone": "example.org",
                    "key_name": "hub",
                    "algorithm": "hmac-sha256",
                    "key": "{env.PDSHUB_TSIG_KEY}",
                },
                "resolvers": ["ns.example.org:53"],
            },
        },
    ),
    (
        "acme route53",
        {
            "http": {"disabled": True},
            "tls-alpn": {"disabled": True},
            "dns": {"provider": {"name": "route53", "hosted_zone_id": "Z1"}},
        },
    ),
]


@pytest.mark.parametrize(("way", "challenges"), CHALLENGES)
def test_the_challenge_that_is_asked_for_is_the_only_one(way: str, challenges: dict[str, Any]) -> None:
    (policy,) = door_config.config(spec(way))["apps"]["tls"]["automation"]["policies"]
    (issuer,) = policy["issuers"]
    assert issuer["challenges"] == challenges
    assert issuer["ca"] == "https://ca.example.org:14000/dir"


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("ns.example.org", "ns.example.org:53"),
        ("ns.example.org:5353", "ns.example.org:5353"),
        ("192.0.2.1", "192.0.2.1:53"),
        ("[2001:db8::1]", "[2001:db8::1]:53"),
        ("[2001:db8::1]:5353", "[2001:db8::1]:5353"),
    ],
)
def test_name_servers_have_a_port(server: str, said: str) -> None:
    assert door_config.with_port(server) == said


# --- the objects


@pytest.mark.parametrize("way", DOORS)
def test_the_pod_meets_the_restricted_standard(way: str) -> None:
    pod = made(way)["Deployment"]["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False and "serviceAccountName" not in pod
    assert (
        pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    )
    context = container(way)["securityContext"]
    assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    writable = [mount["name"] for mount in container(way)["volumeMounts"] if not mount.get("readOnly")]
    assert writable == ["data"]
    assert made(way)["Deployment"]["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize("way", DOORS)
def test_secrets_come_by_reference_and_are_in_no_argument(way: str) -> None:
    env = {each["name"]: each for each in container(way)["env"]}
    wanted = {"PDSHUB_DOOR_TOKEN": ("demo-door", "token")}
    if way == "acme dns":
        wanted["PDSHUB_TSIG_KEY"] = ("tsig", "key")
    if way == "acme route53":
        wanted |= {"AWS_ACCESS_KEY_ID": ("aws", "access-key-id"), "AWS_SECRET_ACCESS_KEY": ("aws", "secret-access-key")}
    found = {
        name: (each["valueFrom"]["secretKeyRef"]["name"], each["valueFrom"]["secretKeyRef"]["key"])
        for name, each in env.items()
        if "valueFrom" in each
    }
    assert found == wanted
    assert container(way)["args"] == ["run", "--watch", "--config", "/etc/caddy/caddy.json"]


@pytest.mark.parametrize(
    ("way", "volumes"),
    [
        ("acme", {"config": "configMap", "data": "persistentVolumeClaim"}),
        ("acme private", {"config": "configMap", "data": "persistentVolumeClaim", "ca": "configMap"}),
        ("acme private, of a Secret", {"config": "configMap", "data": "persistentVolumeClaim", "ca": "secret"}),
        ("secret", {"config": "configMap", "data": "emptyDir", "tls": "secret"}),
    ],
)
def test_what_is_mounted(way: str, volumes: dict[str, str]) -> None:
    found = made(way)["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert {each["name"]: next(key for key in each if key != "name") for each in found} == volumes
    assert ("PersistentVolumeClaim" in made(way)) == (volumes["data"] == "persistentVolumeClaim")


def test_the_claim_outlives_the_hub() -> None:
    objects = made("acme")
    assert "ownerReferences" not in objects["PersistentVolumeClaim"]["metadata"]
    assert all("ownerReferences" in objects[kind]["metadata"] for kind in ("ConfigMap", "Deployment", "Service"))


@pytest.mark.parametrize(
    ("service", "type_", "port", "policy"),
    [
        ({}, "ClusterIP", None, None),
        ({"type": "NodePort", "nodePort": 30443}, "NodePort", 30443, None),
        ({"type": "LoadBalancer"}, "LoadBalancer", None, "Local"),
    ],
)
def test_the_door_takes_over_the_service(
    service: dict[str, Any], type_: str, port: int | None, policy: str | None
) -> None:
    wanted = spec("secret", service=service)
    found = door.service(wanted, NAMES, UID)["spec"]
    https, http = found["ports"]
    assert (found["type"], https.get("nodePort"), found.get("externalTrafficPolicy")) == (type_, port, policy)
    assert "nodePort" not in http
    rendered = values.values(wanted, DEFAULTS, chart("Repository"), NAMES)
    assert rendered["proxy"]["service"] == {"type": "ClusterIP"}


# --- whom the proxy believes


PROXIES: list[tuple[str, dict[str, Any]]] = [
    ("", {}),
    ("none", {"PROXY_TRUSTED": ""}),
    ("offload", {"PROXY_TRUSTED": "192.0.2.7/32"}),
    ("gateway", {"PROXY_TRUSTED": ""}),
    ("ingress", {"PROXY_TRUSTED": "", "PROXY_HSTS": "31536000"}),
    ("alb", {"PROXY_TRUSTED": "", "PROXY_HSTS": "31536000"}),
    *(
        (
            way,
            {
                "PROXY_TRUSTED": "",
                "PROXY_DOOR_TOKEN": {"valueFrom": {"secretKeyRef": {"name": "demo-door", "key": "token"}}},
            },
        )
        for way in ("acme", "secret")
    ),
]


@pytest.mark.parametrize(("way", "env"), PROXIES)
@pytest.mark.parametrize("source", ["Repository", "Airgap"])
def test_the_proxy_is_told_whom_to_believe(way: str, env: dict[str, Any], source: Any) -> None:
    found = values.values(spec(way), DEFAULTS, chart(source), NAMES)
    assert found["proxy"]["chp"].get("extraEnv", {}) == env == trust.proxy_env(spec(way), NAMES)
    hub = found["hub"]["config"]["JupyterHub"]
    told = hub.get("public_url"), hub.get("tornado_settings")
    cookies = {"cookie_options": {"secure": True}}
    assert told == ((None, None) if way in ("", "none") else (f"https://{HOST}/", cookies))


# --- what is asked of a controller


@pytest.mark.parametrize("way", [way for way in TLS if way.startswith(("ingress", "alb", "gateway"))])
@pytest.mark.parametrize("subdomains", [False, True])
def test_routes_are_as_their_schemas_want_them(way: str, subdomains: bool) -> None:
    wanted = with_subdomains(way) if subdomains else spec(way)
    found = routes.objects(wanted, NAMES, UID)
    assert found
    for body in found:
        jsonschema.Draft202012Validator(SCHEMAS[body["kind"]]).validate(body)
        named = body["spec"].get("hostnames") or [rule["host"] for rule in body["spec"]["rules"]]
        assert named == list(public_names(wanted))


def test_a_schema_refuses_what_no_api_server_would_take() -> None:
    body = routes.objects(spec("ingress"), NAMES, UID)[0]
    body["spec"]["rules"][0]["http"]["paths"][0]["backend"] = {"serviceName": "proxy-public"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMAS["Ingress"]).validate(body)
    body = routes.objects(spec("gateway"), NAMES, UID)[0]
    body["spec"]["rules"][0]["matches"][0]["path"]["type"] = "Prefix"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(SCHEMAS["HTTPRoute"]).validate(body)


@pytest.mark.parametrize(
    ("way", "secret", "annotations"),
    [
        ("ingress", None, {"a/b": "c"}),
        ("ingress, own certificate", "mine", {}),
        ("ingress, cert-manager", "demo-tls", {"cert-manager.io/cluster-issuer": "letsencrypt"}),
    ],
)
def test_where_an_ingress_has_its_certificate(way: str, secret: str | None, annotations: dict[str, str]) -> None:
    (body,) = routes.objects(spec(way), NAMES, UID)
    (tls,) = body["spec"]["tls"]
    assert (tls.get("secretName"), body["metadata"].get("annotations", {})) == (secret, annotations)


def test_an_alb_redirects_and_lets_idle_websockets_live() -> None:
    (body,) = routes.objects(spec("alb"), NAMES, UID)
    found = {key.partition("/")[2]: value for key, value in body["metadata"]["annotations"].items()}
    assert found["ssl-redirect"] == "443" and json.loads(found["listen-ports"]) == [{"HTTP": 80}, {"HTTPS": 443}]
    assert found["load-balancer-attributes"] == "idle_timeout.timeout_seconds=3600"
    assert (found["scheme"], body["spec"]["ingressClassName"]) == ("internal", "alb")
    assert found["certificate-arn"].startswith("arn:aws:acm:")


# --- who reaches whom

API = ApiServer((("172.18.0.2/32", 6443),))
PODS = {
    "user": Pod("10.244.0.1", "ns", {"component": "singleuser-server"}),
    "hub": Pod("10.244.0.3", "ns", {"component": "hub"}),
    "proxy": Pod("10.244.0.4", "ns", {"component": "proxy"}),
    "door": Pod("10.244.0.5", "ns", {"component": "door"}),
    "elsewhere": Pod("10.244.0.6", "other", {}),
}
REACHED: list[tuple[str, str, str, int, bool]] = [
    ("acme", "elsewhere", "door", 8443, True),
    ("acme", "elsewhere", "door", 8080, True),
    ("acme", "elsewhere", "door", 2019, False),
    ("acme", "door", "proxy", 8000, True),
    ("acme", "door", "proxy", 8001, False),
    ("acme", "door", "hub", 8081, False),
    ("acme", "door", "user", 8888, False),
    ("acme", "door", "1.1.1.1", 14000, True),
    ("acme", "door", "1.1.1.1", 443, False),
    ("acme", "door", "1.1.1.1", 53, False),
    ("acme", "door", "192.168.1.1", 14000, False),
    ("acme", "door", "198.51.100.7", 14000, True),
    ("acme", "door", "10.99.0.7", 14000, True),
    ("acme", "door", "172.18.0.2", 6443, False),
    ("acme", "door", "169.254.169.254", 80, False),
    ("acme dns", "door", "1.1.1.1", 53, True),
    ("acme dns", "door", "10.99.0.7", 53, True),
    ("acme route53", "door", "1.1.1.1", 443, True),
    ("secret", "door", "1.1.1.1", 14000, False),
    ("secret", "door", "1.1.1.1", 443, False),
    ("offload", "door", "proxy", 8000, False),
]


@pytest.mark.parametrize(("way", "source", "target", "port", "open_"), REACHED)
def test_who_reaches_the_door_and_whom_it_reaches(way: str, source: str, target: str, port: int, open_: bool) -> None:
    installation = Installation.model_validate({"network": {"acmeRanges": ["10.99.0.0/24"]}})
    policies = network.policies(spec(way), NAMES, UID, installation, API)
    peer = PODS.get(target) or Pod(target, "")
    assert reaches(policies, PODS[source], peer, port) is open_


def test_a_hub_without_a_door_has_the_policies_that_it_had() -> None:
    names = {
        way: {body["metadata"]["name"] for body in network.policies(spec(way), NAMES, UID, Installation(), API)}
        for way in ("", "offload", "acme")
    }
    assert names[""] == names["offload"] == names["acme"] - {"demo-network-door"}
