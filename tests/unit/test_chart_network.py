"""charts/pdshub: whom the operator and surveyors reach, who reaches them, and where hubs find what they need."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pdshub import ports
from pdshub.installation import Installation
from pdshub.render import network
from tests.unit.chart import SURVEYORS, SYSTEM, Document, rendered, run
from tests.unit.netpol import Pod, reaches

LABELS = {"app.kubernetes.io/name": "pdshub", "app.kubernetes.io/instance": "pdshub"}
OPERATOR = Pod("10.244.1.1", SYSTEM, {**LABELS, "app.kubernetes.io/component": "operator"})
SURVEYOR = Pod("10.244.1.2", SURVEYORS, {"app.kubernetes.io/name": "pdshub", "app.kubernetes.io/component": "surveyor"})
FAR_SURVEYOR = Pod("10.244.1.2", "elsewhere", SURVEYOR.labels)
PROXY = Pod("10.244.1.3", "hubs", {"component": "proxy"})
SERVER = Pod("10.244.1.4", "hubs", {"component": "singleuser-server"})
DNS = Pod("10.244.1.5", "kube-system", {"k8s-app": "kube-dns"})
NODE, PUBLIC, METADATA = Pod("172.18.0.2"), Pod("1.1.1.1"), Pod("169.254.169.254")


def policies(**values: Any) -> list[Document]:
    return [d for (kind, _), d in rendered(values).items() if kind == "NetworkPolicy"]


CASES: list[tuple[str, Pod, Pod, int, bool]] = [
    ("API server", OPERATOR, NODE, 6443, True),
    ("API server elsewhere", OPERATOR, PUBLIC, 443, True),
    ("chart repository", OPERATOR, PUBLIC, 443, True),
    ("chart repository without TLS", OPERATOR, PUBLIC, 80, False),
    ("node report", OPERATOR, NODE, ports.NODE_REPORT, True),
    ("node metrics", OPERATOR, NODE, ports.NODE_METRICS, False),
    ("kubelet", OPERATOR, NODE, 10250, False),
    ("metadata", OPERATOR, METADATA, 80, False),
    ("NAS", OPERATOR, Pod("10.0.0.9"), ports.NFS, False),
    ("surveyor", OPERATOR, SURVEYOR, ports.SURVEYOR, True),
    ("what calls itself a surveyor elsewhere", OPERATOR, FAR_SURVEYOR, ports.SURVEYOR, False),
    ("proxy", OPERATOR, PROXY, network.PROXY_PORT, True),
    ("proxy's API", OPERATOR, PROXY, network.PROXY_API_PORT, False),
    ("a server", OPERATOR, SERVER, network.SERVER_PORT, False),
    ("name service", OPERATOR, DNS, 53, True),
    ("name service's other port", OPERATOR, DNS, 9153, False),
    ("metrics", PROXY, OPERATOR, ports.OPERATOR_HEALTH, True),
    ("anything else of it", PROXY, OPERATOR, 22, False),
    ("surveyor to anybody", SURVEYOR, PUBLIC, 443, False),
    ("surveyor to the API server", SURVEYOR, NODE, 6443, False),
    ("surveyor to the name service", SURVEYOR, DNS, 53, False),
    ("surveyor to the NAS", SURVEYOR, Pod("10.0.0.9"), ports.NFS, False),
    ("node asks a surveyor", NODE, SURVEYOR, ports.SURVEYOR, True),
]


def test_the_labels_are_those_of_the_pods() -> None:
    made = rendered()["Deployment", "pdshub-operator"]["spec"]["template"]["metadata"]["labels"]
    assert OPERATOR.labels.items() <= made.items()


@pytest.mark.parametrize(("source", "target", "port", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_who_reaches_whom(source: Pod, target: Pod, port: int, expected: bool) -> None:
    assert reaches(policies(), source, target, port) is expected


@pytest.mark.parametrize(
    ("values", "target", "port"),
    [
        ({"operator": {"extraEgress": [{"ports": [{"port": 8000, "protocol": "TCP"}]}]}}, PUBLIC, 8000),
        ({"network": {"dns": {"addresses": ["169.254.20.10/32"]}}}, Pod("169.254.20.10"), 53),
        (
            {"network": {"dns": {"namespace": "dns", "labels": {"k8s-app": "kube-dns"}}}},
            Pod("10.9.9.9", "dns", DNS.labels),
            53,
        ),
        ({"operator": {"networkPolicy": False}}, METADATA, 80),
    ],
    ids=["another port", "a cache on nodes", "another namespace", "no policy"],
)
def test_what_values_open(values: Document, target: Pod, port: int) -> None:
    assert reaches(policies(**values), OPERATOR, target, port) and not reaches(policies(), OPERATOR, target, port)


def test_the_operator_reads_what_was_installed() -> None:
    values = {
        "network": {
            "privateRanges": ["192.0.2.0/24"],
            "allowedRanges": ["10.9.0.0/16"],
            "apiServer": ["172.18.0.0/16"],
            "ipFamilies": ["IPv6"],
            "dns": {"namespace": "dns", "ports": [5353], "addresses": ["169.254.20.10/32"]},
        }
    }
    text = rendered(values)["ConfigMap", "pdshub-installation"]["data"]["installation.yaml"]
    found = Installation.model_validate(yaml.safe_load(text)).network
    assert found.private_ranges == ["192.0.2.0/24"] and found.allowed_ranges == ["10.9.0.0/16"]
    assert found.versions() == {6}
    assert found.api_server == ["172.18.0.0/16"] and found.dns.labels == {"k8s-app": "kube-dns"}
    assert (found.dns.namespace, found.dns.ports, found.dns.addresses) == ("dns", [5353], ["169.254.20.10/32"])
    usual = rendered()["ConfigMap", "pdshub-installation"]["data"]["installation.yaml"]
    assert Installation.model_validate(yaml.safe_load(usual)).network == Installation().network


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"network": {"privateRanges": ["10.0.0.1"]}}, "/network/privateRanges/0"),
        ({"network": {"allowedRanges": "10.0.0.0/8"}}, "/network/allowedRanges"),
        ({"network": {"apiServer": "somewhere"}}, "/network/apiServer"),
        ({"network": {"apiServer": []}}, "/network/apiServer"),
        ({"network": {"dns": {"ports": [0]}}}, "/network/dns/ports/0"),
        ({"network": {"ipFamilies": ["IPv5"]}}, "/network/ipFamilies"),
        ({"network": {"ipFamilies": []}}, "/network/ipFamilies"),
        ({"network": {"egress": "none"}}, "egress"),
    ],
    ids=str,
)
def test_refused_values(values: Document, says: str) -> None:
    done = run("template", "pdshub", values=values)
    assert done.returncode != 0 and says in done.stderr
