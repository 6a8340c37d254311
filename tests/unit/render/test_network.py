"""Who reaches whom by the policies of a hub: the whole matrix, and each way to get around it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from pdshub import network_rules, ports
from pdshub.api.hub import PDSHubSpec
from pdshub.cli.probe_pods import LABELS
from pdshub.cli.reach import FIXED, HUB, PROXY, ROLES, STRANGER, SURVEYOR, USER, Declared, Target
from pdshub.installation import Backup, GoogleProvider, Installation, Network, SignInProviders
from pdshub.render import network
from pdshub.render.names import Names
from pdshub.render.network import ApiServer
from tests.unit.netpol import Pod, reaches

NAMES = Names("ns", "demo")
GOOGLE: dict[str, Any] = {"google": {"clientId": "x", "clientSecretRef": {"name": "s", "key": "k"}}}
INSTALLATION = Installation.model_validate({"network": {"privateRanges": ["203.0.113.0/24", "2001:db8::/32"]}})
API = ApiServer((("172.18.0.2/32", 6443), ("10.96.0.1/32", 443)))
JUPYTER = {"app": "jupyterhub", "release": "demo"}
PODS = {
    USER: Pod("10.244.0.1", "ns", {**JUPYTER, "component": "singleuser-server"}),
    "other user": Pod("10.244.0.2", "ns", {**JUPYTER, "component": "singleuser-server"}),
    HUB: Pod("10.244.0.3", "ns", {**JUPYTER, "component": "hub"}),
    PROXY: Pod("10.244.0.4", "ns", {**JUPYTER, "component": "proxy"}),
    STRANGER: Pod("10.244.0.5", "ns"),
    "autohttps": Pod("10.244.0.6", "ns", {**JUPYTER, "component": "autohttps"}),
    "elsewhere": Pod("10.244.0.7", "other", {**JUPYTER, "component": "hub"}),
    "dns": Pod("10.244.0.8", "kube-system", {"k8s-app": "kube-dns"}),
    "false dns": Pod("10.244.0.9", "other", {"k8s-app": "kube-dns"}),
}
OUTSIDE = {
    "api": ("172.18.0.2", 6443),
    "api service": ("10.96.0.1", 443),
    "kubelet": ("172.18.0.2", 10250),
    "node metrics": ("172.18.0.2", ports.NODE_METRICS),
    "node report": ("172.18.0.2", ports.NODE_REPORT),
    "nas": ("192.168.7.7", 2049),
    "metadata": ("169.254.169.254", 80),
    "metadata tls": ("169.254.169.254", 443),
    "metadata 6": ("fd00:ec2::254", 80),
    "mapped": ("::ffff:169.254.169.254", 80),
    "cgnat": ("100.64.0.1", 443),
    "azure": ("168.63.129.16", 80),
    "institution": ("203.0.113.9", 443),
    "institution 6": ("2001:db8::9", 443),
    "internet": ("1.1.1.1", 443),
    "internet web": ("1.1.1.1", 80),
    "internet 6": ("2606:4700::1111", 443),
}


def policies(sign_in: dict[str, Any] = GOOGLE, api: ApiServer = API, **egress: Any) -> list[dict[str, Any]]:
    spec = PDSHubSpec.model_validate({"signIn": sign_in, "network": egress})
    return network.policies(spec, NAMES, "uid-1", INSTALLATION, api)


INTERNET = {"internet", "internet web", "internet 6"}
MATRIX: dict[str, set[str]] = {
    USER: {"hub:8081", "proxy:8000", "dns:53", *INTERNET},
    HUB: {"proxy:8001", "user:8888", "other user:8888", "dns:53", "api", "api service", "internet", "internet 6"},
    PROXY: {"hub:8081", "user:8888", "other user:8888", "dns:53"},
    STRANGER: set(),
    "autohttps": {"proxy:8000", "dns:53", "api", "api service", *INTERNET},
    "elsewhere": {"proxy:8000", "false dns:53", "dns:53", *OUTSIDE},
}
"""All that each may reach. Who is elsewhere is kept in by no policy of this hub."""
INSIDE = [(name, port) for name in PODS for port in (22, 53, 8000, 8001, 8081, 8443, 8888)]


def reached(found: list[dict[str, Any]], source: str) -> set[str]:
    inside = {
        f"{name}:{port}"
        for name, port in INSIDE
        if name != source and PODS[name].namespace == "ns" and reaches(found, PODS[source], PODS[name], port)
    }
    services = {f"{name}:53" for name in ("dns", "false dns") if reaches(found, PODS[source], PODS[name], 53, "UDP")}
    outside = {name for name, (ip, port) in OUTSIDE.items() if reaches(found, PODS[source], Pod(ip), port)}
    return inside | services | outside


@pytest.mark.parametrize("source", MATRIX)
def test_the_whole_matrix(source: str) -> None:
    also = {"proxy:8443"} if source == "elsewhere" else set()
    assert reached(policies(), source) == MATRIX[source] | also


@pytest.mark.parametrize(
    ("egress", "opens"),
    [
        ({"egress": "internet"}, INTERNET),
        ({"egress": "none"}, set()),
        ({"egress": "cidrs", "cidrs": ["1.1.1.0/24"]}, {"internet", "internet web"}),
        ({"egress": "cidrs", "cidrs": ["2606:4700::/32", "192.168.7.7/32"]}, {"internet 6", "nas"}),
    ],
    ids=["internet", "none", "one range", "a private range too"],
)
def test_what_servers_reach_is_the_specs_and_nobody_elses(egress: dict[str, Any], opens: set[str]) -> None:
    found = policies(**egress)
    assert reached(found, USER) == (MATRIX[USER] - INTERNET) | opens
    assert reached(found, HUB) == MATRIX[HUB] and reached(found, PROXY) == MATRIX[PROXY]


@pytest.mark.parametrize(
    ("families", "versions"), [(["IPv4"], {4}), (["IPv6"], {6}), (["IPv4", "IPv6"], {4, 6}), ("found", {4, 6})], ids=str
)
def test_policies_name_addresses_of_the_pods_families_alone(families: Any, versions: set[int]) -> None:
    """An engine of IPv4 alone fails at the first rule of IPv6, and then keeps nobody in: kube-router did."""
    network_settings = {**INSTALLATION.network.model_dump(), "ip_families": families}
    installation = INSTALLATION.model_copy(update={"network": Network.model_validate(network_settings)})
    spec = PDSHubSpec.model_validate({"signIn": GOOGLE, "network": {"egress": "internet"}})
    api = ApiServer((*API.addresses, ("fd00::1/128", 6443)))
    found = network.policies(spec, NAMES, "uid-1", installation, api)
    rules = [rule for policy in found for side in ("ingress", "egress") for rule in policy["spec"].get(side, [])]
    named = {
        ip_network(cidr).version
        for rule in rules
        for peer in (*rule.get("from", ()), *rule.get("to", ()))
        for cidr in (peer.get("ipBlock", {}).get("cidr"), *peer.get("ipBlock", {}).get("except", ()))
        if cidr
    }
    assert named == versions
    assert not [rule for rule in rules if rule.get("to") == [] or rule.get("from") == []], "that would be everybody"
    assert reached(found, STRANGER) == set()
    other = {"internet 6"} if 4 not in versions else {"internet", "internet web"}
    assert reached(found, USER) & INTERNET == (INTERNET if len(versions) == 2 else other)


@pytest.mark.parametrize(
    ("sign_in", "api", "lost", "won"),
    [
        ({"development": {}}, API, {"internet", "internet 6"}, set()),
        (GOOGLE, ApiServer(), {"api", "api service"}, set()),
        (GOOGLE, ApiServer.of(["172.18.0.0/16"]), {"api service"}, set()),
        (
            GOOGLE,
            ApiServer(any_address=True),
            set(),
            {"cgnat", "institution", "institution 6", "metadata tls"},
        ),
    ],
    ids=["development", "API server unknown", "a range", "anywhere"],
)
def test_what_the_hub_reaches(sign_in: dict[str, Any], api: ApiServer, lost: set[str], won: set[str]) -> None:
    assert reached(policies(sign_in, api), HUB) == (MATRIX[HUB] - lost) | won


@pytest.mark.parametrize(
    ("provider", "ports", "ranges"),
    [
        ({}, {443}, set()),
        ({"ranges": ["172.18.0.0/16"]}, {443}, {"172.18.0.0/16"}),
        (
            {
                "authorizeUrl": "https://id.example.org/a",
                "tokenUrl": "https://id.example.org:8443/t",
                "userdataUrl": "https://id.example.org/u",
                "ranges": ["10.7.0.0/16"],
            },
            {443, 8443},
            {"10.7.0.0/16"},
        ),
    ],
    ids=["Google", "by a private way", "another"],
)
def test_the_sign_in_service_is_reached_where_the_installation_has_it(
    provider: dict[str, Any], ports: set[int], ranges: set[str]
) -> None:
    spec = PDSHubSpec.model_validate({"signIn": GOOGLE})
    where = INSTALLATION.model_copy(update={"sign_in": SignInProviders(google=GoogleProvider.model_validate(provider))})
    made = network.policies(spec, NAMES, "uid-1", where, ApiServer())
    (hub,) = [p for p in made if p["spec"]["podSelector"].get("matchLabels") == {"component": "hub"}]
    outside = [rule for rule in hub["spec"]["egress"] if "ipBlock" in (rule.get("to") or [{}])[0]]
    assert {port["port"] for rule in outside for port in rule["ports"]} == ports
    closed = {b["ipBlock"]["cidr"] for rule in outside[1:] for b in rule["to"]}
    assert closed == ranges


def test_nothing_comes_in_from_elsewhere_but_through_the_proxy() -> None:
    found = policies()
    for source in (Pod("1.2.3.4"), PODS["elsewhere"], Pod("172.18.0.2")):
        open_ = {
            (name, port)
            for name, port in INSIDE
            if PODS[name].namespace == "ns" and reaches(found, source, PODS[name], port)
        }
        assert open_ == {("proxy", 8000), ("proxy", 8443)}
        assert reaches(found, source, PODS["autohttps"], "https") and not reaches(found, source, PODS[HUB], "https")


def test_a_pod_of_no_role_reaches_nothing_and_is_reached_by_nobody() -> None:
    found, odd = policies(), Pod("10.244.0.99", "ns", {**JUPYTER, "component": "something-of-values"})
    assert not any(reaches(found, odd, pod, port) for pod in PODS.values() for port in (53, 8000, 8001, 8081, 8888))
    assert not any(reaches(found, pod, odd, 8080) for pod in PODS.values())


@pytest.mark.parametrize("egress", ["internet", "none"])
@pytest.mark.parametrize("sign_in", [GOOGLE, {"development": {}}], ids=["google", "development"])
def test_the_probe_declares_what_the_policies_do(egress: str, sign_in: dict[str, Any]) -> None:
    """The table of the plugin and the policies of the operator are written twice: they say the same."""
    found = policies(sign_in, egress=egress)
    declared = Declared.of({"signIn": sign_in, "network": {"egress": egress}}, INSTALLATION.private_ranges)
    where: dict[str, tuple[Pod, int]] = {
        "API server": (Pod("172.18.0.2"), 6443),
        "name service": (PODS["dns"], 53),
        "hub": (PODS[HUB], 8081),
        "proxy": (PODS[PROXY], 8000),
        "proxy API": (PODS[PROXY], 8001),
        "another server": (PODS["other user"], 8888),
        "NAS": (Pod("192.168.7.7"), 2049),
    }
    targets = [
        *FIXED,
        Target("hub", "", 8081, "hub"),
        Target("proxy", "", 8000, "proxy"),
        Target("proxy API", "", 8001, "proxy-api"),
        Target("another server", "", 8888, "server"),
        Target("NAS", "", 2049, "nas"),
        Target("public web", "9.9.9.9", 80),
        Target("institution", "203.0.113.7", 443),
    ]
    for role in ROLES:
        if role == SURVEYOR:
            continue  # its policy is the installation's (tests/unit/test_chart_surveyor.py)
        labels = {**LABELS[role], "pdshub.dev/probe": "x"}
        for target in targets:
            pod, port = where.get(
                target.name, (Pod("172.18.0.2" if target.kind == "node" else target.host), target.port)
            )
            expected = reaches(found, Pod("10.244.0.50", "ns", labels), pod, port)
            assert declared.allows(role, target, pod.ip) is expected, (role, target)


def test_policies_belong_to_the_hub_and_select_by_what_values_cannot_change() -> None:
    for policy in policies():
        assert policy["metadata"]["labels"]["pdshub.dev/hub"] == "demo" and policy["metadata"]["namespace"] == "ns"
        assert [owner["uid"] for owner in policy["metadata"]["ownerReferences"]] == ["uid-1"]
        assert set(policy["spec"]["podSelector"].get("matchLabels", {})) <= {"component"}
        assert network_rules.normal(policy["spec"]) == policy["spec"], "as the API server gives it back"
        assert set(policy["spec"]["policyTypes"]) == {"Ingress", "Egress"}


def test_the_name_service_is_where_the_installation_says() -> None:
    dns = {
        "namespace": "openshift-dns",
        "labels": {"dns": "default"},
        "ports": [5353],
        "addresses": ["169.254.20.10/32"],
    }
    installation = Installation.model_validate({"network": {"dns": dns}})
    spec = PDSHubSpec.model_validate({"signIn": GOOGLE, "network": {"egress": "none"}})
    found = network.policies(spec, NAMES, "u", installation, API)
    user = PODS[USER]
    assert reaches(found, user, Pod("10.0.0.1", "openshift-dns", {"dns": "default"}), 5353, "UDP")
    assert reaches(found, user, Pod("169.254.20.10"), 53, "UDP") and not reaches(found, user, Pod("169.254.20.10"), 80)
    assert not reaches(found, user, PODS["dns"], 53, "UDP")


_S3 = {"bucket": "bucket", "secretRef": "s"}
_SFTP = {"host": "b.example.org", "port": 2222, "user": "u", "path": "/x", "secretRef": "s"}
_STORE, _PRIVATE = Pod("1.1.1.1"), Pod("10.9.0.7")
PLACES: list[tuple[str, dict[str, Any], list[str], set[str]]] = [
    ("a claim", {"claim": {"name": "vault"}}, [], set()),
    ("a share", {"nfs": {"server": "nas.example.org", "path": "/b"}}, [], set()),
    ("S3", {"s3": _S3}, [], {"dns:53", "internet", "internet 6"}),
    ("S3 at another port", {"s3": {**_S3, "endpoint": "https://s3.example.org:9000"}}, [], {"dns:53", "store:9000"}),
    ("SFTP", {"sftp": _SFTP}, [], {"dns:53", "store:2222"}),
    (
        "a closed service",
        {"rest": {"url": "https://b.example.org:9000/x"}},
        ["10.9.0.0/16"],
        {"dns:53", "store:9000", "private:9000"},
    ),
    ("an address", {"rest": {"url": "https://1.1.1.1/x"}}, ["10.9.0.0/16"], {"internet"}),
    ("a closed address", {"rest": {"url": "https://10.9.0.7:9000/x"}}, ["10.9.0.0/16"], {"private:9000"}),
    ("an address that nobody opened", {"rest": {"url": "https://169.254.169.254/x"}}, [], set()),
]


@pytest.mark.parametrize(("place", "ranges", "opens"), [c[1:] for c in PLACES], ids=[c[0] for c in PLACES])
@pytest.mark.parametrize("component", ["backup", "recovery"])
def test_backups_reach_their_repository_and_nothing_else(
    component: str, place: dict[str, Any], ranges: list[str], opens: set[str]
) -> None:
    installation = INSTALLATION.model_copy(update={"backup": Backup(ranges=ranges)})
    where = {"repository": place}
    asked = {"backup": where} if component == "backup" else {"bootstrap": {"recovery": where}}
    spec = PDSHubSpec.model_validate({"signIn": GOOGLE, **asked})
    found = network.policies(spec, NAMES, "uid-1", installation, API)
    job = Pod("10.244.0.20", "ns", {"component": component, "pdshub.dev/hub": "demo"})
    reached_inside = {
        f"{name}:{port}"
        for name, port in INSIDE
        if PODS[name].namespace == "ns" and reaches(found, job, PODS[name], port)
    }
    outside = {name for name, (ip, port) in OUTSIDE.items() if reaches(found, job, Pod(ip), port)}
    stores = {
        f"{name}:{port}"
        for name, store in (("store", _STORE), ("private", _PRIVATE))
        for port in (80, 2222, 9000)
        if reaches(found, job, store, port)
    }
    names = {"dns:53"} if reaches(found, job, PODS["dns"], 53, "UDP") else set()
    assert reached_inside | outside | stores | names == opens
    assert not any(
        reaches(found, PODS[other], job, port) for other in (USER, HUB, PROXY, STRANGER) for port in (80, 8888)
    )
    # nobody else reaches more because of it
    assert reached(found, USER) == MATRIX[USER] and reached(found, HUB) == MATRIX[HUB]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"singleuser": {"networkPolicy": {"enabled": False}}}, "spec.values.singleuser.networkPolicy"),
    ({"singleuser": {"networkPolicy": None}}, "spec.values.singleuser.networkPolicy"),
    ({"hub": {"networkPolicy": {"egress": [{}]}}}, "spec.values.hub.networkPolicy"),
    ({"proxy": {"chp": {"networkPolicy": {}}}}, "spec.values.proxy.chp.networkPolicy"),
    ({"proxy": {"traefik": {"networkPolicy": {}}}}, "spec.values.proxy.traefik.networkPolicy"),
    ({"hub": {"nodeSelector": {}}, "proxy": None, "singleuser": "x"}, ""),
]


@pytest.mark.parametrize(("values", "says"), REFUSED, ids=[r[1] or "others" for r in REFUSED])
def test_values_change_no_policy(values: dict[str, Any], says: str) -> None:
    trouble = network.values_trouble(values)
    assert trouble.startswith(says) and bool(trouble) is bool(says) and (not says or "spec.network" in trouble)
